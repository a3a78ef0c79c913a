"""Whether a total counts everything: a server that stops counting says the same of all and of what it counts to.

Then nothing but a division shows more: into parts so small that the server has been seen to count further. The newest
page of all is read in two such parts, price ranges, which together show nearly twice as many products: as each walk
needs that page, the proof costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from cjasync.catalog.planning.cover import by_inventory, divide
from cjasync.catalog.planning.listing import Ask, Steps
from cjasync.catalog.planning.question import Facts, Region, Reply, Sort

SURE = 0.94  # of the products that a half should show: its share of the newest differs from that of a sample


def newest_rows(prices: Sequence[int], facts: Facts) -> int:
    """How many of the newest products two halves show, about: until the one that holds more of these prices is full."""
    cut = _cut(prices)
    if cut is None:
        return facts.size
    lower = sum(price <= cut for price in prices)
    return int(facts.size * max(1.0, SURE * len(prices) / max(lower, len(prices) - lower)))


def newest_page(prices: Sequence[int], burst: int, kind: str = "last") -> Steps:
    """The newest products of all, newest first, with the total of all: in two halves where prices divide them."""
    if halves := _halves(prices):
        replies = yield [Ask(half, 1, kind, "desc", max(2, burst)) for half in halves]
        if all(reply.exact and not reply.error for reply in replies):
            return _joined(replies)
    (newest,) = yield [Ask(Region(), 1, kind, "desc", burst)]
    return newest


def sum_of_parts(prices: Sequence[int], total: int) -> Steps:
    """The totals of parts that make up all products; None where neither price nor stock divides them.

    Parts that add up to less than the total of all, even if that is asked for after them, are not all there is: some
    products have no price, or a bound excludes what lies on it.
    """
    for parts in (_halves(prices), by_inventory(Region())[0]):
        replies: list[Reply] = (yield [Ask(part, 1, "share") for part in parts]) if parts else []
        found = sum(reply.total for reply in replies)
        exact = bool(replies) and all(reply.exact and not reply.error for reply in replies)
        if exact and found < total:
            (whole,) = yield [Ask(Region(), 1, "share")]
            total = whole.total
        divided = any(abs(reply.total - total) > total / 10 for reply in replies)  # else the filter is not looked at
        if (exact and found >= total) or (divided and found > total):
            return found
    return None


def counts_to(total: int, sort: Sort) -> Steps:
    """Does the server say by now that so many are all, as other answers made it seem? Some may have come meanwhile."""
    (page,) = yield [Ask(Region(), 1, "tail", sort)]
    return page.total >= total


def _halves(prices: Sequence[int]) -> list[Region]:
    """Two parts that each hold some of the products with these prices, about half if that is possible."""
    cut = _cut(prices)
    return [] if cut is None else [Region(price=span) for span in divide(None, [cut])]


def _cut(prices: Sequence[int]) -> int | None:
    """A price that divides these; no whole cent if it can be, lest it matter whether a bound excludes its number."""
    shown = sorted(max(0, price) for price in prices)  # no question can name a lower one
    lower = [price for price in shown if price < shown[-1]]
    if not lower:
        return None
    below = min(shown[(len(shown) - 1) // 2], lower[-1])
    above = min(price for price in shown if price > below)
    return max(below, min((below + above) // 20 * 10 + 4, above - 1))


def _joined(halves: list[Reply]) -> Reply:
    """Two first pages, newest first, as one: down to where the first of them ends, so that nothing is left out."""
    ends = [
        min((moment for moment in half.times if moment is not None), default=None)
        for half in halves
        if len(half.keys) < half.total
    ]
    end = max((moment for moment in ends if moment is not None), default=None)
    rows = [
        row
        for half in halves
        for row in zip(half.times, half.keys, half.prices, strict=True)
        if row[0] is None or end is None or row[0] >= end
    ]
    front = any(half.times and half.times[0] is None for half in halves)
    rows.sort(key=lambda row: (front == (row[0] is None), row[0] or 0), reverse=True)
    return Reply(
        total=sum(half.total for half in halves),
        keys=[key for _, key, _ in rows],
        times=[moment for moment, _, _ in rows],
        prices=[price for _, _, price in rows],
        era=halves[0].era if halves[0].era == halves[1].era else -1,
        seq=max(half.seq for half in halves),
    )
