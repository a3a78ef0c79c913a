"""A whole small call: what admission, retries, deadline, token, envelope and typed answer cost beside bare aiohttp."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, peers, question
from benchmarks.frame.bodies import STOCK, bodies
from benchmarks.frame.compare import COPY, Comparison, Contestant, compare_async
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.instructions import can_count, count, counted
from benchmarks.frame.origin import Origin

BARE, WRITTEN, CHEAPEST = "aiohttp get + read", "aiohttp as people write it", "aiohttp, every setting at its cheapest"
STACKED, HTTPX = "backoff + aiolimiter + aiohttp, stacked", "httpx + pydantic"
OURS, SHARED = "cjasync", "cjasync, limits in SQLite"
CLIENTS: dict[str, Any] = {
    BARE: peers.bare,
    CHEAPEST: peers.cheapest,
    WRITTEN: peers.written,
    STACKED: peers.stacked,
    HTTPX: peers.httpx_pydantic,
    OURS: peers.ours(),
}
IN_FLIGHT = 8
COUNTED = (BARE, CHEAPEST, STACKED, OURS)  # of which instructions are counted


@question("What does a whole small call cost, beside bare aiohttp that reads bytes?")
def run(rounds: int = 200, seconds: float = 18.0, instructions: bool = True) -> Findings:
    """rounds: of the comparison. seconds: the most it may take per event loop. instructions: count them as well."""
    found = Findings()
    with bodies() as folder, Origin(folder) as origin:
        for loop in ("asyncio", "uvloop"):
            told = in_fresh_process(measure, origin.base_url, loop, rounds, seconds)
            if told is None:
                found.notes.append(f"{loop} is not installed")
                continue
            _report(found, loop, msgspec.convert(told, Comparison))
        if instructions and can_count():
            counts = counted(instructions_of, [(origin.base_url, name) for name in (*COUNTED, BARE)])
            _report_instructions(found, dict(zip([*COUNTED, BARE + COPY], counts, strict=True)))
    return found


def measure(base_url: str, loop: str, rounds: int, seconds: float, path: str = STOCK) -> Any:
    """Compare all clients that are installed on one event loop; None if the loop is not."""
    try:
        factory = loop_factory(loop)
    except ImportError:
        return None
    with asyncio.Runner(loop_factory=factory) as runner:
        return msgspec.to_builtins(runner.run(_compare(base_url, path, rounds, seconds)))


def loop_factory(loop: str) -> Any:
    """What makes that event loop. ImportError if it is not installed."""
    if loop == "asyncio":
        return asyncio.new_event_loop
    return importlib.import_module(loop).new_event_loop


async def _compare(base_url: str, path: str, rounds: int, seconds: float) -> Comparison:
    async with AsyncExitStack() as stack:
        contestants = {}
        for name, client in CLIENTS.items():
            try:
                one = await stack.enter_async_context(client(base_url, path))
            except ImportError:
                continue
            contestants[name] = Contestant(one, 2 if name == HTTPX else 8, IN_FLIGHT)
        return await compare_async(contestants, rounds=rounds, seconds=seconds)


def _report(found: Findings, loop: str, comparison: Comparison) -> None:
    names = [name for name in comparison.samples if name in CLIENTS or name.endswith(COPY)]
    own = comparison.difference(OURS, CHEAPEST) * 1e6
    found.tables.append(
        Table(
            f"One small call, {IN_FLIGHT} in flight, {loop}",
            ["client", "µs of CPU", "x bare", "x as written"],
            [
                [
                    name,
                    round(comparison.cpu(name) * 1e6, 1),
                    round(comparison.ratio(name), 3),
                    round(comparison.ratio(name, WRITTEN), 3),
                ]
                for name in names
            ],
            f"{len(comparison.samples[BARE])} rounds. Own cost, beyond aiohttp at its cheapest: {own:.1f} µs a call.",
        )
    )
    suffix = "" if loop == "asyncio" else "_uvloop"
    found.figures[f"cpu_vs_bare{suffix}"] = comparison.figure(OURS)
    found.figures[f"cpu_vs_written{suffix}"] = comparison.figure(OURS, WRITTEN)
    found.figures[f"own_us{suffix}"] = Figure(round(own, 2), round(comparison.copy, 4))
    found.charts.append(
        Chart(
            f"A whole small call, {loop}: calls per CPU second, bare aiohttp = 1",
            "x",
            [Bar(name, round(comparison.ratio(name), 2), name == OURS) for name in names if COPY not in name],
            0.98 if loop == "asyncio" else 0.94,
        )
    )


def instructions_of(base_url: str, client: str) -> float:
    """Instructions of one call of a client, one in flight. To be run under valgrind."""
    return asyncio.run(count(CLIENTS[client](base_url, STOCK), calls=200))


def _report_instructions(found: Findings, counts: dict[str, float]) -> None:
    base = counts[BARE]
    found.tables.append(
        Table(
            "Instructions of one small call, one in flight, asyncio (valgrind)",
            ["client", "thousand instructions", "x bare"],
            [[name, round(count / 1e3, 1), round(base / count, 3)] for name, count in counts.items()],
        )
    )
    copy = base / counts[BARE + COPY]
    found.figures["instructions_vs_bare"] = Figure(round(base / counts[OURS], 4), round(copy, 4))
