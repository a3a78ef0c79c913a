"""What all handlers of one sandbox share."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from cjasync._clock import Clock
from cjasync.sandbox.accounts import Account, Accounts
from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.churn import Churner
from cjasync.sandbox.faults import Faults
from cjasync.sandbox.limits import Limits
from cjasync.sandbox.settings import Settings
from cjasync.sandbox.shelf import Shelf
from cjasync.sandbox.stats import Stats

Latency = Callable[[random.Random], float]


@dataclass
class State:
    """One sandbox's memory. `shelf` is what users wrote: My Products, sourcing requests, and the log of writes."""

    settings: Settings
    clock: Clock
    catalogue: Catalogue
    accounts: Accounts
    limits: Limits
    faults: Faults
    latency: Latency | None
    processing: Latency | None
    churner: Churner | None
    stats: Stats
    prefix: str
    calls: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    shelf: Shelf = field(default_factory=Shelf)

    def __post_init__(self) -> None:
        self._jitter = random.Random(f"latency {self.settings.seed}")
        self._replicas = random.Random(f"replicas {self.settings.seed}")

    async def travel(self) -> None:
        """One way of the line: return after the latency."""
        if self.latency is not None:
            await self.clock.sleep(self.latency(self._jitter))

    async def work(self) -> None:
        """What an answer takes beside the line: return after the processing time."""
        if self.processing is not None:
            await self.clock.sleep(self.processing(self._jitter))

    def next_replica(self) -> int:
        """Which of the two replicas answers the next question; always the same one unless ties are unstable."""
        return self._replicas.getrandbits(1) if self.settings.unstable_ties else 0

    def report(self) -> dict[str, Any]:
        """What stats() tells."""
        return self.stats.report() | {"products": len(self.catalogue)}


STATE: web.AppKey[State] = web.AppKey("state", State)
ACCOUNT: web.RequestKey[Account] = web.RequestKey("account", Account)
"""Who asks; absent in the calls that need no token."""
