"""What is measured of limiters: when they let go, in which order, and what a turn costs."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from benchmarks.frame.compare import Comparison, Contestant, compare_async
from benchmarks.frame.limiters import AIOLIMITER, CALL, NAIVE, OURS, full_plan, installed, limiter, make

AWAITED, SETTLED = "cjasync, awaited", "cjasync, with sending and answer"


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


async def _ring(rate: int, until: float) -> list[float]:
    """When the least that keeps to the rate sends: the last `rate` moments, and one timer."""
    sends: list[float] = []
    while (now := time.monotonic()) < until:
        if len(sends) < rate or now - sends[-rate] >= 1:
            sends.append(now)
        else:
            await asyncio.sleep(sends[-rate] + 1 - now)
    return sends


def accuracy(name: str, rate: int, seconds: float, uvloop: bool = False, begin: float = 0.0) -> dict[str, float]:
    """Against the real clock, with more callers than turns: what a strict server would have seen.

    bare: the rate that a plain ring of moments reaches meanwhile, on the same loop. begin: not before this moment, so
    that nothing else is still being loaded.
    """

    async def measured() -> dict[str, float]:
        await asyncio.sleep(max(0.0, begin - time.monotonic()))
        take, sends = make(name, rate), []
        began, cpu = time.monotonic(), time.process_time()
        bare = asyncio.create_task(_ring(rate, began + seconds))

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
            "bare": share_of_rate(await bare, rate),
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
    """Ten thousand callers at 6/s: the share of a core that waiting takes, and the CPU of cancelling them all."""

    async def measured() -> dict[str, float]:
        take = make(name, 6)

        async def caller() -> None:
            (await take())()

        callers = [asyncio.create_task(caller()) for _ in range(10_000)]
        await asyncio.sleep(1.5)
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(4)
        idle = (time.process_time() - cpu) / (time.perf_counter() - began)
        cpu = time.process_time()
        for task in callers:
            task.cancel()
        await asyncio.wait(callers)
        return {"idle": idle, "cancel": time.process_time() - cpu}

    return asyncio.run(measured())
