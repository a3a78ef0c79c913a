"""What the processes of test_quota.py do; run as `python quota_processes.py JOB ARGUMENTS`."""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import struct
import sys
import time
from pathlib import Path

from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.quota import Limiter, SQLiteStore

LIST = Endpoint(method="GET", path="product/list", answer=object, points=50)


def ready() -> None:
    """Tell that everything is loaded, and wait for the word to go."""
    print("ready", flush=True)
    sys.stdin.readline()


async def share(path: str, qps: str, requests: str) -> None:
    """Send as fast as the plan allows, until there have been so many in all processes together."""
    plan = Plan(qps=float(qps), ip_qps=None, daily_calls=int(requests), daily_points=None)
    lim = Limiter(plan, SQLiteStore(path), account="me")
    await lim.usage()
    ready()
    sends = []

    async def worker() -> None:
        from cjasync.errors import QuotaExhaustedError

        while True:
            try:
                ticket = lim.try_admit(LIST) or await lim.admit(LIST)
            except QuotaExhaustedError:
                return
            ticket.sent()
            sends.append(time.monotonic())
            await asyncio.sleep(0.01)
            ticket.answered()

    await asyncio.gather(*(worker() for _ in range(int(float(qps)))))
    await lim.aclose()
    print(json.dumps(sends), flush=True)


async def grab(path: str, counter: str) -> None:
    """Take turns without end and count them in a file that survives a kill."""
    lim = Limiter(Plan(qps=None, ip_qps=None, daily_calls=10**9, daily_points=None), SQLiteStore(path), account="me")
    await lim.usage()
    with Path(counter).open("r+b") as file, mmap.mmap(file.fileno(), 8) as taken:  # noqa: ASYNC230
        ready()
        count = 0
        while True:
            await lim.admit(LIST)
            count += 1
            struct.pack_into("q", taken, 0, count)


async def stand_in_line(path: str) -> None:
    """Wait for a turn that is far away, and tell when waiting has begun."""
    lim = Limiter(Plan(qps=2, ip_qps=None, daily_calls=None), SQLiteStore(path), account="me")
    await lim.usage()
    ready()
    for _ in range(2):
        ticket = await lim.admit(LIST)
        ticket.sent()
    waiting = asyncio.create_task(lim.admit(LIST))
    await asyncio.sleep(0.1)
    print("waiting", flush=True)
    await waiting
    await asyncio.sleep(60)


async def book(path: str, times: str) -> None:
    """Take so many turns, and close the file: the last one to do so throws its log away."""
    lim = Limiter(Plan(qps=None, ip_qps=None, daily_points=None), SQLiteStore(path), account="me")
    ready()
    for _ in range(int(times)):
        (await lim.admit(LIST)).answered()
    await lim.aclose()


async def fork(path: str) -> None:
    """Book, fork, and book in both. The parent closes the file before the child goes on."""
    lim = Limiter(Plan(qps=None, ip_qps=None, daily_points=None), SQLiteStore(path), account="me")
    ready()
    for _ in range(3):
        (await lim.admit(LIST)).answered()
    await asyncio.sleep(0.05)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = in_child(lim, go_on=reading)
        finally:
            os._exit(code)
    for _ in range(20):
        (await lim.admit(LIST)).answered()
    await asyncio.sleep(0.1)  # the child has opened it, too
    await lim.aclose()
    os.write(writing, b"!")
    _, status = os.waitpid(child, 0)  # noqa: ASYNC222
    print(os.waitstatus_to_exitcode(status), (await lim.usage())["calls product/list"].used, flush=True)
    await lim.aclose()


def in_child(lim: Limiter, times: int = 20, go_on: int | None = None) -> int:
    """The inherited limiter goes on in a loop of its own, and the parent's tasks do nothing there."""

    async def book() -> None:
        asyncio.get_running_loop().call_later(0.05, gc.collect)
        for n in range(times):
            if n == times // 2 and go_on is not None:
                os.read(go_on, 1)
            (await lim.admit(LIST)).answered()
        await lim.aclose()

    asyncio._set_running_loop(None)
    asyncio.new_event_loop().run_until_complete(book())
    return 0


async def fork_while_waiting(path: str) -> None:
    """Fork while callers stand in line: they wait in the parent only."""
    lim = Limiter(Plan(qps=5, ip_qps=None, daily_calls=None), SQLiteStore(path), account="me")
    ready()
    waiting = [asyncio.create_task(lim.admit(LIST)) for _ in range(8)]
    await asyncio.sleep(0.2)
    gc.disable()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = in_child(lim, 3)
        finally:
            os._exit(code)
    for ticket in await asyncio.gather(*waiting):
        ticket.answered()
    _, status = os.waitpid(child, 0)  # noqa: ASYNC222
    print(os.waitstatus_to_exitcode(status), flush=True)
    await lim.aclose()


async def fork_memory() -> None:
    """A memory store must not be used on both sides of a fork."""
    from cjasync.errors import StoreError
    from cjasync.quota import MemoryStore

    lim = Limiter(Plan(qps=None), MemoryStore(), account="me")
    ready()
    (await lim.admit(LIST)).answered()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            lim.try_admit(LIST)
        except StoreError:
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)  # noqa: ASYNC222
    (await lim.admit(LIST)).answered()
    print(os.waitstatus_to_exitcode(status), flush=True)


JOBS = {job.__name__: job for job in (share, grab, stand_in_line, book, fork, fork_while_waiting, fork_memory)}

if __name__ == "__main__":
    asyncio.run(JOBS[sys.argv[1]](*sys.argv[2:]))
