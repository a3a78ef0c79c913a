"""Windows cut by create time: the mode SEEK, for a server that sorts by it and shows it.

SEEK asks for the last page that one question can reach, first: its last row is where the next window begins, so no
question is spent on finding borders, and the next window can start while this one is read. The other pages then carry
a closed end, so that their totals prove the window. The next window begins at the second that was cut, inclusive.
The newest page of all products, which every walk asks for at its end, stands for the last page of the last window.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from msgspec.structs import replace

from cjasync.catalog.planning.bounds import (
    calibrate,
    check_end,
    check_inside,
    check_rows,
    read_to_end,
    unsorted,
)
from cjasync.catalog.planning.cover import Cover, seen_prices
from cjasync.catalog.planning.heads import Heads
from cjasync.catalog.planning.keyset import chain, known_times
from cjasync.catalog.planning.listing import Ahead, Ask, Breach, Learn, Listing, Outgrown, Range, Spawn, Steps
from cjasync.catalog.planning.outgrown import divide
from cjasync.catalog.planning.question import Facts, Region, Reply
from cjasync.catalog.planning.totals import newest_page, newest_rows

FEW_PAGES = 4  # of one second that are read without asking first how large it is
SPARE = 8  # products of a second: more will not vanish while two windows are read in one go
TRIES = 12  # spine questions of one window while the window size or the count is found out

Early = tuple[Sequence[int], range]  # pages that were asked for ahead, and what to wait for


def seek(job: Range, facts: Facts, categories: Sequence[str]) -> Steps:
    """Read [job.start, job.end], or as much of it as one question reaches, and hand on the rest."""
    whole = Listing(Region(job.start, job.end), facts, rank=job.rank)
    first: tuple[int, Reply] | None = None
    heads = Heads(job, facts)
    if job.head is not None:
        first = yield from heads.last_page()
    elif job.last and facts.checked and not facts.capped and 0 < job.rows <= _last_rows(job, facts):
        done, first = yield from _last_window(job, facts, categories)
        if done:
            return
    spine, top = yield from _last_page(whole, job, facts, first)
    if spine.exact and spine.total <= top * facts.size:
        yield from heads.take(whole, top, spine.total)
        yield from settle(whole, top, facts, categories, job.start if job.seen_start else None)
        return
    moments = known_times(spine)
    if not moments:
        raise Breach("keyset", "the total promises what no page shows")
    start, stop = facts.unit(moments[-1])
    cut = bisect_left(moments, start)
    seen_start = start == moments[-1]
    closed = Listing(Region(job.start, start - 1), facts, rank=job.rank)
    if not seen_start and not facts.checked_start:
        yield from calibrate((moments[-1], *moments), facts)
    if cut:
        below = (top - 1) * facts.size + cut
        yield Spawn(_rest(job, start, spine, below, facts, seen_start=seen_start))
        closed.take(top, spine, cut, below)
        yield from _close(closed, top, job, moments, facts, categories, heads)
        return
    # The last page lies inside one second, which begins on an earlier one.
    yield from heads.take(closed, 1, 0)
    if not facts.checked:
        (oldest,) = yield [Ask(whole.region, 1)]
        if any(moment is not None and moment > start for moment in oldest.times):
            raise Breach("plain", "the server does not sort by create time, oldest first")
        yield from calibrate((moments[-1], *moments), facts)
    below = 0
    if job.start is None or start > job.start:
        yield from closed.ask([1])
        below = closed.total
        if below >= top * facts.size:
            raise Breach(unsorted(facts), "older products come after newer ones")
    second = Cover(Region(start, min(stop, job.end)), facts, categories)
    if not below or top - below // facts.size > FEW_PAGES:
        yield from second.look()
        if second.total < len(spine.keys):
            yield from calibrate((moments[-1], *moments), facts)
    if not below or second.total > facts.window:
        if stop < job.end:
            yield Spawn(_rest(job, stop + 1, spine, below + second.total, facts))
        if closed.totals:
            yield from settle(closed, facts.pages(below), facts, categories, None)
        yield from second.read(seen_prices(spine))
        yield second.certified()
        return
    top, known = yield from _back_to(start, whole, closed, spine, top)
    if closed.totals[top][0] != below:
        yield from calibrate((moments[-1], *moments), facts)
    rest = _rest(job, start, spine, below, facts, seen_start=seen_start)
    yield Spawn(replace(rest, known=known, known_era=spine.era))
    yield from _close(closed, top, job, moments, facts, categories, heads)


def _rest(job: Range, start: int, spine: Reply, before: int, facts: Facts, *, seen_start: bool = False) -> Range:
    """What is left behind the first rows, `before`; how much, a server that stops counting leaves open."""
    expected = facts.window + 1 if facts.capped else max(0, spine.total - before)
    near = job.last and expected <= facts.window + facts.size
    prices = tuple(seen_prices(spine)) if near else ()
    return Range(start, job.end, expected, seen_start=seen_start, rank=job.rank + before, last=job.last, prices=prices)


def _last_rows(job: Range, facts: Facts) -> int:
    """What the last window can hold: a page less than others, and the newest page of all."""
    return (facts.reach - 1) * facts.size + newest_rows(job.prices, facts)


def _last_window(job: Range, facts: Facts, categories: Sequence[str]) -> Steps:
    """Read the rest of the walk, but with the newest page of all for its last.

    Returns whether that could be done; if not, a page that was read with its number.
    """
    listing, early = Listing(Region(job.start, job.end), facts, rank=job.rank), None
    expected = job.rank + job.rows
    halved = expected > facts.counts and expected != facts.window  # where a server may well stop counting
    prices = job.prices if halved else ()
    top = facts.pages(max(0, job.rows - newest_rows(prices, facts)))
    if not top and halved and not prices:
        top = 1
    if top:
        (spine,) = yield [Ask(listing.region, top, "spine", burst=top + 1 + halved)]
        if spine.error or not spine.exact or spine.total > facts.window + facts.size:
            return False, (top, spine)
        yield from check_rows(spine, listing.region, known_times(spine), facts)
        listing.take(top, spine)
        early = yield from _ahead(listing, range(top - 1, 0, -1))
        prices = tuple(seen_prices(spine)) if halved else ()
    if halved or not top or listing.total > top * facts.size:
        newest = yield from newest_page(prices, max(1, top))
        yield Learn({"newest": newest})
        complete = listing.end_with(newest, whole=not prices) and (not prices or len(listing.keys) >= job.rows)
        if complete and not top and job.start is not None:
            moments = [moment for moment in newest.times if moment is not None]
            if moments[-1] < job.start <= moments[0]:
                listing.take(1, newest, 0, len(listing.keys))
        if 0 < top < facts.reach and top * facts.size + len(newest.keys) < listing.total:
            yield from listing.ask([top + 1])
    if not listing.totals:
        return False, None
    # Without a page of its own, the window's start was asked for nowhere.
    seen_start = job.start if job.seen_start and top else None
    yield from settle(listing, max(1, top), facts, categories, seen_start, early)
    return True, None


def _last_page(whole: Listing, job: Range, facts: Facts, first: tuple[int, Reply] | None) -> Steps:
    """The last page within reach, found from what is expected; the window shrinks where the server refuses.

    first: a page that was read already, with its number.
    """
    reach, expected = facts.reach, job.rows
    for _ in range(TRIES):
        top = min(reach, max(1, facts.pages(expected)))
        if first is not None:
            top, reply = first
            first = None
        else:
            (reply,) = yield [Ask(whole.region, top, "spine", burst=top)]
        if reply.error:
            reach = max(1, top // 2)
            continue
        moments = known_times(reply)
        yield from check_rows(reply, whole.region, moments, facts)
        if not reply.exact and reply.total > job.rows + facts.size and not facts.capped:
            yield Learn({"capped": True})
        if reply.total > top * facts.size and top == reach:
            return reply, top
        if not reply.total:
            top = 1  # of an empty list, every page is as good as the first
        if reply.keys or not reply.total:
            whole.take(top, reply)
            if reply.total <= top * facts.size:
                return reply, top
        expected = reply.total
    raise Breach("keyset", "the total and the pages contradict each other")


def _back_to(start: int, whole: Listing, closed: Listing, spine: Reply, top: int) -> Steps:
    """The last page lies inside one second that begins on an earlier page: read back to it, keeping its products.

    Returns the page where it begins, and its products as far as they were read, if none can have been overlooked.
    """
    size = whole.facts.size
    first = closed.totals[1][0] // size + 1
    pages = range(top - 1, first - 1, -1)
    replies = (yield [Ask(whole.region, page, burst=len(pages)) for page in pages]) if pages else []
    whole.read(pages, replies)
    ordered = [*reversed(replies), spine]
    moments = [moment for reply in ordered for moment in known_times(reply)]
    keys = [item for reply in ordered for item in reply.keys]
    cut = bisect_left(moments, start)
    closed.take(first, ordered[0], cut, (first - 1) * size + cut)
    whole.take(top, spine)
    return first, tuple(keys[cut:]) if all(whole.evident(page) for page in pages) else ()


def _close(
    closed: Listing,
    top: int,
    job: Range,
    moments: list[int],
    facts: Facts,
    categories: Sequence[str],
    heads: Heads,
) -> Steps:
    """Read the closed window below the spine page, and see that its bounds do what they should."""
    below = closed.totals[top][0]
    skipped = min(_skippable(job, closed.totals[top][1], facts), top - 1)
    if skipped > 0:
        closed.floor = skipped
        closed.keys.update(dict.fromkeys(job.known[: skipped * facts.size], job.start))
    wanted = [page for page in range(top - 1, closed.floor, -1) if page not in closed.totals]
    if facts.checked:
        yield from read_to_end(closed, top, wanted, moments, facts)
        yield from check_end(closed, top, below, moments, facts)
    else:  # what is asked for before the end was tried, is asked for in vain where a bound means something else
        yield from closed.ask(wanted[:1])
        yield from heads.take(closed, top, below)
        yield from check_end(closed, top, below, moments, facts)
        left = [page for page in wanted[1:] if page not in closed.totals]
        yield from read_to_end(closed, top, left, moments, facts)
    yield from settle(closed, top, facts, categories, job.start if job.seen_start else None)


def _ahead(listing: Listing, pages: Sequence[int]) -> Steps:
    """Let these pages be asked for beside what is asked next."""
    return pages, (yield Ahead([Ask(listing.region, page, burst=len(pages)) for page in pages]))


def _skippable(job: Range, era: int, facts: Facts) -> int:
    """Pages of the second that begins this window which were read with the one before.

    Since then rows may have moved up, so some behind these pages must be known too: a page after a pause, else a few.
    """
    pages, spare = divmod(len(job.known), facts.size)
    if not facts.checked_start:
        return 0
    return pages if spare >= SPARE and job.known_era == era else pages - 1


def settle(
    listing: Listing,
    top: int,
    facts: Facts,
    categories: Sequence[str],
    seen_start: int | None,
    early: Early | None = None,
) -> Steps:
    """Read the rest, certify; where numbered pages do not suffice, go through the region page by page.

    early: pages that were asked for ahead.
    """
    region = listing.region
    try:
        if early is not None:
            pages, numbers = early
            listing.read(pages, (yield numbers))
        yield from listing.finish(top)
        if listing.floor and listing.proof != "constant":
            listing.floor = 0
            yield from listing.finish(top)
    except Outgrown as grown:
        part = yield from divide(listing, grown.total, seen_start=seen_start is not None)
        if part is None:
            return
        listing, region = part, part.region
    if seen_start is not None:
        first = seen_start if listing.floor else listing.oldest
        if first != seen_start:
            yield from calibrate((seen_start, *sorted(listing.times)[: facts.size]), facts)
        elif not facts.checked_start and not facts.at_lunch(seen_start):
            yield Learn({"checked_start": True})
    yield from check_inside(listing.times, region, facts)
    if not listing.in_order:
        raise Breach(unsorted(facts), "pages do not go from old to new")
    if listing.proof != "none":
        yield listing.certified("seek")
        return
    if facts.mode == "seek":
        yield Learn({"unstable": 1})
    yield from chain(region, facts, listing, categories, seen=seen_start is not None)
