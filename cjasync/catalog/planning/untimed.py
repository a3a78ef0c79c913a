"""Products without a create time, which no question about a time shows: how many there are, and where.

They lie at the front of one of the two orders, or else at the end of every list. There, price bands are cut so small
that their ends can be reached.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from cjasync.catalog.planning.cover import Cover, ignored, seen_prices
from cjasync.catalog.planning.listing import MAX_REPAIRS, Ask, Certified, Listing, Outgrown, Steps
from cjasync.catalog.planning.question import Certificate, Facts, Proof, Region, Reply, Sort, Span

BANDS_AT_ONCE = 16
SWEEPS = 3
COUNTS = 4  # at most
COUNT = 3  # questions of one


class Hidden(Struct, frozen=True, tag="hidden"):
    """Find the products without a create time.

    count: how many there are; None where the server does not count so far. front: the order that begins with them.
    bands: prices, and how many timed products they have. told_apart: rows with a create time show it. priced: all
    rows show a price. whole: how many products there are of both kinds.
    """

    count: int | None
    end: int
    front: Sort | None
    bands: tuple[tuple[Span, int], ...]
    told_apart: bool = True
    priced: bool = True
    whole: int = 0


class Sweep:
    """What one search through all price bands has found."""

    def __init__(self) -> None:
        self.keys: set[int] = set()
        self.requests = 0
        self.certain = True  # was each band read to its end?
        self.counted = 0  # products of both kinds
        self.price: int | None = None  # of one of them

    def covers(self, whole: int) -> Steps:
        """Do the bands leave nothing out? They hold `whole` products, and a bound does not exclude its own number."""
        if self.price is None or self.counted < whole:
            return False
        (there,) = yield [Ask(Region(price=(self.price, self.price)), 1, "hidden")]
        return there.total > 0


def front_of(page: Reply, sort: Sort) -> Sort | None:
    """The order in which products without a create time come first, if this first page shows that it is one."""
    return sort if page.times and page.times[0] is None else None


def count_untimed(end: int, newest: Reply | None, facts: Facts, before: int | None = None) -> Steps:
    """All products, less those created up to `end`, less those created later. `newest`: the newest page of all.

    What comes or goes between the answers looks like one too few or too many, so they are asked in one burst, and two
    counts in a row must agree, of which `before` may be the first; where none do, the highest stands: to look for what
    is not there costs little, to overlook it much.
    """
    counts = [] if before is None else [max(0, before)]
    known, count = len(counts), 0
    for _ in range(COUNTS):
        if newest is None:
            (newest,) = yield [Ask(Region(), 1, "newest", "desc", burst=COUNT)]
        later = [moment for moment in newest.times if moment is not None and moment > end]
        asks = [Ask(Region(end=end), 1, "newest", "desc")]
        in_order = facts.mode in ("seek", "keyset")
        if not in_order or not any(moment is not None and moment <= end for moment in newest.times):
            asks.append(Ask(Region(start=end + 1), 1, "newest"))
        timed, *after = yield asks
        count = max(0, newest.total - timed.total - (after[0].total if after else len(later)))
        if timed.era == newest.era:
            counts.append(count)
            if counts[-2:-1] == counts[-1:]:
                return count
        newest = None
    return max(counts[known:], default=count)


def hidden(job: Hidden, facts: Facts, categories: Sequence[str]) -> Steps:
    """Find them, and prove that these are all."""
    if not job.told_apart:
        yield Certified(Certificate(Region(), job.count or 0, 0, 0, 0, "hidden", "none"))
        return
    keys: set[int] = set()
    requests = 0
    if job.front is not None:
        front = Listing(Region(), facts, job.front)
        count = yield from _read_front(front, job.count or 1)
        keys.update(front.untimed)
        requests += front.asked
        if count is not None and len(keys) >= count and front.repairs < MAX_REPAIRS:
            yield Certified(Certificate(Region(), len(keys), len(keys), requests, 0, "hidden", "ordered"), keys)
            return
    count, certain, last = job.count, True, 0
    proof: Proof = "none"
    for _ in range(SWEEPS):
        # Prices change, so products can slip from band to band. Proof is that as many turned up as there are; where
        # they cannot be counted, bands are swept until nothing new turns up.
        sweep = Sweep()
        for n in range(0, len(job.bands), BANDS_AT_ONCE):
            some = job.bands[n : n + BANDS_AT_ONCE]
            yield from _sweep(some, job, sweep, facts, categories)
        found, certain = len(sweep.keys), certain and sweep.certain
        keys |= sweep.keys
        requests += sweep.requests
        if count is not None and found != count:
            (newest,) = yield [Ask(Region(), 1, "newest", "desc", burst=COUNT)]
            count = yield from count_untimed(job.end, newest, facts, count)
            requests += 1
            if found > count and not newest.exact:
                count = None
        if count is None and last == len(keys):
            sure = certain and job.priced and (yield from sweep.covers(job.whole))
            proof = "ordered" if sure else "uncounted"
        elif found == count:
            proof = "constant" if certain else "none"
        if proof != "none" or last == len(keys):
            break
        last = len(keys)
    yield Certified(Certificate(Region(), max(count or 0, len(keys)), len(keys), requests, 0, "hidden", proof), keys)


def _read_front(front: Listing, expected: int) -> Steps:
    """Read from page 1 on until products have a time. Returns how many had none; None where that is out of reach."""
    facts, wanted = front.facts, range(min(front.facts.reach, front.facts.pages(expected)), 0, -1)
    while True:
        replies: list[Reply] = yield [Ask(front.region, n, "hidden", front.sort, burst=len(wanted)) for n in wanted]
        if any(reply.error for reply in replies):
            return None
        for n, reply in zip(wanted, replies, strict=True):
            front.take(n, reply)
        top, last = wanted[0], replies[0]
        if any(moment is not None for moment in last.times) or (last.exact and top >= facts.pages(last.total)):
            break
        if top >= min(facts.reach, facts.pages(last.total)):
            return None
        wanted = range(top + 1, top, -1)
    yield from front.join()
    return (top - 1) * facts.size + sum(moment is None for moment in last.times)


def _sweep(
    bands: Sequence[tuple[Span, int]], job: Hidden, sweep: Sweep, facts: Facts, categories: Sequence[str]
) -> Steps:
    """Look into some price bands, each from where those with a time should end."""
    sort: Sort = job.front or "asc"
    regions = [Region(price=prices) for prices, _ in bands]
    starts = [1 if job.front else min(facts.reach, timed // facts.size + 1) for _, timed in bands]
    pages = 1 + facts.pages(job.count or 0) // len(job.bands)  # that each will take, about
    replies: list[Reply] = yield [
        Ask(region, page, "hidden", sort, burst=pages * len(bands))
        for region, page in zip(regions, starts, strict=True)
    ]
    sweep.requests += len(bands)
    if ignored([reply.total for reply in replies], job.whole):  # then they are all the same
        regions, starts, replies = [Region()], starts[:1], [msgspec.structs.replace(replies[0], exact=False)]
    for region, page, reply in zip(regions, starts, replies, strict=True):
        listing = Listing(region, facts, sort)
        if not reply.error:
            listing.take(page, reply)
        try:
            read = (yield from _read_end(listing, reply, page, job.front)) if reply.exact and not reply.error else False
        except Outgrown:
            read = False
        sweep.keys.update(listing.untimed)
        sweep.requests += max(0, listing.asked - 1)
        sweep.counted += reply.total
        sweep.price = next((price for price in seen_prices(reply) if price >= 0), sweep.price)
        if not read:
            cover = Cover(region, facts, categories)
            yield from cover.read(seen_prices(reply))
            sweep.keys.update(item for item, moment in cover.keys.items() if moment is None)
            sweep.requests += cover.requests
            sweep.certain = sweep.certain and cover.certified().certificate.proven


def _read_end(listing: Listing, reply: Reply, page: int, front: Sort | None) -> Steps:
    """Read on from `page` to where products without a time begin or end. Returns whether that could be reached."""
    last, reach = listing.facts.pages(reply.total), listing.facts.reach
    if front is not None:
        while page < min(last, reach) and not listing.times:
            page += 1
            yield from listing.ask([page], "hidden")
    elif last <= reach:
        yield from listing.ask(range(last, page, -1), "hidden")
        while page > 1 and not listing.times:
            page -= 1
            yield from listing.ask([page], "hidden")
    yield from listing.join()
    return last <= reach or (front is not None and bool(listing.times))
