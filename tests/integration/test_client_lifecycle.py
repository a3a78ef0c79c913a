"""From the first call to `aclose`: whose session, which loop, what becomes of calls under way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from loops import Kind, run_clean

from cjasync import CJClient, CJError, ClosedError, OutcomeUnknownError, Plan
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault
from cjasync.testing.plugin import sandbox_client

FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


def sandbox(**settings: Any) -> Sandbox:
    return Sandbox(**{"products": 30, "plan": FREE, **settings})


async def arrived(box: Sandbox, calls: int = 1) -> None:
    """Wait until the sandbox has seen so many requests."""
    async with asyncio.timeout(5):
        while box.stats()["requests"] < calls:  # noqa: ASYNC110 - the sandbox tells no event
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", ["debug", "uvloop"])
def test_all_kinds_of_calls_leave_nothing_behind(kind: Kind) -> None:
    async def main() -> None:
        async with sandbox() as box, sandbox_client(box, access_token=None, api_key=box.api_key) as cj:
            rows = [row async for row in cj.products.list(page_size=7)]
            assert len(rows) == 30
            async for row in cj.products.list(page_size=3):
                if row.pid == rows[4].pid:
                    break
            done = [done async for done in cj.bulk(cj.products.query, [row.pid for row in rows[:8]], key="pid")]
            assert all(outcome.error is None for outcome in done)
            assert await cj.products.add_to_my_product(rows[0].pid)
            with pytest.raises(CJError):
                await cj.products.query(pid="none")
            box.faults.add(Fault("stall", "product/query"))
            with pytest.raises(asyncio.TimeoutError):
                await cj.with_options(timeout=0.05, retries=0).products.query(pid=rows[0].pid)
            task = asyncio.ensure_future(_collect(cj.products.list(page_size=1)))
            await asyncio.sleep(0.01)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    run_clean(main(), kind)


async def _collect(pager: Any) -> list[Any]:
    return [row async for row in pager]


# --- closing


def test_use_after_close_is_a_typed_error() -> None:
    async def main() -> None:
        async with sandbox() as box:
            cj = sandbox_client(box)
            await cj.products.list()
            await cj.aclose()
            await cj.aclose()
            assert cj.closed
            assert repr(cj).endswith("closed>")
            for use in (
                lambda: cj.products.list(),
                lambda: cj.products.query(pid="1"),
                lambda: cj.products.add_to_my_product("1"),
                lambda: cj.with_options(retries=0).categories.get(),
                lambda: cj.with_raw(cj.products.query, pid="1"),
                lambda: _collect(cj.products.list()),
            ):
                with pytest.raises(ClosedError, match="the client is closed") as caught:
                    await use()
                assert caught.value.endpoint
            (done,) = [done async for done in cj.bulk(cj.products.query, ["1"], key="pid")]
            assert isinstance(done.error, ClosedError)
            assert box.stats()["requests"] == 1

    run_clean(main())


def test_a_client_that_was_never_used_is_closed_at_once() -> None:
    async def main() -> None:
        async with sandbox() as box, sandbox_client(box):
            pass

    run_clean(main())


@pytest.mark.parametrize("kind", ["debug", "uvloop"])
def test_calls_in_flight_may_end_within_the_grace(kind: Kind) -> None:
    async def main() -> None:
        async with sandbox(latency=0.03) as box:
            cj = sandbox_client(box)
            calls = [asyncio.ensure_future(_collect(cj.products.list(page_size=200))) for _ in range(3)]
            await arrived(box)
            await cj.aclose()
            assert [len(call.result()) for call in calls] == [30] * 3

    run_clean(main(), kind)


@pytest.mark.parametrize("kind", ["debug", "uvloop"])
def test_calls_that_need_longer_end_with_closed_error(kind: Kind) -> None:
    async def main() -> None:
        async with sandbox() as box:
            box.faults.add(Fault("stall"))
            cj = sandbox_client(box, grace=0.05, coalesce=False)
            calls = [
                asyncio.ensure_future(call)
                for call in (
                    cj.products.query(pid="1"),
                    _collect(cj.products.list()),
                    _collect(cj.bulk(cj.products.query, ["2", "3"], key="pid")),
                )
            ]
            await arrived(box, 4)
            await cj.aclose()
            one, walk, many = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(one, ClosedError)
            assert isinstance(walk, ClosedError)
            assert walk.cursor is not None
            assert [type(done.error) for done in many] == [ClosedError] * 2
            for call in calls:
                assert call.cancelling() == 0

    run_clean(main(), kind)


def test_a_write_that_is_closed_upon_may_have_happened() -> None:
    async def main() -> None:
        async with sandbox() as box:
            box.faults.add(Fault("stall"))
            cj = sandbox_client(box, grace=0)
            write = asyncio.ensure_future(cj.products.add_to_my_product("1"))
            await arrived(box)
            await cj.aclose()
            with pytest.raises(OutcomeUnknownError, match="my_product"):
                await write

    run_clean(main())


def test_only_the_call_ends_and_not_what_its_task_does_afterwards() -> None:
    """The grace is for calls. A service's task that is done with its call is none of the client's business."""

    async def main() -> None:
        async with sandbox(latency=0.02) as box:
            cj = sandbox_client(box, grace=30)
            going_on = asyncio.Event()

            async def service() -> str:
                await cj.products.list()
                await going_on.wait()
                return "done"

            task = asyncio.ensure_future(service())
            await arrived(box)
            async with asyncio.timeout(5):
                await cj.aclose()
            assert not task.done()
            going_on.set()
            assert await task == "done"

    run_clean(main())


def test_a_task_that_goes_on_after_its_call_was_ended_does_not_hold_the_close() -> None:
    async def main() -> None:
        async with sandbox() as box:
            box.faults.add(Fault("stall"))
            cj = sandbox_client(box, grace=0)

            async def service() -> str:
                with contextlib.suppress(ClosedError):
                    await cj.products.list()
                await asyncio.sleep(30)
                return "never"

            task = asyncio.ensure_future(service())
            await arrived(box)
            async with asyncio.timeout(5):
                await cj.aclose()
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run_clean(main())


def test_those_who_share_a_read_learn_of_the_close() -> None:
    async def main() -> None:
        async with sandbox() as box:
            box.faults.add(Fault("stall"))
            cj = sandbox_client(box, grace=0)
            calls = [asyncio.ensure_future(cj.products.query(pid="1")) for _ in range(3)]
            await arrived(box)
            await cj.aclose()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [ClosedError] * 3
            assert box.stats()["requests"] == 1

    run_clean(main())


def test_calls_waiting_for_their_turn_end_too() -> None:
    async def main() -> None:
        plan = Plan(qps=0.01, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
        async with sandbox(plan=plan) as box:
            cj = sandbox_client(box, grace=0, coalesce=False)
            calls = [asyncio.ensure_future(cj.categories.get()) for _ in range(3)]
            await arrived(box)
            await calls[0]
            await cj.aclose()
            outcomes = await asyncio.gather(*calls[1:], return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [ClosedError] * 2

    run_clean(main())


def test_a_close_that_is_cancelled_closes_all_the_same() -> None:
    async def main() -> None:
        async with sandbox() as box:
            box.faults.add(Fault("stall"))
            cj = sandbox_client(box, grace=30)
            call = asyncio.ensure_future(cj.products.list())
            await arrived(box)
            closing = asyncio.ensure_future(cj.aclose())
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            with pytest.raises(ClosedError):
                await call

    run_clean(main())


def test_an_error_in_the_body_closes_too() -> None:
    async def main() -> None:
        async with sandbox() as box:
            cj = sandbox_client(box)

            async def body() -> None:
                async with cj:
                    await cj.products.list()
                    raise LookupError

            with pytest.raises(LookupError):
                await body()
            assert cj.closed

    run_clean(main())


# --- sessions


def test_a_user_s_session_is_used_as_it_is_and_never_closed() -> None:
    async def main() -> None:
        seen: list[str] = []

        async def traced(session: Any, context: Any, request: Any) -> None:
            seen.append(request.method)

        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(traced)

        async def watching(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
            seen.append("middleware")
            assert "CJ-Access-Token" not in request.headers  # ours comes last, next to the socket
            return await handler(request)

        async with (
            sandbox() as box,
            aiohttp.ClientSession(
                headers={"X-Mine": "1"},
                trace_configs=[tracing],
                middlewares=(watching,),
                raise_for_status=True,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=0.001),
            ) as session,
        ):
            box.faults.add(Fault("refuse", "product/query", code=1602001, message="Product not found", status=404))
            async with sandbox_client(box, session=session) as cj:
                assert len(await cj.products.list()) == 30
                with pytest.raises(CJError, match="Product not found"):
                    await cj.products.query(pid="1")
            assert not session.closed
            async with session.get(f"{box.origin}/_sandbox/stats", timeout=aiohttp.ClientTimeout(5)) as answer:
                assert answer.status == 200
        assert seen[:2] == ["GET", "middleware"]

    run_clean(main())


def test_a_session_closed_by_its_owner_is_a_typed_error() -> None:
    async def main() -> None:
        async with sandbox() as box:
            session = aiohttp.ClientSession()
            async with sandbox_client(box, session=session) as cj:
                await session.close()
                with pytest.raises(ClosedError, match="session was closed"):
                    await cj.products.list()

    run_clean(main())


# --- loops and processes


def test_several_clients_in_one_loop_share_nothing_they_should_not() -> None:
    async def main() -> None:
        async with (
            sandbox() as one,
            sandbox(seed=2) as other,
            sandbox_client(one) as first,
            sandbox_client(other) as second,
        ):
            pages = await asyncio.gather(first.products.list(), second.products.list())
            assert pages[0].items != pages[1].items
            await first.aclose()
            assert len(await second.products.list()) == 30

    run_clean(main())


def test_a_client_belongs_to_the_loop_of_its_first_call() -> None:
    async def make() -> tuple[CJClient, Sandbox]:
        box = sandbox()
        await box.__aenter__()
        cj = sandbox_client(box)
        await cj.products.list()
        await box.__aexit__(None, None, None)
        return cj, box

    async def use(call: Callable[[CJClient], Any], cj: CJClient) -> None:
        with pytest.raises(ClosedError, match="belongs to another event loop; make one client per loop"):
            await call(cj)

    with asyncio.Runner() as first:
        cj, _ = first.run(make())
        with asyncio.Runner() as second:
            for call in (
                lambda cj: cj.products.list(),
                lambda cj: cj.products.query(pid="1"),
                lambda cj: cj.products.add_to_my_product("1"),
                lambda cj: _collect(cj.products.list()),
            ):
                second.run(use(call, cj))
        first.run(cj.aclose())


def test_a_client_made_outside_of_any_loop_works_in_the_first_that_uses_it() -> None:
    box = sandbox()
    cj = CJClient(access_token="t", base_url="http://127.0.0.1:1/v1", plan=FREE, quota="memory", token_store="memory")

    async def main() -> None:
        async with box, sandbox_client(box) as cj:
            assert len(await cj.products.list()) == 30

    run_clean(main())
    run_clean(cj.aclose())


def test_a_read_is_not_shared_across_loops() -> None:
    """A loop cannot be woken by another: who joined a read there would wait for ever."""
    told: list[BaseException] = []

    def thread(cj: CJClient) -> None:
        async def join() -> None:
            async with asyncio.timeout(5):
                await cj.products.query(pid="1")

        try:
            asyncio.run(join())
        except ClosedError as error:
            told.append(error)

    async def main() -> None:
        async with sandbox() as box, sandbox_client(box, grace=0) as cj:
            box.faults.add(Fault("stall"))
            call = asyncio.ensure_future(cj.products.query(pid="1"))
            await arrived(box)
            await asyncio.to_thread(thread, cj)
            await cj.aclose()
            with pytest.raises(ClosedError):
                await call

    run_clean(main())
    assert "belongs to another event loop" in str(told[0])


def test_clients_in_two_threads_each_with_its_loop() -> None:
    counts: list[int] = []

    def thread() -> None:
        async def main() -> int:
            async with sandbox() as box, sandbox_client(box) as cj:
                return len(await cj.products.list())

        counts.append(asyncio.run(main()))

    threads = [threading.Thread(target=thread) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(20)
    assert counts == [30, 30]


def test_fork_after_import_and_after_use() -> None:
    """The child has its own loop and its own client; the parent's is not usable there."""
    script = """
        import asyncio, logging, os, sys
        from cjasync import ClosedError, Plan
        from cjasync.sandbox import Sandbox
        from cjasync.testing.plugin import sandbox_client

        logging.getLogger("asyncio").setLevel(logging.ERROR)  # on a busy machine anything may be slow
        free = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)

        async def listed():
            async with Sandbox(products=30, plan=free) as box, sandbox_client(box) as cj:
                return len(await cj.products.list())

        def child():
            pid = os.fork()
            if pid == 0:
                try:
                    code = 0 if asyncio.run(listed()) == 30 else 1
                except BaseException as error:
                    print(repr(error), file=sys.stderr)
                    code = 2
                os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0

        child()
        assert asyncio.run(listed()) == 30
        child()

        async def inherited():
            async with Sandbox(products=30, plan=free) as box, sandbox_client(box) as cj:
                await cj.products.list()
                pid = os.fork()
                if pid == 0:
                    asyncio.events._set_running_loop(None)

                    async def use():
                        try:
                            await cj.products.list()
                        except ClosedError:
                            return 0
                        return 1

                    os._exit(asyncio.new_event_loop().run_until_complete(use()))
                assert os.waitpid(pid, 0)[1] == 0
                return len(await cj.products.list())

        assert asyncio.run(inherited()) == 30
    """
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONASYNCIODEBUG": "1"},
    )
    assert (result.returncode, result.stderr) == (0, "")
