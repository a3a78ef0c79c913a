"""walk: everything that matches, once each, however large the catalogue and however often the process dies.

async for product in walk(cj, checkpoint="walk.db"): ...

async with walk(cj, checkpoint="walk.db", category_id="...") as catalogue:
    async with await open_sink("products.parquet", ListedProduct, question=catalogue.question) as sink:
        report = await catalogue.into(sink)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from msgspec import Struct

from cjasync.catalog.asking import Asker
from cjasync.catalog.bursts import Bursts
from cjasync.catalog.checkpoint import Checkpoint
from cjasync.catalog.crawl import Crawl
from cjasync.catalog.delivery import Delivery, bring, seq_of, token_of
from cjasync.catalog.entry import Earlier, Standing
from cjasync.catalog.filters import Filters, Wanted, read_filters
from cjasync.catalog.outcome import WalkReport
from cjasync.catalog.planner import DEFAULT_WINDOW
from cjasync.catalog.sinks import Batch, Sink
from cjasync.catalog.staging import Arrival, Staging
from cjasync.catalog.start import new_crawl, resumed_crawl
from cjasync.catalog.tally import Tally
from cjasync.client import CJClient
from cjasync.errors import QuotaExhaustedError
from cjasync.models.product import ListedProduct
from cjasync.resources._product_endpoints import LIST

LEAST_PAGES = 10  # written between two commits of a sink, however small the windows are


def walk(
    cj: CJClient,
    *,
    checkpoint: Path | str | None = None,
    fresh: bool = False,
    wait: bool = False,
    **filters: Unpack[Filters],
) -> Walk:
    """Everything in product/list that matches, also where CJ shows only a window of it; nothing is sent yet.

    Args:
        cj: the client; `cj.with_options(priority="background")` leaves a share of the budget to others.
        checkpoint: a file to go on from after a crash, a break or the day's end. It belongs to one question.
        fresh: forget what the checkpoint holds.
        wait: at the end of a budget, sleep until there is more, instead of raising QuotaExhaustedError.
        filters: those of `cj.products.list`, but paging and order.

    Raises:
        TypeError: no such filter. ParameterError: a value that CJ does not take.
    """
    wanted = read_filters(filters, base_url=cj.config.base_url, zone=cj.config.zone)
    return Walk(cj, wanted, checkpoint=None if checkpoint is None else Path(checkpoint), fresh=fresh, wait=wait)


class Progress(Struct, frozen=True, kw_only=True):
    """Where a walk stands. `waiting_until`: it sleeps until a budget has more (aware datetime)."""

    delivered: int
    total: int | None
    requests: int
    windows: int
    seconds: float
    waiting_until: datetime | None


class Walk:
    """A walk: iterate it for products, or bring it `into` a sink, once. Made by `walk`.

    question: what is asked, as text; equal for equal questions.

    Both raise CheckpointError or OutputError for a checkpoint that cannot be resumed or written, QuotaExhaustedError at
    the end of a budget (the same walk goes on from its checkpoint later), and what CJ's calls raise and cannot be
    waited out. Whatever came before that has been handed out.
    """

    def __init__(self, cj: CJClient, wanted: Wanted, *, checkpoint: Path | None, fresh: bool, wait: bool) -> None:
        self.question = wanted.name
        self.window_pages = max(LEAST_PAGES, (cj.config.plan.list_window or DEFAULT_WINDOW) // 200)
        self._wanted = wanted
        self._path = checkpoint
        self._asker = Asker(cj.engine, wanted, wait=wait)
        kept = cj.config.background_reserve if cj.options.priority == "background" else 0.0
        self._bursts = Bursts(self._asker, LIST, kept=kept)
        opened = partial(Checkpoint, checkpoint, wanted.name, fresh=fresh)
        self._staging = Staging(opened, self._asker.clock, {"list": ListedProduct})
        self._standing: Standing | None = None
        self._crawl: Crawl | None = None
        self._work: asyncio.Task[None] | None = None
        self._products: AsyncGenerator[ListedProduct, None] | None = None
        self._exhausted = False
        self._finished: WalkReport | None = None

    # Products

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ListedProduct:
        if self._products is None:
            self._products = self._one_by_one()
        return await anext(self._products)

    async def _one_by_one(self) -> AsyncGenerator[ListedProduct, None]:
        try:
            async with aclosing(self.batches()) as batches:
                async for delivery in batches:
                    for product in delivery.rows:
                        yield product
                    self.commit(delivery.token)
            await self.finish()
        finally:
            await self._close()

    async def into(self, sink: Sink) -> WalkReport:
        """Bring all products into a sink, and finish it if it can be finished.

        Rows that the sink has from an earlier run are not written again. Rows that an earlier walk of the same question
        wrote to the same database, and that this one provably does not find, are marked as gone.
        """
        try:
            return await bring(self, sink)
        finally:
            await self._close()

    async def batches(self) -> AsyncGenerator[Delivery, None]:
        """Products as they come, a page at a time.

        `commit(token)` tells that a delivery and all before it are safe; what is not comes again after a crash, and the
        walk runs at most two windows ahead of it. `finish()` ends the walk when everything is.
        """
        await self.open()
        if self._crawl is not None:
            raise RuntimeError("a walk is walked once; begin another")
        begin = resumed_crawl if self._standing and self._standing.going else new_crawl
        try:
            crawl = self._crawl = await begin(
                self._staging, self._asker, self._bursts, self._wanted, 2 * self.window_pages
            )
            self._work = asyncio.ensure_future(self._run(crawl))
            while (arrival := await self._staging.next()) is not None:
                yield self._delivery(arrival)
            await self._work
            self._exhausted = True
        except QuotaExhaustedError as error:
            where = f"the checkpoint {self._path}" if self._path else "a checkpoint, if it is given one"
            error.args = (f"{error.message}; the same walk goes on from {where}",)
            raise
        finally:
            await self._stop()

    async def _run(self, crawl: Crawl) -> None:
        try:
            await crawl.run()
        finally:
            self._staging.end()

    def _delivery(self, arrival: Arrival) -> Delivery:
        part = arrival.entry.part
        assert part is not None, "only parts are handed on"
        rows = Batch(arrival.rows, datetime.fromtimestamp(part.fetched_at, UTC))
        return Delivery(part.kind, rows, token_of(self._staging.name, arrival.entry.seq), tuple(part.certified))

    # What is taken

    def seq_of(self, token: bytes) -> int:
        """The number in a token of this walk."""
        return seq_of(token, self._staging.name, "this token")

    @property
    def last_token(self) -> bytes:
        """Stands for all deliveries so far."""
        return token_of(self._staging.name, self._staging.last)

    def commit(self, token: bytes) -> None:
        """The delivery with this token, and all before it, are safe where they went."""
        self._staging.take(self.seq_of(token))

    def has_seen(self, pid: str) -> bool:
        """Has this walk met that product, even if its row could not be read?"""
        return self._crawl is not None and self._crawl.has_seen(pid)

    async def closing(self) -> None:
        """All is committed; only the sink's own end is left."""
        await self._staging.closing()

    async def finish(self, sink: str | None = None) -> WalkReport:
        """All deliveries are safe: the walk is over, and its checkpoint serves the next one. `sink`: where they are."""
        if not self._exhausted or not self._staging.all_taken:
            raise RuntimeError("finish comes after the last delivery, and after its commit")
        report = self._finished = self.report
        await self._staging.finish(Earlier(list(report.certificates), report.facts, sink))
        return report

    # How it stands

    @property
    def report(self) -> WalkReport:
        """What the walk has to show so far, and its proof when it is over."""
        if self._finished is not None:
            return self._finished
        if self._crawl is None:
            raise RuntimeError("the walk has not begun")
        return WalkReport.made_of(self._crawl.planner.report(), self.tally, list(self._crawl.skipped.values()))

    @property
    def now(self) -> datetime:
        """By the client's clock."""
        return datetime.fromtimestamp(self._asker.clock.time(), UTC)

    @property
    def tally(self) -> Tally:
        """Its own figures."""
        return self._staging.tally

    @property
    def progress(self) -> Progress:
        """Where it stands; cheap enough to be asked for often."""
        tally = self.tally
        proof = self._crawl.planner.report() if self._crawl is not None else None
        return Progress(
            delivered=tally.delivered,
            total=proof.total_before if proof is not None else None,
            requests=tally.requests,
            windows=proof.windows if proof is not None else 0,
            seconds=tally.seconds,
            waiting_until=self._asker.waiting_until,
        )

    # Lifecycle

    async def open(self) -> Standing:
        """Open the checkpoint, or say why it cannot be gone on with. Iterating does it too."""
        if self._standing is None:
            self._standing = await self._staging.open()
        return self._standing

    async def aclose(self) -> None:
        """Stop. What was not committed comes again when the walk goes on."""
        if self._products is not None:
            await self._products.aclose()
        await self._close()

    async def _close(self) -> None:
        await self._stop()
        await self._staging.aclose()

    async def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
