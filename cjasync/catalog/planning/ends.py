"""How a walk begins and ends: the first look, and the last."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from cjasync.catalog.planning.bounds import try_second
from cjasync.catalog.planning.cover import seen_prices
from cjasync.catalog.planning.listing import Ask, Breach, Certified, Learn, Listing, Outgrown, Range, Spawn, Steps, Unit
from cjasync.catalog.planning.question import Certificate, Facts, Region, Reply
from cjasync.catalog.planning.totals import counts_to, newest_page, newest_rows, sum_of_parts
from cjasync.catalog.planning.untimed import count_untimed, front_of


class Opening(Struct, frozen=True, tag="opening"):
    """The first question, and the whole walk if one question's window holds everything.

    start, end: the stretch of create times that is walked. within: the user's filter is narrower than all times.
    borders: (start, end, rows) of windows as an earlier walk left them, without gaps from `start` to `end`.
    """

    end: int
    start: int | None = None
    within: bool = False
    borders: tuple[tuple[int | None, int, int], ...] = ()


class Closing(Struct, frozen=True, tag="closing"):
    """The last question: the newest page, and the total after the walk.

    before: the total before the walk. counted: the sum of the certified totals. untimed: products without a create
    time at the start, if that is known. none: there certainly were none at the start. timed: there can be none among
    those asked for. newest: the newest page, if it was read with the last window. prices: of some products.
    """

    end: int
    before: int
    counted: int
    untimed: int | None
    timed: bool
    none: bool = False
    newest: Reply | None = None
    prices: tuple[int, ...] = ()


def opening(job: Opening, facts: Facts, categories: Sequence[str]) -> Steps:
    """Look at the first page; read everything if it is within reach, else hand out the windows."""
    everything = Listing(Region(), facts)
    (head,) = yield [Ask(everything.region, 1, "head", burst=2)]
    everything.take(1, head)
    yield Learn({"before": head.total, "front": front_of(head, "asc")})
    if head.total <= max(facts.size, facts.window - facts.size):  # with room for what may come
        if (yield from _all_at_once(everything, head, facts)):
            return
        if len(everything.keys) == head.total:  # and yet there is more
            yield Learn({"window": min(facts.window, head.total), "capped": True})
    if facts.mode == "units":  # an earlier walk found out that times do not cut
        yield Spawn(Unit(Region(), head.total, tuple(sorted(seen_prices(head))), spread=True))
        return
    begin, until, rows = job.borders[0] if job.borders else (job.start, job.end, head.total)
    shown = [moment for moment in head.times if moment is not None]
    if any(later < earlier for earlier, later in pairwise(shown)):
        yield Spawn(Range(job.start, job.end, head.total, last=True))
        raise Breach("plain", "the server does not sort by create time, oldest first")
    understood = facts.checked_start and facts.checked_end
    if len(job.borders) > 1 and not understood and facts.mode in ("seek", "keyset"):
        # Nothing may have lain on these borders when they were made, and what has come since must not be left out.
        yield from try_second([*shown, *(start for start, _, _ in job.borders if start is not None)], facts)
    yield Spawn(Range(begin, until, rows, head=head, walk_end=job.end, last=until == job.end))
    for start, end, expected in job.borders[1:]:
        last, some = end == job.end, tuple(seen_prices(head))
        yield Spawn(Range(start, end, expected, rank=rows, last=last, prices=some))
        rows += expected


def _all_at_once(everything: Listing, head: Reply, facts: Facts) -> Steps:
    """Read all pages, the last one from the other end of the list: there lies what the total hides.

    Returns whether that was all.
    """
    if len(head.keys) > head.total:
        return False  # the total is wrong
    if head.total < facts.size:
        yield Learn({"after": head.total})
        yield everything.certified("pages")
        return True
    pages = facts.pages(head.total)
    prices = [] if None in head.prices else seen_prices(head)
    shown = newest_rows(prices, facts) - 1  # beyond the last page, which must overlap with what it shows
    last = max(1, facts.pages(head.total - shown))
    newest: Reply | None = None
    try:
        yield from everything.ask([last] if last > 1 else [])  # alone: it may be too far
        if last < pages or head.times[0] is None or not everything.untimed:
            newest = yield from newest_page(prices, pages, "page")
        yield from everything.ask(range(last - 1, 1, -1))
        if not (everything.unmoved and last == pages) and not _overlaps(everything, head, newest):
            yield from everything.finish(pages)
            last = pages
    except Outgrown:
        return False
    if newest is not None and newest.total > everything.total and not (yield from counts_to(newest.total, "asc")):
        return False
    parted = bool(prices) and not everything.priced
    if newest is not None and (parted or newest.total < everything.total):  # gone, or in neither of two parts
        (newest,) = yield [Ask(Region(), 1, "tail", "desc")]
    found = everything.keys.keys() | (newest.keys if newest else ())
    if everything.steady and (newest is None or newest.total == everything.lowest):
        all_seen = len(found) == head.total and (last < pages or len(everything.keys) == head.total)
        complete = all_seen and (yield from _ends_there(everything, head, newest))
    else:
        complete = everything.proof != "none"  # a total that moves is none that the server stops at
    if complete:
        if newest is not None:
            everything.keys.update(zip(newest.keys, newest.times, strict=True))
        yield Learn({"after": newest.total if newest else everything.total, "counts": head.total})
        yield everything.certified("pages")
    return complete


def _overlaps(everything: Listing, head: Reply, newest: Reply | None) -> bool:
    """Are all seen with the newest page, and does that surely reach into what was read from the other end?"""
    if newest is None or not everything.unmoved or newest.era != head.era:
        return False
    oldest = min((moment for moment in newest.times if moment is not None), default=None)
    reaches = oldest is not None and any(oldest < moment for moment in everything.times)
    return reaches and newest.total == len(everything.keys.keys() | newest.keys) == head.total


def _ends_there(everything: Listing, head: Reply, newest: Reply | None) -> Steps:
    """Do the first page and the one from the other end show that the list is not cut off where its total ends?"""
    if newest is not None:
        if newest.times == head.times and set(head.times) != {None}:
            return False  # the order is not looked at, or all are ties
        if newest.exact:
            return True
    # Products without a create time may end both orders. Nothing but a division shows whether all of them were counted.
    total = yield from sum_of_parts(seen_prices(head) if everything.priced else [], head.total)
    return total is not None and total <= head.total


def closing(job: Closing, facts: Facts, categories: Sequence[str]) -> Steps:
    """The newest page says how many products there are now, and whether some of them have no create time."""
    newest = job.newest
    if newest is None or (not job.none and newest.total != job.counted + (job.untimed or 0)):
        # Windows that were open beside the last one may have changed since it was read.
        (newest,) = yield [Ask(Region(), 1, "tail", "desc")]
    untimed = job.counted < job.before if job.untimed is None else job.untimed > 0
    if untimed and newest.total <= job.counted:  # are they all gone, or not counted in this order?
        (other,) = yield [Ask(Region(), 1, "tail")]
        newest = replace(newest, total=max(newest.total, other.total))
    front = front_of(newest, "desc")
    yield Learn({"after": newest.total} | ({"front": front} if front else {}))
    if job.timed:
        return
    uncounted = facts.capped or (yield from _stops_counting(job, newest, facts))
    if facts.mode == "units":  # which asks for no times
        if uncounted:
            yield Certified(Certificate(Region(), 0, 0, 0, 0, facts.mode, "uncounted"))
        return
    if (job.none or job.counted == newest.total) and None not in newest.times and not uncounted:
        # Where the total rose, the one before may be where the server stops.
        yield Learn({"counts": newest.total if newest.total <= job.before else job.before - 1})
        return
    # A server that stops counting hides them, as it hides how many there are.
    hidden = 0 if uncounted else (yield from count_untimed(job.end, newest, facts, job.untimed))
    yield Learn({"hidden": hidden, "sweep": uncounted or hidden > 0})


def _stops_counting(job: Closing, newest: Reply, facts: Facts) -> Steps:
    """Are there more products than the total of all?"""
    if job.none or newest.total > job.before:
        return False
    if newest.exact and not job.counted > newest.total == job.before:  # more have a time than there are
        return False
    if job.counted > newest.total and not newest.exact:
        return True
    total = yield from sum_of_parts(job.prices, newest.total)
    if total is None:
        yield Certified(Certificate(Region(), 0, 0, 0, 0, facts.mode, "uncounted"))
        return False
    return total > newest.total and not (yield from counts_to(total, "desc"))
