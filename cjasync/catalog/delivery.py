"""From a walk into sinks: rows first, then the sink's commit, then the checkpoint forgets them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from cjasync.catalog.entry import Kind, Standing
from cjasync.catalog.gone import Gone
from cjasync.catalog.outcome import WalkReport
from cjasync.catalog.planning.question import Region
from cjasync.catalog.sinks import Batch, Sink
from cjasync.catalog.sinks.pace import Pace
from cjasync.catalog.staging import Staging
from cjasync.catalog.tokens import seq_of
from cjasync.errors import CheckpointError, CJError

Unseen = Callable[[Iterable[str]], Awaitable[list[str]]]


class Delivery(Struct, frozen=True):
    """Rows that came with one answer.

    kind: "list" for products, else what details were asked by. token: for the sink's commit, and then the walk's: all
    up to here. certified: regions of create time that are complete with these rows.
    """

    kind: Kind
    rows: Batch[Any]
    token: bytes
    certified: tuple[Region, ...]


class _Walk(Protocol):
    @property
    def report(self) -> WalkReport: ...
    async def open(self) -> Standing: ...
    def batches(self) -> AsyncGenerator[Delivery, None]: ...
    def commit(self, token: bytes) -> None: ...
    async def finish(self, *, updates: bool = ...) -> WalkReport: ...


class Transfer:
    """Brings a walk into a sink, and what it asked beside into another.

    pages: written between two commits, at most. unseen: which of some products the walk has not met.
    """

    def __init__(
        self, walk: _Walk, staging: Staging, sink: Sink, details: Sink | None, *, pages: int, unseen: Unseen
    ) -> None:
        self._walk = walk
        self._staging = staging
        self._sinks: list[Any] = [sink] if details is None else [sink, details]
        self._updates = bool(getattr(sink, "upserts", False))  # the rows of an earlier walk are still in it
        self._pages = pages
        self._pace = Pace()
        self._unseen = unseen
        self._gone: Gone | None = None

    async def run(self) -> WalkReport:
        """All of it, and the end of the sinks."""
        standing = await self._walk.open()
        unfinished = self._sinks
        if standing.state == "closing":
            unfinished = [sink for sink in self._sinks if not _has_finished(sink)]
            for sink in unfinished:
                held_by(sink, standing)
            async with aclosing(self._walk.batches()) as batches:
                async for _ in batches:
                    pass  # everything was taken
        else:
            await self._fill([held_by(sink, standing) for sink in self._sinks])
            await self._staging.closing()
        for sink in unfinished:
            if hasattr(sink, "finish"):
                await sink.finish()
        return await self._walk.finish(updates=self._updates)

    async def _fill(self, have: list[int]) -> None:
        """Write and commit everything. However it ends, what was written is committed."""
        staging = self._staging
        gone = self._gone = Gone(self._sinks[0], self._unseen, await staging.known()) if self._updates else None
        token: bytes | None = None
        pages = 0
        try:
            async with aclosing(self._walk.batches()) as batches:
                async for delivery in batches:
                    place = 0 if delivery.kind == "list" else 1
                    if staging.seq_of(delivery.token) > have[place]:
                        await self._sinks[place].write(delivery.rows)
                        if gone is not None:
                            for region in delivery.certified:
                                await gone.bury(region, delivery.rows.fetched_at)
                    token, pages = delivery.token, pages + 1
                    if pages >= self._pages or self._pace.due:
                        await self._commit(token)
                        token, pages = None, 0
            report = self._walk.report
            if gone is not None and report.proved and report.ended_at is not None:
                await gone.bury_the_rest(report, report.ended_at)
            await self._commit(staging.last_token)
        except BaseException:
            if token is not None:
                with suppress(CJError):  # the one that is on its way says more
                    await self._commit(token)
            raise

    async def _commit(self, token: bytes) -> None:
        with self._pace.committing():
            for sink in self._sinks:
                await sink.commit(token)
        self._walk.commit(token)
        if self._gone is not None:  # they count once they are safe
            self._staging.tally.tombstones += self._gone.count
            self._gone.count = 0


def held_by(sink: Any, standing: Standing) -> int:
    """Up to where a sink has all rows. One without a `token` is taken to have what it was said to have."""
    taken = standing.taken if standing.going else 0
    if not hasattr(sink, "token"):
        return taken
    where = getattr(sink, "partial", "what this sink holds")
    if sink.token is not None:
        return seq_of(sink.token, standing.name if standing.going else None, where)
    if taken:
        raise CheckpointError(
            f"the checkpoint knows of rows written to {where}, and they are gone; start anew with `fresh=True`"
        )
    return 0


def _has_finished(sink: Any) -> bool:
    """Did an earlier run end between this sink's end and its own?"""
    path = getattr(sink, "path", None)
    return getattr(sink, "token", b"") is None and path is not None and Path(path).exists()
