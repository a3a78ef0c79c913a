"""Memory of a whole pull: 1.5 million products through planner, client, decoder and sink, into a file.

All of them take most of ten minutes (`memory.run(products=memory.CATALOGUE)`). By default fewer are pulled, and what
the rest would add is reckoned: as much a row as after the first quarter, by the line that fits all that was seen best.
"""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, question
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.memory import peak, resident
from cjasync import CJClient, Plan
from cjasync.catalog import walk
from cjasync.catalog.sinks import open_sink
from cjasync.models import ListedProduct

CATALOGUE = 1_495_292
PULLED = 400_000  # for which both files take less than two minutes
NO_RATE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
SUFFIXES = {".jsonl": None, ".parquet": "pyarrow"}  # and the package that they need
MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)  # shares of the products


@question("How much memory does a pull of 1.5 million products take, and does it grow?")
def run(products: int = PULLED, suffixes: tuple[str, ...] = tuple(SUFFIXES)) -> Findings:
    """products: that are pulled. suffixes: of the files to pull into, one after another."""
    packages = {suffix: SUFFIXES.get(suffix) for suffix in suffixes}
    wanted = [suffix for suffix, package in packages.items() if not package or importlib.util.find_spec(package)]
    told = in_fresh_process(pull_all, products, wanted, core=-1)
    return _report(products, told)


def pull_all(products: int, suffixes: list[str]) -> dict[str, Any]:
    """Serve a catalogue from this process, and let others pull it."""
    return asyncio.run(_pull_all(products, suffixes))


async def _pull_all(products: int, suffixes: list[str]) -> dict[str, Any]:
    from cjasync.sandbox import Sandbox

    told = {}
    async with Sandbox(products=products, plan=NO_RATE) as sandbox:
        for suffix in suffixes:
            arguments = sandbox.base_url, sandbox.access_token, suffix
            told[suffix] = await asyncio.to_thread(in_fresh_process, pull, *arguments, core=0)
    return told


def pull(base_url: str, token: str, suffix: str) -> dict[str, Any]:
    """Pull everything into a file, and note how much memory was held on the way."""
    return asyncio.run(_pull(base_url, token, suffix))


async def _pull(base_url: str, token: str, suffix: str) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    client = CJClient(
        access_token=token,
        base_url=base_url,
        plan=NO_RATE,
        quota="memory",
        token_store="memory",
    )
    with tempfile.TemporaryDirectory(prefix="cjasync-bench-") as folder:
        out = Path(folder) / f"products{suffix}"
        async with (
            client as cj,
            walk(cj, checkpoint=Path(folder) / "checkpoint") as catalogue,
            await open_sink(out, ListedProduct, question=catalogue.question) as sink,
        ):
            with _watched(lambda: sink.rows) as seen:
                report = await catalogue.into(sink)
        size = await asyncio.to_thread(lambda: out.stat().st_size)
    return {
        "products": report.delivered,
        "requests": report.requests,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak": peak(),
        "seen": seen,
        "bytes": size,
    }


@contextmanager
def _watched(rows: Any) -> Iterator[list[tuple[int, int]]]:
    """Notes (rows, bytes of memory) ten times a second."""
    seen: list[tuple[int, int]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            seen.append((rows(), resident()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _report(products: int, told: dict[str, Any]) -> Findings:
    found = Findings()
    rows: list[list[Any]] = []
    bars = []
    for suffix, pulled in told.items():
        seen = pulled["seen"]
        marks = [max((size for count, size in seen if count <= share * products), default=0) for share in MARKS]
        growth = _bytes_a_row([(count, size) for count, size in seen if count > products / 4])
        most = pulled["peak"] + growth * (CATALOGUE - products)
        line: list[Any] = [suffix, pulled["products"], pulled["requests"], round(pulled["seconds"], 1)]
        line += [round(pulled["cpu"], 1), *(round(size / 2**20) for size in marks), round(pulled["peak"] / 2**20)]
        rows.append([*line, round(growth, 1), round(most / 2**20)])
        found.figures[f"{suffix[1:]}_peak_mb"] = Figure(round(most / 2**20, 1))
        found.figures[f"{suffix[1:]}_growth_mb"] = Figure(round(growth * CATALOGUE * 3 / 4 / 2**20, 1))
        bars += [
            Bar(f"{suffix}, {share * products:,.0f} pulled", round(size / 2**20), True)
            for share, size in zip(MARKS, marks, strict=True)
        ]
        bars.append(Bar(f"{suffix}, most of {CATALOGUE:,}", round(most / 2**20), True))
    shares = [f"at {share:.0%}, MB" for share in MARKS]
    columns = ["file", "products", "requests", "seconds", "CPU s", *shares, "peak, MB", "bytes a row", "whole, MB"]
    note = (
        f"Most real memory held until then; the peak includes finishing the file. {products:,} products were pulled. "
        f"Bytes a row: growth after the first quarter. Whole: the peak of {CATALOGUE:,} products"
        + (", as measured." if products == CATALOGUE else ", reckoned from peak and growth.")
    )
    found.tables.append(Table(f"A pull of {products:,} products", columns, rows, note))
    found.charts.append(Chart(f"Memory of a pull of {products:,} products", "MB", bars, 200, less=True))
    return found


def _bytes_a_row(seen: list[tuple[int, int]]) -> float:
    """How much memory each further row takes; 0 where it shrinks."""
    counts = [count for count, _ in seen]
    if len(set(counts)) < 2:
        return 0.0  # a pull too short to tell
    return max(0.0, statistics.linear_regression(counts, [size for _, size in seen]).slope)
