"""A page of 200 or 100 products, from the socket to typed rows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from benchmarks.call import loop_factory
from benchmarks.frame import Bar, Chart, Findings, Table, peers, question
from benchmarks.frame.bodies import LIST, SEARCH, bodies
from benchmarks.frame.compare import COPY, Comparison, Contestant, compare_async
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.origin import Origin

TYPED, READ, JSON = "aiohttp + msgspec, typed", "aiohttp get + read, bytes only", "aiohttp + r.json()"
PYDANTIC, HTTPX, STACKED = "aiohttp + pydantic", "httpx + pydantic", "backoff + aiolimiter + aiohttp, stacked"
OURS = "cjasync"
CLIENTS: dict[str, Any] = {
    TYPED: peers.bare_typed,
    READ: peers.bare,
    JSON: peers.bare_json,
    PYDANTIC: peers.bare_pydantic,
    HTTPX: peers.httpx_pydantic,
    STACKED: peers.stacked,
    OURS: peers.ours(),
}
IN_FLIGHT = 8
PAGES = {"list": (LIST, "product/list, 200 rows"), "search": (SEARCH, "product/listV2, 100 rows")}
SLOW = {JSON: 2, PYDANTIC: 1, HTTPX: 1}  # requests on each connection and batch, instead of 3


@question("What does a page of products cost, from the socket to typed rows?")
def run(rounds: int = 60, seconds: float = 12.0) -> Findings:
    """rounds: of each comparison. seconds: the most that each may take."""
    found = Findings()
    with bodies() as folder, Origin(folder) as origin:
        for short, (path, says) in PAGES.items():
            for loop in ("asyncio", "uvloop"):
                told = in_fresh_process(measure, origin.base_url, path, loop, rounds, seconds)
                if told is not None:
                    _report(found, short, says, loop, msgspec.convert(told, Comparison))
    return found


def measure(base_url: str, path: str, loop: str, rounds: int, seconds: float) -> Any:
    """Compare all clients that are installed on one event loop; None if the loop is not."""
    try:
        factory = loop_factory(loop)
    except ImportError:
        return None
    with asyncio.Runner(loop_factory=factory) as runner:
        return msgspec.to_builtins(runner.run(_compare(base_url, path, rounds, seconds)))


async def _compare(base_url: str, path: str, rounds: int, seconds: float) -> Comparison:
    async with AsyncExitStack() as stack:
        contestants = {}
        for name, client in CLIENTS.items():
            try:
                one = await stack.enter_async_context(client(base_url, path))
            except ImportError:
                continue
            contestants[name] = Contestant(one, SLOW.get(name, 3), IN_FLIGHT)
        return await compare_async(contestants, rounds=rounds, seconds=seconds)


def _report(found: Findings, short: str, says: str, loop: str, comparison: Comparison) -> None:
    names = [name for name in comparison.samples if name in CLIENTS or name.endswith(COPY)]
    rows = [
        [name, round(comparison.cpu(name) * 1e6, 1), round(comparison.ratio(name), 3), _against(comparison, name, JSON)]
        for name in names
    ]
    columns = ["client", "µs of CPU", "x bare, typed", "x r.json()"]
    note = f"{len(comparison.samples[TYPED])} rounds"
    found.tables.append(Table(f"{says}, {IN_FLIGHT} in flight, {loop}", columns, rows, note))
    suffix = "" if loop == "asyncio" else "_uvloop"
    found.figures[f"{short}_vs_typed{suffix}"] = comparison.figure(OURS)
    found.figures[f"{short}_vs_json{suffix}"] = comparison.figure(OURS, JSON)
    if HTTPX in comparison:
        found.figures[f"{short}_vs_httpx{suffix}"] = comparison.figure(OURS, HTTPX)
    bars = [
        Bar(name, _against(comparison, name, JSON), name == OURS) for name in names if COPY not in name and name != READ
    ]
    found.charts.append(Chart(f"{says}, {loop}: pages per CPU second, aiohttp + r.json() = 1", "x", bars, 2.8))


def _against(comparison: Comparison, name: str, to: str) -> float:
    return round(comparison.ratio(name, to), 2)
