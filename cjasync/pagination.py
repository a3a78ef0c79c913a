"""Pages of a listing: awaited for one, iterated for all, fetched concurrently, delivered in order.

Example::

    page = await cj.products.list(category_id=category_id)  # the first page
    async for product in cj.products.list(category_id=category_id): ...  # every item
    async for page in cj.products.list(category_id=category_id).pages(): ...
"""

from __future__ import annotations

import math
import warnings
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cjasync._decode import PageRows
from cjasync._endpoint import Endpoint, Paging
from cjasync._engine import Engine
from cjasync._prefetch import Window, in_order
from cjasync._rows import Skipped
from cjasync.errors import BadResponseError, CJError, Cursor, OutOfReachError, ParameterError

T = TypeVar("T")

EMPTY_RETRIES = 2


class OutOfReachWarning(UserWarning):
    """CJ says exactly as many records as its window shows, so there may be more that it does not show."""


class Page(Struct, Generic[T], frozen=True):
    """One page. Iterates and indexes like the tuple of its items.

    total: rows that match, as CJ counts them; unreachable: those of them that lie beyond CJ's window, on no page.
    skipped: rows that could not be read, with their bytes.
    cursor: the next page, None on the last. data: CJ's own figures around the rows.
    """

    items: tuple[T, ...]
    number: int
    size: int
    total: int | None
    skipped: tuple[Skipped, ...] = ()
    cursor: Cursor | None = None
    data: Any = None
    unreachable: int = 0

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]


class Pager(Generic[T]):
    """A listing that has not been asked for yet: await it, iterate it, or iterate its `pages()`."""

    def __init__(self, engine: Engine, endpoint: Endpoint[Any], start: Cursor, concurrency: int | None = None) -> None:
        self._engine = engine
        self._endpoint = endpoint
        self._start = start
        self._concurrency = concurrency
        self._latest: _Listing[T] | None = None

    @classmethod
    def start(
        cls, engine: Engine, endpoint: Endpoint[Any], params: Mapping[str, Any], cursor: Cursor | str | None
    ) -> Pager[Any]:
        """A pager at the first page asked for, or at the cursor's."""
        paging = endpoint.paging
        assert paging is not None, "only listings have pages"
        filters = {name: value for name, value in params.items() if name not in (paging.page, paging.size)}
        if cursor is None:
            size = int(params.get(paging.size, paging.default_size))
            return cls(engine, endpoint, Cursor(endpoint.path, filters, int(params.get(paging.page, 1)), size))
        cursor = Cursor.parse(cursor) if isinstance(cursor, str) else cursor
        if cursor.path != endpoint.path or (filters and filters != cursor.params):
            raise ParameterError("`cursor`: belongs to another question; give the cursor alone", endpoint=endpoint.path)
        return cls(engine, endpoint, cursor)

    def __repr__(self) -> str:
        start = self._start
        asked = "".join(f", {name}={value!r}" for name, value in start.params.items())
        pages = f"from page {start.page}, {start.size} rows a page"
        return f"<Pager {start.path} {pages}{asked}: await it for a page, iterate it for all rows>"

    @property
    def cursor(self) -> Cursor | None:
        """Where to go on after what was delivered last; None when everything was."""
        return self._start if self._latest is None else self._latest.position

    def concurrently(self, pages: int) -> Pager[T]:
        """The same listing with that many pages in flight (default: what rate times latency needs, at least 2)."""
        if pages < 1:
            raise ParameterError(f"`concurrency` must be 1 or more, not {pages}", endpoint=self._endpoint.path)
        return Pager(self._engine, self._endpoint, self._start, pages)

    def __await__(self) -> Generator[Any, Any, Page[T]]:
        return self._first().__await__()

    async def _first(self) -> Page[T]:
        listing = self._listing()
        try:
            page = await listing.fetch(listing.first)
        except CJError as error:
            listing.failed(listing.first, error)
            raise
        listing.delivered(page)
        return page

    def __aiter__(self) -> AsyncGenerator[T, None]:
        return self._items()

    async def _items(self) -> AsyncGenerator[T, None]:
        listing = self._listing()
        offset = self._start.offset
        window = Window(listing)
        try:
            while (page := await window.next()) is not None:
                for index in range(offset, len(page.items)):
                    listing.taken(page, index + 1)
                    yield page.items[index]
                offset = 0
        finally:
            await window.aclose()
        listing.finished()

    def pages(self) -> AsyncGenerator[Page[T], None]:
        """The pages in order, several in flight."""
        return in_order(self._listing())

    def _listing(self) -> _Listing[T]:
        self._latest = _Listing(self._engine, self._endpoint, self._start, self._concurrency)
        return self._latest


class _Listing(Generic[T]):
    """The pages of one question, up to the last that the latest total and the window allow."""

    def __init__(self, engine: Engine, endpoint: Endpoint[Any], start: Cursor, concurrency: int | None) -> None:
        assert endpoint.paging is not None, "only listings have pages"
        self._engine = engine
        self._endpoint = endpoint
        self._paging: Paging = endpoint.paging
        self._start = start
        self._concurrency = concurrency
        window = self._paging.window
        self._window: int | None = getattr(engine.services.plan, window) if window is not None else None
        self._size = start.size
        self._total: int | None = None
        self._previous: Sequence[T] = ()
        self._untotalled: dict[int, int] = {}  # what pages without a total hold, to their numbers
        self.position: Cursor | None = start
        self.first = start.page
        self.last = start.page  # until the first page tells the total

    def concurrency(self) -> int:
        """How many pages to have in flight."""
        return self._concurrency or self._engine.services.concurrency()

    async def fetch(self, number: int) -> Page[T]:
        """One page. An empty one where rows were to be expected is asked for again."""
        params = {**self._start.params, self._paging.page: number, self._paging.size: self._start.size}
        retries = EMPTY_RETRIES
        while self._lacks_rows(page := self._page(number, await self._engine.call(self._endpoint, params))):
            if not retries:
                break
            retries -= 1
        else:
            return page
        # What stays empty is believed if it says by itself how many rows there are, or if nothing else is known.
        if _says_none(page) if page.data is not None else self._total is None:
            return page
        total = page.total if page.data is not None else self._total
        text = f"page {number} is empty although CJ counts {total} records"
        raise BadResponseError(text, endpoint=self._endpoint.path)

    def _lacks_rows(self, page: Page[T]) -> bool:
        """CJ was seen to answer with nothing for a moment, in place of rows that it knows of."""
        if page.items or page.skipped:
            return False
        before = (page.number - 1) * page.size
        return page.data is None or not _says_none(page) or before < (self._total or 0)

    def delivered(self, page: Page[T]) -> bool:
        """A page is handed out: its total may have moved the end. False: it only repeats an earlier one."""
        if page.items and page.total is None:  # nothing else would end a listing that goes round in circles
            if self._untotalled.setdefault(hash(page.items), page.number) != page.number:
                self.position = None
                return False
        elif page.items and page.items == self._previous:
            text = f"page {page.number} repeats page {page.number - 1} although CJ counts {page.total} records"
            raise BadResponseError(text, endpoint=self._endpoint.path)
        self.position = page.cursor
        self._size = page.size
        self._total = page.total
        self._previous = page.items
        if page.total is None:  # nothing says where the end is: one page at a time, until one is short
            self.last = page.number + 1 if page.cursor is not None else page.number
        else:
            reach = self._reach(page.size)
            self.last = math.ceil((page.total if reach is None else min(page.total, reach)) / page.size)
        return True

    def taken(self, page: Page[T], items: int) -> None:
        """The consumer has had that many items of the page."""
        if items == len(page.items):
            self.position = page.cursor
        else:
            self.position = Cursor(self._start.path, self._start.params, page.number, self._start.size, items)

    def failed(self, number: int, error: Exception) -> None:
        """A page that cannot be had ends the listing; its error says where to go on."""
        if isinstance(error, CJError):
            error.cursor = self._start if number == self.first else replace(self._start, page=number, offset=0)

    def finished(self) -> None:
        """All reachable pages were handed out. Whatever lies beyond the window is said, never left out in silence."""
        total, reach, path = self._total, self._reach(self._size), self._endpoint.path
        if total is None or reach is None:
            return
        if total > reach:
            raise OutOfReachError(
                f"CJ shows {reach:,} of the {total:,} records that match; {total - reach:,} are out of reach. "
                "Narrow the filters, or read the whole with cjasync.catalog.walk",
                reachable=reach,
                total=total,
                endpoint=path,
            )
        if total == reach:
            text = f"{path}: CJ counts exactly the {reach:,} records that it shows; there may be more"
            warnings.warn(text, OutOfReachWarning, stacklevel=2)

    def _page(self, number: int, got: PageRows) -> Page[T]:
        data, start = got.data, self._start
        total = data.total if data is not None else 0
        count = len(got.rows) + len(got.skipped)
        size = self._size_of(number, count, total, data.page_size if data is not None else None)
        more = number * size < total if total is not None else count >= size
        cursor = Cursor(start.path, start.params, number + 1, start.size) if more else None
        reach = self._reach(size)
        unreachable = 0 if total is None or reach is None else max(0, total - reach)
        return Page(got.rows, number, size, total, got.skipped, cursor, data, unreachable)

    def _size_of(self, number: int, count: int, total: int | None, told: int | None) -> int:
        """Rows a page. CJ's text says "20, fixed" beside "200 at most", so what was asked for is not believed."""
        asked = self._start.size
        if told is not None and 0 < told < asked and count <= told:
            return told
        if number > self.first and count <= self._size:
            return self._size
        short = 0 < count < asked and total is not None and (number - 1) * asked + count < total
        return count if number == self.first and short else asked

    def _reach(self, size: int) -> int | None:
        """Rows that CJ shows of any one question, in whole pages: it refuses one that goes beyond its window."""
        window, pages = self._window, self._paging.max_page
        if window is None:
            return None if pages is None else pages * size
        return window // size * size if pages is None else min(window // size, pages) * size


def _says_none(page: Page[Any]) -> bool:
    return (page.number - 1) * page.size >= (page.total or 0)
