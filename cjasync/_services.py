"""What the calls of one client share."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Protocol

import cjasync.hooks as events
from cjasync._clock import Clock
from cjasync._flights import Flights
from cjasync._retry import RetryBudget
from cjasync.config import Plan
from cjasync.errors import ClosedError
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

    async def get(self, max_wait: float | None = None) -> str:
        """A valid token, fetched if need be; waiting at most that many seconds for the turn to log in."""
        ...

    async def rejected(self, token: str, max_wait: float | None = None) -> str:
        """The token to use after CJ has refused this one."""
        ...

    async def login(self, max_wait: float | None = None) -> Tokens:
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
        cache: bool,
        max_depth: int,
        wait_when_exhausted: bool,
    ) -> None:
        self.base_url = base_url
        self.plan = plan
        #: requests per second that the plan allows; None = no limit
        self.rate = min((rate for rate in (plan.qps, plan.ip_qps) if rate is not None), default=None)
        self.limiter = limiter
        self.clock = clock
        self.latency = 0.5  # seconds: the slowest answer lately, before the first a guess
        self.zone = zone
        self.tokens: TokenSource | None = None
        self.open_transport = open_transport
        self.transport: Transport | None = None
        self.hooks = tuple(hooks)
        self.flights = Flights(clock)
        self.coalesce = coalesce
        self.cache = cache
        self.max_depth = max_depth
        self.wait_when_exhausted = wait_when_exhausted
        self.budget = RetryBudget()
        self.closed = False
        self.calls = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.running: set[asyncio.Task[Any]] = set()
        self._ended: dict[asyncio.Task[Any], int] = {}
        self._all_done: asyncio.Future[None] | None = None

    def enter(self, path: str) -> None:
        """The first call decides on the event loop. Raises ClosedError when closed, and in another loop than that."""
        if self.closed:
            raise ClosedError("the client is closed", endpoint=path)
        if self.loop is not None:
            raise ClosedError("this client belongs to another event loop; make one client per loop", endpoint=path)
        self.loop = asyncio.get_running_loop()

    def all_ended(self) -> None:
        """The last call is over after the client was closed."""
        if self._all_done is not None and not self._all_done.done():
            self._all_done.set_result(None)

    async def finish(self, grace: float) -> None:
        """Let no call begin, and end those that are still under way after `grace` seconds."""
        self.closed = True
        if not self.running:
            return
        self._all_done = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._all_done,), timeout=grace)
        finally:
            for task in self.running:
                self._ended[task] = task.cancelling()
                task.cancel()
            if self.running:
                await self._all_done

    def was_ended(self, task: asyncio.Task[Any]) -> bool:
        """Whether the CancelledError just caught came from `finish`, and from nobody else as well."""
        before = self._ended.pop(task, None)
        return before is not None and task.uncancel() <= before

    def concurrency(self) -> int:
        """Calls to have in flight so that no turn is lost: what rate times latency needs, and at least 2."""
        return UNLIMITED_CONCURRENCY if self.rate is None else max(2, math.ceil(self.rate * self.latency) + 1)
