"""When to try again, and when a burst of failures has had its share. Pure: waits are asked for, never slept here."""

from __future__ import annotations

from collections.abc import Iterator

import backoff
from msgspec import Struct


def delays(base: float = 0.5, cap: float = 20.0) -> Iterator[float]:
    """Seconds to wait before each further attempt: exponential, fully jittered, so that clients spread out."""
    schedule = backoff.expo(base=2, factor=base, max_value=cap)
    next(schedule)  # a generator that takes send() yields None first
    while True:
        yield backoff.full_jitter(next(schedule))


class RetryBudget(Struct):
    """Retries that all calls of a client share: a tenth of its calls, and a few to begin with.

    When CJ is down every call fails; without a common budget each would be sent four times.
    """

    share: float = 0.1
    most: float = 20.0
    left: float = 20.0

    def called(self) -> None:
        """A call began: it earns a share of a retry."""
        if self.left < self.most:
            self.left = min(self.most, self.left + self.share)

    def take(self) -> bool:
        """Whether one more retry may be made; it is spent if so."""
        if self.left < 1:
            return False
        self.left -= 1
        return True
