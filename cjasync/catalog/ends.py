"""How a walk begins and ends: the first look, what has no create time, and the last look."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from cjasync.catalog.cover import Cover, seen_prices
from cjasync.catalog.listing import Ask, Breach, Certified, Learn, Listing, Newer, Outgrown, Range, Spawn, Steps
from cjasync.catalog.question import Certificate, Facts, Region, Reply, Sort

BANDS_AT_ONCE = 16
SWEEPS = 3
COUNTS = 4  # of products without a create time, at most


class Opening(Struct, frozen=True, tag="opening"):
    """The first question, and the whole walk if one question's window holds everything.

    start, end: the stretch of create times that is walked. within: the user's filter is narrower than all times.
    borders: (start, end, rows) of windows as an earlier walk left them, without gaps from `start` to `end`.
    """

    end: int
    start: int | None = None
    within: bool = False
    borders: tuple[tuple[int | None, int, int], ...] = ()


class Hidden(Struct, frozen=True, tag="hidden"):
    """Find the `count` products without a create time.

    bands: (lowest, highest price, timed products there). told_apart: rows with a create time show it.
    """

    count: int
    end: int
    bands: tuple[tuple[int, int, int], ...]
    told_apart: bool = True


class Closing(Struct, frozen=True, tag="closing"):
    """The last question: the newest page, and the total after the walk. counted: what has no create time is known."""

    end: int
    counted: bool


def opening(job: Opening, facts: Facts, categories: Sequence[str]) -> Steps:
    """Look at the first page; read everything if it is within reach, else hand out the windows."""
    everything = Listing(Region(), facts)
    (head,) = yield [Ask(everything.region, 1, "head", burst=2)]
    everything.take(1, head)
    yield Learn({"before": head.total})
    if head.total and head.total % facts.size == 0 and head.total < facts.window:
        (beyond,) = yield [Ask(everything.region, head.total // facts.size + 1, "beyond")]
        if beyond.keys:
            yield Learn({"capped": True})
            yield Spawn(Range(job.start, job.end, facts.window + 1))
            raise Breach("keyset", f"the server counts to {head.total} and shows more")
    if head.total <= max(facts.size, facts.window - facts.size):  # with room for what may come
        try:
            yield from everything.finish(facts.pages(head.total))
        except Outgrown as grown:
            yield Spawn(Range(job.start, job.end, grown.total))
            return
        yield Learn({"after": everything.total})
        if everything.proof != "none" or everything.total <= facts.size:
            yield everything.certified("pages")
        else:
            cover = Cover(everything.region, facts, categories)
            yield from cover.read(seen_prices(head))
            yield cover.certified()
        return
    begin, until, rows = job.borders[0] if job.borders else (job.start, job.end, head.total)
    shown = [moment for moment in head.times if moment is not None]
    if any(later < earlier for earlier, later in pairwise(shown)):
        yield Spawn(Range(job.start, job.end, head.total))
        raise Breach("plain", "the server does not sort by create time, oldest first")
    # In the same breath, so that the difference is what has no create time, or came this second.
    top = min(facts.reach, max(1, facts.pages(rows)))
    (spine,) = yield [Ask(Region(job.start, job.end), top, "spine")]
    if not job.within and (spine.error or head.total != spine.total or len(shown) < len(head.times)):
        yield Spawn(Newer(job.end))
    first = spine if until == job.end else _up_to(until, spine, top, facts)
    yield Spawn(Range(begin, until, rows, first=first))
    for start, end, expected in job.borders[1:]:
        yield Spawn(Range(start, end, expected))


def _up_to(end: int, spine: Reply, top: int, facts: Facts) -> Reply | None:
    """What this page would have been with an earlier end, if that end lies on it."""
    cut = sum(moment is not None and moment <= end for moment in spine.times)
    if not cut or top == 1 or spine.error or any(moment is None for moment in spine.times):
        return None
    total = (top - 1) * facts.size + cut  # or more, behind a full page: then the other pages' totals say so
    return Reply(total, spine.keys[:cut], spine.times[:cut], spine.prices[:cut], spine.era, seq=spine.seq)


def newer(job: Newer, facts: Facts, categories: Sequence[str]) -> Steps:
    """Count what has no create time."""
    yield Learn({"hidden": (yield from _uncounted(job.end))})


def _uncounted(end: int) -> Steps:
    """All products, less those created up to `end`, less those created later.

    What comes or goes between the three answers looks like one too few or too many, so two counts in a row must
    agree; where none do, the highest stands: to look for what is not there costs little, to overlook it much.
    """
    counts: list[int] = []
    while len(counts) < COUNTS:
        whole, timed, after = yield [
            Ask(Region(), 1, "newest", "desc", burst=3),
            Ask(Region(end=end), 1, "newest", "desc"),
            Ask(Region(start=end + 1), 1, "newest"),
        ]
        counts.append(whole.total - timed.total - after.total)
        if counts[-2:-1] == counts[-1:]:
            return max(0, counts[-1])
    return max(0, *counts)


def closing(job: Closing, facts: Facts, categories: Sequence[str]) -> Steps:
    """The newest page says how many products there are now."""
    (reply,) = yield [Ask(Region(), 1, "tail", "desc")]
    yield Learn({"after": reply.total})
    untimed = sum(moment is None for moment in reply.times)
    if 0 < untimed < len(reply.times) and not job.counted:
        yield Spawn(Newer(job.end))


def hidden(job: Hidden, facts: Facts, categories: Sequence[str]) -> Steps:
    """Products without a create time: at the front of one of the two orders, or else at the end of every list."""
    if not job.told_apart:
        yield Certified(Certificate(Region(), job.count, 0, 0, 0, "hidden", "none"))
        return
    keys: set[int] = set()
    requests, at_front = 0, None
    orders: tuple[Sort, Sort] = ("asc", "desc")
    for sort in orders:
        front = Listing(Region(), facts, sort)
        yield from front.ask([1], "hidden")
        if front.untimed and next(iter(front.keys.values())) is None:
            at_front = sort
            top = min(facts.reach, facts.pages(job.count))
            yield from front.ask(range(top, 1, -1), "hidden")
            yield from front.join()
        keys.update(front.untimed)
        requests += front.asked
        if at_front:
            break
    count = job.count if len(keys) >= job.count else (yield from _uncounted(job.end))  # some may be gone
    proof: Literal["constant", "ordered", "none"] = "ordered" if len(keys) >= count else "none"
    pages, held = 1 + facts.pages(count) // max(1, len(job.bands)), -1
    for _ in range(SWEEPS if proof == "none" else 0):
        # Prices change, so products can slip from band to band. Proof is that nothing changed; the next best is to
        # sweep until nothing new turns up.
        if held == len(keys):
            break
        held = len(keys)
        for n in range(0, len(job.bands), BANDS_AT_ONCE):
            requests += yield from _bands(job.bands[n : n + BANDS_AT_ONCE], pages, at_front, keys, facts, categories)
        before, count = count, (yield from _uncounted(job.end))
        if len(keys) == before == count:
            proof = "constant"
            break
    yield Certified(Certificate(Region(), max(count, len(keys)), len(keys), requests, 0, "hidden", proof), keys)


def _bands(
    bands: Sequence[tuple[int, int, int]],
    pages: int,
    at_front: Sort | None,
    keys: set[int],
    facts: Facts,
    categories: Sequence[str],
) -> Steps:
    """Look for rows without a time in some price bands, starting where the timed ones should end.

    pages: how many each will take, about.
    """
    listings = [Listing(Region(price=(low, high)), facts, at_front or "asc") for low, high, _ in bands]
    starts = [1 if at_front else min(facts.reach, timed // facts.size + 1) for _, _, timed in bands]
    replies: list[Reply] = yield [
        Ask(listing.region, page, "hidden", listing.sort, burst=pages * len(bands))
        for listing, page in zip(listings, starts, strict=True)
    ]
    requests = 0
    for listing, page, reply in zip(listings, starts, replies, strict=True):
        listing.take(page, reply)
        last = facts.pages(reply.total)
        if last > facts.reach and not at_front:
            whole = Cover(listing.region, facts, categories)
            yield from whole.read(seen_prices(reply))
            keys.update(item for item, moment in whole.keys.items() if moment is None)
            requests += whole.requests + 1
            continue
        if at_front:  # only as far as they go
            top = page
            while top < min(last, facts.reach) and not listing.times:
                top += 1
                yield from listing.ask([top], "hidden")
        else:
            yield from listing.ask(range(last, page, -1), "hidden")
            while page > 1 and not listing.times:  # they begin on an earlier page
                page -= 1
                yield from listing.ask([page], "hidden")
        yield from listing.join()
        keys.update(listing.untimed)
        requests += listing.asked
    return requests
