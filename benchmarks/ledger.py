"""The shared ledger: what a booking costs with many processes, whether it adds up, and whether they share fairly."""

from __future__ import annotations

import asyncio
import fcntl
import json
import mmap
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, question
from benchmarks.frame.fresh import ROOT
from benchmarks.frame.limiters import CALL, limiter, only_rate
from benchmarks.frame.turns import share_of_rate, worst_second
from cjasync.config import Plan
from cjasync.quota import SQLiteStore

COUNTING = Plan(qps=None, ip_qps=None, daily_calls=10**9, daily_points=10**11)
PACE = 100  # admissions a second and process
BOOKING, UPDATE, LOCK = "a booking: all limits of a call", "a bare UPDATE in SQLite", "a file lock, nothing kept"


@question("What does a booking in the shared ledger cost, does it add up to the last call, and is it shared fairly?")
def run(seconds: float = 8.0, grants: int = 200_000, sharing: float = 20.0) -> Findings:
    """seconds: of the timings with so many processes. grants: of the check that it adds up. sharing: seconds at 6/s."""
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
    """Admissions at random moments, as a service makes them; and in turns, a second each, the least one could do.

    All processes change over together, so that each way meets only its own kind, and the same noise.
    """
    lim = limiter(COUNTING, store=SQLiteStore(path))
    (await lim.admit(CALL)).answered()

    async def book() -> None:
        ticket = lim.try_admit(CALL) or await lim.admit(CALL)
        ticket.sent()
        ticket.answered()

    ways = {BOOKING: book, UPDATE: _bare_update(path + ".bare"), LOCK: _file_lock(path + ".lock")}
    names = list(ways)
    took: dict[str, list[float]] = {name: [] for name in ways}
    _ready()
    dice, end = random.Random(), time.monotonic() + float(seconds)
    while time.monotonic() < end:
        await asyncio.sleep(dice.expovariate(PACE))
        name = names[int(time.monotonic()) % len(names)]
        began = time.perf_counter()
        await ways[name]()
        took[name].append(time.perf_counter() - began)
    await lim.aclose()
    print(json.dumps(took))


def _bare_update(path: str) -> Callable[[], Awaitable[None]]:
    """One counter in one row, with the ledger's own settings; nothing is decided."""
    db = sqlite3.connect(path, isolation_level=None, timeout=10)
    for line in ("journal_mode=wal", "synchronous=NORMAL", "wal_autocheckpoint=0"):
        db.execute(f"PRAGMA {line}")
    db.execute("CREATE TABLE IF NOT EXISTS ledger (account TEXT PRIMARY KEY, used INTEGER) WITHOUT ROWID")
    db.execute("INSERT OR IGNORE INTO ledger VALUES ('me', 0)")
    db.execute("PRAGMA busy_timeout=0")

    async def update() -> None:
        while True:
            try:
                db.execute("UPDATE ledger SET used = used + 1 WHERE account = 'me' RETURNING used").fetchone()
            except sqlite3.OperationalError:  # another process has it
                time.sleep(0.00005)  # noqa: ASYNC251 - as the ledger does it
            else:
                return

    return update


def _file_lock(path: str) -> Callable[[], Awaitable[None]]:
    file = Path(path).open("w")  # noqa: SIM115 - until the process ends

    async def lock() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(file, fcntl.LOCK_UN)

    return lock


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
    bars: list[Bar] = []
    for processes in (1, 4, 16):
        told = together("paced", folder / f"paced{processes}.db", seconds, processes=processes)
        p50, p99 = {}, {}
        for name in (BOOKING, UPDATE, LOCK):
            each = [sorted(times[name]) for times in told]
            p50[name] = statistics.median(times[len(times) // 2] for times in each) * 1e6
            p99[name] = statistics.median(times[int(len(times) * 0.99)] for times in each) * 1e6
            longest = max(times[-1] for times in each) * 1e3
            count = sum(map(len, each))
            rows.append([name, processes, count, round(p50[name]), round(p99[name]), round(longest, 1)])
            bars.append(Bar(f"{name.partition(':')[0]}, {processes}", round(p99[name]), name == BOOKING))
        for kind, times in (("p50", p50), ("p99", p99)):
            found.figures[f"{kind}_us_{processes}"] = Figure(round(times[BOOKING]), bare=round(times[UPDATE]))
            found.figures[f"{kind}_vs_update_{processes}"] = Figure(round(times[BOOKING] / times[UPDATE], 2))
    columns = ["", "processes", "times", "p50, µs", "p99, µs", "longest, ms"]
    note = (
        f"Each process {PACE} times a second at random moments, in turns a second each. A booking checks and writes "
        "accounts, calls and points in one transaction. What the bare UPDATE needs beyond its few microseconds of work "
        "is this machine's scheduler and disk."
    )
    found.tables.append(Table("A booking in SQLite, and the least that could be done", columns, rows, note))
    found.charts.append(Chart("How long it takes in 99 of 100 cases, by processes", "µs", bars, 1000, less=True))


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

    def crawl(processes: int) -> list[list[float]]:
        return together("crawling", folder / f"crawl{processes}.db", 6, seconds, processes=processes)

    with ThreadPoolExecutor(2) as pool:  # they sleep nearly all the time
        told = dict(zip((1, 4), pool.map(crawl, (1, 4)), strict=True))
    for processes, shares in told.items():
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
