"""Tasks that serve all who call, and are no caller's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from cjasync.quota.parents import left_to_the_parent


class Crew:
    """Begins tasks on the loop that runs, and is waited for before that loop ends.

    A loop at its end cancels the tasks that it finds; one that is begun later, by a timer or by somebody who was
    cancelled, is left unfinished, with a complaint. The last that a loop does is to close the asynchronous generators
    that it has seen: one of ours stands guard there.

    finish: begins what is left to be done. It is called again until no task is left.
    """

    def __init__(self, finish: Callable[[], None]) -> None:
        self._finish = finish
        self._guards = 0
        self._begin()

    def _begin(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard: AsyncGenerator[None, None] | None = None

    def open(self) -> None:
        """Be there again after a close."""
        if self._guard is None:
            self._loop = None

    def forked(self) -> None:
        """In a child process: begin anew."""
        left_to_the_parent(self._guard, *self._tasks)
        self._begin()

    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The running loop; None at its end or when closed: nothing may begin then that nobody waits for."""
        loop = self._attend()
        return loop if self._guard is not None else None

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that does it."""
        task = self._attend().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """Wait until all is done. If this is cancelled, what was not done is given up."""
        guard, self._guard = self._guard, None
        if guard is not None:
            await guard.aclose()
        await self._see_off()

    def _attend(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._guards += 1
            self._loop, self._guard = loop, self._stand_guard(self._guards)
            with contextlib.suppress(StopIteration):
                self._guard.__anext__().send(None)  # to its `yield`, which is no waiting
        return loop

    async def _stand_guard(self, number: int) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if number == self._guards:  # else another loop has begun, and this one may run again
                self._guard = None
                await self._see_off()

    async def _see_off(self) -> None:
        try:
            self._finish()
            while self._tasks:
                await asyncio.wait(self._tasks)
                self._finish()
        except asyncio.CancelledError:
            left = set(self._tasks)  # and not what begins in their place for callers who were not cancelled
            while left:
                for task in left:
                    task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait(left)
                left = {task for task in left if not task.done()}
            raise
