"""Limiters as contestants: each is asked for a turn, and told when the answer has come if it wants to know."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Awaitable, Callable
from typing import Any

from cjasync._clock import SYSTEM_CLOCK, Clock
from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.quota import Limiter, MemoryStore, QuotaStore

OURS, AIOLIMITER, PYRATE, THROTTLED = "cjasync", "aiolimiter", "pyrate-limiter", "throttled-py"
LIMITS, NAIVE = "limits", "naive sleep"
CALL: Endpoint[Any] = Endpoint(method="GET", path="product/list", answer=object, points=50)

Answered = Callable[[], None]
Take = Callable[[], Awaitable[Answered]]


def _nothing() -> None:
    pass


def only_rate(rate: float | None) -> Plan:
    """A plan that limits nothing but requests per second."""
    return Plan(qps=rate, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


def full_plan(rate: float) -> Plan:
    """A plan with every limit, none of which is reached."""
    return Plan(qps=rate, ip_qps=rate, daily_calls=10**9, daily_points=10**11)


def limiter(plan: Plan, *, store: QuotaStore | None = None, clock: Clock = SYSTEM_CLOCK) -> Limiter:
    """Ours."""
    return Limiter(plan, store or MemoryStore(), account="benchmark", clock=clock)


def ours(rate: float, clock: Clock = SYSTEM_CLOCK) -> Take:
    """A turn as the engine takes it: at once if it is free, stamped when sent, settled when answered."""
    lim = limiter(only_rate(rate), clock=clock)

    async def take() -> Answered:
        ticket = lim.try_admit(CALL) or await lim.admit(CALL)
        ticket.sent()
        return ticket.answered

    return take


def aiolimiter(rate: float) -> Take:
    """AsyncLimiter(rate, 1), as its documentation shows it."""
    from aiolimiter import AsyncLimiter

    lim = AsyncLimiter(rate, 1)

    async def take() -> Answered:
        await lim.acquire()
        return _nothing

    return take


def pyrate(rate: float) -> Take:
    """pyrate-limiter in memory."""
    from pyrate_limiter import Duration, InMemoryBucket, Rate
    from pyrate_limiter import Limiter as PyrateLimiter

    lim = PyrateLimiter(InMemoryBucket([Rate(int(rate), Duration.SECOND)]))

    async def take() -> Answered:
        await lim.try_acquire_async("x")
        return _nothing

    return take


def throttled(rate: float) -> Take:
    """throttled-py with its token bucket, waiting for its turn."""
    from throttled.asyncio import Throttled, rate_limiter, store

    quota = rate_limiter.per_sec(int(rate), burst=int(rate))
    lim = Throttled(key="x", using="token_bucket", quota=quota, store=store.MemoryStore(), timeout=3600)

    async def take() -> Answered:
        await lim.limit()
        return _nothing

    return take


def limits(rate: float) -> Take:
    """limits with its exact strategy; it does not wait by itself, so this sleeps until its window says so."""
    from limits import RateLimitItemPerSecond
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    lim, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerSecond(int(rate))

    async def take() -> Answered:
        while not await lim.hit(item, "x"):
            window = await lim.get_window_stats(item, "x")
            await asyncio.sleep(max(0.001, window.reset_time - time.time()))
        return _nothing

    return take


def naive(rate: float) -> Take:
    """A lock, and a sleep of 1/rate after each request."""
    turn = asyncio.Lock()

    async def take() -> Answered:
        async with turn:
            await asyncio.sleep(1 / rate)
        return _nothing

    return take


_MAKERS: dict[str, tuple[str, Callable[[float], Take]]] = {
    OURS: ("cjasync", ours),
    AIOLIMITER: ("aiolimiter", aiolimiter),
    PYRATE: ("pyrate_limiter", pyrate),
    THROTTLED: ("throttled", throttled),
    LIMITS: ("limits", limits),
    NAIVE: ("asyncio", naive),
}


def installed() -> list[str]:
    """The limiters that can take part."""
    return [name for name, (module, _) in _MAKERS.items() if importlib.util.find_spec(module)]


def missing() -> list[str]:
    """Those that are not installed."""
    return [name for name in _MAKERS if name not in installed()]


def make(name: str, rate: float) -> Take:
    """That limiter at so many requests a second."""
    return _MAKERS[name][1](rate)
