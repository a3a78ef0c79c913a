"""The shared ledger: what a booking costs with many processes, whether it adds up, and whether they share fairly."""

from __future__ import annotations

import asyncio
import json
import mmap
import random
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, question
from benchmarks.frame.fresh import ROOT
from benchmarks.frame.limiters import CALL, limiter, only_rate, share_of_rate, worst_second
from cjasync.config import Plan
from cjasync.quota import SQLiteStore

COUNTING = Plan(qps=None, ip_qps=None, daily_calls=10**9, daily_points=10**11)
PACE = 100  # admissions a second and process


@question("What does a booking in the shared ledger cost, does it add up to the last call, and is it shared fairly?")
def run(seconds: float = 5.0, grants: int = 200_000, sharing: float = 30.0) -> Findings:
    """seconds: of each timing. grants: of the check that it adds up. sharing: seconds of each run at 6/s."""
    found = Findings()
    with tempfile.TemporaryDirectory(prefix="cjasync-ledger-") as folder:
        _report_timings(found, Path(folder), seconds)
        _report_sums(found, Path(folder), grants)
        _report_sharing(found, Path(folder), sharing)
        _report_redis(found)
    return found


def together(job: str, *arguments: object, processes: int) -> list[Any]:
    """The results of so many processes that do the same and begin at the same moment."""
    with _started(job, *([str(argument) for argument in arguments] for _ in range(processes))) as running:
        return [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]


@contextmanager
def _started(job: str, *arguments: list[str]) -> Iterator[list[subprocess.Popen[str]]]:
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ledger", job, *own],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for own in arguments
    ]
    try:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # it is loaded
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


async def paced(path: str, seconds: str) -> None:
    """Admissions at random moments, as a service makes them."""
    lim = limiter(COUNTING, store=SQLiteStore(path))
    (await lim.admit(CALL)).answered()
    _ready()
    dice, took = random.Random(), []
    end = time.perf_counter() + float(seconds)
    while time.perf_counter() < end:
        await asyncio.sleep(dice.expovariate(PACE))
        began = time.perf_counter()
        ticket = lim.try_admit(CALL) or await lim.admit(CALL)
        took.append(time.perf_counter() - began)
        ticket.sent()
        ticket.answered()
    await lim.aclose()
    print(json.dumps(took))


async def grabbing(path: str, count: str, counter: str = "") -> None:
    """Admissions as fast as they come. A counter tells how many were granted, also to a process that was killed."""
    lim = limiter(COUNTING, store=SQLiteStore(path))
    await lim.usage()
    granted = _counter(counter)
    _ready()
    for n in range(1, int(count) + 1):
        await lim.admit(CALL)
        struct.pack_into("q", granted, 0, n)
    await lim.aclose()
    print(json.dumps(int(count)))


def _counter(path: str) -> mmap.mmap | bytearray:
    if not path:
        return bytearray(8)
    with Path(path).open("w+b") as file:
        file.truncate(8)
        return mmap.mmap(file.fileno(), 8)


async def crawling(path: str, rate: str, seconds: str) -> None:
    """More callers than turns, answers after 50 ms."""
    lim = limiter(only_rate(int(rate)), store=SQLiteStore(path))
    await lim.usage()
    _ready()
    sends: list[float] = []
    end = time.monotonic() + float(seconds)

    async def caller() -> None:
        while True:
            ticket = lim.try_admit(CALL) or await lim.admit(CALL)
            now = time.monotonic()
            if now >= end:
                ticket.unsent()
                return
            ticket.sent()
            sends.append(now)
            await asyncio.sleep(0.05)
            ticket.answered()

    await asyncio.gather(*(caller() for _ in range(int(rate) + 2)))
    await lim.aclose()
    print(json.dumps(sends))


async def asking_redis(url: str, count: str) -> None:
    """Seconds of waiting and of CPU for a booking, beside those of a PING on the same connection."""
    from cjasync.quota import open_store

    lim = limiter(COUNTING, store=open_store(url))
    await lim.admit(CALL)
    _ready()
    client = lim.store._client  # type: ignore[attr-defined]
    told = {}
    for name, one in (("PING", client.ping), ("booking", lambda: lim.admit(CALL)), ("PING again", client.ping)):
        took, cpu = [], time.process_time()
        for _ in range(int(count)):
            began = time.perf_counter()
            await one()
            took.append(time.perf_counter() - began)
        told[name] = [statistics.median(took), (time.process_time() - cpu) / int(count)]
    await lim.aclose()
    print(json.dumps(told))


def _used(path: Path) -> int:
    async def ask() -> int:
        lim = limiter(COUNTING, store=SQLiteStore(path))
        usage = await lim.usage()
        await lim.aclose()
        return usage[f"calls {CALL.path}"].used

    return asyncio.run(ask())


def _report_timings(found: Findings, folder: Path, seconds: float) -> None:
    rows: list[list[Any]] = []
    for processes in (1, 4, 16):
        took = together("paced", folder / f"paced{processes}.db", seconds, processes=processes)
        each = [sorted(times) for times in took]
        p50 = statistics.median(times[len(times) // 2] for times in each) * 1e6
        p99 = statistics.median(times[int(len(times) * 0.99)] for times in each) * 1e6
        worst_p99 = max(times[int(len(times) * 0.99)] for times in each) * 1e6
        longest = max(times[-1] for times in each) * 1e3
        rows.append([processes, sum(map(len, each)), round(p50), round(p99), round(worst_p99), round(longest, 1)])
        found.figures[f"p50_us_{processes}"] = Figure(round(p50))
        found.figures[f"p99_us_{processes}"] = Figure(round(p99))
    columns = ["processes", "admissions", "p50, µs", "p99, µs", "p99 of the unluckiest", "longest, ms"]
    note = f"Each process {PACE} a second at random moments; accounts, calls and points in one transaction."
    found.tables.append(Table("A booking in SQLite", columns, rows, note))
    bars = [Bar(f"{row[0]} processes, {kind}", row[n], True) for row in rows for n, kind in ((2, "p50"), (3, "p99"))]
    found.charts.append(Chart("How long a booking takes", "µs", bars, 1000, less=True))


def _report_sums(found: Findings, folder: Path, grants: int) -> None:
    path, began = folder / "sums.db", time.perf_counter()
    counts = together("grabbing", path, grants // 8, processes=8)
    took = time.perf_counter() - began
    off = _used(path) - sum(counts)
    found.figures["ledger_minus_grants"] = Figure(abs(off))
    rows: list[list[Any]] = [["8 processes, as fast as they can", sum(counts), off, f"{sum(counts) / took:,.0f}/s"]]
    path, counters = folder / "killed.db", [folder / f"killed{n}" for n in range(8)]
    with _started("grabbing", *([str(path), str(10**9), str(counter)] for counter in counters)) as running:
        dice = random.Random(4)
        for process in running[:6]:
            time.sleep(dice.uniform(0.1, 0.3))
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.3)
    granted = sum(struct.unpack("q", counter.read_bytes())[0] for counter in counters)
    off = _used(path) - granted
    rows.append(["8 processes, killed with -9 one after the other", granted, off, ""])
    found.figures["lost_by_kills"] = Figure(max(0, -off))
    found.figures["extra_by_kills"] = Figure(max(0, off))
    columns = ["", "granted", "ledger minus grants", "admissions"]
    found.tables.append(Table("Does it add up?", columns, rows, "A killed process may have booked what it never saw."))


def _report_sharing(found: Findings, folder: Path, seconds: float) -> None:
    rows: list[list[Any]] = []
    rates = {}
    for processes in (1, 4):
        shares = together("crawling", folder / f"crawl{processes}.db", 6, seconds, processes=processes)
        sends = sorted(at for share in shares for at in share)
        rates[processes] = share_of_rate(sends, 6)
        smallest = min(map(len, shares)) / (len(sends) / processes)
        worst = worst_second(sends)
        rows.append([processes, len(sends), round(rates[processes], 4), worst, round(smallest, 2)])
    found.figures["four_vs_one"] = Figure(round(rates[4] / rates[1], 4))
    found.figures["smallest_share"] = Figure(round(smallest, 3))
    found.figures["worst_second"] = Figure(worst)
    columns = ["processes", "sent", "rate reached", "worst second", "smallest share"]
    note = "One account at 6/s, answers after 50 ms. The smallest share is of what would be fair."
    found.tables.append(Table("One limit for all processes", columns, rows, note))


def _report_redis(found: Findings) -> None:
    program = shutil.which("redis-server")
    if program is None:
        found.notes.append("No redis-server on PATH, so Redis is left out.")
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        (told,) = together("asking_redis", f"redis://127.0.0.1:{port}/0", 2000, processes=1)
    finally:
        server.terminate()
        server.wait()
    rows: list[list[Any]] = [[name, round(wait * 1e6), round(cpu * 1e6)] for name, (wait, cpu) in told.items()]
    found.tables.append(Table("A booking in Redis, one script in one round trip", ["", "p50, µs", "CPU, µs"], rows))
    ping = (told["PING"][1] + told["PING again"][1]) / 2
    found.figures["redis_vs_ping"] = Figure(
        round(told["booking"][1] / ping, 3), round(told["PING again"][1] / told["PING"][1], 3)
    )


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
