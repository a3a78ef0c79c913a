"""Identical reads in flight at the same time are one request; some answers are kept for a while.

The first caller makes the request in its own task, so that a call nobody shares costs no task. If that caller is
cancelled, the next in line makes it anew.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

from cjasync._clock import Clock
from cjasync._protocol import Request
from cjasync.config import RequestOptions
from cjasync.errors import CJError

_RUN_IT_YOURSELF = object()


class Lane(dict[str, list[asyncio.Future[Any]]]):
    """Who waits for the reads under way, by URL; of callers with equal options, as long as there are any."""


class Read(Protocol):
    """A call that may be shared."""

    request: Request

    def begin(self) -> None:
        """Its time runs from now on."""
        ...

    async def run(self) -> Any:
        """Make the request."""
        ...


class Flights:
    """The reads under way, and the answers still fresh."""

    __slots__ = ("_clock", "_kept", "_lanes")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lanes: WeakValueDictionary[RequestOptions, Lane] = WeakValueDictionary()
        self._kept: dict[str, tuple[float, Any]] = {}

    def lane(self, options: RequestOptions) -> Lane:
        """The reads of those with these options: only callers of equal patience share a request."""
        lane = self._lanes.get(options)
        if lane is None:
            lane = self._lanes[options] = Lane()
        return lane

    async def run(self, read: Read, lane: Lane, keep: float) -> Any:
        """The answer, which is kept for `keep` seconds."""
        url = read.request.url
        if keep and (kept := self._kept.get(url)) is not None:
            if self._clock.monotonic() < kept[0]:
                return kept[1]
            del self._kept[url]
        read.begin()
        while (waiting := lane.get(url)) is not None:
            future = asyncio.get_running_loop().create_future()
            waiting.append(future)
            outcome = await future
            if outcome is not _RUN_IT_YOURSELF:
                return outcome
        lane[url] = []
        try:
            answer = await read.run()
        except (asyncio.CancelledError, GeneratorExit):
            # All wake: the first finds nobody flying and flies, the others find it.
            _land(lane.pop(url), lambda future: future.set_result(_RUN_IT_YOURSELF))
            raise
        except BaseException as error:
            _land(lane.pop(url), partial(_fail, error=error))
            raise
        if keep:
            self._kept[url] = (self._clock.monotonic() + keep, answer)
        if waiting := lane.pop(url):
            _land(waiting, lambda future: future.set_result(answer))
        return answer


def _land(waiting: list[asyncio.Future[Any]], tell: Callable[[asyncio.Future[Any]], None]) -> None:
    for future in waiting:
        if not future.done():
            tell(future)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    # Each raises its own: raising adds to the traceback, and a pager writes its cursor into it.
    future.set_exception(copy.copy(error) if isinstance(error, CJError) else error)
    future.exception()  # seen, should its caller have gone
