"""A soak: 100,000 requests, one in twenty of them spoilt in some way, while calls are cancelled all the time.

Walkers read the whole catalogue again and again. Whatever cuts one short, a cancellation or an error, it goes on at the
pager's cursor, and every pass must have brought each row exactly once. Writers make requests that must be carried out
once if they were told so, never if they were told no, and never twice. Meanwhile tokens end and are refreshed.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import time
import warnings
from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from benchmarks.frame import Figure, Findings, Table, question
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.memory import resident
from benchmarks.storm import PLAN, RATE, storm
from cjasync import CJClient, CJError, OutcomeUnknownError
from cjasync.hooks import Attempt, Event, Outcome

WALKERS, STRAYS, WRITERS = 16, 4, 2
CANCEL_EVERY = 0.02  # seconds between two cancellations, on average


class Soaked(Struct):
    """What happened."""

    requests: int = 0
    passes: int = 0
    rows: int = 0
    lost: int = 0
    doubled: int = 0
    foreign: int = 0
    writes: dict[str, bool | None] = msgspec.field(default_factory=dict)  # done, refused, or unknown
    writes_wrong: int = 0
    cancelled: int = 0
    refreshes: int = 0
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
def run(requests: int = 100_000, seconds: float = 330.0) -> Findings:
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

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        await _in_the_storm(soaked, requests, seconds, listen)
    soaked.complaints += [str(warning.message) for warning in warned]
    soaked.attempts_failed = dict(failed.most_common())
    return soaked


async def _in_the_storm(soaked: Soaked, requests: int, seconds: float, listen: Any) -> None:
    async with storm() as told:
        client = CJClient(
            told["api_key"],
            base_url=told["base_url"],
            plan=PLAN,
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
    soaked.struck, soaked.worst_second, soaked.refreshes = stats["struck"], stats["worst_second"], stats["refreshes"]
    # Products that CJ no longer sells are asked for, and tokens end on their way: to be told so is the right answer.
    soaked.refused = {kind: times for kind, times in stats["refused"].items() if kind not in ("missing", "token")}
    soaked.writes_wrong = _wrong_writes(soaked.writes, stats["written"])


def _wrong_writes(told: dict[str, bool | None], written: dict[str, int]) -> int:
    allowed = {True: (1,), False: (0,), None: (0, 1)}
    return sum(written.get(name, 0) not in allowed[done] for name, done in told.items()) + len(written.keys() - told)


async def _work(cj: CJClient, truth: set[str], soaked: Soaked, requests: int, seconds: float) -> None:
    began = time.monotonic()
    enough = asyncio.Event()
    walkers = [Walker(cj, truth, soaked, enough, n) for n in range(WALKERS)]
    tasks = [asyncio.create_task(walker.run()) for walker in walkers]
    tasks += [asyncio.create_task(_stray(cj, sorted(truth), soaked, enough, n)) for n in range(STRAYS)]
    tasks += [asyncio.create_task(_write(cj, soaked, enough, n)) for n in range(WRITERS)]
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
        pager = asked.concurrently(4)
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


async def _write(cj: CJClient, soaked: Soaked, enough: asyncio.Event, number: int) -> None:
    """Requests of a name each; one in four is given up after a few milliseconds."""
    dice = random.Random(f"write {number}")
    for n in itertools.count():
        if enough.is_set():
            return
        name = f"{number}-{n}"
        soaked.writes[name] = None
        try:
            async with asyncio.timeout(dice.expovariate(1 / 0.02) if dice.random() < 0.25 else None):
                made = await cj.sourcing.create(product_name=name, product_image="https://x.example/1.jpg")
            soaked.writes[name] = made is not None
        except TimeoutError:
            soaked.cancelled += 1
        except OutcomeUnknownError as error:
            _count(soaked.failures, error)
        except CJError as error:
            soaked.writes[name] = False
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
        ["writes", len(soaked.writes)],
        ["of which nobody knows whether they were done", sum(done is None for done in soaked.writes.values())],
        ["writes done twice, or not as told", soaked.writes_wrong],
        ["refreshes of the token", soaked.refreshes],
        ["refusals by the sandbox", sum(soaked.refused.values())],
        [f"requests in the fullest second, of {RATE} allowed", soaked.worst_second],
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
        "writes_wrong": soaked.writes_wrong,
        "refused": sum(soaked.refused.values()),
        "left_behind": soaked.tasks_left + len(soaked.complaints),
        "growth_mb": round(growth, 1),
    }.items():
        found.figures[name] = Figure(value)
    return found
