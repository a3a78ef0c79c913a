"""How long requests are under way, learnt from how long answers take."""

from __future__ import annotations

from math import sqrt

EPOCH = 2048  # answers after which the older half of what was learnt is forgotten: routes change
CONFIDENCE = (
    4.0  # width of the safety distance below the shortest answer seen, in spreads over the root of their number
)
LEAST_SPREAD = 0.05  # of the shortest answer: what a spread is at least taken for
FIRST_MARGIN = 10_000
DECAY = 255 / 256


class Delays:
    """When a token is surely back.

    An answer at `r` says that its request was counted at `r - back` at the latest; the next request will be counted at
    least `out` after it is sent. Only their sum matters, and the shortest answer ever seen is an upper bound for the sum of
    their minima, which many answers come close to: so `credit` is that shortest time less a safety distance that shrinks
    with the number of answers seen. After a refusal for speed a margin is added that fades while all is quiet.
    """

    __slots__ = ("_count", "_least", "_old_count", "_old_least", "_old_total", "_total", "credit", "margin")

    def __init__(self) -> None:
        self._least = self._old_least = 0
        self._total = self._old_total = 0
        self._count = self._old_count = 0
        self.margin = 0
        self.credit = 0

    def learn(self, took: int) -> None:
        """An answer came, `took` microseconds after sending, and it was no refusal."""
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
        self.credit = max(0, int(least - CONFIDENCE * spread / sqrt(count)))

    def refused(self, longest: int) -> None:
        """Refused for speed: doubt what was learnt and keep more distance, up to `longest`."""
        self._count = self._old_count = self._total = self._old_total = 0
        self.credit = 0
        self.margin = min(longest, max(FIRST_MARGIN, 2 * self.margin))

    def arrived_by(self, answered: int) -> int:
        """The latest moment at which an answered request can have been counted, less what the next one needs anyway."""
        return answered - self.credit + self.margin
