"""A soak: 100,000 requests, one in twenty of them spoilt in some way, while calls are cancelled all the time.

Walkers read the whole catalogue again and again. Whatever cuts one short, a cancellation or an error, it goes on at the
pager's cursor, and every pass must have brought each row exactly once.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from msgspec import Struct

from benchmarks.frame import Figure, Findings, Table, question
from benchmarks.frame.bodies import NO_LIMITS
from benchmarks.frame.fresh import ROOT, in_fresh_process, pin, pinned
from benchmarks.frame.memory import resident
from cjasync import CJClient, CJError
from cjasync.hooks import Attempt, Event, Outcome
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault

PRODUCTS = 2_000
RATE = 1_000  # requests a second, which the sandbox enforces strictly
WALKERS, STRAYS = 48, 4
CANCEL_EVERY = 0.02  # seconds between two cancellations, on average
SHARE = 0.05  # of all requests meet a fault
FAULTS: dict[str, dict[str, Any]] = {
    "refuse": {},
    "status": {"status": 503},
    "html": {},
    "not_json": {},
    "not_http": {},
    "empty": {},
    "transient_empty": {},
    "close_before": {},
    "execute_then_drop": {"reset": True},
    "drop_kept_alive": {},
    "close_headers": {},
    "close_body": {},
    "close_after": {},
    "truncate": {},
    "wrong_length": {"by": -5},
    "delay": {"seconds": 0.3},
    "slow_drip": {"size": 2_000, "pause": 0.01},
    "stall": {},
    "bad_gzip": {},
    "bad_utf8": {},
    "duplicate_keys": {},
    "deep_json": {},
    "huge_number": {},
}


class Soaked(Struct):
    """What happened."""

    requests: int = 0
    passes: int = 0
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    foreign: int = 0
    cancelled: int = 0
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    attempts_failed: dict[str, int] = msgspec.field(default_factory=dict)
    struck: dict[str, int] = msgspec.field(default_factory=dict)
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    worst_second: int = 0
    tasks_left: int = 0
    complaints: list[str] = msgspec.field(default_factory=list)
    memory_mb: list[float] = msgspec.field(default_factory=list)
    objects: list[int] = msgspec.field(default_factory=list)
    seconds: float = 0.0


@question("What is lost, doubled or leaked when one request in twenty goes wrong and calls are cancelled all the time?")
def run(requests: int = 100_000, seconds: float = 240.0) -> Findings:
    """requests: to make. seconds: the most it may take; fewer requests were made then."""
    soaked = msgspec.convert(in_fresh_process(soak, requests, seconds), Soaked)
    return _report(soaked)


def soak(requests: int, seconds: float) -> Any:
    """Do it, in this process; the sandbox has another."""
    return msgspec.to_builtins(asyncio.run(_soak(requests, seconds)))


async def _soak(requests: int, seconds: float) -> Soaked:
    soaked = Soaked()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: soaked.complaints.append(str(context["message"])))
    failed: Counter[str] = Counter()

    def listen(event: Event) -> None:
        if isinstance(event, Attempt):
            soaked.requests += 1
        elif isinstance(event, Outcome) and event.error is not None:
            failed[event.error] += 1

    async with sandbox_with_faults() as told:
        plan = msgspec.structs.replace(NO_LIMITS, qps=RATE)
        client = CJClient(
            access_token=told["access_token"],
            base_url=told["base_url"],
            plan=plan,
            quota="memory",
            token_store="memory",
            timeout=2.0,
            hooks=[listen],
        )
        async with client as cj:
            await _work(cj, set(told["pids"]), soaked, requests, seconds)
        await asyncio.sleep(0.1)
        gc.collect()
        soaked.tasks_left = len(asyncio.all_tasks() - {asyncio.current_task()})
        stats = await told["stats"]()
    soaked.attempts_failed = dict(failed.most_common())
    soaked.struck = stats["struck"]
    # Products that CJ no longer sells are asked for too; to be told so is the right answer.
    soaked.refused = {kind: times for kind, times in stats["refused"].items() if kind != "missing"}
    soaked.worst_second = stats["worst_second"]
    return soaked


async def _work(cj: CJClient, truth: set[str], soaked: Soaked, requests: int, seconds: float) -> None:
    began = time.monotonic()
    enough = asyncio.Event()
    walkers = [Walker(cj, truth, soaked, enough, n) for n in range(WALKERS)]
    tasks = [asyncio.create_task(walker.run()) for walker in walkers]
    tasks += [asyncio.create_task(_stray(cj, sorted(truth), soaked, enough, n)) for n in range(STRAYS)]
    tasks.append(asyncio.create_task(_cancel_at_random(walkers, enough)))
    step = requests // 40
    while soaked.requests < requests and time.monotonic() - began < seconds and not any(t.done() for t in tasks):
        if soaked.requests >= step * len(soaked.memory_mb):
            gc.collect()
            soaked.memory_mb.append(round(resident() / 2**20, 1))
            soaked.objects.append(len(gc.get_objects()))
        await asyncio.sleep(0.05)
    enough.set()
    await asyncio.gather(*tasks)
    soaked.seconds = round(time.monotonic() - began, 1)


class Walker:
    """Reads all products, pass after pass, with a page size of its own, so that no two ask the same."""

    def __init__(self, cj: CJClient, truth: set[str], soaked: Soaked, enough: asyncio.Event, number: int) -> None:
        self._cj = cj
        self._truth = truth
        self._soaked = soaked
        self._enough = enough
        self._size = 10 + number
        self.reading: asyncio.Task[None] | None = None
        self._seen: list[str] = []
        self._cursor: Any = None

    async def run(self) -> None:
        while not self._enough.is_set():
            self._seen, self._cursor = [], None
            while True:
                self.reading = asyncio.create_task(self._read())
                try:
                    await self.reading
                    break
                except asyncio.CancelledError:
                    self._soaked.cancelled += 1
                except CJError as error:
                    _count(self._soaked.failures, error)
            self._check()

    async def _read(self) -> None:
        """Go on where the last attempt stopped."""
        products = self._cj.products
        asked = products.list(cursor=self._cursor) if self._cursor else products.list(page_size=self._size)
        pager = asked.concurrently(8)
        try:
            async for product in pager:
                self._seen.append(product.pid)
        finally:
            self._cursor = pager.cursor

    def _check(self) -> None:
        soaked, times = self._soaked, Counter(self._seen)
        soaked.passes += 1
        soaked.rows += len(self._seen)
        soaked.lost += len(self._truth - times.keys())
        soaked.foreign += len(times.keys() - self._truth)
        soaked.doubled += sum(count - 1 for count in times.values())


async def _stray(cj: CJClient, pids: list[str], soaked: Soaked, enough: asyncio.Event, number: int) -> None:
    """Single calls that are given up after a few milliseconds, wherever they are by then."""
    dice = random.Random(f"stray {number}")
    while not enough.is_set():
        pid = dice.choice(pids)
        try:
            async with asyncio.timeout(dice.expovariate(1 / 0.01)):
                product = await cj.products.query(pid=pid)
                assert product is None or product.pid == pid, "the answer to another question"
        except TimeoutError:
            soaked.cancelled += 1
        except CJError as error:
            _count(soaked.failures, error)


async def _cancel_at_random(walkers: list[Walker], enough: asyncio.Event) -> None:
    dice = random.Random("cancel")
    while not enough.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), dice.expovariate(1 / CANCEL_EVERY))
        task = dice.choice(walkers).reading
        if task is not None:
            task.cancel()


def _count(counts: dict[str, int], error: CJError) -> None:
    name = type(error).__name__
    counts[name] = counts.get(name, 0) + 1


@asynccontextmanager
async def sandbox_with_faults() -> AsyncIterator[dict[str, Any]]:
    """A sandbox in a process of its own: its address, its products, and a function that asks what it saw."""
    command = (sys.executable, "-m", "benchmarks.soak", str(pinned(-1)))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, limit=1 << 20)
    reader, writer = process.stdout, process.stdin
    assert reader is not None
    assert writer is not None

    async def ask() -> Any:
        writer.write(b"\n")
        return json.loads(await reader.readline())

    try:
        yield {**json.loads(await reader.readline()), "stats": ask}
    finally:
        writer.close()
        await process.wait()


async def _serve() -> None:
    plan = msgspec.structs.replace(NO_LIMITS, qps=RATE)
    each = SHARE / len(FAULTS)
    faults = [
        Fault(kind, "product/*", probability=each, seed=n, **parameters)
        for n, (kind, parameters) in enumerate(FAULTS.items())
    ]
    async with Sandbox(products=PRODUCTS, plan=plan, faults=faults, list_window=None) as sandbox:
        pids = [product.pid for product in sandbox.catalogue.truth()]
        _say({"base_url": sandbox.base_url, "access_token": sandbox.access_token, "pids": pids})
        while await asyncio.to_thread(sys.stdin.readline):
            stats = sandbox.stats()
            worst = max(stats["worst_second"].values(), default=0)
            _say({"refused": stats["refused_by_kind"], "struck": dict(sandbox.faults.count()), "worst_second": worst})


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def _report(soaked: Soaked) -> Findings:
    found = Findings()
    # What is held grows until every kind of fault was met once; from a quarter on it has to stay.
    memory, objects = soaked.memory_mb[len(soaked.memory_mb) // 4 :], soaked.objects[len(soaked.objects) // 4 :]
    growth, more = memory[-1] - memory[0], objects[-1] - objects[0]
    rows: list[list[Any]] = [
        ["requests", soaked.requests],
        ["of which met a fault", sum(soaked.struck.values())],
        ["cancellations", soaked.cancelled],
        ["passes over the catalogue", soaked.passes],
        ["rows delivered", soaked.rows],
        ["rows lost", soaked.lost],
        ["rows doubled", soaked.doubled],
        ["rows that do not exist", soaked.foreign],
        ["refusals by the sandbox", sum(soaked.refused.values())],
        ["requests in the fullest second", soaked.worst_second],
        ["typed errors that reached the caller", sum(soaked.failures.values())],
        ["tasks left", soaked.tasks_left],
        ["complaints of the event loop", len(soaked.complaints)],
        ["memory after a quarter, MB", memory[0]],
        ["memory at the end, MB", memory[-1]],
        ["objects that the collector sees, growth since a quarter", more],
        ["seconds", soaked.seconds],
    ]
    note = (
        "Memory: resident, after a full collection, 40 times. "
        f"Errors: {soaked.failures or 'none'}. Attempts that failed: {soaked.attempts_failed}. "
        f"Refusals: {soaked.refused or 'none'}."
    )
    found.tables.append(Table("A soak", ["what", "count"], rows, note))
    kinds = sorted(soaked.struck.items(), key=lambda item: -item[1])
    found.tables.append(Table("Faults", ["kind", "times"], [list(item) for item in kinds]))
    found.notes += sorted(set(soaked.complaints))
    wrong = soaked.lost + soaked.doubled + soaked.foreign
    for name, value in {
        "requests": soaked.requests,
        "rows_wrong": wrong,
        "refused": sum(soaked.refused.values()),
        "left_behind": soaked.tasks_left + len(soaked.complaints),
        "growth_mb": round(growth, 1),
    }.items():
        found.figures[name] = Figure(value)
    return found


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    asyncio.run(_serve())
