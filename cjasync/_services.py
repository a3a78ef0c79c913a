"""What the calls of one client share."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Protocol

from cjasync import hooks as events
from cjasync._clock import Clock
from cjasync._flights import Flights
from cjasync._retry import RetryBudget
from cjasync.config import Plan
from cjasync.quota import Limiter

if TYPE_CHECKING:
    from cjasync._transport import Transport
    from cjasync.auth import Tokens

UNLIMITED_CONCURRENCY = 16


class TokenSource(Protocol):
    """Where the engine's token comes from."""

    def current(self) -> str | None:
        """A valid token if there is one now."""
        ...

    async def get(self) -> str:
        """A valid token, fetched if need be."""
        ...

    async def rejected(self, token: str) -> str:
        """The token to use after CJ has refused this one."""
        ...

    async def login(self) -> Tokens:
        """A valid pair, fetched if need be."""
        ...

    async def logout(self) -> None:
        """End the pair for everybody."""
        ...


class Services:
    """What the calls of one client share."""

    def __init__(
        self,
        *,
        base_url: str,
        plan: Plan,
        limiter: Limiter,
        clock: Clock,
        zone: tzinfo,
        open_transport: Callable[[], Transport],
        hooks: Sequence[events.Hook],
        coalesce: bool,
        wait_when_exhausted: bool,
    ) -> None:
        self.base_url = base_url
        self.plan = plan
        self.limiter = limiter
        self.clock = clock
        self.latency = 0.5  # seconds: the slowest answer lately, before the first a guess
        self.zone = zone
        self.tokens: TokenSource | None = None
        self.open_transport = open_transport
        self.transport: Transport | None = None
        self.hooks = tuple(hooks)
        self.flights = Flights() if coalesce else None
        self.wait_when_exhausted = wait_when_exhausted
        self.budget = RetryBudget()
        self.closed = False
        self.calls = 0
        self.running: set[asyncio.Task[Any] | None] = set()

    def concurrency(self) -> int:
        """Calls to have in flight so that no turn is lost: what rate times latency needs, and at least 2."""
        return UNLIMITED_CONCURRENCY if self.rate is None else max(2, math.ceil(self.rate * self.latency) + 1)

    @property
    def rate(self) -> float | None:
        """Requests per second that the plan allows; None = no limit."""
        rates = [rate for rate in (self.plan.qps, self.plan.ip_qps) if rate is not None]
        return min(rates, default=None)
