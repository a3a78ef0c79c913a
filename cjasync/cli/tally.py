"""What a pull has cost and brought so far: counted from the client's events, shown by the progress and the summary."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import cjasync.hooks as hooks
from cjasync._rows import Skipped
from cjasync.config import Plan

if TYPE_CHECKING:
    from cjasync.catalog.entry import Skip
    from cjasync.catalog.sinks import FileSink

_WINDOW = 5.0  # seconds over which the pace is measured


class Tally:
    """Counters of one run. `hook` goes to the client; `rows` are told by whoever writes them.

    products: rows of this run, after `earlier` ones of a run that is continued; total: as CJ counts them.
    calls: requests sent, by path. points: spent by this run, from what each answered call costs.
    points_left: what the day has left. limits_need: seconds that the limits make the rest take, at least.
    waiting_until: it sleeps until a budget has more. empty_until: the ledger knows one that is used up until then.
    sinks: the files that are written.
    """

    def __init__(self, plan: Plan, costs: Mapping[str, int]) -> None:
        self.began = time.monotonic()
        self.earlier = 0
        self.products = 0
        self.pages = 0
        self.calls: Counter[str] = Counter()
        self.refused = 0
        self.retried = 0
        self.points = 0
        self.points_left: int | None = None
        self.limits_need: float | None = None
        self.waiting_until: datetime | None = None
        self.empty_until: datetime | None = None
        self.sinks: list[FileSink] = []
        self.skipped = 0
        self.first_skipped: Skipped | Skip | None = None
        self.total: int | None = None
        self.permitted = min((rate for rate in (plan.qps, plan.ip_qps) if rate is not None), default=None)
        self._costs = {**costs, **plan.costs}
        self._sent: deque[float] = deque()

    def hook(self, event: hooks.Event) -> None:
        """Listen to the client."""
        match event:
            case hooks.Attempt():
                self.calls[event.endpoint] += 1
                self._sent.append(time.monotonic())
            case hooks.Refused():
                self.refused += 1
            case hooks.Retried():
                self.retried += 1
            case hooks.Outcome(error=None):
                self.points += self.price(event.endpoint)

    def price(self, path: str) -> int:
        """Points of a call."""
        return self._costs.get(path, 0)

    def rows(self, count: int, skipped: tuple[Skipped, ...], total: int | None) -> None:
        """A page was written."""
        self.products += count
        self.pages += 1
        self.skipped += len(skipped)
        self.first_skipped = self.first_skipped or (skipped[0] if skipped else None)
        self.total = total

    @property
    def requests(self) -> int:
        """All that were sent."""
        return self.calls.total()

    @property
    def requests_left(self) -> int | None:
        """For the rest, if it comes as the products of this run did; None as long as that cannot be told."""
        if self.total is None or not self.products or not self.pages:
            return None
        return math.ceil(max(0, self.total - self.earlier - self.products) * self.pages / self.products)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.began

    @property
    def pace(self) -> float:
        """Requests a second, over the last few seconds."""
        now = time.monotonic()
        while self._sent and self._sent[0] < now - _WINDOW:
            self._sent.popleft()
        pace = len(self._sent) / max(1.0, min(_WINDOW, now - self.began))
        # A window of 5 seconds can hold the sends of 6 full ones; that is no pace that lasts.
        return pace if self.permitted is None else min(pace, self.permitted)
