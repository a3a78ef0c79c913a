"""Windows read page by page, each page from the last row of the one before: the mode KEYSET.

Slower than SEEK, since no page can be asked for before the one before it is there, but each page is one atomic reading:
it holds where products of one second change their order from answer to answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from cjasync.catalog.planning.bounds import calibrate, check_rows, unsorted
from cjasync.catalog.planning.cover import Cover, seen_prices
from cjasync.catalog.planning.listing import Ask, Breach, Certified, Listing, Range, Spawn, Steps
from cjasync.catalog.planning.question import Certificate, Facts, Region, Reply


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
            if not facts.checked:  # else products of the second before may lie on neither side of the cut
                yield from calibrate((moments[-1], *moments), facts)
            rows = max(1, spine.total - facts.window)
            yield Spawn(Range(start, job.end, rows, seen_start=start == moments[-1], last=job.last))
            region = Region(job.start, start - 1)
    yield from chain(region, facts, Listing(region, facts), categories, seen=job.seen_start)


def chain(region: Region, facts: Facts, listing: Listing, categories: Sequence[str], *, seen: bool) -> Steps:
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
