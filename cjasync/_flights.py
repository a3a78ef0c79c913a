"""Identical reads in flight at the same time are one request; some answers are kept for a while.

The first caller makes the request in its own task, so that a call nobody shares costs no task. If that caller is
cancelled, the next in line makes it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from cjasync._clock import Clock

_Key = tuple[str, float]
_RUN_IT_YOURSELF = object()


class Flights:
    """The reads under way, and the answers still fresh."""

    __slots__ = ("_flying", "_kept")

    def __init__(self) -> None:
        self._flying: dict[_Key, list[asyncio.Future[Any]]] = {}
        self._kept: dict[_Key, tuple[float, Any]] = {}

    async def run(self, key: _Key, make: Callable[[], Awaitable[Any]], clock: Clock) -> Any:
        """The answer for `key` (what is asked, and for how many seconds its answer keeps)."""
        keep = key[1]
        if keep and (kept := self._kept.get(key)) is not None:
            if clock.monotonic() < kept[0]:
                return kept[1]
            del self._kept[key]
        while (waiting := self._flying.get(key)) is not None:
            future = asyncio.get_running_loop().create_future()
            waiting.append(future)
            outcome = await future
            if outcome is not _RUN_IT_YOURSELF:
                return outcome
        waiting = self._flying[key] = []
        try:
            answer = await make()
        except asyncio.CancelledError:
            del self._flying[key]
            self._pass_on(waiting)
            raise
        except BaseException as error:
            del self._flying[key]
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # seen, should its caller have gone
            raise
        del self._flying[key]
        if keep:
            self._kept[key] = (clock.monotonic() + keep, answer)
        for future in waiting:
            if not future.done():
                future.set_result(answer)
        return answer

    def _pass_on(self, waiting: list[asyncio.Future[Any]]) -> None:
        # All wake: the first finds nobody flying and flies, the others find it.
        for future in waiting:
            if not future.done():
                future.set_result(_RUN_IT_YOURSELF)
