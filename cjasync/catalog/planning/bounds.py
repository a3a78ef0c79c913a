"""What the server makes of a time bound: found out from answers, never assumed.

CJ documents the filter as text without a zone, in the pattern `yyyy-MM-dd hh:mm:ss`. Expected is China time with both
ends included. Every window checks it for nothing: its closed total must be what the open page announced, its rows must
lie inside, and the row that cut the window must come back. Only where that fails does `calibrate` spend questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec.structs import replace

from cjasync.catalog.planning.listing import Ask, Breach, Learn, Learnt, Listing, Steps
from cjasync.catalog.planning.question import Facts, Mode, Region, Reply

WITNESSES = 2  # moments that are tried before anything is concluded
QUARTER = 900  # every zone on earth is a multiple of a quarter of an hour
WIDEST = 14 * 4  # and at most 14 hours from UTC
FAR = 30 * 86400
UNDERSTOOD = {"checked": True, "checked_end": True, "checked_start": True}
NOON = "12:xx in a bound is read as 00:xx"


def check_rows(reply: Reply, region: Region, moments: list[int], facts: Facts) -> Steps:
    """The rows must be in order of time and lie where they were asked for."""
    if any(later < earlier for earlier, later in pairwise(moments)):
        raise Breach(unsorted(facts), "rows do not come in order of their create time")
    yield from check_inside(moments, region, facts)


def check_inside(moments: Sequence[int], region: Region, facts: Facts) -> Steps:
    """The rows must lie where they were asked for."""
    if not moments:
        return
    first, last = min(moments), max(moments)
    early = region.start is not None and first < region.start
    if early or (region.end is not None and last > region.end):
        if facts.at_lunch(region.start) or facts.at_lunch(region.end):
            raise Learnt({"noon": True}, NOON)
        yield from calibrate((region.start if early and region.start is not None else last, first, *moments), facts)
        raise Breach(unsorted(facts), "rows lie outside the times that were asked for")


def unsorted(facts: Facts) -> Mode:
    """The mode for a server whose rows do not follow their create time."""
    return "plain" if facts.times == "row" else "blind"


def calibrate(moments: Iterable[int], facts: Facts) -> Steps:
    """Find how bounds are read, from moments at which products were certainly created (they may be gone by now).

    Returns where they mean what they should; raises `Learnt` with what was found, `Breach` where no zone explains it.
    """
    if facts.times == "id":
        raise Breach("blind", "ids do not carry the time that the filter goes by")
    moments = list(dict.fromkeys(moment for moment in moments if facts.unit(moment) == (moment, moment)))
    at_lunch = [moment for moment in moments if facts.at_lunch(moment)]
    witnesses = [moment for moment in moments if not facts.at_lunch(moment)][:WITNESSES]
    if not witnesses:
        yield from _check_lunch(at_lunch, facts)
        witnesses = at_lunch[:WITNESSES]
    sure: int | None = None
    for moment in witnesses:
        if sure is None and (yield from _exact(moment)):
            sure = moment
    if sure is not None:
        yield from _check_lunch([moment for moment in at_lunch if moment not in witnesses], facts)
    if sure is None:
        for moment in witnesses:
            yield from _explain(moment, facts)
        return  # what was there is gone: the catalogue moves, the bounds do not
    if not facts.before:
        (reply,) = yield [Ask(Region(end=sure), 1, "bounds", "desc")]
        if sure not in reply.times:
            (reply,) = yield [Ask(Region(end=sure + 1), 1, "bounds", "desc")]
            if sure in reply.times:
                raise Learnt({"before": True}, "createTimeTo excludes its own second")
    yield Learn(UNDERSTOOD)


def check_end(closed: Listing, top: int, below: int, moments: list[int], facts: Facts) -> Steps:
    """The page under the last one must announce what that showed with an open end: `below` products.

    Fewer may be gone, or cut off by a bound that means something else: where that would show.
    """
    if top - 1 in closed.totals:
        count = closed.totals[top - 1][0]
        lunch, shown = facts.at_lunch(closed.region.end), closed.region.end in moments
        told = lunch or shown
        doubtful = count < below if told else count < (top - 1) * facts.size
        if doubtful or (count != below and not facts.checked):
            yield from calibrate((moments[-1], *moments), facts)
        elif count == below and not lunch and not (facts.checked and (facts.checked_end or not shown)):
            yield Learn({"checked": True, "checked_end": facts.checked_end or shown})


def read_to_end(closed: Listing, top: int, pages: list[int], moments: list[int], facts: Facts) -> Steps:
    """Read these pages; once, the last of them only up to the second of the last product: does that come too?

    Behind it nothing lies in the window, as one answer has shown: if bounds include their second, the page is the same.
    """
    last = closed.moments[top][-1] if top in closed.moments else None
    if facts.checked_end or len(pages) < 2 or last is None or facts.clear_of_lunch(last) != last:
        yield from closed.ask(pages)
        return
    asks = [Ask(closed.region, page, burst=len(pages)) for page in pages]
    asks[-1] = replace(asks[-1], region=replace(closed.region, end=last))
    closed.read(pages, (yield asks))
    totals = {page: total for page, (total, _) in closed.totals.items()}
    tried = totals.pop(pages[-1])
    if tried < min(totals.values()):
        yield from calibrate((last, *moments), facts)
    elif closed.steady:
        yield Learn({"checked_end": True})


def try_second(moments: Sequence[int], facts: Facts) -> Steps:
    """Ask for one second in which a product was created: if it comes, both bounds are understood, else `calibrate`."""
    for moment in moments:
        if facts.unit(moment) == (moment, moment) and not facts.at_lunch(moment):
            (reply,) = yield [Ask(Region(moment, moment), 1, "bounds")]
            if set(reply.times) != {moment}:
                yield from calibrate(moments, facts)
            else:
                yield Learn(UNDERSTOOD)
            return


def _check_lunch(moments: list[int], facts: Facts) -> Steps:
    """Is a bound inside 12:xx read as one inside 00:xx? `moments` lie there."""
    for moment in moments[:1]:
        noon = moment - (moment + facts.zone) % 3600
        if (
            (yield from _admits(moment, noon - 1))
            and not (yield from _admits(moment, noon + 3600))
            and (yield from _admits(moment, noon + 3599))
        ):
            raise Learnt({"noon": True}, NOON)


def _admits(moment: int, bound: int) -> Steps:
    """Does a question for products created from `bound` on show the one created at `moment`?"""
    (reply,) = yield [Ask(Region(start=bound), 1, "bounds")]
    shown = [created for created in reply.times if created is not None]
    return bool(shown) and shown[0] <= moment


def _explain(moment: int, facts: Facts) -> Steps:
    """Why a lower bound at `moment` is not exact."""
    if not facts.after and (yield from _admits(moment, moment - 1)) and not (yield from _admits(moment, moment)):
        raise Learnt({"after": True}, "createTimeFrom excludes its own second")
    (near, far) = yield [Ask(Region(start=moment - FAR), 1, "bounds"), Ask(Region(start=moment + FAR), 1, "bounds")]
    if far.keys and far.times[0] is not None and far.times[0] <= moment:
        ignored = far.total == near.total
        raise Breach("units" if ignored else "plain", "the time filter has no effect on the rows")
    home = facts.zone // QUARTER
    steps = [n for n in range(-WIDEST - home, WIDEST - home + 1) if not facts.at_lunch(moment + n * QUARTER)]
    low, high = 0, len(steps)  # steps[low] is the last one known to admit the product, a second earlier
    if not (yield from _admits(moment, moment + steps[0] * QUARTER - 1)):
        raise Breach("plain", "the time filter goes by another time than the one the rows show")
    utc = next((n for n, step in enumerate(steps) if step >= -home), 0)
    for probe in (utc, utc + 1):
        if low < probe < high:
            admitted = yield from _admits(moment, moment + steps[probe] * QUARTER - 1)
            low, high = (probe, high) if admitted else (low, probe)
    while high - low > 1:
        probe = (low + high) // 2
        admitted = yield from _admits(moment, moment + steps[probe] * QUARTER - 1)
        low, high = (probe, high) if admitted else (low, probe)
    latest = steps[low + 1] if low + 1 < len(steps) else steps[low] + 1
    for step in range(latest - 1, steps[low] - 1, -1):  # among them those at lunch, which could not be asked
        shift = step * QUARTER
        if (yield from _admits(moment, moment + shift - 1)) and not (yield from _admits(moment, moment + shift + 1)):
            break
    else:
        raise Breach("plain", "the time filter goes by another time than the one the rows show")
    if shift:
        found: dict[str, int | bool] = {"zone": facts.zone + shift}
        if not (yield from _admits(moment, moment + shift)):
            found["after"] = True
        raise Learnt(found, f"the filter's clock is {found['zone'] / 3600:+g} h from UTC")


def _exact(moment: int) -> Steps:
    """Does a lower bound at `moment` show what was created then, and one a second later not?"""
    return (yield from _admits(moment, moment)) and not (yield from _admits(moment, moment + 1))
