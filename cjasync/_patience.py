"""How long a call goes on and how often it tries: its deadline, its retries, and its share of everybody's."""

from __future__ import annotations

from collections.abc import Iterator

from cjasync._clock import Clock
from cjasync._retry import RetryBudget, delays
from cjasync.config import RequestOptions
from cjasync.errors import CJError
from cjasync.errors import TimeoutError as LateError


class Patience:
    """One call's. `error` is what went wrong last."""

    # Of the class until they change, since most calls change none of them.
    begun = False
    retries = 0
    deadline: float | None = None
    error: CJError | None = None
    pauses: Iterator[float] | None = None

    def __init__(self, options: RequestOptions, clock: Clock, budget: RetryBudget) -> None:
        self.options = options
        self.clock = clock
        self.budget = budget

    def begin(self) -> None:
        """The caller's time runs from now on."""
        self.begun = True
        if self.options.deadline is not None and self.deadline is None:
            self.deadline = self.clock.monotonic() + self.options.deadline

    def seconds_left(self) -> float:
        """How long an attempt may take from now. Raises when the time is up."""
        if self.deadline is None:
            return self.options.timeout
        left = self.deadline - self.clock.monotonic()
        if left <= 0:
            raise self.error or LateError("the deadline passed before the request could be sent")
        return min(self.options.timeout, left)

    def is_too_long(self, wait: float) -> bool:
        """Whether the time would be up after that many seconds."""
        return self.deadline is not None and self.clock.monotonic() + wait >= self.deadline

    def take_retry(self, wait: float = 0.0) -> bool:
        """Whether one more attempt may be made after `wait` seconds; it is counted if so."""
        if self.retries >= self.options.retries or self.is_too_long(wait) or not self.budget.take():
            return False
        self.retries += 1
        return True

    def next_pause(self) -> float:
        """Seconds before the next attempt."""
        self.pauses = self.pauses or delays()
        return next(self.pauses)
