"""What a walk asks and hears: the words shared by the planner and whoever carries its questions to the server.

Times are whole seconds since 1970 UTC, prices are thousandths of a dollar; bounds are inclusive.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

Sort = Literal["asc", "desc"]
Mode = Literal["seek", "keyset", "blind", "plain", "units"]
Times = Literal["row", "id"]
Error = Literal["max_offset"]
Span = tuple[int | None, int | None]  # lowest and highest, None where there is no bound
Proof = Literal["constant", "ordered", "atomic", "uncounted", "none"]

CHINA = 8 * 3600
NOTHING: Span = (1, 0)


class Region(Struct, frozen=True, array_like=True):
    """A part of the catalogue: create times, and inside a second also price, category and inventory."""

    start: int | None = None
    end: int | None = None
    price: Span | None = None
    category: str | None = None
    inventory: Span | None = None

    @property
    def timed(self) -> bool:
        """Does it filter by time? (No such question returns products without a create time.)"""
        return self.start is not None or self.end is not None

    @property
    def depth(self) -> int:
        """0 for everything, 1 for a stretch of time, 2 for what is cut by more."""
        if self.price is not None or self.category is not None or self.inventory is not None:
            return 2
        return int(self.timed)

    def within(self, outer: Region) -> Region:
        """What both have in common. Times stand as given: bounds are tried out beyond `outer` too."""
        foreign = None not in (self.category, outer.category) and self.category != outer.category
        return Region(
            start=outer.start if self.start is None else self.start,
            end=outer.end if self.end is None else self.end,
            price=NOTHING if foreign else _common(self.price, outer.price),
            category=outer.category or self.category,
            inventory=_common(self.inventory, outer.inventory),
        )

    @property
    def empty(self) -> bool:
        """Can no product lie in it?"""
        spans = [span for span in (self.price, self.inventory) if span is not None]
        return any(low is not None and high is not None and low > high for low, high in spans)


def _common(inner: Span | None, outer: Span | None) -> Span | None:
    if inner is None or outer is None:
        return inner or outer
    lows, highs = ([bound for bound in bounds if bound is not None] for bounds in zip(inner, outer, strict=True))
    return max(lows, default=None), min(highs, default=None)


class Row(Struct, frozen=True):
    """What the planner needs of a product: its id, create time (seconds, None if hidden), price and category.

    A row that could not be decoded is a row too: give it a digest of its bytes as `pid`.
    """

    pid: str
    created: int | None = None
    price: int | None = None
    category: str | None = None


class Answer(Struct, frozen=True):
    """What the server said: `total` matches, one page of `rows`, the page size it echoed; or that the page is too far.

    `error="max_offset"` is CJ's refusal of a page beyond its window; every other failure is the driver's to retry.
    """

    total: int = 0
    rows: tuple[Row, ...] = ()
    page_size: int | None = None
    error: Error | None = None


class Question(Struct, frozen=True):
    """One request to make. `params()` are the filters to add to the user's own.

    Where `region.empty`, nothing matches both the planner's and the user's filter: `Answer()` it without asking.

    window: questions with one number form one burst: send the first only when the budget can pay `burst` calls,
        then all without a pause. A burst that breaks is no harm if `Planner.paused()` is called.
    burst: calls that this window still needs, this one included, as far as is known.
    """

    id: int
    window: int
    kind: str
    burst: int
    region: Region
    page: int
    page_size: int
    sort: Sort
    created_from: str | None
    created_to: str | None

    def params(self) -> dict[str, Any]:
        """The question as keyword arguments of `products.list`; money as text, nothing that is not set."""
        (least, most), (few, many) = self.region.price or (None, None), self.region.inventory or (None, None)
        params = {
            "page_num": self.page,
            "page_size": self.page_size,
            "sort": self.sort,
            "order_by": "createAt",
            "create_time_from": self.created_from,
            "create_time_to": self.created_to,
            "category_id": self.region.category,
            "min_price": _dollars(least),
            "max_price": _dollars(most),
            "start_inventory": few,
            "end_inventory": many,
        }
        return {name: value for name, value in params.items() if value is not None}


class Facts(Struct, frozen=True, kw_only=True):
    """What has been found out about the server, or is assumed until an answer says otherwise.

    size: rows per page. window: rows that one question reaches. zone: seconds that the filter's clock is ahead of UTC.
    after, before: the bounds exclude their own second. noon: 12:xx in a bound is read as 00:xx (pattern `hh`).
    checked: a closed window held exactly the rows that the open one had announced: upper bounds are understood.
    checked_end: and a product was created in its last second: they include their own.
    checked_start: a window began with the product that had cut the one before: so are lower bounds.
    capped: the server stops counting somewhere above a window, so what is left is not known.
    counts: the server has been seen to count at least that far.
    times: rows show their create time, or their ids carry it.
    """

    size: int
    window: int
    zone: int = CHINA
    after: bool = False
    before: bool = False
    noon: bool = False
    checked: bool = False
    checked_end: bool = False
    checked_start: bool = False
    capped: bool = False
    counts: int = 0
    times: Times = "row"
    mode: Mode = "seek"

    @property
    def reach(self) -> int:
        """The last page that can be asked for."""
        return max(1, self.window // self.size)

    def pages(self, rows: int) -> int:
        """How many pages hold that many rows."""
        return -(-rows // self.size)

    def unit(self, moment: int) -> tuple[int, int]:
        """The shortest stretch around a moment that the filter can cut out: a second, or the lunch hour."""
        second = (moment + self.zone) % 86400
        if self.noon and 43199 <= second <= 46800:
            return moment - second + 43199, moment - second + 46800
        return moment, moment

    def at_lunch(self, moment: int | None) -> bool:
        """Might the filter read this bound as half a day earlier?"""
        return moment is not None and not self.noon and (moment + self.zone) // 3600 % 24 == 12

    def clear_of_lunch(self, moment: int) -> int:
        """The moment, or the first one after it that no server reads as half a day earlier."""
        return replace(self, noon=True).unit(moment)[1]

    def from_text(self, start: int | None) -> str | None:
        """`createTimeFrom` for a region that starts then."""
        return None if start is None else text(start + self.zone - self.after)

    def to_text(self, end: int | None) -> str | None:
        """`createTimeTo` for a region that ends then."""
        return None if end is None else text(end + self.zone + self.before)


class Reply(Struct, array_like=True):
    """An answer as the strategies see it, small enough to live in a checkpoint.

    keys: 8 bytes of digest per row. times: create times, None where hidden. era: pauses so far when it came.
    seq: answers so far, this one included. exact: the server has counted further than this total; one that it never
    exceeds may be where it stops.
    """

    total: int
    keys: list[int]
    times: list[int | None]
    prices: list[int | None]
    era: int = 0
    error: Error | None = None
    seq: int = 0
    exact: bool = True


class Certificate(Struct, frozen=True, array_like=True):
    """A region that has been read completely: what the server counted and what was found.

    total: the server's count when the region was last asked. rows: distinct products found in it.
    proof: how completeness is known: "constant" (equal totals, as many rows), "ordered" (no total rose between
        neighbouring pages), "atomic" (single pages end to end), or not at all: "uncounted" (the server
        stops counting somewhere), "none".
    marks: (time, rows before it) near every page border, from which the next walk cuts its windows.
    """

    region: Region
    total: int
    rows: int
    requests: int
    repaired: int
    mode: str
    proof: Proof
    marks: tuple[tuple[int, int], ...] = ()

    @property
    def missing(self) -> int:
        """Products that the server counted and did not show."""
        return 0 if self.proven else max(0, self.total - self.rows)

    @property
    def proven(self) -> bool:
        """Is it certain that nothing of the region was missed?"""
        return self.proof not in ("uncounted", "none")


class Events(Struct, frozen=True):
    """What an answer brought: which rows (by position) are new, how many were known, what was certified, what changed.

    Write the new rows and the planner's state in one commit, or the rows first.
    """

    new: tuple[int, ...] = ()
    repeated: int = 0
    certified: tuple[Certificate, ...] = ()
    notes: tuple[str, ...] = ()


def key(pid: str) -> int:
    """Eight bytes that stand for a product id."""
    return int.from_bytes(hashlib.blake2b(pid.encode(), digest_size=8).digest(), "big")


def _dollars(price: int | None) -> str | None:
    return None if price is None else f"{price // 1000}.{price % 1000:03}"


def text(local: int) -> str:
    """A moment of the filter's own clock, as the filter reads it."""
    return datetime.fromtimestamp(local, UTC).strftime("%Y-%m-%d %H:%M:%S")


def created_from_id(pid: str) -> int | None:
    """The create time that a numeric product id carries, if it looks like one: a hint, never a fact.

    Snowflakes count milliseconds since 2010-11-04 above bit 22; newer ids start with yyMMddHHmmss in China time.
    """
    if not pid.isdecimal() or len(pid) not in (18, 19):
        return None
    snowflake = ((int(pid) >> 22) + 1_288_834_974_657) // 1000
    if len(pid) == 18 or snowflake < 1_735_689_600:  # 2025: later ones are dates
        return snowflake
    try:
        return int(datetime.strptime(pid[:12] + "+0800", "%y%m%d%H%M%S%z").timestamp())
    except ValueError:
        return None


def narrower(region: Region, **changes: Any) -> Region:
    """The region with some bounds replaced."""
    return replace(region, **changes)
