"""What a program can opt into: uvloop, a faster gzip, a warmed-up allocator. Alone, together, and when they pay."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from typing import Any

from msgspec import Struct

from benchmarks.call import loop_factory
from benchmarks.frame import Bar, Chart, Findings, Table, question
from benchmarks.frame.bodies import LIST, STOCK, bodies
from benchmarks.frame.compare import COPY
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.origin import GZIPPED, Origin
from benchmarks.frame.peers import ours
from cjasync.errors import ConfigError
from cjasync.ext import fast

IN_FLIGHT = 8


class Option(Struct, frozen=True):
    """What is opted into."""

    loop: str = "asyncio"
    inflate: str | None = None  # module that takes zlib's place
    warm: bool = False


BASE = "as it comes"
OPTIONS = {
    BASE: Option(),
    BASE + COPY: Option(),
    "uvloop": Option(loop="uvloop"),
    "warm allocator": Option(warm=True),
    "uvloop and warm allocator": Option(loop="uvloop", warm=True),
}
GZIP_OPTIONS = {
    BASE: Option(),
    BASE + COPY: Option(),
    "isal": Option(inflate="isal.isal_zlib"),
    "zlib-ng": Option(inflate="zlib_ng.zlib_ng"),
    "uvloop, isal and warm allocator": Option("uvloop", "isal.isal_zlib", warm=True),
}
QUESTIONS = {
    "a page of 200 rows": (LIST, "", OPTIONS),
    "a page of 200 rows, gzip": (LIST, GZIPPED, GZIP_OPTIONS),
    "a small call": (STOCK, "", OPTIONS),
}


@question("What do uvloop, a faster gzip and a warm allocator bring?")
def run(rounds: int = 3, seconds: float = 0.3) -> Findings:
    """rounds: how often each is started anew. seconds: that each then runs."""
    found = Findings()
    order = random.Random(1)
    with bodies() as folder, Origin(folder) as origin:
        for says, (path, prefix, options) in QUESTIONS.items():
            base_url = origin.base_url.replace(origin.url, origin.url + prefix)
            samples: dict[str, list[float]] = {name: [] for name in options}
            for _ in range(rounds):
                names = list(options)
                order.shuffle(names)
                for name in names:
                    option = options[name]
                    told = in_fresh_process(measure, base_url, path, option.loop, option.inflate, option.warm, seconds)
                    if told is not None:
                        samples[name].append(told)
            _report(found, says, {name: sample for name, sample in samples.items() if sample})
    found.notes.append("Each has a process of its own here: what is opted into holds for a whole process.")
    return found


def measure(base_url: str, path: str, loop: str, inflate: str | None, warm: bool, seconds: float) -> float | None:
    """CPU seconds of one call with that opted into; None if its package is not installed."""
    try:
        factory = loop_factory(loop)
        if inflate is not None:
            fast.quick_gzip(inflate)
    except (ImportError, ConfigError):
        return None
    if warm:
        fast.warm_allocator()
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_measure(base_url, path, seconds))


async def _measure(base_url: str, path: str, seconds: float) -> float:
    async with ours()(base_url, path) as one:
        made = 0

        async def worker(until: float) -> None:
            nonlocal made
            while time.perf_counter() < until:
                await one()
                made += 1

        async def calls(lasting: float) -> None:
            until = time.perf_counter() + lasting
            await asyncio.gather(*(worker(until) for _ in range(IN_FLIGHT)))

        await calls(seconds / 4)
        made, began = 0, time.thread_time()
        await calls(seconds)
        return (time.thread_time() - began) / made


def _report(found: Findings, says: str, samples: dict[str, list[float]]) -> None:
    rows: list[list[Any]] = []
    for name, sample in samples.items():
        pairs = zip(samples[BASE], sample, strict=True)
        ratio = statistics.median(base / own for base, own in pairs)
        rows.append([name, round(statistics.median(sample) * 1e6, 1), round(ratio, 2)])
    found.tables.append(Table(f"cjasync, {says}, {IN_FLIGHT} in flight", ["with", "µs of CPU", f"x {BASE}"], rows))
    bars = [Bar(row[0], row[2], row[0] != BASE) for row in rows if COPY not in row[0]]
    found.charts.append(Chart(f"{says}: calls per CPU second, as it comes = 1", "x", bars))
