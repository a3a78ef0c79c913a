"""Where certified windows begin and end: what is settled in this walk, and where the next one can cut."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

from cjasync.catalog.planning.question import Certificate, Facts

LEAST = 0.5  # of a window; smaller ones are joined with the next


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
    """(start, end, rows) of windows from `start` to `end`, each close below full pages and one page short of the limit.

    The page left free is for products that came since; a window that outgrows even that is cut again as it is read.
    """
    marks = [
        (moment, rows)
        for moment, rows in _marks(certificates)
        if rows and (start is None or moment > start) and moment <= end
    ]
    most = max(1, facts.reach - 1) * facts.size
    found: list[tuple[int | None, int, int]] = []
    base, n = 0, 0
    while n < len(marks):
        best, best_waste, first = n, 1.0, n
        while n < len(marks) and (n == first or marks[n][1] - base <= most):
            rows = marks[n][1] - base
            waste = -rows % facts.size / max(1, rows)
            if n == first or (rows >= LEAST * most and waste <= best_waste) or marks[best][1] - base < LEAST * most:
                best, best_waste = n, waste
            n += 1
        moment, count = marks[best]
        found.append((start, moment - 1, count - base))
        start, base, n = moment, count, best + 1
    if found:
        found[-1] = found[-1][0], end, found[-1][2]
    return tuple(found)


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
