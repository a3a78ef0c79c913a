"""walk: everything that matches, once each, however large the catalogue and however often the process dies.

Example::

    from cjasync.catalog.sinks import open_sink
    from cjasync.models import ListedProduct

    async for product in walk(cj, checkpoint="walk.db"): ...

    async with walk(cj, checkpoint="of_one.db", category_id=category_id) as catalogue:
        async with await open_sink("of_one.parquet", ListedProduct, question=catalogue.question) as sink:
            report = await catalogue.into(sink)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from cjasync._to_the_end import to_the_end
from cjasync.catalog.asking import Asker
from cjasync.catalog.bursts import Bursts
from cjasync.catalog.checkpoint import Checkpoint
from cjasync.catalog.crawl import Crawl
from cjasync.catalog.delivery import Delivery, Transfer
from cjasync.catalog.details import DETAILS
from cjasync.catalog.details import Details as DetailStage
from cjasync.catalog.entry import Earlier, Kind, Standing
from cjasync.catalog.filters import Details, Filters, Wanted, read_filters
from cjasync.catalog.outcome import Progress, WalkReport
from cjasync.catalog.planner import DEFAULT_WINDOW
from cjasync.catalog.sinks import Batch, Sink
from cjasync.catalog.staging import Arrival, Staging
from cjasync.catalog.start import new_crawl, resumed_crawl
from cjasync.catalog.turns import Turns
from cjasync.client import CJClient
from cjasync.errors import ConfigError, QuotaExhaustedError
from cjasync.models._model import Model
from cjasync.models.product import ListedProduct
from cjasync.resources._product_endpoints import LIST

LEAST_PAGES = 10  # written between two commits of a sink, however small the windows are


def walk(
    cj: CJClient,
    *,
    checkpoint: Path | str | None = None,
    fresh: bool = False,
    wait: bool = False,
    with_: Details | None = None,
    details_share: float = 0.5,
    **filters: Unpack[Filters],
) -> Walk:
    """Everything in product/list that matches, also where CJ shows only a window of it; nothing is sent yet.

    Args:
        cj: the client; `cj.with_options(priority="background")` leaves a share of the budget to others.
        checkpoint: a file to go on from after a crash, a break or the day's end. It belongs to one question to one CJ.
        fresh: forget what the checkpoint holds.
        wait: at the end of a budget, sleep until there is more, instead of raising QuotaExhaustedError.
        with_: ask about each product beside: "query" (the product with its variants) or "stock", one call of 10 points
            each. The rows come through `into` or `batches`; 1.5 million of them take 300 days on 50,000 points a day.
        details_share: of the points, for those calls while pages are still to be read; above 0 and below 1.
        filters: those of `cj.products.list`, but paging and order.

    Raises:
        TypeError: no such filter. ParameterError: a value that CJ does not take. ConfigError: other bad arguments.
    """
    wanted = read_filters(filters, base_url=cj.config.base_url, zone=cj.config.zone, details=with_)
    if not 0 < details_share < 1:
        raise ConfigError(f"`details_share` must be above 0 and below 1, not {details_share!r}")
    path = None if checkpoint is None else Path(checkpoint)
    return Walk(cj, wanted, checkpoint=path, fresh=fresh, wait=wait, share=details_share)


class Walk:
    """A walk: iterate it for products, or bring it `into` a sink, once. Made by `walk`.

    question: what is asked, as text; equal for equal questions.

    Both raise CheckpointError or OutputError for a checkpoint that cannot be resumed or written, QuotaExhaustedError at
    the end of a budget (the same walk goes on from its checkpoint later), and what CJ's calls raise and cannot be
    waited out. Whatever came before that has been handed out. Who iterates gets the products of one page again after a
    break; a sink gets none twice.
    """

    def __init__(
        self, cj: CJClient, wanted: Wanted, *, checkpoint: Path | None, fresh: bool, wait: bool, share: float
    ) -> None:
        self.question = wanted.name
        self._window_pages = max(LEAST_PAGES, (cj.config.plan.list_window or DEFAULT_WINDOW) // 200)
        self._wanted = wanted
        self._asker = Asker(cj.engine, wanted, wait=wait)
        kept = cj.config.background_reserve if cj.options.priority == "background" else 0.0
        self._bursts = Bursts(self._asker, LIST, kept=kept)
        opened = partial(Checkpoint, checkpoint, wanted.name, fresh=fresh)
        models: dict[Kind, type[Model]] = {"list": ListedProduct}
        self._turns: Turns | None = None
        if wanted.details is not None:
            detail, costs = DETAILS[wanted.details], cj.config.plan.costs
            models[wanted.details] = detail.model
            prices = [costs.get(each.path, each.points) for each in (LIST, detail.endpoint)]
            self._turns = Turns(share, page_cost=prices[0], detail_cost=prices[1])
        self._staging = Staging(opened, self._asker.clock, models)
        self._standing: Standing | None = None
        self._crawl: Crawl | None = None
        self._work: asyncio.Task[None] | None = None
        self._exhausted = False
        self._finished: WalkReport | None = None

    def __repr__(self) -> str:
        return f"<Walk {self.question}: iterate it for all products>"

    # Products

    def __aiter__(self) -> AsyncGenerator[ListedProduct, None]:
        # Nothing but the loop that iterates holds the generator, so that breaking off ends it at once.
        return self._one_by_one()

    async def _one_by_one(self) -> AsyncGenerator[ListedProduct, None]:
        if self._turns is not None:
            raise ConfigError("`with_` makes two kinds of rows: take them by `into` or `batches`")
        try:
            self._check_new()
            while (delivery := await self._next()) is not None:
                for product in delivery.rows:
                    yield product
                self.commit(delivery.token)
            await self.finish()
        finally:
            await self.aclose()

    async def into(self, sink: Sink, *, details: Sink | None = None) -> WalkReport:
        """Bring all products into a sink, and what `with_` brings into another; finish them if they can be finished.

        Rows that the sink has from an earlier run are not written again. Rows that an earlier walk of the same question
        wrote to the same database, and that this one provably does not find, are marked as gone.
        """
        if (self._turns is None) != (details is None):
            raise ConfigError(
                "a sink for details belongs to a walk with details: give `with_` and `details`, or neither"
            )
        try:
            transfer = Transfer(self, self._staging, sink, details, pages=self._window_pages, unseen=self._unseen)
            return await transfer.run()
        finally:
            await self.aclose()

    async def _unseen(self, pids: Iterable[str]) -> list[str]:
        assert self._crawl is not None, "the walk has begun"
        return await self._crawl.unseen(pids)

    async def batches(self) -> AsyncGenerator[Delivery, None]:
        """Products as they come, a page at a time.

        `commit(token)` tells that a delivery and all before it are safe; what is not comes again after a crash, and the
        walk runs at most two windows ahead of it. `finish()` ends the walk when everything is.

        Who breaks off closes the walk, by `async with walk(...)` or `aclose()`: until then its checkpoint is in use.
        """
        self._check_new()
        try:
            while (delivery := await self._next()) is not None:
                yield delivery
        finally:
            await self._stop()

    def _check_new(self) -> None:
        if self._crawl is not None:
            raise RuntimeError("a walk is walked once; begin another")

    async def _next(self) -> Delivery | None:
        """The next delivery, or None at the end; what works for it begins with the first."""
        if self._work is None:
            self._work = await self._begin()
        if (arrival := await self._staging.next()) is not None:
            return self._delivery(arrival)
        await self._work
        self._exhausted = True
        return None

    async def _begin(self) -> asyncio.Task[None]:
        standing = await self.open()
        begin = resumed_crawl if standing.going else new_crawl
        crawl = self._crawl = await begin(
            self._staging, self._asker, self._bursts, self._wanted, 2 * self._window_pages, self._turns
        )
        return asyncio.ensure_future(self._run(crawl))

    async def _run(self, crawl: Crawl) -> None:
        """Crawl, and ask for details; the end of a budget for one is not the other's."""
        jobs = [asyncio.ensure_future(crawl.run())]
        if self._wanted.details is not None and self._turns is not None:
            details = DetailStage(self._wanted.details, self._asker, self._staging, self._turns)
            jobs.append(asyncio.ensure_future(details.run()))
        try:
            for job in asyncio.as_completed(jobs):
                with suppress(QuotaExhaustedError):
                    await job
            for job in jobs:
                await job
        finally:
            for job in jobs:
                job.cancel()
            await to_the_end(asyncio.wait(jobs))
            self._staging.end()

    def _delivery(self, arrival: Arrival) -> Delivery:
        part = arrival.entry.part
        assert part is not None, "only parts are handed on"
        rows = Batch(arrival.rows, datetime.fromtimestamp(part.fetched_at, UTC))
        return Delivery(part.kind, rows, self._staging.token_of(arrival.entry.seq), tuple(part.certified))

    def commit(self, token: bytes) -> None:
        """The delivery with this token, and all before it, are safe where they went."""
        self._staging.take(self._staging.seq_of(token))

    async def finish(self, *, updates: bool = False) -> WalkReport:
        """All deliveries are safe: the walk is over, and its checkpoint serves the next one.

        updates: they are where the next walk's will come too, and it is to tell which products are gone.
        """
        if not self._exhausted or not self._staging.all_taken:
            raise RuntimeError("finish comes after the last delivery, and after its commit")
        report = self._finished = self.report
        earlier = Earlier(list(report.certificates), report.facts)
        await self._staging.finish(earlier, know=updates, proved=report.proved)
        return report

    # How it stands

    @property
    def report(self) -> WalkReport:
        """What the walk has to show so far, and its proof when it is over."""
        if self._finished is not None:
            return self._finished
        if self._crawl is None:
            raise RuntimeError("the walk has not begun")
        return WalkReport.made_of(self._crawl.planner.report(), self._staging.tally, list(self._crawl.skipped.values()))

    @property
    def progress(self) -> Progress:
        """Where it stands; cheap enough to be asked for often."""
        tally = self._staging.tally
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
        await to_the_end(self._close())

    async def _close(self) -> None:
        await self._stop()
        if self._crawl is not None:
            await self._crawl.aclose()
        await self._staging.aclose()

    async def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await to_the_end(asyncio.wait([self._work]))
            if not self._work.cancelled():
                self._work.exception()  # whoever breaks off does not want to know

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
