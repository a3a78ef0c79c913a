"""How long requests are under way, learnt from how long answers take."""

from __future__ import annotations

from math import isqrt

from msgspec import Struct

EPOCH = 4096  # answers after which the older half of what was learnt is forgotten: routes change
ENOUGH = 16  # answers before anything is concluded from them
# Safety distance below the soonest of n answers, in spreads: WIDE/n + NARROW/sqrt(n). With delays of 50 ms that jitter
# by 40 ms both ways, an answer sooner than that comes once in a million.
WIDE, NARROW = 30, 3
LEAST_SPREAD = 20  # the spread is taken for at least a 20th of the soonest answer
FIRST_MARGIN, LARGEST_MARGIN = 10_000_000, 500_000_000
FADE = 256  # answers in which a margin shrinks to a third
MICRO = 1000  # margins are whole microseconds, as in Redis: what is rounded would double with every refusal


class Delays(Struct, array_like=True):
    """When a token is surely back; all in nanoseconds.

    An answer at `r` says that its request was counted at `r - back` at the latest, and the next request will be counted
    at least `out` after it is sent. Only their sum matters. No answer comes sooner than the sum of both, so the soonest
    one seen bounds it from above: `credit` is that time less a safety distance, which shrinks as more answers are seen.
    After a refusal for speed a margin is added, which fades while all is quiet.

    least, total, count: the soonest, the sum and the number of answers; old_: those of the epoch before.
    """

    credit: int = 0
    margin: int = 0
    least: int = 0
    total: int = 0
    count: int = 0
    old_least: int = 0
    old_total: int = 0
    old_count: int = 0

    def learn(self, *took: int) -> None:
        """Answers came so long after their requests were sent, and they were no refusals."""
        if self.count >= EPOCH:
            self.old_least, self.old_total, self.old_count = self.least, self.total, self.count
            self.count = self.total = 0
        before = self.count
        self.count = before + len(took)
        self.total += sum(took)
        if self.margin:
            for _ in took:
                self.margin -= -(-self.margin // (FADE * MICRO)) * MICRO
        least = min(took)
        if not before or least < self.least:
            self.least = least
            self._conclude()
        elif self.count // ENOUGH > before // ENOUGH:
            self._conclude()

    def _conclude(self) -> None:
        count = self.count + self.old_count
        if count < ENOUGH:
            return
        least = min(self.least, self.old_least) if self.old_count else self.least
        spread = max((self.total + self.old_total) // count - least, least // LEAST_SPREAD)
        self.credit = max(0, least - spread * WIDE // count - spread * NARROW // isqrt(count))

    def refused(self) -> None:
        """Refused for speed: doubt what was learnt, and keep more distance."""
        self.credit = self.count = self.total = self.old_count = 0
        self.margin = min(LARGEST_MARGIN, max(FIRST_MARGIN, 2 * self.margin))
