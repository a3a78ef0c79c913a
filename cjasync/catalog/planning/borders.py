"""Where certified windows begin and end: what is settled in this walk, and where the next one can cut."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Sequence

from cjasync.catalog.planning.question import Certificate, Facts

SHARES = 8  # of a page: what one window lacks to a full page, the next one can lack as well


class Settled:
    """The stretches of create time that are certified, so that a product of theirs that shows up again is known."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._spans: list[tuple[float, float]] = []
        for certificate in certificates:
            self.add(certificate)

    def add(self, certificate: Certificate) -> None:
        """Take in a new one, if its bounds are known to mean the times that rows show."""
        region = certificate.region
        if region.end is not None and certificate.mode in ("seek", "keyset") and certificate.proven:
            insort(self._spans, (float("-inf") if region.start is None else region.start, region.end))

    def covers(self, moment: int | None) -> bool:
        """Is everything created then delivered already?"""
        if moment is None:
            return False
        n = bisect_right(self._spans, (moment, float("inf"))) - 1
        return n >= 0 and moment <= self._spans[n][1]


def marks(times: list[int], facts: Facts, rank: int) -> tuple[tuple[int, int], ...]:
    """The last moment in each eighth of a page of the walk at which a window could end, and the rows before.

    A window ends in a second of products only where bounds are known to include theirs. rank: products of the walk
    before these. The rows are counted from here.
    """
    ordered = sorted(times)
    found: dict[int, int] = {}
    pages = range(-(rank % facts.size), len(ordered), facts.size)
    for border in (page + n * facts.size // SHARES for page in pages for n in range(1, SHARES + 1)):
        if 0 < border < len(ordered):
            moment = facts.unit(ordered[border])[0]
            before = bisect_left(ordered, moment)
            if before and (facts.checked_end or ordered[before - 1] < moment - 1):
                found[moment] = before
    return tuple(found.items())


def windows(
    certificates: Sequence[Certificate], facts: Facts, start: int | None, end: int
) -> tuple[tuple[int | None, int, int], ...]:
    """(start, end, rows) of windows from `start` to `end` that take the fewest pages, each half a page below the limit.

    That is left free for products that came since; a window that outgrows even that is cut again as it is read.
    """
    cuts: list[tuple[int | None, int]] = [(start, 0)]
    cuts += [
        (moment, rows)
        for moment, rows in _marks(certificates)
        if rows
        and (start is None or moment > start)
        and moment <= end
        and not facts.at_lunch(moment)
        and not facts.at_lunch(moment - 1)  # where only some servers cut there
    ]
    most = max(1, facts.reach * facts.size - facts.size // 2)
    # A window takes a page more than its rows need where it ends further before a border of full pages than it began.
    lost, before = [0], [0]  # for each cut: pages lost up to it, and the cut where its window begins
    best: deque[tuple[int, int, int]] = deque()  # (lost, rows before the next border, cut) within reach, the best first
    for n in range(1, len(cuts)):
        previous = lost[-1], -cuts[n - 1][1] % facts.size, n - 1
        while best and best[-1] > previous:
            best.pop()
        best.append(previous)
        while len(best) > 1 and cuts[n][1] - cuts[best[0][2]][1] > most:
            best.popleft()
        pages, short, at = best[0]
        lost.append(pages + (short > -cuts[n][1] % facts.size))
        before.append(at)
    found: list[tuple[int | None, int, int]] = []
    n, until = len(cuts) - 1, end
    while n:
        (begin, rows), (_, all_rows) = cuts[before[n]], cuts[n]
        found.append((begin, until, all_rows - rows))
        n, until = before[n], (begin or 0) - 1
    return tuple(reversed(found))


def _marks(certificates: Sequence[Certificate]) -> list[tuple[int, int]]:
    """(moment, products created before it) over the whole walk, oldest first."""
    timed = sorted(
        (each for each in certificates if each.region.end is not None and each.region.price is None),
        key=lambda each: each.region.end or 0,
    )
    marks: list[tuple[int, int]] = []
    base = 0
    for certificate in timed:
        start, end = certificate.region.start, certificate.region.end or 0
        if start is not None:
            marks.append((start, base))
        # Where the filter goes by other times than rows show, these may lie elsewhere.
        marks += [(moment, base + rows) for moment, rows in certificate.marks if (start or 0) < moment <= end]
        base += certificate.rows
    return [*marks, ((timed[-1].region.end or 0) + 1, base)] if timed else []
