"""How long requests are under way, learnt from how long answers take."""

from __future__ import annotations

from math import sqrt

EPOCH = 4096  # answers after which the older half of what was learnt is forgotten: routes change
ENOUGH = 16  # answers before anything is concluded from them
# The safety distance below the soonest of n answers, in spreads: WIDE/n + NARROW/sqrt(n). With delays of 50 ms that jitter
# by 40 ms both ways, an answer sooner than that comes once in a million.
WIDE, NARROW = 30.0, 3.0
LEAST_SPREAD = 0.05  # of the soonest answer: what the spread is at least taken for
FIRST_MARGIN = 10_000_000
LARGEST_MARGIN = 500_000_000
DECAY = 255 / 256


class Delays:
    """When a token is surely back.

    An answer at `r` says that its request was counted at `r - back` at the latest, and the next request will be counted
    at least `out` after it is sent. Only their sum matters. No answer comes sooner than the sum of both, so the soonest
    one seen bounds it from above: `credit` is that time less a safety distance, which shrinks as more answers are seen.
    After a refusal for speed a margin is added, which fades while all is quiet.
    """

    __slots__ = ("_count", "_least", "_old_count", "_old_least", "_old_total", "_total", "credit", "margin")

    def __init__(self) -> None:
        self._least = self._old_least = 0
        self._total = self._old_total = 0
        self._count = self._old_count = 0
        self.margin = 0
        self.credit = 0

    def learn(self, took: int) -> None:
        """An answer came, `took` nanoseconds after sending, and it was no refusal."""
        if self._count == EPOCH:
            self._old_least, self._old_total, self._old_count = self._least, self._total, self._count
            self._count = self._total = 0
        self._least = took if not self._count else min(self._least, took)
        self._total += took
        self._count += 1
        self.margin = int(self.margin * DECAY)
        count = self._count + self._old_count
        least = min(self._least, self._old_least) if self._old_count else self._least
        spread = max((self._total + self._old_total) / count - least, LEAST_SPREAD * least)
        distance = spread * (WIDE / count + NARROW / sqrt(count))
        self.credit = max(0, int(least - distance)) if count >= ENOUGH else 0

    def refused(self) -> None:
        """Refused for speed: doubt what was learnt, and keep more distance."""
        self._count = self._old_count = self._total = self._old_total = 0
        self.credit = 0
        self.margin = min(LARGEST_MARGIN, max(FIRST_MARGIN, 2 * self.margin))

    def arrived_by(self, answered: int) -> int:
        """The latest moment at which an answered request can have been counted, less what the next one needs anyway."""
        return answered - self.credit + self.margin
