"""Memory of a whole pull: 1.5 million products through planner, client, decoder and sink, into a file."""

from __future__ import annotations

import asyncio
import importlib.util
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
NO_RATE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
SUFFIXES = {".jsonl": None, ".parquet": "pyarrow"}  # and the package that they need
MARKS = (0.1, 0.25, 0.5, 0.75, 1.0)  # shares of the products


@question("How much memory does a pull of 1.5 million products take, and does it grow?")
def run(products: int = CATALOGUE, suffixes: tuple[str, ...] = tuple(SUFFIXES)) -> Findings:
    """products: of the sandbox's catalogue. suffixes: of the files to pull into, one after another."""
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
        most = max(count for count, _ in seen)
        marks = [max((size for count, size in seen if count <= share * most), default=0) for share in MARKS]
        line: list[Any] = [suffix, pulled["products"], pulled["requests"], round(pulled["seconds"], 1)]
        line += [round(pulled["cpu"], 1), *(round(size / 2**20) for size in marks), round(pulled["peak"] / 2**20)]
        rows.append(line)
        found.figures[f"{suffix[1:]}_peak_mb"] = Figure(round(pulled["peak"] / 2**20, 1))
        found.figures[f"{suffix[1:]}_growth_mb"] = Figure(round((marks[-1] - marks[1]) / 2**20, 1))
        bars += [
            Bar(f"{suffix}, {share:.0%} pulled", round(size / 2**20), True)
            for share, size in zip(MARKS, marks, strict=True)
        ]
    shares = [f"at {share:.0%}, MB" for share in MARKS]
    columns = ["file", "products", "requests", "seconds", "CPU s", *shares, "peak, MB"]
    note = "Most real memory held until then. The peak includes finishing the file."
    found.tables.append(Table(f"A pull of {products:,} products", columns, rows, note))
    found.charts.append(Chart("Memory of a pull", "MB", bars, 200, less=True))
    return found
