"""Many keys, one call each: bounded, every outcome reported, equal keys asked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Hashable, Iterable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from msgspec import Struct

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Done(Struct, Generic[K, T], frozen=True):
    """What became of one key: `value`, or `error`."""

    key: K
    value: T | None = None
    error: Exception | None = None

    def result(self) -> T:
        """The value; raises the error if it is one."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


async def run(
    method: Callable[..., Awaitable[T]],
    keys: Iterable[K] | AsyncIterable[K],
    *,
    key: str | None,
    concurrency: Callable[[], int],
    ordered: bool,
    arguments: dict[str, Any],
) -> AsyncGenerator[Done[K, T], None]:
    """See `CJClient.bulk`."""

    async def one(value: K) -> Done[K, T]:
        try:
            awaitable = method(value, **arguments) if key is None else method(**{key: value}, **arguments)
            return Done(value, await awaitable)
        except Exception as error:
            return Done(value, error=error)

    window = _Asked(one, ordered)
    try:
        async with aclosing(_each(keys)) as source:
            async for value in source:
                window.ask(value)
                limit = concurrency()
                # In order, the oldest may hold back the others: twice the window may wait to be handed out.
                while window.in_flight >= limit or window.waiting >= 2 * limit:
                    await window.progress()
                    for done in window.available():
                        yield done
        while window.waiting:
            await window.progress()
            for done in window.available():
                yield done
    finally:
        await window.aclose()


async def _each(keys: Iterable[K] | AsyncIterable[K]) -> AsyncGenerator[K, None]:
    if isinstance(keys, AsyncIterable):
        iterator: AsyncIterator[K] = aiter(keys)
        async for key in iterator:
            yield key
    else:
        for key in keys:
            yield key


class _Asked(Generic[K, T]):
    """The keys that were asked and not handed out yet. A key that was asked before is not asked again."""

    def __init__(self, one: Callable[[K], Awaitable[Done[K, T]]], ordered: bool) -> None:
        self._one = one
        self._ordered = ordered
        self._tasks: dict[K, asyncio.Task[Done[K, T]]] = {}
        self._seen: set[K] = set()

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return sum(not task.done() for task in self._tasks.values())

    @property
    def waiting(self) -> int:
        """Keys that were not handed out yet."""
        return len(self._tasks)

    def ask(self, key: K) -> None:
        """Begin the call of a key, unless it was asked before."""
        if key not in self._seen:
            self._seen.add(key)
            self._tasks[key] = asyncio.ensure_future(self._one(key))

    async def progress(self) -> None:
        """Wait until one more call has ended."""
        pending = [task for task in self._tasks.values() if not task.done()]
        if pending:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)

    def available(self) -> list[Done[K, T]]:
        """What can be handed out: all that have ended, or those before the oldest that has not."""
        ready: list[K] = []
        for key, task in self._tasks.items():
            if task.done():
                ready.append(key)
            elif self._ordered:
                break
        return [self._tasks.pop(key).result() for key in ready]

    async def aclose(self) -> None:
        """End the calls under way."""
        pending = [task for task in self._tasks.values() if not task.done()]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending)
