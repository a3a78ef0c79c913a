"""CancelledError passes at every await of the request path, and leaves nothing behind: every one is tried.

Each scene is run again and again, cancelled after 0, 1, 2, ... turns of the event loop, until it gets through. Where
the call stood when it was cancelled is noted, and compared with every `await` that the modules hold.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from contextlib import closing as closing_db
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loops import run_clean
from msgspec.structs import replace

from cjasync import CJClient, CJError, Plan
from cjasync.auth import TokenRecord
from cjasync.drift import check_drift
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault
from cjasync.testing.plugin import sandbox_client
from tests.integration import cancelling

FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None, login_interval=None)
SLOW = replace(FREE, qps=12.5)
SLOW_LOGIN = replace(FREE, login_interval=300.0)


class Clock:
    """The machine's time, on which a pause is a few turns of the loop."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        for _ in range(40):
            await asyncio.sleep(0)


class Scene:
    """What is done, to which sandbox, by which client."""

    def __init__(
        self,
        act: Callable[[CJClient], Coroutine[Any, Any, Any]],
        *,
        warm: bool = False,
        faults: Callable[[], list[Fault]] = list,
        plan: Plan = FREE,
        every: int = 1,
        last: int = 1_000_000,
        again: bool = True,
        files: bool = False,
        session: bool = False,
        **client: Any,
    ) -> None:
        self.act = act
        self.warm = warm
        self.faults = faults
        self.plan = plan
        self.every = every
        self.last = last
        self.again = again
        self.files = files  # limits and tokens are kept in files
        self.session = session  # the user's
        self.client = client


async def walk(cj: CJClient) -> int:
    return len([row async for row in cj.products.list(page_size=5)])


async def pages(cj: CJClient) -> int:
    return len([page async for page in cj.products.list(page_size=5).pages()])


async def in_bulk(cj: CJClient, *, ordered: bool = False) -> int:
    return len([done async for done in cj.bulk(cj.products.query, ["1", "2", "3"], key="pid", ordered=ordered)])


async def queue(keys: str, turns: int) -> AsyncIterator[str]:
    """Each key and the end take some turns of the loop."""
    try:
        for key in keys:
            for _ in range(turns):
                await asyncio.sleep(0)
            yield key
    finally:
        for _ in range(3):
            await asyncio.sleep(0)


async def from_a_queue(cj: CJClient) -> int:
    return len([done async for done in cj.bulk(cj.products.query, queue("12", 3), key="pid")])


async def broken_off(parts: Any, after: int) -> None:
    """So many are enough, while others are on their way."""
    async with aclosing(aiter(parts)) as wanted:
        for _ in range(after):
            await anext(wanted)


async def alike(cj: CJClient) -> Any:
    """The one that is cancelled shares the read of another."""
    other = asyncio.ensure_future(cj.categories.get())
    try:
        await asyncio.sleep(0)
        return await cj.categories.get()
    finally:
        await other


async def write(cj: CJClient) -> Any:
    try:
        return await cj.products.add_to_my_product("none")
    except CJError:
        return None


async def first_page(cj: CJClient) -> Any:
    return await cj.products.list(page_size=5)


async def close_in_no_time(cj: CJClient) -> None:
    closing = asyncio.ensure_future(cj.aclose())
    for _ in range(2):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait((closing,))
    cancelling.note_end(closing)


async def closed_upon(cj: CJClient, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """The client is closed around a call, in no time, wherever that and a login below it stand."""
    try:
        return await call()
    except asyncio.CancelledError:
        await close_in_no_time(cj)
        raise


async def close(cj: CJClient) -> None:
    """While two calls, the limits' file and a login are under way."""
    calls = [asyncio.ensure_future(call()) for call in (cj.categories.get, cj.warehouses.global_list)]
    for call in calls:
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
    async with cj:
        for _ in range(8):
            await asyncio.sleep(0)


async def while_another_asks(cj: CJClient, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Another process has the lock of the tokens."""
    async with cj._tokens._vault.alone():
        closing = asyncio.ensure_future(closed_upon(cj, call))
        try:
            await asyncio.wait((closing,))
        finally:
            closing.cancel()
            await asyncio.wait((closing,))


async def while_another_writes(cj: CJClient) -> Any:
    """Another process has the lock of the limits."""
    with closing_db(sqlite3.connect(cj.engine.services.limiter.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        usage = asyncio.ensure_future(cj.usage())
        try:
            for _ in range(100):
                await asyncio.sleep(0)
            other.rollback()
            return await usage
        finally:
            usage.cancel()
            await asyncio.wait((usage,))
            cancelling.note_end(usage)


async def check(cj: CJClient) -> Any:
    """All reading calls, one after another."""
    (row, *_) = await cj.products.list(page_size=1)
    with suppress(CJError):
        await cj.sourcing.query(["1"])
    return await check_drift(cj, pid=row.pid, rows=1)


async def next_login(cj: CJClient) -> Any:
    await cj.auth.login()
    await cj.auth.logout()
    return await cj.auth.login()


async def refreshed_ahead(cj: CJClient) -> Any:
    """The token is near its end, and the client is closed upon the refresh in the background."""
    old = await cj.auth.login()
    now = datetime.now(UTC)
    old = replace(old, received_at=now - timedelta(days=15), access_expires_at=now + timedelta(hours=1))
    manager = cj._tokens
    await manager._vault.save(TokenRecord(tokens=old, login_at=now))
    manager._take(old)
    assert manager.current()
    try:
        while manager._tasks._tasks:  # noqa: ASYNC110 - it is in the background, and nobody tells
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        await close_in_no_time(cj)
        raise


SCENES = {
    "a read on a new connection": Scene(lambda cj: cj.categories.get()),
    "a read on a kept connection": Scene(lambda cj: cj.categories.get(), warm=True),
    "a page": Scene(first_page, warm=True),
    "a check of the models": Scene(check, warm=True, every=4, again=False),
    "a write": Scene(write, warm=True),
    "listened to": Scene(lambda cj: cj.categories.get(), warm=True, hooks=[lambda event: None]),
    "with bytes": Scene(lambda cj: cj.with_raw(cj.categories.get), warm=True),
    "login first": Scene(lambda cj: cj.categories.get(), access_token=None, every=2),
    "login first, before a deadline": Scene(
        lambda cj: cj.with_options(deadline=20).categories.get(), access_token=None, every=5
    ),
    "a stale token": Scene(
        lambda cj: cj.categories.get(),
        warm=True,
        access_token=None,
        every=3,
        faults=lambda: [Fault("refuse", "product/getCategory", code=1600001, nth=2)],
    ),
    "after a pause": Scene(
        lambda cj: cj.categories.get(),
        faults=lambda: [Fault("status", "product/getCategory", times=1, status=503)],
        every=5,
    ),
    "after an empty page": Scene(
        first_page,
        faults=lambda: [Fault("transient_empty", "product/list", times=1, data={"total": 30, "list": []})],
        every=2,
    ),
    "after a connection was lost": Scene(
        lambda cj: cj.categories.get(), faults=lambda: [Fault("close_before", "product/getCategory", times=2)], every=5
    ),
    "a body in pieces": Scene(
        lambda cj: cj.categories.get(),
        faults=lambda: [Fault("huge_body", size=1_200_000, announced=False, times=1)],
    ),
    "a body that drips": Scene(
        lambda cj: cj.categories.get(), faults=lambda: [Fault("slow_drip", size=400, pause=0.0)], every=9
    ),
    "waiting for a turn": Scene(
        lambda cj: cj.categories.get(),
        warm=True,
        plan=SLOW,
        every=1000,
        again=False,
    ),
    "refused for going too fast": Scene(
        lambda cj: cj.categories.get(),
        faults=lambda: [Fault("refuse", code=1600200, message="QPS limit is 1 time/1second", times=1)],
        every=20,
        last=400,
        again=False,
    ),
    "points used up, and waiting": Scene(
        lambda cj: cj.categories.get(),
        faults=lambda: [Fault("refuse", code=16900500, message="Insufficient API points", times=2)],
        on_exhausted="wait",
        every=3,
        again=False,
    ),
    "a walk": Scene(walk, warm=True, every=4),
    "a walk by pages": Scene(pages, every=4),
    "in bulk": Scene(in_bulk, every=4),
    "in bulk, in order": Scene(lambda cj: in_bulk(cj, ordered=True), warm=True, every=4),
    "in bulk from a queue": Scene(from_a_queue, warm=True, every=4),
    "a walk that is broken off": Scene(lambda cj: broken_off(cj.products.list(page_size=5), 6), warm=True),
    "a walk by pages that is broken off": Scene(
        lambda cj: broken_off(cj.products.list(page_size=5).pages(), 2), warm=True
    ),
    "in bulk, and broken off": Scene(
        lambda cj: broken_off(cj.bulk(cj.products.query, queue("1234567", 0), key="pid"), 1), warm=True
    ),
    "a read of somebody else": Scene(alike, warm=True),
    "the first call, with files": Scene(lambda cj: cj.categories.get(), files=True, every=2),
    "the first call over a session of the user's, with files": Scene(
        lambda cj: cj.categories.get(), files=True, session=True, every=2
    ),
    "the first login, with files": Scene(lambda cj: cj.auth.login(), access_token=None, files=True, every=2),
    "the first two calls, with files": Scene(
        lambda cj: asyncio.gather(cj.categories.get(), cj.warehouses.global_list()), files=True, every=2, last=10
    ),
    "what it will cost, with files": Scene(lambda cj: cj.estimate("product/list", 1), files=True, every=2),
    "while another writes": Scene(while_another_writes, warm=True, files=True, every=6, last=60),
    "until the next login": Scene(next_login, access_token=None, last=100, every=5, again=False, plan=SLOW_LOGIN),
    "a logout": Scene(lambda cj: cj.auth.logout(), warm=True, access_token=None, files=True),
    "closing upon a login": Scene(close, grace=0, again=False, access_token=None),
    "closing, with files": Scene(close, grace=0, again=False, files=True),
    "closing upon those who wait for a turn": Scene(close, grace=0, again=False, warm=True, plan=SLOW, last=30),
    "closing at rest, with files": Scene(lambda cj: cj.aclose(), warm=True, again=False, files=True),
    "closed upon, with files": Scene(
        lambda cj: closed_upon(cj, cj.categories.get), again=False, access_token=None, files=True, every=2
    ),
    "closed upon while another asks": Scene(
        lambda cj: while_another_asks(cj, cj.categories.get), again=False, access_token=None, every=3, last=12
    ),
    "closed upon a login while another asks": Scene(
        lambda cj: while_another_asks(cj, cj.auth.login), again=False, access_token=None, files=True, every=3, last=12
    ),
    "closed upon a logout while another asks": Scene(
        lambda cj: while_another_asks(cj, cj.auth.logout), again=False, access_token=None, files=True, every=3, last=12
    ),
    "closed upon a refresh": Scene(refreshed_ahead, again=False, access_token=None, files=True, every=2),
    "closed upon a refresh that is refused": Scene(
        refreshed_ahead,
        again=False,
        access_token=None,
        files=True,
        every=2,
        faults=lambda: [Fault("refuse", "authentication/refreshAccessToken", code=1600003)],
    ),
}

played: set[str] = set()


@asynccontextmanager
async def staged(scene: Scene) -> AsyncIterator[CJClient]:
    with TemporaryDirectory() as folder:
        files = {"quota": f"sqlite://{folder}/quota.db", "token_store": folder} if scene.files else {}
        async with Sandbox(products=30, plan=FREE) as box, aiohttp.ClientSession() as session:
            client: dict[str, Any] = {"clock": Clock(), "plan": scene.plan, **files, **scene.client}
            if "access_token" in client:
                client["api_key"] = box.api_key
            async with sandbox_client(box, session=session if scene.session else None, **client) as cj:
                box.faults.add(*scene.faults())
                if scene.warm:
                    await cj.categories.get()
                yield cj


@pytest.fixture(autouse=True)
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelling.without_threads(monkeypatch)


@pytest.mark.parametrize("name", SCENES)
def test_cancelled_at_every_turn(name: str) -> None:
    scene = SCENES[name]
    played.add(name)

    async def main() -> None:
        turns = 0
        while True:
            async with staged(scene) as cj:
                if await once(cj, scene, turns) or turns >= scene.last:
                    return
            turns += scene.every

    run_clean(main(), "asyncio")


async def once(cj: CJClient, scene: Scene, turns: int) -> bool:
    """Cancel it after so many turns of the loop; whether it had got through before."""
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(scene.act(cj))
    for _ in range(turns):
        if task.done():
            break
        await asyncio.sleep(0)
    begun = asyncio.all_tasks() - before
    for one in begun:
        cancelling.covered |= cancelling.waiting_at(one)
    through = task.done()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError as error:
        assert not through
        cancelling.note(error)
    except CJError:
        assert through
    services = cj.engine.services
    async with asyncio.timeout(5):  # a login goes on: others may wait for it
        while services.running:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    for other in begun - {task}:
        cancelling.note_end(other)
    assert services.limiter._line.waiting == 0
    assert not any(services.flights._lanes.values())
    if services.transport is not None:
        assert services.transport.watchdog._watched == set()
        assert services.transport._session.closed if cj.closed else not services.transport._session.connector._acquired
    if scene.files and cj.closed:
        assert not services.limiter.store._file.is_open
    if scene.again and turns % 7 == 0:
        assert await cj.categories.get() is not None  # and it works as before
    return through


def test_that_was_every_await_there_is() -> None:
    """Says what the scenes have missed; it plays those that were not played yet."""
    for name in SCENES.keys() - played:
        test_cancelled_at_every_turn(name)
    assert cancelling.missed(apart=(*cancelling.APART, *cancelling.WALKS, cancelling.QUOTA)) == []
