"""Limiters as contestants: each is asked for a turn, and told when the answer has come if it wants to know."""

from __future__ import annotations

import asyncio
import importlib.util
import random
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from benchmarks.frame.compare import Comparison, Contestant, compare_async
from cjasync._clock import SYSTEM_CLOCK, Clock
from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.quota import Limiter, MemoryStore, QuotaStore

OURS, AIOLIMITER, PYRATE, THROTTLED, NAIVE = "cjasync", "aiolimiter", "pyrate-limiter", "throttled-py", "naive sleep"
AWAITED, SETTLED = "cjasync, awaited", "cjasync, with sending and answer"
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


def refused(arrivals: Iterable[float], limit: int) -> int:
    """How many a strict server refuses: in no window of a second it lets more than `limit` in."""
    let_in: deque[float] = deque()
    count = 0
    for at in sorted(arrivals):
        while let_in and at - let_in[0] >= 1 - 1e-9:
            let_in.popleft()
        if len(let_in) >= limit:
            count += 1
        else:
            let_in.append(at)
    return count


def worst_second(arrivals: Iterable[float]) -> int:
    """The most arrivals in any second."""
    times = sorted(arrivals)
    return max(bisect_left(times, at + 1 - 1e-9) - n for n, at in enumerate(times))


def share_of_rate(sends: list[float], limit: int) -> float:
    """How long whole seconds' worth of requests really took."""
    seconds = (len(sends) - 1) // limit
    return seconds / (sends[seconds * limit] - sends[0])


def jitter(dice: random.Random) -> float:
    """50 ± 40 ms."""
    return dice.uniform(0.010, 0.090)


def accuracy(name: str, rate: int, seconds: float, uvloop: bool = False) -> dict[str, float]:
    """Against the real clock, with more callers than turns: what a strict server would have seen."""

    async def measured() -> dict[str, float]:
        take, sends = make(name, rate), []
        began, cpu = time.monotonic(), time.process_time()

        async def caller() -> None:
            while True:
                answered = await take()
                now = time.monotonic()
                if now >= began + seconds:
                    return
                sends.append(now)
                await asyncio.sleep(0)
                answered()

        callers = [asyncio.create_task(caller()) for _ in range(int(rate * 1.2) + 4)]
        await asyncio.sleep(seconds)
        spent = time.process_time() - cpu
        for task in callers:
            task.cancel()
        await asyncio.wait(callers)
        sends.sort()
        dice = random.Random(1)
        return {
            "rate": share_of_rate(sends, rate),
            "first": sum(at < sends[0] + 1 for at in sends) / rate,
            "worst": worst_second(sends),
            "refused": refused(sends, rate),
            "refused_jitter": refused([at + jitter(dice) for at in sends], rate) / len(sends),
            "cpu": spent / seconds,
        }

    if uvloop:
        from uvloop import new_event_loop as loop_factory
    else:
        loop_factory = None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(measured())


TURNS = 100  # in one go, so that a loop's own cost is none of theirs


def uncontended(rounds: int) -> Any:
    """CPU of a hundred turns that are free, with every limit of a plan checked, beside the others' single rate."""

    async def measured() -> Comparison:
        from aiolimiter import AsyncLimiter

        free, other = limiter(full_plan(10**6)), AsyncLimiter(10**9, 1)
        await free.admit(CALL)

        async def at_once() -> None:
            for _ in range(TURNS):
                free.try_admit(CALL)

        async def awaited() -> None:
            for _ in range(TURNS):
                await free.admit(CALL)

        async def settled() -> None:
            for _ in range(TURNS):
                ticket = free.try_admit(CALL) or await free.admit(CALL)
                ticket.sent()
                ticket.answered()

        async def acquired() -> None:
            for _ in range(TURNS):
                await other.acquire()

        def taken(name: str) -> Callable[[], Awaitable[None]]:
            take = make(name, 10**6)

            async def one() -> None:
                for _ in range(TURNS):
                    await take()

            return one

        contestants = {AIOLIMITER: acquired, OURS: at_once, AWAITED: awaited, SETTLED: settled}
        contestants |= {name: taken(name) for name in installed() if name not in (OURS, AIOLIMITER, NAIVE)}
        comparison = await compare_async(
            {name: Contestant(one, 5) for name, one in contestants.items()}, rounds=rounds, seconds=20.0
        )
        assert free.try_admit(CALL) is not None, "turns were free throughout"
        return comparison

    return msgspec.to_builtins(asyncio.run(measured()))


def crowd(name: str) -> dict[str, float]:
    """Ten thousand callers at once, 5,000 turns a second: CPU per turn, and how far anybody was displaced."""

    async def measured() -> dict[str, float]:
        take, order = make(name, 5000), []

        async def caller(place: int) -> None:
            answered = await take()
            order.append(place)
            answered()

        began, cpu = time.perf_counter(), time.thread_time()
        await asyncio.wait([asyncio.create_task(caller(place)) for place in range(10_000)], timeout=20)
        return {
            "cpu": (time.thread_time() - cpu) / len(order),
            "seconds": time.perf_counter() - began,
            "displaced": max(abs(place - turn) for turn, place in enumerate(order)),
        }

    return asyncio.run(measured())


def patience(name: str) -> dict[str, float]:
    """Ten thousand callers at 6/s: what waiting costs, and what it takes to cancel them all."""

    async def measured() -> dict[str, float]:
        take = make(name, 6)

        async def caller() -> None:
            (await take())()

        callers = [asyncio.create_task(caller()) for _ in range(10_000)]
        await asyncio.sleep(1.5)
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(4)
        idle = (time.process_time() - cpu) / (time.perf_counter() - began)
        began = time.perf_counter()
        for task in callers:
            task.cancel()
        await asyncio.wait(callers)
        return {"idle": idle, "cancel": time.perf_counter() - began}

    return asyncio.run(measured())
