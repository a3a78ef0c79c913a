"""Many keys, one call each: bounded, every outcome reported, equal keys asked once."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Iterator,
)
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
        except TypeError:
            raise  # the method takes no such parameter, whatever the key
        except Exception as error:
            return Done(value, error=error)
        try:
            return Done(value, await awaitable)
        except Exception as error:
            return Done(value, error=error)

    window = _Asked(one, keys, ordered)
    try:
        while await window.progress(concurrency()):
            for done in window.available():
                yield done
    finally:
        await window.aclose()


class _Asked(Generic[K, T]):
    """The keys that were asked and not handed out yet. A key that was asked before is not asked again."""

    def __init__(
        self, one: Callable[[K], Awaitable[Done[K, T]]], keys: Iterable[K] | AsyncIterable[K], ordered: bool
    ) -> None:
        self._one = one
        self._ordered = ordered
        self._tasks: dict[K, asyncio.Task[Done[K, T]]] = {}
        self._seen: set[K] = set()
        self._keys: Iterator[K] | AsyncIterator[K] = aiter(keys) if isinstance(keys, AsyncIterable) else iter(keys)
        self._coming: asyncio.Task[K | _End] | None = None  # the next key of a source that one has to wait for
        self._ended = False

    async def progress(self, limit: int) -> bool:
        """Ask what there is room for and wait until something comes of it. False when nothing is left."""
        self._fill(limit)
        waiting: list[asyncio.Task[Any]] = [task for task in self._tasks.values() if not task.done()]
        if self._coming is not None:
            waiting.append(self._coming)
        if waiting:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return bool(self._tasks) or not self._ended

    def _fill(self, limit: int) -> None:
        in_flight = sum(not task.done() for task in self._tasks.values())
        # In order, the oldest may hold back the others: twice the window may wait to be handed out.
        while not self._ended and in_flight < limit and len(self._tasks) < 2 * limit:
            key = self._next()
            if key is _NOT_YET:
                return
            if key is _END:
                self._ended = True
            elif key not in self._seen:
                self._seen.add(key)
                self._tasks[key] = asyncio.ensure_future(self._one(key))
                in_flight += 1

    def _next(self) -> Any:
        if isinstance(self._keys, Iterator):
            return next(self._keys, _END)
        coming = self._coming or asyncio.ensure_future(_await_next(self._keys))
        self._coming = None if coming.done() else coming
        return coming.result() if coming.done() else _NOT_YET

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
        """End the calls under way, and the generator that the keys came from."""
        pending: list[asyncio.Task[Any]] = [*self._tasks.values()]
        if self._coming is not None:
            pending.append(self._coming)
        for task in pending:
            task.cancel()
        try:
            await asyncio.gather(*pending, return_exceptions=True)
        finally:
            if isinstance(self._keys, AsyncGenerator):
                await self._keys.aclose()


class _End:
    """No key: the source has none left, or none yet."""


_END, _NOT_YET = _End(), _End()


async def _await_next(keys: AsyncIterator[K]) -> K | _End:
    return await anext(keys, _END)
