"""Products that an earlier walk found and this one did not: marked, but only where this one has proved to see all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from cjasync.catalog.delivered import Delivered
from cjasync.catalog.planning.question import Region, key
from cjasync.catalog.planning.report import Report

COLUMN = "create_time"
_OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(days=60)


class Gone:
    """Marks rows in the sink's file that an earlier walk of the same question wrote.

    sink: with `held` and `tombstone`, as the databases have them. unseen: which of some products this walk has not met.
    known: what earlier walks found; the file may hold more, of other questions, which is none of this walk's business.
    count: marked since it was last set to 0.
    """

    def __init__(self, sink: Any, unseen: Callable[[Iterable[str]], Awaitable[list[str]]], known: Delivered) -> None:
        self.count = 0
        self._sink = sink
        self._unseen = unseen
        self._known = known

    async def bury(self, region: Region, at: datetime) -> None:
        """Mark what was created in a region that is complete, and was not seen in this walk."""
        assert region.end is not None, "only time cuts regions whose products can be told from others"
        low = _OLDEST if region.start is None else _moment(region.start)
        await self._mark(low, _moment(region.end) + timedelta(microseconds=999_999), at)

    async def bury_the_rest(self, proof: Report, at: datetime) -> None:
        """The whole walk is proved complete: mark also what no region of time vouches for."""
        await self._mark(None, None, at)
        if all(each.region.end is not None or each.mode == "hidden" for each in proof.certificates):
            return
        low = _OLDEST
        while low < at:  # piece by piece: the file may be large
            await self._mark(low, low + _STEP, at)
            low += _STEP

    async def _mark(self, low: datetime | None, high: datetime | None, at: datetime) -> None:
        if not len(self._known):
            return
        held = await self._sink.held(COLUMN, low, high)
        gone = await self._unseen(pid for pid in held if key(pid) in self._known)
        if gone:
            await self._sink.tombstone(gone, at)
            self.count += len(gone)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
