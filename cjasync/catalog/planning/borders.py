"""Where certified windows begin and end: what is settled in this walk, and where the next one can cut."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

from cjasync.catalog.planning.question import Certificate, Facts


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


def windows(
    certificates: Sequence[Certificate], facts: Facts, start: int | None, end: int
) -> tuple[tuple[int | None, int, int], ...]:
    """(start, end, rows) of windows from `start` to `end` that take the fewest pages, each one page short of the limit.

    The page left free is for products that came since; a window that outgrows even that is cut again as it is read.
    """
    cuts: list[tuple[int | None, int]] = [(start, 0)]
    cuts += [
        (moment, rows)
        for moment, rows in _marks(certificates)
        if rows and (start is None or moment > start) and moment <= end
    ]
    most = max(1, facts.reach - 1) * facts.size
    fewest, before, first = [0], [0], 0  # for each cut: pages up to it, and the cut where its window begins
    for n in range(1, len(cuts)):
        while first < n - 1 and cuts[n][1] - cuts[first][1] > most:
            first += 1
        pages, at = min((fewest[k] + facts.pages(cuts[n][1] - cuts[k][1]), k) for k in range(first, n))
        fewest.append(pages)
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
        marks += [(moment, base + rows) for moment, rows in certificate.marks]
        base += certificate.rows
        marks.append(((certificate.region.end or 0) + 1, base))
    return marks
