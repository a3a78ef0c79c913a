"""Whether a total counts everything: a server that stops counting says the same of all and of what it counts to.

Then nothing but a division shows more: into parts so small that the server has been seen to count further. The newest
page of all is read in two such parts, price ranges, which together show nearly twice as many products: as each walk
needs that page, the proof costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from cjasync.catalog.planning.cover import by_inventory
from cjasync.catalog.planning.listing import Ask, Steps
from cjasync.catalog.planning.question import MAX_PRICE, Facts, Region, Reply

SURE = 0.94  # of the products that a half should show: its share of the newest differs from that of a sample


def newest_rows(prices: Sequence[int], facts: Facts) -> int:
    """How many of the newest products two halves show, about: until the one that holds more of these prices is full."""
    held = [sum(price in half for price in prices) for half in _price_halves(prices)]
    return int(facts.size * max(1.0, SURE * sum(held) / max(held))) if held else facts.size


def newest_page(prices: Sequence[int], burst: int, kind: str = "last") -> Steps:
    """The newest products of all, newest first, with the total of all: in two halves where prices divide them."""
    if halves := _price_halves(prices):
        replies = yield [Ask(_of_price(half), 1, kind, "desc", max(2, burst)) for half in halves]
        if all(reply.exact and not reply.error for reply in replies):
            return _joined(replies)
    (newest,) = yield [Ask(Region(), 1, kind, "desc", burst)]
    return newest


def sum_of_parts(prices: Sequence[int]) -> Steps:
    """The totals of parts that make up all products; None where neither price nor stock divides them."""
    for parts in ([_of_price(half) for half in _price_halves(prices)], by_inventory(Region())[0]):
        replies: list[Reply] = (yield [Ask(part, 1, "share") for part in parts]) if parts else []
        if replies and all(reply.exact and not reply.error for reply in replies):
            return sum(reply.total for reply in replies)
    return None


def counts_to(total: int) -> Steps:
    """Does the server say by now that so many are all, as parts of them add up to? Some may have come meanwhile."""
    (newest,) = yield [Ask(Region(), 1, "tail", "desc")]
    return newest.total >= total


def _price_halves(prices: Sequence[int]) -> list[range]:
    """Two price ranges that each hold some of the products with these prices, about half if that is possible."""
    shown = sorted(price for price in prices if 0 <= price <= MAX_PRICE)  # no range shows the others
    lower = [price for price in shown if price < shown[-1]]
    if not lower:
        return []
    middle = shown[(len(shown) - 1) // 2]
    cut = min(middle, lower[-1])
    return [range(cut + 1), range(cut + 1, MAX_PRICE + 1)]


def _of_price(prices: range) -> Region:
    return Region(price=(prices[0], prices[-1]))


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
