"""A catalogue that changes while it is walked: what is missed, doubled and read again; and a free plan's days.

Over real sockets, against the sandbox: every shape of catalogue, times how fast it changes, times what one question
reaches. Then a free plan that CJ counts by calls, in virtual time: a request a second, 1,000 calls a day. And at each
rate, what a walk loses beside the same client that asks one thing after the other without any order, where answers have
a tail: what that loses is the limiter's caution, which a plan that states its jitter does without.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from benchmarks.frame import Figure, Findings, Table, question
from benchmarks.frame.fresh import in_fresh_process
from cjasync import CJClient, hooks
from cjasync.catalog import walk
from cjasync.config import Plan
from cjasync.sandbox import Churn, Sandbox
from cjasync.testing.clock import VirtualClock
from cjasync.testing.clock import run as run_in
from cjasync.testing.plugin import sandbox_client

SHAPES = ("market", "growth", "half_in_a_day", "bursty", "one_second", "ties_201")
WINDOWS = (2000, 6000, 10_000)
CHURN = {
    "none": None,
    "x1, spread": Churn(seconds_per_call=86.4),  # a thousand calls spread over a day, where a walk reads in bursts
    "x10": Churn(seconds_per_call=2.0).times(10),
    "x50": Churn(seconds_per_call=2.0).times(50),
}
AT_ONCE = 4  # processes: all of this are counts, which nothing beside them changes, and virtual time waits for sockets
SMALL_PAGE = 20  # rows, so that many pages cost little
UNKNOWN = Plan().jitter


class Delays(NamedTuple):
    """Seconds that a message takes one way and an answer is worked on, and what the plan says of the way's jitter."""

    way: Callable[[random.Random], float]
    processing: Callable[[random.Random], float] | None = None
    jitter: float = UNKNOWN
    rates: tuple[int, ...] = (1, 10)


def _short(dice: random.Random) -> float:
    return dice.uniform(0.02, 0.025)


def _worked_on(dice: random.Random) -> float:
    """The median is 0.6 s, one in twenty takes over 1.4 s."""
    return dice.lognormvariate(math.log(0.6), 0.5)


STATED = "20-25 ms, CJ works 0.6 s, one in 20 over 1.4 s; jitter=0.01"
DELAYS = {
    "150 ms": Delays(lambda _: 0.15),
    "150 ms, one in 20 messages 900 ms": Delays(lambda dice: 0.9 if dice.random() < 0.05 else 0.15, rates=(1,)),
    "20-25 ms, CJ works 0.6 s, one in 20 over 1.4 s": Delays(_short, _worked_on, rates=(1,)),
    STATED: Delays(_short, _worked_on, 0.01),
}
MARKET = (10, 3_000, STATED)  # rate, pages of 200 and delays of a walk over products as CJ imports them, many at once
FREE = {"qps": None, "ip_qps": None, "accounts_per_ip": None, "daily_calls": None, "daily_points": None}


@question("What does a walk miss while the catalogue changes, and how many days does it take on a free plan?")
def run(products: int = 12_000, slow_products: int = 250_000, seconds: int = 200) -> Findings:
    """products: of each catalogue that changes. slow_products: of the one that is walked on a free plan.

    seconds: that a walk at each rate takes at least.
    """
    found = Findings()
    jobs = jobs_at_rates(seconds)
    apart = partial(in_fresh_process, core=None)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The longest first.
        market = pool.submit(partial(apart, at_rate, walked=True, shape="market", page_size=200), *MARKET)
        days = pool.submit(apart, free_days, slow_products)
        walks = pool.map(partial(apart, at_rate, walked=True), *zip(*jobs, strict=True))
        alone = pool.map(partial(apart, at_rate, walked=False), *zip(*jobs, strict=True))
        changes = pool.map(partial(apart, walked, products), SHAPES)
        _report_change(found, products, [each for some in changes for each in some])
        _report_days(found, slow_products, *days.result())
        _report_rates(found, jobs, walks, alone, market.result())
    return found


def _report_change(found: Findings, products: int, told: list[dict[str, Any]]) -> None:
    rows: list[list[Any]] = []
    totals: Counter[str] = Counter()
    jobs = [(shape, window, name) for shape in SHAPES for window in WINDOWS for name in CHURN]
    for (shape, window, name), seen in zip(jobs, told, strict=True):
        totals.update(missed=seen["missed"], doubled=seen["doubled"], unproved=not seen["proved"])
        overhead = round(seen["overhead"], 4)
        rows.append([shape, f"{window:,}", name, seen["missed"], seen["doubled"], overhead, seen["repaired"]])
    columns = ["created", "window", "change", "missed", "doubled", "requests / ceil(N/200)", "windows repaired"]
    note = (
        "x1: 0.3 % new, 0.2 % gone, 0.05 % listed again, 5 % repriced a day; a call takes 2 seconds of it, or 86.4 "
        "where calls are spread. One product in a thousand has no create time, and is listed behind all others."
    )
    found.tables.append(Table(f"{products:,} products over real sockets", columns, rows, note))
    for name in ("missed", "doubled", "unproved"):
        found.figures[name] = Figure(totals[name])


def walked(products: int, shape: str) -> list[dict[str, Any]]:
    """Walk catalogues of one shape, through every window and under every change."""
    return [asyncio.run(_walked(products, shape, window, churn)) for window in WINDOWS for churn in CHURN.values()]


async def _walked(products: int, shape: str, window: int, churn: Churn | None) -> dict[str, Any]:
    plan = Plan(**FREE, list_window=window)  # type: ignore[arg-type]
    settings: dict[str, Any] = {"shape": shape, "churn": churn, "list_window": window, "null_times": 0.001}
    async with Sandbox(products=products, plan=plan, **settings) as sandbox, sandbox_client(sandbox) as cj:
        began = sandbox.catalogue.mark()
        walked = walk(cj)
        pids = [product.pid async for product in walked]
        report = walked.report
        return {
            "missed": len(sandbox.catalogue.held_throughout(began) - set(pids)),
            "doubled": len(pids) - len(set(pids)),
            "overhead": report.overhead,
            "repaired": report.repaired,
            "proved": report.proved,
        }


def free_days(products: int) -> tuple[dict[str, Any], dict[str, int]]:
    """What a walk on a free plan has to tell, and its calls a day."""
    clock = VirtualClock()
    return run_in(_days(products, clock), clock=clock)


def _report_days(found: Findings, products: int, told: dict[str, Any], calls: dict[str, int]) -> None:
    found.tables.append(
        Table(
            f"{products:,} products on a free plan of 1,000 calls a day",
            ["", "of the walk"],
            [[*each] for each in told.items()],
        )
    )
    days: list[list[Any]] = [[day, count] for day, count in sorted(calls.items())]
    found.tables.append(Table("Calls a day", ["day (UTC)", "calls of product/list"], days))
    found.figures["refused"] = Figure(told["refused"])
    found.figures["slow_missed"] = Figure(told["missed"])
    found.figures["slow_overhead"] = Figure(told["requests / ceil(N/200)"])


async def _days(products: int, clock: VirtualClock) -> tuple[dict[str, Any], Counter[str]]:
    calls: Counter[str] = Counter()

    def count(event: hooks.Event) -> None:
        if isinstance(event, hooks.Attempt) and event.endpoint == "product/list":
            calls[f"{datetime.fromtimestamp(clock.time(), UTC):%Y-%m-%d}"] += 1

    settings: dict[str, Any] = {"shape": "growth", "null_times": 0.0, "churn": Churn()}
    plan = replace(Plan.free(), daily_points=None)  # an account that is counted by calls
    async with Sandbox(products=products, plan=plan, clock=clock, latency=0.3, jitter=0.25, **settings) as sandbox:
        began = sandbox.catalogue.mark()
        seen: set[str] = set()
        async with sandbox_client(sandbox, clock=clock, hooks=[count]) as cj:
            walked = walk(cj, wait=True)
            async for product in walked:
                seen.add(product.pid)
        report = walked.report
        told = {
            "products": report.delivered,
            "missed": len(sandbox.catalogue.held_throughout(began) - seen),
            "requests": report.requests,
            "requests / ceil(N/200)": round(report.overhead, 5),
            "windows repaired": report.repaired,
            "proved": "yes" if report.proved else "; ".join(report.reasons),
            "refused": sandbox.stats()["refused"],
            "days": len(calls),
        }
    return told, calls


def jobs_at_rates(least_seconds: int) -> list[tuple[int, int, str]]:
    """Rates, pages and delays of the walks at a rate, the longest first."""
    jobs = [
        # Twice as long where it is judged: the first two answers, and the last one, take some two seconds.
        (rate, rate * least_seconds * (1 + (delays == STATED)), delays)
        for delays, how in DELAYS.items()
        for rate in how.rates
    ]
    return sorted(jobs, key=lambda job: -job[1])


def _report_rates(
    found: Findings,
    jobs: list[tuple[int, int, str]],
    walks: Iterable[tuple[float, int, int]],
    calls: Iterable[tuple[float, int, int]],
    market: tuple[float, int, int],
) -> None:
    """What a walk takes beside the time that its requests need at this rate, its beginning included."""
    rows: list[list[Any]] = []
    worst = stated = 0.0
    for (rate, pages, delays), (seconds, requests, refused), (alone, _, alone_refused) in zip(
        jobs, walks, calls, strict=True
    ):
        lost, lost_alone = seconds * rate / requests, alone * rate / pages
        worst = max(worst, lost / lost_alone)
        if delays == STATED:
            stated = max(stated, lost)
        rows.append([delays, rate, pages, round(lost, 4), round(lost_alone, 4), refused + alone_refused])
    columns = [
        "delays",
        "requests a second",
        "pages",
        "walk, seconds x rate / requests",
        "calls without order",
        "refused",
    ]
    rows.sort(key=lambda row: list(DELAYS).index(row[0]))
    rate, pages, delays = MARKET
    seconds, requests, refused = market
    lost = seconds * rate / requests
    rows.append([f"market, {delays}", rate, pages, round(lost, 4), None, refused])
    found.figures["walk_at_rate_market"] = Figure(lost)
    found.tables.append(Table("Walks at a rate, in virtual time", columns, rows))
    found.figures["walk_beside_calls"] = Figure(worst)
    found.figures["walk_at_rate"] = Figure(stated)


def at_rate(
    rate: int, pages: int, delays: str, *, walked: bool, shape: str = "growth", page_size: int = SMALL_PAGE
) -> tuple[float, int, int]:
    """Virtual seconds, requests, and how many were refused: of a walk, or of calls without order."""
    clock, window = VirtualClock(), 30 * page_size if walked else None
    shop: dict[str, Any] = {"shape": shape, "products": pages * page_size, "list_window": window}
    return run_in(_at_rate(rate, pages, DELAYS[delays], clock, shop, walked=walked), clock=clock)


async def _at_rate(
    rate: int, pages: int, delays: Delays, clock: VirtualClock, shop: dict[str, Any], *, walked: bool
) -> tuple[float, int, int]:
    """Virtual seconds, requests, and how many of them were refused."""
    page_size, window = shop["products"] // pages, shop["list_window"]
    plan = Plan(**FREE | {"qps": rate, "jitter": delays.jitter}, list_window=window)  # type: ignore[arg-type]
    shop |= {"null_times": 0.0, "fixed_page_size": page_size, "latency": delays.way, "processing": delays.processing}
    async with (
        Sandbox(plan=plan, clock=clock, **shop) as sandbox,
        sandbox_client(sandbox, clock=clock) as cj,
    ):
        began, requests = clock.monotonic(), pages
        if walked:
            catalogue = walk(cj, wait=True)
            async for _ in catalogue:
                pass
            requests = catalogue.report.requests
        else:
            todo = iter(range(pages))
            await asyncio.gather(*(_ask(cj, todo, page_size) for _ in range(max(2, math.ceil(2 * rate)))))
        return clock.monotonic() - began, requests, sandbox.stats()["refused"]


async def _ask(cj: CJClient, todo: Iterator[int], page_size: int) -> None:
    for number in todo:
        await cj.products.list(page_num=1 + number, page_size=page_size)
