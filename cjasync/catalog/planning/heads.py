"""How a walk's first window begins: pages of all products, which tell how many have no create time.

They go for the window as well, if nothing moved while they were read.
"""

from __future__ import annotations

from msgspec.structs import replace

from cjasync.catalog.planning.listing import Ahead, Ask, Learn, Listing, Range, Steps
from cjasync.catalog.planning.question import Facts, Region, Reply

LEAST_PAGES = 4  # of a window whose first ones serve to count what has no create time


class Heads:
    """The first pages of all products beside the last page of the first window: what is more has no create time.

    How many those are is sure where one of the two totals was the same before and after the other.
    """

    def __init__(self, job: Range, facts: Facts) -> None:
        self._job = job
        self._facts = facts
        self._top = min(facts.reach, max(1, facts.pages(job.rows)))
        self._spine: Reply | None = None
        self._second: range | None = None
        self._wanted = False
        self._pages: dict[int, Reply] = {}  # those that go for the window

    def last_page(self) -> Steps:
        """Ask for the last page within reach: returns it, as the window's end leaves it, with its number."""
        job, top = self._job, self._top
        if job.head is None:
            return None
        (spine,) = yield [Ask(Region(job.start, job.walk_end), top, "spine", burst=top)]
        self._spine = spine
        kept = spine if spine.error or job.end == job.walk_end else _up_to(job, spine, top, self._facts)
        self._wanted = kept is not None
        if not (spine.error or top <= LEAST_PAGES or None in job.head.times or self._facts.capped):
            self._second = yield Ahead([Ask(Region(), 2, burst=top - 1)])
        return None if kept is None else (top, kept)

    def take(self, listing: Listing, top: int, total: int) -> Steps:
        """Note the first pages of the window, if they are sure; the page below the last one is to try the end."""
        yield from self._compare()
        for page, reply in self._pages.items():
            if page < top - 1 and page not in listing.totals:
                listing.take(page, reply, total=total)
                listing.lent.add(page)

    def _compare(self) -> Steps:
        """Learn how many products have no create time, once."""
        job, head, spine, self._spine = self._job, self._job.head, self._spine, None
        if head is None or spine is None:
            return
        joined = head.era == spine.era
        if self._second is None:
            if joined and not spine.error:
                yield Learn({"untimed": head.total - spine.total})
            still = joined and head.total == spine.total and None not in head.times and not self._facts.capped
            if self._wanted and still:
                self._pages = {1: head}
            return
        (second,) = yield self._second
        self._pages = {1: head, 2: second}
        still = joined and head.total == second.total and second.era == spine.era
        if not still:
            (third,) = yield [Ask(Region(job.start, job.walk_end), 3, burst=self._top - 2)]
            self._pages = {2: second, 3: third}
            still = third.total == spine.total and third.era == spine.era
        if second.era == spine.era and not second.error:
            yield Learn({"untimed": second.total - spine.total, "untimed_sure": still})
        if not still or not self._wanted:
            self._pages = {}


def _up_to(job: Range, spine: Reply, top: int, facts: Facts) -> Reply | None:
    """What this page would have been with the end of the window, if that lies on it or is known to lie behind it."""
    cut = sum(moment is not None and moment <= job.end for moment in spine.times)
    if not cut or top == 1 or any(moment is None for moment in spine.times):
        return None
    total = (top - 1) * facts.size + cut
    if cut == len(spine.times):  # what lies behind the page, only the other pages' totals tell
        total = max(total, job.rows)
    return replace(
        spine, total=total, exact=True, keys=spine.keys[:cut], times=spine.times[:cut], prices=spine.prices[:cut]
    )
