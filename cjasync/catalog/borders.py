"""From the second walk on: windows cut where an earlier walk found the pages to end."""

from __future__ import annotations

from collections.abc import Sequence

from cjasync.catalog.question import Certificate, Facts

LEAST = 0.5  # of a window; smaller ones are joined with the next


def windows(certificates: Sequence[Certificate], facts: Facts) -> tuple[tuple[int | None, int, int], ...]:
    """(start, end, rows) of windows without a gap, each close below full pages and one page short of the limit.

    The page left free is for products that came since; a window that outgrows even that is cut again as it is read.
    """
    marks = _marks(certificates)
    most = max(1, facts.reach - 1) * facts.size
    found: list[tuple[int | None, int, int]] = []
    start: int | None = None
    base, n = 0, 0
    while n < len(marks):
        best, best_waste = None, 0.0
        while n < len(marks) and marks[n][1] - base <= most:
            rows = marks[n][1] - base
            waste = -rows % facts.size / max(1, rows)
            if rows >= LEAST * most and (best is None or waste <= best_waste):
                best, best_waste = n, waste
            n += 1
        if best is None:
            best = max(0, n - 1) if n and marks[n - 1][1] > base else min(n, len(marks) - 1)
        moment, count = marks[best]
        found.append((start, moment - 1, count - base))
        start, base, n = moment, count, best + 1
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
