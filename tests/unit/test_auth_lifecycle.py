"""Cancellation at every await, event loops, threads, stores that fail, holders that freeze."""

import asyncio
import logging
import threading
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest
import uvloop

from cjasync.auth import FileTokenStore, MemoryTokenStore, TokenRecord, _vault
from cjasync.errors import CJError, ClosedError, ConfigError, ConnectError
from tests.auth_cj import DAY, World, settled


class SlowStore(MemoryTokenStore):
    """Every step of it can be interrupted."""

    async def load(self, account):
        await asyncio.sleep(0)
        return await super().load(account)

    async def save(self, account, record):
        await asyncio.sleep(0)
        await super().save(account, record)

    @asynccontextmanager
    async def lock(self, account):
        await asyncio.sleep(0)
        async with super().lock(account):
            yield
        await asyncio.sleep(0)


async def use(tokens, way, old):
    if way == "get":
        await tokens.get()
    elif way == "rejected":
        await tokens.rejected(old)
    elif way == "login":
        await tokens.login()
    elif way == "logout":
        await tokens.logout()
    else:
        await tokens.aclose()


@pytest.mark.parametrize("way", ["get", "rejected", "login", "logout", "aclose"])
async def test_a_cancellation_at_any_await_passes_and_breaks_nothing(way):
    steps = 0
    finished = False
    while not finished:
        world = World(turns=2, floor=0)
        world.store = SlowStore()
        tokens, other = world.manager(login_interval=None), world.manager(login_interval=None)
        old = None if way == "get" else await tokens.get()
        if way == "rejected":
            world.cj.kill_access()
        if way == "aclose":
            asyncio.create_task(tokens.rejected(old)).add_done_callback(lambda done: done.exception())
            await asyncio.sleep(0)
        task = asyncio.create_task(use(tokens, way, old))
        for _ in range(steps):
            await asyncio.sleep(0)
        finished = not task.cancel()
        if finished:
            await task
        else:
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(5):
            token = await other.get()
            assert world.cj.accepts(token if world.cj.accepts(token) else await other.rejected(token))
            if way == "aclose" and steps:  # at 0 it was cancelled before it began
                with pytest.raises(ClosedError):
                    await tokens.get()
            else:
                token = await tokens.get()
                assert world.cj.accepts(token if world.cj.accepts(token) else await tokens.rejected(token))
        await tokens.aclose()
        await other.aclose()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"cancelled at step {steps}"
        steps += 1
    assert steps > 3, "nothing was interrupted"


def test_one_manager_serves_one_event_loop_after_another():
    world = World()
    tokens = world.manager()
    first = asyncio.run(tokens.get())
    world.cj.kill_access()
    second = asyncio.run(tokens.rejected(first))
    world.clock.now += 15 * DAY
    third = asyncio.run(tokens.get())
    assert world.cj.accepts(third)
    assert len({first, second, third}) == 3
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (1, 2)


def test_a_refresh_left_behind_by_a_loop_that_ended_does_not_stop_the_next():
    world = World(turns=1000)
    tokens = world.manager()

    async def start_and_leave():
        task = asyncio.create_task(tokens.get())
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(start_and_leave())
    world.cj.turns = 1
    assert world.cj.logins == 1
    world.clock.now += 300
    assert world.cj.accepts(asyncio.run(tokens.get()))


@pytest.mark.parametrize("shared", ["manager", "store"])
def test_event_loops_in_threads_make_one_login(shared):
    world = World(turns=30)
    one = world.manager()
    got = []

    def client():
        tokens = one if shared == "manager" else world.manager()
        got.append(asyncio.run(tokens.get()))

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(got) == 4
    assert len(set(got)) == 1
    assert world.cj.logins == 1


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("debug", [False, True])
def test_works_on_both_loops_also_in_debug_mode(tmp_path, loop_factory, debug):
    world = World(turns=3)
    world.store = FileTokenStore(tmp_path)

    async def live():
        clients = [world.manager() for _ in range(4)]
        (old,) = {*await asyncio.gather(*(client.get() for client in clients))}
        world.cj.kill_access()
        (new,) = {*await asyncio.gather(*(client.rejected(old) for client in clients))}
        assert world.cj.accepts(new)
        world.clock.now += 14 * DAY + 1
        assert clients[0].current() == new
        await clients[0].logout()
        for client in clients:
            await client.aclose()

    with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
        runner.run(live())
    assert world.cj.logins == 1


async def test_what_a_caller_traces_or_captures_is_not_handed_to_the_shared_work():
    world = World()
    captured = ContextVar("captured", default="nothing")
    seen = []

    async def authenticate():
        seen.append(captured.get())
        return await world.cj.authenticate()

    captured.set("the caller's")
    await world.manager(authenticate=authenticate).get()
    assert seen == ["nothing"]


# Stores.


class FailingStore(MemoryTokenStore):
    """Fails in the named ways, as a database may: with errors of its own that tell too much."""

    def __init__(self, *ways):
        super().__init__()
        self.ways = set(ways)

    def _fail(self, way):
        if way in self.ways:
            raise RuntimeError(f"cannot {way} SECRET-access-1")

    async def load(self, account):
        self._fail("load")
        return await super().load(account)

    async def save(self, account, record):
        self._fail("save")
        await super().save(account, record)

    @asynccontextmanager
    async def lock(self, account):
        self._fail("lock")
        async with super().lock(account):
            yield


@pytest.mark.parametrize("way", ["load", "lock"])
async def test_a_store_that_cannot_be_used_is_a_typed_error(way):
    world = World()
    world.store = FailingStore(way)
    tokens = world.manager()
    with pytest.raises(ConfigError, match="RuntimeError") as refused:
        await tokens.get()
    assert "SECRET" not in str(refused.value)
    world.store.ways.clear()
    assert world.cj.accepts(await tokens.get())


async def test_a_store_that_cannot_be_written_costs_nobody_the_token(caplog):
    world = World()
    world.store = FailingStore("save")
    tokens = world.manager()
    token = await tokens.get()
    assert "cannot be written" in caplog.text
    assert "SECRET" not in caplog.text
    assert (await tokens.login()).access_token == token, "the floor is kept in memory"
    world.cj.kill_access()
    token = await tokens.rejected(token)
    assert world.cj.accepts(token)
    assert await world.record() is None
    world.store.ways.clear()
    world.cj.kill_access()
    token = await tokens.rejected(token)
    assert (await world.record()).tokens.access_token == token
    world.cj.kill_access()
    assert await world.manager().rejected(token) == await tokens.rejected(token)
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (1, 3)


@pytest.mark.parametrize("ways", [("lock",), ("load", "lock", "save")])
async def test_a_store_that_fails_later_costs_a_running_service_nothing(ways, caplog):
    world = World()
    world.store = FailingStore()
    tokens = world.manager()
    token = await tokens.get()
    world.store.ways.update(ways)
    for _ in range(2):
        world.cj.kill_access()
        token = await tokens.rejected(token)
        assert world.cj.accepts(token)
    assert "cannot be locked (RuntimeError); going on without its lock" in caplog.text
    assert "SECRET" not in caplog.text
    world.store.ways.clear()
    world.cj.kill_access()
    token = await tokens.rejected(token)
    assert (await world.record()).tokens.access_token == token
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (1, 3)


async def test_a_frozen_holder_of_the_lock_stops_nobody_for_ever(monkeypatch, caplog):
    monkeypatch.setattr(_vault, "LOCK_PATIENCE", 0.02)
    world = World()
    async with world.store.lock("test"):
        assert world.cj.accepts(await world.manager().get())
    assert "going on without it" in caplog.text
    caplog.clear()
    assert await world.manager().get()
    assert not caplog.records


async def test_errors_from_inside_the_lock_are_not_taken_for_the_stores():
    world = World()
    world.cj.failures = [TimeoutError("the builtin one, from below")]
    with pytest.raises(TimeoutError, match="from below"):
        await world.manager().get()


async def test_a_store_may_hold_less_than_expected():
    world = World()
    await world.store.save("test", TokenRecord())
    assert world.cj.accepts(await world.manager().get())


async def test_a_background_refresh_is_cancelled_by_closing_and_says_nothing(caplog):
    caplog.set_level(logging.DEBUG)
    world = World()
    tokens = world.manager(renew=lambda _: asyncio.Event().wait())
    await tokens.get()
    world.clock.now += 14 * DAY
    tokens.current()
    await settled()
    await tokens.aclose(grace=0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not [record for record in caplog.records if record.name != "asyncio"]


async def test_a_closing_that_is_cancelled_cancels_the_work():
    world = World()
    tokens = world.manager(authenticate=asyncio.Event().wait)
    caller = asyncio.create_task(tokens.get())
    await settled()
    closing = asyncio.create_task(tokens.aclose(grace=60))
    await settled()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(ClosedError):
        await caller


async def test_errors_carry_the_endpoint_of_the_caller_not_of_another():
    world = World()
    tokens = world.manager()
    world.cj.failures = [ConnectError("refused")]

    async def call(endpoint):
        with pytest.raises(CJError) as refused:
            await tokens.get()
        assert refused.value.endpoint is None
        refused.value.endpoint = endpoint
        return refused.value

    errors = await asyncio.gather(call("product/list"), call("product/query"))
    assert [error.endpoint for error in errors] == ["product/list", "product/query"]
