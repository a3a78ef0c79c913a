"""Work that several callers wait for and none of them owns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

from cjasync.errors import ClosedError

T = TypeVar("T")
_Key = tuple[asyncio.AbstractEventLoop, str]


class SharedTasks(Generic[T]):
    """Tasks by name, at most one of each at a time and event loop: an event loop cannot wait for another's task."""

    def __init__(self) -> None:
        self._tasks: dict[_Key, asyncio.Task[T]] = {}

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """The task of that name under way, or a new one. Nobody has to wait for it."""
        key = (asyncio.get_running_loop(), name)
        task = self._tasks.get(key)
        if task is None or task.done():
            # An empty context: what the first caller captures or traces is not what the others wait for.
            task = self._tasks[key] = asyncio.create_task(work(), name=f"cjasync {name}", context=Context())
            task.add_done_callback(lambda done: self._ended(key, done))
        return task

    async def result(self, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Its result or error. A caller who is cancelled leaves the task to the others."""
        task = self.start(name, work)
        await asyncio.wait((task,))
        if task.cancelled():
            raise ClosedError("the client was closed while it waited for a token")
        return task.result()

    async def aclose(self, grace: float) -> None:
        """Let the tasks of this event loop end within `grace` seconds, then cancel them."""
        loop = asyncio.get_running_loop()
        mine = [task for (owner, _), task in list(self._tasks.items()) if owner is loop]
        if not mine:
            return
        try:
            await asyncio.wait(mine, timeout=grace)
        finally:
            for task in mine:
                task.cancel()
        await asyncio.wait(mine)

    def _ended(self, key: _Key, task: asyncio.Task[T]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen, should all callers have gone
