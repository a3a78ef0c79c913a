"""A window that came to hold more than one question reaches while it was read: what its pages have shown stands."""

from __future__ import annotations

from bisect import bisect_left

from msgspec.structs import replace

from cjasync.catalog.planning.listing import MAX_REPAIRS, Listing, Range, Spawn, Steps


def divide(listing: Listing, rows: int, *, seen_start: bool) -> Steps:
    """Hand on what is left of a window that has now so many rows; returns what is read of it, None if nothing is.

    seen_start: a product was certainly created at its start.
    """
    start, end = listing.region.start, listing.region.end
    assert end is not None
    part = _read_part(listing)
    if part is None:
        yield Spawn(Range(start, end, rows, seen_start=seen_start, rank=listing.rank))
        return None
    assert part.region.end is not None
    start, rank = part.region.end + 1, part.rank + part.total
    cut = start == listing.moments[max(listing.totals)][-1]
    yield Spawn(Range(start, end, max(1, rows - part.total), seen_start=cut, rank=rank))
    return part


def _read_part(listing: Listing) -> Listing | None:
    """All that is older than the last second its pages show, if these prove by themselves that this is complete."""
    top, facts = max(listing.totals, default=0), listing.facts
    joined = listing.exact and not listing.floor and listing.joints.issuperset(range(1, top))
    if not joined or len(listing.moments.get(top, ())) < facts.size or listing.repairs >= MAX_REPAIRS:
        return None
    start = facts.unit(listing.moments[top][-1])[0]
    part = Listing(replace(listing.region, end=start - 1), facts, rank=listing.rank)
    part.keys = {item: moment for item, moment in listing.keys.items() if moment is not None and moment < start}
    total, era = listing.totals[top]
    below, gone = bisect_left(listing.moments[top], start), total - (listing.lowest or 0)
    if not part.keys or len(part.keys) < (top - 1) * facts.size + below - gone:
        return None
    part.moments = listing.moments
    part.totals[1] = len(part.keys), era
    part.steady, part.asked, part.repairs = False, listing.asked, listing.repairs
    return part
