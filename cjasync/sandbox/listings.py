"""The two listings: product/list and product/listV2."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from cjasync.sandbox.envelope import Pieces, Refusal, success
from cjasync.sandbox.filters import list_clauses, search_clauses, select
from cjasync.sandbox.order import Sorter, Span
from cjasync.sandbox.query import Query, param_error
from cjasync.sandbox.rows import ListRows
from cjasync.sandbox.search_rows import SearchRows
from cjasync.sandbox.settings import Settings
from cjasync.sandbox.state import State

_SEARCH_ORDERS = {1: "listed", 2: "low", 3: "created", 4: "stock"}


def routes(state: State) -> list[web.RouteDef]:
    """The calls of this module."""
    listings = Listings(state)
    return [
        web.get(f"{state.prefix}product/list", listings.product_list),
        web.get(f"{state.prefix}product/listV2", listings.product_list_v2),
    ]


class Listings:
    """Answers both listings of one sandbox."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rows = ListRows(state.catalogue)
        self._search_rows = SearchRows(state.catalogue, sparse=state.settings.listv2_sparse)
        self._sorter = Sorter()

    async def product_list(self, request: web.Request) -> web.StreamResponse:
        """GET product/list: up to 200 a page, newest first unless told otherwise."""
        settings = self._state.settings
        query = Query(request.query, settings.ignored)
        page = query.integer("pageNum", 1, low=1)
        size = settings.fixed_page_size or query.integer("pageSize", 20, low=1, high=200)
        _check_window(settings.list_window, page, size)
        zone, trap = settings.zone_hours, settings.twelve_hours
        start = query.moment("createTimeFrom", zone, twelve_hours=trap)
        end = query.moment("createTimeTo", zone, twelve_hours=trap)
        span = self._span(list_clauses(query), start, end)
        descending = (query.text("sort") or "desc").lower() != "asc"
        by_listed = query.text("orderBy") == "listedNum"
        numbers = self._cut(span, "listed" if by_listed else "created", page, size, descending=descending)
        self._state.stats.rows += len(numbers)
        rows = [b"null"] if len(span) == 0 else self._rows.pieces(numbers)
        total = _total(span, settings.list_total, settings.list_window)
        around = b'{"pageNum":%d,"pageSize":%d,"total":%d,"list":' % (page, size, total)
        return success(request, Pieces([around, *rows, b"}"]))

    async def product_list_v2(self, request: web.Request) -> web.StreamResponse:
        """GET product/listV2: up to 100 a page, best match first unless told otherwise."""
        settings = self._state.settings
        query = Query(request.query, settings.ignored)
        page = query.integer("page", 1, low=1, high=1000)
        size = query.integer("size", 10, low=1, high=100)
        _check_window(settings.listv2_window, page, size)
        start, end = query.integer("timeStart"), query.integer("timeEnd")
        span = self._span(
            search_clauses(query), None if start is None else start / 1000, None if end is None else end / 1000
        )
        order = _SEARCH_ORDERS.get(query.integer("orderBy", 0), "match")
        descending = (query.text("sort") or "desc").lower() != "asc"
        numbers = self._cut(span, order, page, size, descending=descending)
        self._state.stats.rows += len(numbers)
        return success(request, self._search_data(query, settings, span, page, size, numbers))

    def _span(self, clauses: list[tuple[Any, ...]], start: float | None, end: float | None) -> Span:
        if self._state.churner is not None:
            self._state.churner.catch_up()
        listing = select(self._state.catalogue, clauses)
        return Span(listing, start, end, inclusive=self._state.settings.inclusive)

    def _cut(self, span: Span, order: str, page: int, size: int, *, descending: bool) -> list[int]:
        settings, catalogue = self._state.settings, self._state.catalogue
        replica = self._state.next_replica()
        offset = (page - 1) * size
        if order == "created":
            return span.by_time(offset, size, descending=descending, nulls_first=settings.nulls_first, replica=replica)
        keys = {
            "listed": catalogue.listed.__getitem__,
            "low": catalogue.low.__getitem__,
            "stock": lambda number: catalogue.stock[number] + catalogue.factory[number],
            "match": lambda number: catalogue.keys[number] >> 44,
        }
        return self._sorter.by(order, keys[order], span, descending=descending, replica=replica)[offset : offset + size]

    def _search_data(
        self, query: Query, settings: Settings, span: Span, page: int, size: int, numbers: list[int]
    ) -> bytes:
        catalogue = self._state.catalogue
        total = _total(span, settings.listv2_total, settings.listv2_window)
        keyword = query.text("keyWord")
        related = {catalogue.categories[catalogue.category[number]] for number in numbers} if keyword else set()
        content = {
            "productList": msgspec.Raw(self._search_rows.page(numbers, frozenset(query.texts("features")))),
            "relatedCategoryList": [
                {"id": leaf.id, "name": leaf.name, "currentLevel": 3}
                for leaf in sorted(related, key=lambda leaf: leaf.name)[:10]
            ],
            "storeList": [],
            "keyWord": keyword,
            "keyWordOld": keyword,
        }
        return msgspec.json.encode(
            {
                "pageSize": size,
                "pageNumber": page,
                "totalRecords": total,
                "totalPages": -(-total // size),
                "content": [content] if total else [],
            }
        )


def _total(span: Span, kind: str, window: int | None) -> int:
    return len(span) if kind == "exact" or window is None else min(len(span), window)


def _check_window(window: int | None, page: int, size: int) -> None:
    if window is not None and page * size > window:
        refusal = param_error(f"max offset {window}, please narrow the search")
        raise Refusal(refusal.code, refusal.message, kind="window")
