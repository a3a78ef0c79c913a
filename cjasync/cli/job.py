"""One pull: what is asked, where it goes, and what came of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from rich.console import Console

from cjasync._endpoint import Endpoint
from cjasync._params import encode
from cjasync.catalog.entry import Standing
from cjasync.catalog.filters import name_question
from cjasync.catalog.sinks import open_sink
from cjasync.cli.progress import shown
from cjasync.cli.source import PagerSource
from cjasync.cli.tally import Tally
from cjasync.cli.walking import With, most_requests, summary, walk_into, where_it_stands
from cjasync.cli.watching import watched
from cjasync.cli.words import going_on
from cjasync.cli.writing import write_all
from cjasync.client import CJClient
from cjasync.errors import OutOfReachError, ParameterError
from cjasync.models.product import ListedProduct, SearchProduct
from cjasync.pagination import Page, Pager
from cjasync.resources._product_endpoints import LIST, LIST_V2

Api = Literal["list", "list_v2"]
MODELS: dict[str, Any] = {"list": ListedProduct, "list_v2": SearchProduct}
ENDPOINTS: dict[str, Endpoint[Any]] = {"list": LIST, "list_v2": LIST_V2}


class Result(Struct, frozen=True, kw_only=True):
    """The summary, as `--json` prints it.

    products: rows that CJ sent, those of a run that was continued included. unique: different products in the file.
    unreachable: products that CJ counts and does not show. seconds, pages, requests, points: of this run.
    walk: the report of a walk beyond CJ's window, over all its runs.
    """

    products: int
    unique: int
    pages: int
    requests: int
    refused: int
    retried: int
    points: int
    skipped: int
    unreachable: int
    seconds: float
    file: str
    walk: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing speaks against the file holding all that matches."""
        return not self.unreachable and (self.walk is None or self.walk["proved"])


class Job(Struct, frozen=True, kw_only=True):
    """What is to be pulled where. `filters` are those of the listing's method."""

    api: Api
    out: Path
    filters: dict[str, Any] = {}
    page_size: int | None = None
    concurrency: int | None = None
    fresh: bool = False
    incomplete_ok: bool = False
    wait: bool = False
    with_: With | None = None

    def walks(self, window: int | None) -> bool:
        """Whether it may have to look beyond a window: product/list, in no order but the walk's own."""
        ordered = {"sort", "order_by"} & self.filters.keys() or self.page_size or self.concurrency
        return self.api == "list" and window is not None and not ordered

    @property
    def path(self) -> str:
        """CJ's path of the listing."""
        return ENDPOINTS[self.api].path

    def pager(self, cj: CJClient, cursor: str | None = None) -> Pager[Any]:
        """The listing, from its first page or from a cursor on. ParameterError for filters that CJ does not take."""
        arguments: dict[str, Any] = dict(self.filters) if cursor is None else {"cursor": cursor}
        if self.page_size is not None and cursor is None:
            arguments["page_size" if self.api == "list" else "size"] = self.page_size
        pager: Pager[Any] = getattr(cj.products, self.api)(**arguments)
        return pager if self.concurrency is None else pager.concurrently(self.concurrency)

    async def standing(self, cj: CJClient) -> Standing | None:
        """Where an earlier run of the same walk has come to; None if there is none to go on from."""
        if self.fresh or not self.walks(cj.config.plan.list_window):
            return None
        return await where_it_stands(self.out, cj, filters=self.filters, with_=self.with_)

    def requests(self, first: Page[Any], window: int | None, earlier: Standing | None) -> tuple[int, int]:
        """At least and about at most how many requests are still to be sent, judged by the first page."""
        shown = (first.total or 0) - first.unreachable
        if window is None or not self.walks(window):
            least = max(1, math.ceil(shown / first.size))
            return least, least
        left = shown + first.unreachable
        if earlier is not None and earlier.going:
            left = max(1, left - earlier.tally.delivered)
        known = earlier is not None and earlier.earlier is not None
        return max(1, math.ceil(left / first.size)), most_requests(left, first.size, window, known=known)

    async def run(self, cj: CJClient, tally: Tally, console: Console) -> Result:
        """Pull. However it ends, what was fetched is in the partial file, and the next run goes on there."""
        self.pager(cj)  # checks the filters before a file is touched
        if self.walks(cj.config.plan.list_window):
            return await self._walk(cj, tally, console)
        if self.with_ is not None:
            raise ParameterError("--with is for a walk over product/list, without paging and order of your own")
        settings, endpoint = cj.config, ENDPOINTS[self.api]
        encoded = encode(endpoint.params, self.filters, endpoint=endpoint.path, zone=settings.zone)
        question = name_question(endpoint, encoded, base_url=settings.base_url)
        async with await open_sink(self.out, MODELS[self.api], question=question, fresh=self.fresh) as sink:
            tally.sinks.append(sink)
            tally.earlier = sink.rows
            unreachable = 0
            if sink.token is not None:
                console.print(going_on(sink.partial, sink.rows), markup=False)
            source = PagerSource(lambda cursor: self.pager(cj, cursor), sink.token, part_ok=self.incomplete_ok)
            with shown(tally, console, self.path) as tell:
                try:
                    async with watched(cj, self.path, tally, tell):
                        await write_all(source, sink, tally)
                except OutOfReachError as error:
                    if not self.incomplete_ok:
                        raise
                    unreachable = error.total - error.reachable
            written = await sink.finish()
        products = tally.earlier + tally.products
        return self._result(tally, products=products, unique=written.rows, unreachable=unreachable)

    async def _walk(self, cj: CJClient, tally: Tally, console: Console) -> Result:
        report = await walk_into(
            self.out, cj, tally, console, filters=self.filters, fresh=self.fresh, wait=self.wait, with_=self.with_
        )
        tally.skipped = report.skipped
        tally.first_skipped = next(iter(report.skipped_rows), None)
        return self._result(
            tally,
            products=report.products,
            unique=report.delivered,
            unreachable=report.unreachable,
            walk=summary(report),
        )

    def _result(self, tally: Tally, **facts: Any) -> Result:
        return Result(
            pages=tally.pages,
            requests=tally.requests,
            refused=tally.refused,
            retried=tally.retried,
            points=tally.points,
            skipped=tally.skipped,
            seconds=round(tally.seconds, 3),
            file=str(self.out),
            **facts,
        )
