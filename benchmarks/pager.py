"""The pager: how near it comes to the fastest that a rate allows, what it costs itself, and how many pages it holds."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, question
from benchmarks.frame.bodies import NO_LIMITS
from benchmarks.frame.compare import COPY, Comparison, Contestant, compare_async
from benchmarks.frame.fresh import in_fresh_process
from cjasync import CJClient
from cjasync._decode import PageRows
from cjasync.config import Plan
from cjasync.models._pages import ListData
from cjasync.pagination import Pager
from cjasync.resources.products import LIST
from cjasync.sandbox import Sandbox
from cjasync.testing.clock import VirtualClock, VirtualLoop

OURS, SEQUENTIAL, BATCHES, STREAM = "cjasync", "one page at a time", "gather, batch by batch", "aiostream"
WHOLE, STATED = "cjasync, sockets and limiter included", "the same, the jitter of the way stated"
WHOLES = {WHOLE: Plan().jitter, STATED: 0.01}
RATES = (1, 2, 4, 6, 10)
Latency = Callable[[random.Random], float]
LATENCIES: dict[str, Latency] = {
    "always 300 ms": lambda _: 0.3,
    "100 to 500 ms": lambda dice: dice.uniform(0.1, 0.5),
    "5 % take 1.8 s": lambda dice: 1.8 if dice.random() < 0.05 else 0.3,
}
MEAN = 0.3  # seconds, of the first two
Fetch = Callable[[int], Awaitable[Any]]


@question("How near does the pager come to the fastest that a rate allows, and what does it cost itself?")
def run(pages: int = 600, rounds: int = 60, seconds: float = 10.0) -> Findings:
    """pages: of each walk in virtual time. rounds, seconds: of the comparison of costs."""
    found = Findings()
    apart = partial(in_fresh_process, core=None)
    with ThreadPoolExecutor(4) as pool:  # time is virtual, and it waits for sockets
        wholes = pool.map(partial(apart, whole_shares, pages // 4), WHOLES.values())
        told = dict(zip(LATENCIES, pool.map(partial(apart, shares, pages), LATENCIES), strict=True))
        told["always 300 ms"] |= dict(zip(WHOLES, wholes, strict=True))
    _report_shares(found, told)
    _report_costs(found, msgspec.convert(in_fresh_process(costs, rounds, seconds), Comparison))
    held, workers = in_fresh_process(held_pages)
    found.figures["pages_held"] = Figure(held / (2 * workers + 1))
    found.notes.append(f"A slow consumer: {held} pages asked for and not handed out, with {workers} in flight at most.")
    return found


class Line:
    """A perfect limiter, and a server at the end of a line: a page costs a turn and a latency, and nothing else.

    It stands where the pager expects the engine, and hands out empty answers, so that only the pager's work is seen.
    """

    def __init__(self, client: CJClient, rate: int | None, latency: Latency, pages: int) -> None:
        self.services = client._engine.services
        self._rate = rate
        self._latency = latency
        self._dice = random.Random(7)
        self._sent: deque[float] = deque(maxlen=rate or 1)
        self._turn = asyncio.Lock()
        data = ListData(page_num=1, page_size=200, total=200 * pages)
        self._answers = [PageRows(data, (n,) * 200) for n in range(2)]
        self.asked = 0

    async def call(self, endpoint: Any, params: Any) -> PageRows:
        return await self.fetch(params["pageNum"])

    async def fetch(self, number: int) -> PageRows:
        self.asked += 1
        clock = self.services.clock
        if self._rate is not None:
            async with self._turn:
                if len(self._sent) == self._rate:
                    await clock.sleep(max(0.0, self._sent[0] + 1.0 - clock.monotonic()))
                self._sent.append(clock.monotonic())
        seconds = self._latency(self._dice)
        await clock.sleep(seconds)
        self.services.latency = max(seconds, self.services.latency * 0.99)  # as every call does
        return self._answers[number % 2]


def client_of(rate: int | None, clock: Any) -> CJClient:
    """A client that is never asked to send anything."""
    plan = msgspec.structs.replace(NO_LIMITS, qps=rate)
    return CJClient(access_token="x", plan=plan, quota="memory", token_store="memory", clock=clock)


def pager_over(line: Line) -> Pager[Any]:
    """Our pager over that line."""
    return Pager.start(line, LIST, {"pageNum": 1, "pageSize": 200}, None)  # type: ignore[arg-type]


async def sequential(fetch: Fetch, pages: int, width: int) -> AsyncIterator[Any]:
    for number in range(pages):
        yield await fetch(number)


async def batches(fetch: Fetch, pages: int, width: int) -> AsyncIterator[Any]:
    for first in range(0, pages, width):
        for page in await asyncio.gather(*map(fetch, range(first, min(first + width, pages)))):
            yield page


async def streamed(fetch: Fetch, pages: int, width: int) -> AsyncIterator[Any]:
    from aiostream import stream

    async with stream.map(stream.range(pages), fetch, ordered=True, task_limit=width).stream() as streamer:
        async for page in streamer:
            yield page


def designs() -> dict[str, Any]:
    """The other ways to read numbered pages in order, of those installed."""
    ways = {SEQUENTIAL: sequential, BATCHES: batches}
    return ways | ({STREAM: streamed} if importlib.util.find_spec("aiostream") else {})


def shares(pages: int, latency: str) -> dict[str, list[float]]:
    """Ways to the shares of the ideal time that they reach at each rate. In virtual time."""
    return {way: [_share(way, rate, LATENCIES[latency], pages) for rate in RATES] for way in (OURS, *designs())}


def whole_shares(pages: int, jitter: float) -> list[float]:
    """The same of the client as it is, with a plan that states that jitter."""
    return [_whole_share(rate, pages, jitter) for rate in RATES]


def _share(way: str, rate: int, draw: Latency, pages: int) -> float:
    clock = VirtualClock()

    async def walk() -> float:
        async with client_of(rate, clock) as client:
            line = Line(client, rate, draw, pages)
            width = math.ceil(rate * MEAN) + 1
            walked = pager_over(line).pages() if way == OURS else designs()[way](line.fetch, pages, width)
            began, count = clock.monotonic(), 0
            async for _ in walked:
                count += 1
            assert count == pages, f"{way} brought {count} of {pages} pages"
            return clock.monotonic() - began

    return _ideal(rate, pages) / _in_virtual_time(walk, clock)


def _whole_share(rate: int, pages: int, jitter: float) -> float:
    """The same by the client as it is: its limiter, its transport, and a strict server in the same virtual time."""
    clock = VirtualClock()
    plan = msgspec.structs.replace(NO_LIMITS, qps=rate, jitter=jitter)

    async def walk() -> float:
        server = Sandbox(products=10 * pages, plan=plan, clock=clock, latency=MEAN / 2, list_window=None)
        told = {"quota": "memory", "token_store": "memory", "clock": clock}
        async with (
            server as sandbox,
            CJClient(access_token=sandbox.access_token, base_url=sandbox.base_url, plan=plan, **told) as cj,
        ):
            began, rows = clock.monotonic(), 0
            async for page in cj.products.list(page_size=10).pages():
                rows += len(page)
            assert rows == 10 * pages, f"{rows} of {10 * pages} rows"
            assert not sandbox.stats()["refused"], "the sandbox refused a request"
            return clock.monotonic() - began

    return _ideal(rate, pages) / _in_virtual_time(walk, clock)


def _ideal(rate: int, pages: int) -> float:
    return (pages - 1) / rate + MEAN


def _in_virtual_time(walk: Callable[[], Awaitable[float]], clock: VirtualClock) -> float:
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(walk())  # type: ignore[arg-type]


def costs(rounds: int, seconds: float) -> Any:
    """CPU per page of every way, where fetching costs next to nothing. In real time."""

    async def measured() -> Comparison:
        from cjasync._clock import SYSTEM_CLOCK

        pages, width = 400, 16
        async with client_of(None, SYSTEM_CLOCK) as client:
            line = Line(client, None, lambda _: 0.0, pages)

            async def fetches() -> None:
                async def worker() -> None:
                    for number in range(pages // width):
                        await line.fetch(number)

                await asyncio.gather(*(worker() for _ in range(width)))

            async def ours() -> None:
                async for _ in pager_over(line).pages():
                    pass

            async def items() -> None:
                async for _ in pager_over(line):
                    pass

            async def design(way: Any) -> None:
                async for _ in way(line.fetch, pages, width):
                    pass

            ways = {FETCHES: fetches, OURS: ours, ITEMS: items}
            ways |= {name: lambda way=way: design(way) for name, way in designs().items()}
            # A walk is one call of `pages` pages: the cost is per page then.
            contestants = {name: Contestant(_once(way, pages), pages) for name, way in ways.items()}
            return await compare_async(contestants, rounds=rounds, seconds=seconds)

    return msgspec.to_builtins(asyncio.run(measured()))


FETCHES, ITEMS = "the fetches alone", "cjasync, item by item"


def _once(walk: Callable[[], Awaitable[None]], pages: int) -> Callable[[], Awaitable[None]]:
    """A call that walks all pages the first of every `pages` times."""
    turns = iter(())

    async def one() -> None:
        nonlocal turns
        if next(turns, None) is None:
            turns = iter(range(1, pages))
            await walk()

    return one


def held_pages() -> list[int]:
    """Pages asked for and not handed out yet at the worst moment of a slow consumer; and the most in flight."""

    async def measured() -> list[int]:
        clock = VirtualClock()
        async with client_of(None, clock) as client:
            line = Line(client, None, lambda _: 0.0, 300)
            worst = taken = 0
            async for _ in pager_over(line).pages():
                taken += 1
                for _ in range(50):
                    await asyncio.sleep(0)
                worst = max(worst, line.asked - taken)
            return [worst, client._services.concurrency()]

    return asyncio.run(measured())


def _report_shares(found: Findings, told: dict[str, dict[str, list[float]]]) -> None:
    for latency, ways in told.items():
        rows: list[list[Any]] = [[way, *(round(share, 3) for share in shares)] for way, shares in ways.items()]
        title = f"Share of the fastest possible, (pages - 1)/rate + latency; answers: {latency}"
        found.tables.append(Table(title, ["way", *(f"{rate}/s" for rate in RATES)], rows))
    steady = [share for latency in list(LATENCIES)[:2] for share in told[latency][OURS]]
    found.figures["share"] = Figure(round(min(steady), 4))
    slow = told["5 % take 1.8 s"]
    found.figures["share_slow"] = Figure(round(min(slow[OURS]), 4))
    for figure, whole in (("share_whole", WHOLE), ("share_stated", STATED)):
        found.figures[figure] = Figure(round(min(told["always 300 ms"][whole]), 4))
    fast = [(n, rate) for n, rate in enumerate(RATES) if rate >= 6]
    bars = [Bar(f"{way}, {rate}/s", round(slow[way][n], 3), way == OURS) for n, rate in fast for way in slow]
    found.charts.append(Chart("Share of the fastest possible when 5 % of the answers take 1.8 s", "x", bars, 0.97))


def _report_costs(found: Findings, comparison: Comparison) -> None:
    rows: list[list[Any]] = []
    for name in comparison.samples:
        own = comparison.difference(name, FETCHES) * 1e6
        rows.append([name, round(comparison.cpu(name) * 1e6, 2), round(own, 2)])
        if name == OURS:
            found.figures["own_us"] = Figure(round(own, 2), round(comparison.copy, 4))
    found.tables.append(Table("Cost of a page, where fetching costs nothing", ["way", "µs of CPU", "own, µs"], rows))
    bars = [
        Bar(row[0], row[2], row[0] == OURS) for row in rows if COPY not in row[0] and row[0] not in (FETCHES, ITEMS)
    ]
    found.charts.append(Chart("What a pager itself costs, per page", "µs", bars, 5.0, less=True))
