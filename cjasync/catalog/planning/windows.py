"""Windows cut by create time: the modes SEEK and KEYSET, for a server that sorts by it and shows it.

SEEK asks for the last page that one question can reach, first: its last row is where the next window begins, so no
question is spent on finding borders, and the next window can start while this one is read. The other pages then carry
a closed end, so that their totals prove the window. The next window begins at the second that was cut, inclusive.
KEYSET goes on from the last row of every single page: slower, but each page is one atomic reading.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from msgspec.structs import replace

from cjasync.catalog.planning.bounds import calibrate, check_inside, check_rows, unsorted
from cjasync.catalog.planning.cover import Cover, seen_prices
from cjasync.catalog.planning.listing import Ask, Breach, Certified, Learn, Listing, Outgrown, Range, Spawn, Steps
from cjasync.catalog.planning.question import Certificate, Facts, Region, Reply

FEW_PAGES = 4  # of one second that are read without asking first how large it is
SPARE = 8  # products of a second: more will not vanish while two windows are read in one go
TRIES = 12  # spine questions of one window while the window size or the count is found out


def seek(job: Range, facts: Facts, categories: Sequence[str]) -> Steps:
    """Read [job.start, job.end], or as much of it as one question reaches, and hand on the rest."""
    whole = Listing(Region(job.start, job.end), facts)
    spine, top = yield from _last_page(whole, job, facts)
    if spine.exact and spine.total <= top * facts.size:
        if job.head is not None and top > 1:
            whole.take(1, job.head, total=spine.total)
        yield from _settle(whole, top, facts, categories, job.start if job.seen_start else None)
        return
    moments = known_times(spine)
    if not moments:
        raise Breach("keyset", "the total promises what no page shows")
    start, stop = facts.unit(moments[-1])
    cut = bisect_left(moments, start)
    seen_start = start == moments[-1]
    closed = Listing(Region(job.start, start - 1), facts)
    if not seen_start and not facts.checked_start:
        yield from calibrate((moments[-1], *moments), facts)
    if cut:
        below = (top - 1) * facts.size + cut
        yield Spawn(Range(start, job.end, _left(spine.total - below, facts), seen_start=seen_start))
        closed.take(top, spine, cut, below)
        yield from _close(closed, top, below, job, moments, facts, categories)
        return
    # The last page lies inside one second, which begins on an earlier one.
    if not facts.checked:
        (first,) = yield [Ask(whole.region, 1)]
        if any(moment is not None and moment > start for moment in first.times):
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
            yield Spawn(Range(stop + 1, job.end, _left(spine.total - below - second.total, facts)))
        if closed.totals:
            yield from _settle(closed, facts.pages(below), facts, categories, None)
        yield from second.read(seen_prices(spine))
        yield second.certified()
        return
    top, known = yield from _back_to(start, whole, closed, spine, top)
    if closed.totals[top][0] != below:
        yield from calibrate((moments[-1], *moments), facts)
    rest = Range(start, job.end, _left(spine.total - below, facts), seen_start=seen_start)
    yield Spawn(replace(rest, known=known, known_era=spine.era))
    yield from _close(closed, top, below, job, moments, facts, categories)


def _last_page(whole: Listing, job: Range, facts: Facts) -> Steps:
    """The last page within reach, found from what is expected; the window shrinks where the server refuses."""
    reach, expected, first = facts.reach, job.rows, job.first
    for _ in range(TRIES):
        top = min(reach, max(1, facts.pages(expected)))
        if first is not None:
            reply, first = first, None
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
    for page, reply in zip(pages, replies, strict=True):
        whole.take(page, reply)
    ordered = [*reversed(replies), spine]
    moments = [moment for reply in ordered for moment in known_times(reply)]
    keys = [item for reply in ordered for item in reply.keys]
    cut = bisect_left(moments, start)
    closed.take(first, ordered[0], cut, (first - 1) * size + cut)
    whole.take(top, spine)
    return first, tuple(keys[cut:]) if all(whole.evident(page) for page in pages) else ()


def _close(
    closed: Listing, top: int, below: int, job: Range, moments: list[int], facts: Facts, categories: Sequence[str]
) -> Steps:
    """Read the closed window below the spine page, and see that its bounds do what they should."""
    if job.head is not None and top > 1:
        closed.take(1, job.head, total=below)
    skipped = min(_skippable(job, closed.totals[top][1], facts), top - 1)
    if skipped > 0:
        closed.floor = skipped
        closed.keys.update(dict.fromkeys(job.known[: skipped * facts.size], job.start))
    wanted = [page for page in range(top - 1, closed.floor, -1) if page not in closed.totals]
    if wanted and not facts.checked:
        yield from closed.ask(wanted[:1])
        wanted = wanted[1:]
    else:
        yield from closed.ask(wanted)
        wanted = []
    if top - 1 in closed.totals:
        count = closed.totals[top - 1][0]
        # Fewer than announced may be gone, or cut off by a bound that means something else: where that would show.
        told = facts.at_lunch(closed.region.end) or closed.region.end in moments
        doubtful = count < below if told else count < (top - 1) * facts.size
        if doubtful or (count != below and not facts.checked):
            yield from calibrate((moments[-1], *moments), facts)
        elif not facts.checked and not facts.at_lunch(closed.region.end):
            yield Learn({"checked": True})
    yield from _settle(closed, top, facts, categories, job.start if job.seen_start else None)


def _skippable(job: Range, era: int, facts: Facts) -> int:
    """Pages of the second that begins this window which were read with the one before.

    Since then rows may have moved up, so some behind these pages must be known too: a page after a pause, else a few.
    """
    pages, spare = divmod(len(job.known), facts.size)
    if not facts.checked_start:
        return 0
    return pages if spare >= SPARE and job.known_era == era else pages - 1


def _settle(listing: Listing, top: int, facts: Facts, categories: Sequence[str], seen_start: int | None) -> Steps:
    """Read the rest, certify; where numbered pages do not suffice, go through the region page by page."""
    region = listing.region
    try:
        yield from listing.finish(top)
        if listing.floor and listing.proof != "constant":
            listing.floor = 0
            yield from listing.finish(top)
    except Outgrown as grown:
        assert region.end is not None
        yield Spawn(Range(region.start, region.end, grown.total))
        return
    if seen_start is not None:
        first = min(listing.times, default=None)
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
    yield from _chain(region, facts, listing, categories, seen=seen_start is not None)


def keyset(job: Range, facts: Facts, categories: Sequence[str]) -> Steps:
    """As `seek`, but every page of the window begins where the one before ended."""
    region = Region(job.start, job.end)
    if job.rows > facts.window:
        (spine,) = yield [Ask(region, facts.reach, "spine")]
        if spine.error:
            yield Spawn(Range(job.start, job.end, job.rows))
            return
        moments = known_times(spine)
        start = replace(facts, noon=True).unit(moments[-1])[0] if moments else None
        if start is not None and len(spine.keys) == facts.size and (job.start is None or start > job.start):
            rest = Range(start, job.end, max(1, spine.total - facts.window), seen_start=start == moments[-1])
            yield Spawn(rest)
            region = Region(job.start, start - 1)
    yield from _chain(region, facts, Listing(region, facts), categories, seen=job.seen_start)


def _chain(region: Region, facts: Facts, listing: Listing, categories: Sequence[str], *, seen: bool) -> Steps:
    """Page after page by create time, each from the last row of the one before; a crowded second by itself.

    seen: a product was certainly created at the region's start.
    """
    at, requests, left, uncounted, found = region.start, listing.asked, 0, False, set(listing.keys)
    end = region.end
    assert end is not None
    while at is None or at <= end:
        (reply,) = yield [Ask(Region(at, end), 1, "keyset")]
        requests += 1
        moments = known_times(reply)
        if not facts.checked_start and at == region.start and len(reply.keys) == facts.size:
            (newest,) = yield [Ask(Region(at, end), 1, "bounds", "desc")]
            if set(newest.keys) == set(reply.keys):
                raise Breach(unsorted(facts), "both orders begin with the same products")
            yield from calibrate((moments[-1], *moments), facts)
        if seen and at is not None and not facts.checked_start and moments[:1] != [at]:
            yield from calibrate((at, *moments), facts)
        yield from check_rows(reply, Region(at, end), moments, facts)
        found.update(reply.keys)
        if len(reply.keys) < facts.size:
            break
        start, stop = facts.unit(moments[-1])
        if at is not None and start <= at:
            second = Cover(Region(start, min(stop, end)), facts, categories)
            yield from second.look()
            if second.total < facts.size:
                yield from calibrate((moments[-1], *moments), facts)
            yield from second.read(seen_prices(reply))
            found.update(second.keys)
            requests += second.requests
            left += second.missing
            uncounted = uncounted or second.uncounted
            at, seen = stop + 1, False
        else:
            at, seen = start, start == moments[-1]
    certificate = Certificate(
        region=region,
        total=len(found) + left,
        rows=len(found),
        requests=requests,
        repaired=listing.repairs + (1 if facts.mode == "seek" else 0),
        mode="keyset",
        proof="uncounted" if uncounted else "none" if left else "atomic",
    )
    yield Certified(certificate, found)


def _left(rows: int, facts: Facts) -> int:
    """What to expect behind a window; a server that stops counting leaves that open."""
    return facts.window + 1 if facts.capped else max(0, rows)


def known_times(reply: Reply) -> list[int]:
    """The rows' create times; a hidden one counts as the one before it (it lies there in the list)."""
    shown = [moment for moment in reply.times if moment is not None]
    if not shown:
        if reply.keys:
            raise Breach("blind", "rows hide their create time")
        return []
    moments, last = [], shown[0]
    for moment in reply.times:
        last = last if moment is None else moment
        moments.append(last)
    return moments
