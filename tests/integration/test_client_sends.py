"""What goes over the wire and when it stops: resends, sizes, redirects, deadlines, refusals, writes."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from loops import run_clean
from speaking import Impatient, Speaking, said

from cjasync import (
    AlreadyExistsError,
    AuthError,
    BadResponseError,
    CJClient,
    CJError,
    ConnectError,
    NotFoundError,
    OutcomeUnknownError,
    Plan,
    QuotaExhaustedError,
    RateLimitedError,
    StoreError,
    TransportError,
    UnavailableError,
    WaitTooLongError,
    hooks,
)
from cjasync import TimeoutError as LateError
from cjasync._clock import SystemClock
from cjasync._protocol import Request
from cjasync._transport import Transport
from cjasync.quota.memory import MemoryStore
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault
from cjasync.testing.clock import VirtualLoop
from cjasync.testing.plugin import sandbox_client

FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


def box(**settings: Any) -> Sandbox:
    return Sandbox(**{"products": 30, "plan": FREE, **settings})


def virtually(main: Any) -> Any:
    """Run `main(clock)` on a loop whose time jumps: client and sandbox live on the same clock."""

    async def started() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return await main(loop.clock)

    return run_clean(started(), "virtual")


def sent(sandbox: Sandbox, path: str) -> int:
    return sandbox.stats()["by_path"].get(path, 0)


# --- what is written


async def test_what_goes_past_aiohttp_s_session_says_what_goes_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Speaking(said(b"[]")) as server:
        for past in (True, False):
            monkeypatch.setattr("cjasync._transport.wire._KNOWN_VERSION", past)
            async with client(server.base_url) as cj:
                for sku in ("CJ1", "a b/ü&c", "CJ1"):
                    await cj.stock.query_by_sku(sku)
                    await cj.variants.query(pid=sku)
                await cj.products.add_to_my_product("ü")
                await cj.auth.logout()
    half = len(server.requests) // 2
    assert server.requests[:half] == server.requests[half:]
    assert b"GET /api/product/stock/queryBySku?sku=a+b%2F%C3%BC%26c HTTP/1.1\r\n" in [
        line for line, *_ in server.requests
    ]


async def test_who_traces_aiohttp_s_sessions_sees_these_requests_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instrumentation adds itself to every session that is made, or stands in for what a session does."""
    traced: list[str] = []

    async def start(session: Any, context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        traced.append(params.url.path)

    made, asked = aiohttp.ClientSession.__init__, aiohttp.ClientSession._request

    def making(self: Any, **settings: Any) -> None:
        traces = aiohttp.TraceConfig()
        traces.on_request_start.append(start)
        made(self, **settings, trace_configs=[traces])

    async def asking(self: Any, method: str, url: Any, **settings: Any) -> Any:
        traced.append(url.path)
        return await asked(self, method, url, **settings)

    async with box() as sandbox:
        for name, instead in (("__init__", making), ("_request", asking)):
            with monkeypatch.context() as patched:
                patched.setattr(aiohttp.ClientSession, name, instead)
                async with sandbox_client(sandbox) as cj:
                    await cj.categories.get()
        async with sandbox_client(sandbox) as cj:
            await cj.categories.get()
    assert traced == ["/api2.0/v1/product/getCategory"] * 2


@pytest.mark.usefixtures("either_way")
async def test_an_answer_that_nobody_asked_for_is_nobody_s() -> None:
    toys, pets = (said(b'[{"categoryFirstName":"%s"}]' % name) for name in (b"Toys", b"Pets"))
    early = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    async with Speaking(early + toys) as server, client(server.base_url, clock=Impatient()) as cj:
        for unasked in (b"", pets, pets + pets, pets[:-1], pets[:20]):
            if server.writers:  # on a connection that is kept
                server.writers[-1].write(unasked)
                await asyncio.sleep(0.01)
            (category,) = await cj.categories.get()
            assert category.category_first_name == "Toys"


async def test_a_token_that_no_header_can_hold_is_not_sent() -> None:
    async with Speaking(said(b"[]")) as server:
        with pytest.raises(CJError) as caught:
            async with client(server.base_url, access_token="ge\r\nheim") as cj:
                await cj.with_options(retries=0).categories.get()
    assert "heim" not in str(caught.value)
    assert server.requests == []


class Granting:
    """Admits everything, and notes what its tickets are told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def try_admit(self) -> Any:
        return self

    def seconds_left(self) -> float:
        return 5.0

    def __getattr__(self, name: str) -> Any:
        return lambda *facts: self.told.append(name)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("token", "sent"), [("ge\r\nheim", False), ("", True), (None, True)])
async def test_a_head_is_whole_whatever_the_token_and_made_before_anything_counts_as_sent(
    token: str | None, sent: bool
) -> None:
    granting = Granting()
    async with Speaking(said(b"[]")) as server:
        transport = Transport(clock=SystemClock(), session=None, connections=1, max_body=1 << 20, max_ratio=200)
        task = asyncio.current_task()
        assert task is not None
        exchange = transport.exchange(Request("POST", server.base_url + "/x", b"{}"), token, granting, task)
        if sent:
            response = await transport.send(exchange)
            response.release()
            assert response.status == 200
        else:
            with pytest.raises(CJError):
                await transport.send(exchange)
        await transport.aclose()
    assert exchange.sent is sent
    assert ("sent" in granting.told) is sent
    assert [any(field.startswith(b"Host: ") for field in head) for head in server.requests] == [True] * sent


async def test_a_head_that_breaks_off_is_not_shown() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: geheim\r\n")
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1")
    async with server, client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api") as cj:
        with pytest.raises(TransportError) as caught:
            await cj.with_options(retries=0).categories.get()
    assert "within the head" in str(caught.value)
    shown = [str(error) + repr(error) for error in (caught.value, caught.value.__cause__, caught.value.__context__)]
    assert not any("geheim" in text for text in shown)


# --- resends


@pytest.mark.parametrize("own_session", [True, False])
async def test_a_silent_resend_is_admitted_and_charged_like_any_other(own_session: bool) -> None:
    """aiohttp sends a GET again, without a word, when the kept-alive connection turns out to be dead."""
    plan = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=100, daily_points=50_000)
    async with (
        box(plan=plan) as sandbox,
        aiohttp.ClientSession() as session,
        sandbox_client(sandbox, plan=plan, session=None if own_session else session) as cj,
    ):
        await cj.categories.get()
        sandbox.faults.add(Fault("drop_kept_alive", times=1))
        events: list[hooks.Event] = []
        cj.engine.services.hooks = (events.append,)
        await cj.products.list()
        assert sent(sandbox, "product/list") == 2
        assert [type(event).__name__ for event in events].count("Attempt") == 2
        used = {bucket.name: bucket.used for bucket in (await cj.usage()).buckets}
        assert used["calls product/list"] == 2


@pytest.mark.parametrize("own_session", [True, False])
async def test_a_write_is_never_resent_silently(own_session: bool) -> None:
    async with (
        box() as sandbox,
        aiohttp.ClientSession() as session,
        sandbox_client(sandbox, session=None if own_session else session) as cj,
    ):
        (row,) = await cj.products.list(page_size=1)
        sandbox.faults.add(Fault("drop_kept_alive", "product/addToMyProduct", times=1))
        with pytest.raises(OutcomeUnknownError):
            await cj.products.add_to_my_product(row.pid)
        assert sent(sandbox, "product/addToMyProduct") == 1


async def test_a_write_that_never_reached_cj_is_tried_again() -> None:
    async with box() as sandbox:
        async with sandbox_client(sandbox) as cj:
            (row,) = await cj.products.list(page_size=1)
        clock = Impatient()
        async with sandbox_client(sandbox, base_url="http://127.0.0.1:9/api2.0/v1", clock=clock) as cj:
            with pytest.raises(ConnectError, match="no connection"):
                await cj.products.add_to_my_product(row.pid)
        assert len(clock.slept) == 3


# --- writes whose answer is lost


LOST = [
    Fault("execute_then_drop", "product/addToMyProduct", times=1),
    Fault("close_headers", "product/addToMyProduct", times=1),
    Fault("close_body", "product/addToMyProduct", times=1),
    Fault("status", "product/addToMyProduct", times=1, status=502, executes=True),
    Fault("html", "product/addToMyProduct", times=1, executes=True),
    Fault("empty", "product/addToMyProduct", times=1, executes=True),
]


@pytest.mark.parametrize("number", range(len(LOST)), ids=lambda number: LOST[number].kind)
@pytest.mark.parametrize("executed", [True, False])
async def test_a_write_whose_answer_is_lost(number: int, executed: bool) -> None:
    kind, parameters = LOST[number].kind, LOST[number].parameters
    async with box() as sandbox, sandbox_client(sandbox, clock=Impatient()) as cj:
        rows = await cj.products.list(page_size=2)

        def lose() -> None:
            sandbox.faults.add(Fault(kind, "product/addToMyProduct", times=1, executes=executed, **parameters))

        lose()
        with pytest.raises(OutcomeUnknownError, match=r"may or may not have happened; products\.my_product") as caught:
            await cj.products.add_to_my_product(rows[0].pid)
        assert caught.value.endpoint == "product/addToMyProduct"
        assert isinstance(caught.value.__cause__, CJError)
        assert sent(sandbox, "product/addToMyProduct") == 1
        lose()
        assert await cj.products.add_to_my_product(rows[1].pid, ensure=True) is True
        assert sent(sandbox, "product/addToMyProduct") == 3
        mine = [row.product_id for row in await cj.products.my_product()]
        assert Counter(mine) == Counter([rows[1].pid] + [rows[0].pid] * executed)


async def test_ensuring_is_not_for_what_was_there_before() -> None:
    async with box() as sandbox, sandbox_client(sandbox) as cj:
        (row,) = await cj.products.list(page_size=1)
        assert await cj.products.add_to_my_product(row.pid, ensure=True)
        with pytest.raises(AlreadyExistsError):
            await cj.products.add_to_my_product(row.pid, ensure=True)
        with pytest.raises(NotFoundError):
            await cj.products.add_to_my_product("none", ensure=True)


@pytest.mark.parametrize("then", [Fault("execute_then_drop"), Fault("refuse", code=1600300), Fault("status")])
async def test_what_stays_unknown_is_said_to_be(then: Fault) -> None:
    """Whatever comes after the lost attempt: the first one may have done it."""
    async with box() as sandbox, sandbox_client(sandbox, clock=Impatient()) as cj:
        (row,) = await cj.products.list(page_size=1)
        path = "product/addToMyProduct"
        sandbox.faults.add(Fault("execute_then_drop", path, times=1), Fault(then.kind, path, **then.parameters))
        with pytest.raises(OutcomeUnknownError):
            await cj.products.add_to_my_product(row.pid, ensure=True)
        assert sent(sandbox, path) == (2 if then.kind == "refuse" else 4)


async def test_ensuring_without_retries_does_not_send_again() -> None:
    async with box() as sandbox, sandbox_client(sandbox) as cj:
        (row,) = await cj.products.list(page_size=1)
        sandbox.faults.add(Fault("execute_then_drop", "product/addToMyProduct", times=1))
        with pytest.raises(OutcomeUnknownError):
            await cj.with_options(retries=0).products.add_to_my_product(row.pid, ensure=True)
        assert sent(sandbox, "product/addToMyProduct") == 1


async def test_a_busy_answer_to_a_write_is_an_answer() -> None:
    async with box() as sandbox, sandbox_client(sandbox) as cj:
        sandbox.faults.add(Fault("refuse", "product/addToMyProduct", code=1600000, message="System busy"))
        with pytest.raises(UnavailableError):
            await cj.products.add_to_my_product("1")
        assert sent(sandbox, "product/addToMyProduct") == 1


def test_a_write_refused_for_going_too_fast_was_not_done_and_is_sent_again() -> None:
    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock) as cj:
            (row,) = await cj.products.list(page_size=1)
            sandbox.faults.add(Fault("refuse", "product/addToMyProduct", code=1600200, times=1, status=429))
            began = clock.monotonic()
            assert await cj.products.add_to_my_product(row.pid)
            assert clock.monotonic() - began >= 1
            assert sent(sandbox, "product/addToMyProduct") == 2

    virtually(main)


# --- sizes


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_that_is_too_large_is_not_taken_in_and_not_asked_for_again(announced: bool) -> None:
    async with box() as sandbox, sandbox_client(sandbox, max_body=1_000_000) as cj:
        sandbox.faults.add(Fault("huge_body", "product/query", announced=announced))  # of 200 MB
        with pytest.raises(BadResponseError, match="larger than max_body, 1000000 bytes") as caught:
            await cj.products.query(pid="1")
        assert caught.value.http_status == 200
        assert sent(sandbox, "product/query") == 1
        assert len(await cj.products.list()) == 30


async def test_a_gzip_bomb_is_stopped_by_its_ratio_long_before_its_size() -> None:
    async with box() as sandbox, sandbox_client(sandbox) as cj:
        sandbox.faults.add(Fault("gzip_bomb", "product/query", size=60_000_000))
        with pytest.raises(BadResponseError, match="inflates to more than max_ratio, 200 times"):
            await cj.products.query(pid="1")
        assert sent(sandbox, "product/query") == 1


async def test_a_gzip_bomb_is_stopped_by_its_size_if_the_ratio_is_allowed() -> None:
    async with box() as sandbox, sandbox_client(sandbox, max_ratio=5000, max_body=3_000_000) as cj:
        sandbox.faults.add(Fault("gzip_bomb", "product/query", size=60_000_000))
        with pytest.raises(BadResponseError, match="larger than max_body"):
            await cj.products.query(pid="1")


async def test_honest_compression_is_welcome() -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.json_response({"code": 200, "result": True, "data": [], "message": "x" * 3_000_000})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with served(answer) as base_url, client(base_url, max_ratio=1500) as cj:
        assert await cj.categories.get() == ()


async def test_a_write_whose_answer_is_too_large_may_have_happened() -> None:
    async with box() as sandbox, sandbox_client(sandbox, max_body=1000) as cj:
        sandbox.faults.add(Fault("huge_body", "product/addToMyProduct", size=5000))
        with pytest.raises(OutcomeUnknownError):
            await cj.products.add_to_my_product("1")


# --- redirects


def served(handler: Any) -> Any:
    """A server that answers everything in one way: its base URL."""

    @asynccontextmanager
    async def serving() -> Any:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    return serving()


def client(base_url: str, **settings: Any) -> CJClient:
    told = {"access_token": "geheim", "plan": FREE, "quota": "memory", "token_store": "memory", **settings}
    return CJClient(base_url=base_url, **told)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_never_carries_the_token(status: int) -> None:
    seen: list[Any] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers)
        return web.json_response({"code": 200, "result": True, "data": None})

    async with served(elsewhere) as other:

        async def redirect(request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{other}/product/query"})

        async with served(redirect) as base_url, client(base_url, clock=Impatient()) as cj:
            with pytest.raises(BadResponseError, match=rf"redirect \(HTTP {status}\)"):
                await cj.products.query(pid="1")
            with pytest.raises(OutcomeUnknownError):
                await cj.products.add_to_my_product("1")
    assert seen == []


async def test_the_token_goes_where_it_belongs_and_cookies_nowhere() -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers)
        response = web.json_response({"code": 200, "result": True, "data": [{"categoryFirstName": "Toys"}]})
        response.set_cookie("session", "1")
        return response

    async with served(answer) as base_url, client(base_url) as cj:
        await cj.categories.get()
        await cj.categories.get()
    assert [headers["CJ-Access-Token"] for headers in seen] == ["geheim"] * 2
    assert all("Cookie" not in headers for headers in seen)
    assert seen[0]["User-Agent"].startswith("cjasync/")


# --- time


@pytest.mark.parametrize("after_headers", [False, True])
async def test_an_answer_that_does_not_come_is_a_timeout(after_headers: bool) -> None:
    async with box() as sandbox, sandbox_client(sandbox, timeout=0.05, clock=Impatient()) as cj:
        sandbox.faults.add(Fault("stall", "product/query", after_headers=after_headers))
        with pytest.raises(LateError, match="no whole answer within the time allowed"):
            await cj.with_options(retries=1).products.query(pid="1")
        assert sent(sandbox, "product/query") == 2
        assert len(await cj.products.list()) == 30


def test_the_timeout_is_for_one_attempt_and_the_deadline_for_all() -> None:
    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock) as cj:
            sandbox.faults.add(Fault("delay", "product/query", seconds=40))
            began = clock.monotonic()
            with pytest.raises(LateError):
                await cj.with_options(timeout=30, retries=2).products.query(pid="1")
            assert 90 <= clock.monotonic() - began <= 95  # three attempts and two pauses
            for deadline in (10, 50):
                began = clock.monotonic()
                with pytest.raises(LateError):
                    await cj.with_options(timeout=30, deadline=deadline).products.query(pid="1")
                assert clock.monotonic() - began == pytest.approx(deadline, abs=4)
                assert clock.monotonic() - began <= deadline + 0.1

    virtually(main)


def test_time_spent_waiting_for_a_turn_counts_against_the_deadline_and_not_against_the_timeout() -> None:
    plan = Plan(qps=0.1, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)

    async def main(clock: Any) -> None:
        async with box(clock=clock, plan=plan) as sandbox, sandbox_client(sandbox, clock=clock, plan=plan) as cj:
            await cj.categories.get()
            began = clock.monotonic()
            await cj.with_options(timeout=1).categories.get()  # the wait of ten seconds is not the server's
            assert clock.monotonic() - began >= 9
            sandbox.faults.add(Fault("delay", "product/getCategory", seconds=30))
            began = clock.monotonic()
            with pytest.raises(LateError):
                await cj.with_options(timeout=30, deadline=15).categories.get()
            assert clock.monotonic() - began == pytest.approx(15, abs=0.1)  # not ten and then fifteen more
            began = clock.monotonic()
            with pytest.raises(WaitTooLongError) as caught:
                await cj.with_options(deadline=2).categories.get()
            assert clock.monotonic() == began  # at once
            assert caught.value.retry_at > datetime.fromtimestamp(clock.time(), UTC) + timedelta(seconds=2)

    virtually(main)


def test_a_wait_longer_than_the_caller_s_patience_raises_at_once_and_says_until_when() -> None:
    plan = Plan(qps=0.1, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)

    async def main(clock: Any) -> None:
        async with box(clock=clock, plan=plan) as sandbox, sandbox_client(sandbox, clock=clock, plan=plan) as cj:
            await cj.categories.get()
            began = clock.monotonic()
            for patience in (0, 1, 5):
                with pytest.raises(WaitTooLongError) as caught:
                    await cj.with_options(max_wait=patience).categories.get()
                assert caught.value.endpoint == "product/getCategory"
                wait = caught.value.retry_at - datetime.fromtimestamp(clock.time(), UTC)
                assert timedelta(seconds=8) < wait < timedelta(seconds=12)
            assert clock.monotonic() == began
            assert sent(sandbox, "product/getCategory") == 1
            await cj.with_options(max_wait=20).categories.get()

    virtually(main)


def test_a_wait_for_a_token_ends_with_the_deadline_too() -> None:
    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox:
            sandbox.faults.add(Fault("stall", "authentication/getAccessToken"))
            async with sandbox_client(sandbox, clock=clock, access_token=None, api_key=sandbox.api_key) as cj:
                began = clock.monotonic()
                with pytest.raises(LateError, match="waited for a token"):
                    await cj.with_options(deadline=3).categories.get()
                assert clock.monotonic() - began == pytest.approx(3, abs=0.1)

    virtually(main)


def test_a_deadline_counts_from_the_await_and_not_from_the_call() -> None:
    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock) as cj:
            call = cj.with_options(deadline=5).categories.get()
            await asyncio.sleep(60)
            assert await call

    virtually(main)


def test_pauses_grow_and_hold_nothing() -> None:
    """While a call waits for its next attempt, others have its connection and its turn."""

    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock, connections=1) as cj:
            sandbox.faults.add(Fault("status", "product/query", status=503))
            told: list[hooks.Event] = []
            cj.engine.services.hooks = (told.append,)
            failing = asyncio.ensure_future(cj.products.query(pid="1"))
            while not any(isinstance(event, hooks.Retried) for event in told):  # noqa: ASYNC110 - a hook tells
                await asyncio.sleep(0)
            began = clock.monotonic()
            await cj.categories.get()
            assert clock.monotonic() == began
            with pytest.raises(UnavailableError):
                await failing
            pauses = [event.wait for event in told if isinstance(event, hooks.Retried)]
            assert len(pauses) == 3
            assert all(0 <= pause <= 0.5 * 2**number for number, pause in enumerate(pauses))

    virtually(main)


async def test_a_burst_of_failures_does_not_double_the_load() -> None:
    async with box() as sandbox, sandbox_client(sandbox, clock=Impatient(), coalesce=False) as cj:
        sandbox.faults.add(Fault("status", "product/query", status=503))
        outcomes = await asyncio.gather(
            *(cj.products.query(pid=str(number)) for number in range(200)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {UnavailableError}
        assert 200 < sent(sandbox, "product/query") <= 200 + 20 + 20


# --- limits


def test_a_refusal_for_going_too_fast_is_waited_out_by_all() -> None:
    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock, coalesce=False) as cj:
            sandbox.faults.add(
                Fault("refuse", "product/query", times=1, code=1600200, message="QPS limit is 1 time/7second")
            )
            began = clock.monotonic()
            with pytest.raises(NotFoundError):
                await cj.products.query(pid="1")
            assert 7 <= clock.monotonic() - began < 9
            assert sent(sandbox, "product/query") == 2

    virtually(main)


def test_a_server_that_goes_on_refusing_is_not_asked_for_ever() -> None:
    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock) as cj:
            sandbox.faults.add(Fault("refuse", "product/query", code=1600200, message="QPS limit is 1 time/2second"))
            with pytest.raises(RateLimitedError) as caught:
                await cj.products.query(pid="1")
            assert sent(sandbox, "product/query") == 9
            wait = caught.value.retry_at - datetime.fromtimestamp(clock.time(), UTC)
            assert wait.total_seconds() == pytest.approx(2, abs=0.1)
            with pytest.raises(WaitTooLongError):
                await cj.with_options(max_wait=0.5).products.query(pid="1")
            assert sent(sandbox, "product/query") == 9

    virtually(main)


@pytest.mark.parametrize(
    ("code", "message", "bucket"),
    [
        (16900500, "Insufficient API points. Used today: 50000, Remaining: 0, Required: 10.", "points"),
        (1600200, "Too Many Requests, Sorry, you have reached the daily request limit (1000 times/day)", "calls"),
    ],
)
@pytest.mark.parametrize("path", ["product/query", "product/getCategory"])
async def test_a_budget_that_is_used_up_is_told_at_once_with_its_reset(
    code: int, message: str, bucket: str, path: str
) -> None:
    async with box() as sandbox, sandbox_client(sandbox) as cj:
        sandbox.faults.add(Fault("refuse", path, code=code, message=message))
        call = cj.products.query(pid="1") if path == "product/query" else cj.categories.get()
        with pytest.raises(QuotaExhaustedError) as caught:
            await call
        assert caught.value.bucket == bucket
        now = datetime.now(UTC)
        assert now < caught.value.resets_at <= now + timedelta(days=1)
        assert sent(sandbox, path) == 1


@pytest.mark.parametrize("path", ["product/query", "product/getCategory"])
def test_a_budget_that_is_used_up_can_be_waited_for_without_hammering(path: str) -> None:
    """Also one that costs points which the client knows nothing of."""

    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock, on_exhausted="wait") as cj:
            text = "Insufficient API points. Used today: 50000, Remaining: 0, Required: 10."
            sandbox.faults.add(Fault("refuse", path, code=16900500, message=text, times=4))
            began = clock.monotonic()
            if path == "product/query":
                with pytest.raises(NotFoundError):
                    await cj.products.query(pid="none")
            else:
                assert await cj.categories.get()
            assert sent(sandbox, path) == 5
            assert clock.monotonic() - began >= 3 * 60

    virtually(main)


def test_waiting_for_a_reset_ends_with_the_caller_s_patience() -> None:
    async def main(clock: Any) -> None:
        async with box(clock=clock) as sandbox, sandbox_client(sandbox, clock=clock, on_exhausted="wait") as cj:
            sandbox.faults.add(Fault("refuse", code=16900500, message="Insufficient API points"))
            for patience in ({"max_wait": 20}, {"deadline": 30}):
                began = clock.monotonic()
                with pytest.raises(QuotaExhaustedError):
                    await cj.with_options(**patience).categories.get()
                assert clock.monotonic() - began <= 30

    virtually(main)


async def test_a_store_of_the_user_s_that_fails_is_not_taken_for_the_network() -> None:
    class Broken(MemoryStore):
        def try_book(self, *arguments: Any) -> Any:
            raise RuntimeError("connection closed")

    async with box() as sandbox, sandbox_client(sandbox, quota=Broken()) as cj:
        with pytest.raises(StoreError, match="connection closed") as caught:
            await cj.categories.get()
        assert caught.value.endpoint == "product/getCategory"
        assert sandbox.stats()["requests"] == 0


# --- options


async def test_options_change_patience_and_share_the_rest() -> None:
    async with box() as sandbox, sandbox_client(sandbox) as cj:
        hasty = cj.with_options(timeout=0.05, retries=0)
        assert (hasty.options.timeout, hasty.options.retries) == (0.05, 0)
        assert (cj.options.timeout, cj.options.retries) == (30, 3)
        assert hasty.with_options(priority="background").options.retries == 0
        sandbox.faults.add(Fault("stall", "product/query"))
        with pytest.raises(LateError):
            await hasty.products.query(pid="1")
        await cj.aclose()
        assert hasty.closed


# --- what listeners hear, and what nobody may see


async def test_listeners_hear_every_event() -> None:
    events: list[hooks.Event] = []
    async with box() as sandbox, sandbox_client(sandbox, hooks=[events.append], clock=Impatient()) as cj:
        sandbox.faults.add(
            Fault("status", "product/list", nth=1, status=503),
            Fault("refuse", "product/list", nth=2, code=1600200, message="QPS limit is 10 times/1second"),
            Fault("duplicate_keys", "product/query", first=True),
        )
        page = await cj.products.list(page_size=3)
        with pytest.raises(CJError):
            await cj.products.query(pid="none")
    kinds = [type(event).__name__ for event in events if event.endpoint == "product/list"]
    assert kinds == [
        "CallStarted",
        *("Booked", "Attempt", "Outcome", "Retried"),
        *("Booked", "Attempt", "Outcome", "Refused"),
        *("Booked", "Attempt", "Outcome"),
        "PageRead",
        "CallEnded",
    ]
    outcomes = [event for event in events if isinstance(event, hooks.Outcome)]
    assert [(outcome.attempt, outcome.http_status, outcome.error) for outcome in outcomes[:3]] == [
        (1, 503, "UnavailableError"),
        (2, 200, "RateLimitedError"),
        (3, 200, None),
    ]
    assert outcomes[2].bytes > 500
    assert outcomes[2].request_id
    assert outcomes[2].seconds > 0
    ended = [event for event in events if isinstance(event, hooks.CallEnded)]
    assert [(event.attempts, event.error) for event in ended] == [(3, None), (1, "NotFoundError")]
    read = next(event for event in events if isinstance(event, hooks.PageRead))
    assert (read.page, read.rows, read.total, read.skipped) == (1, len(page), page.total, 0)


async def test_a_row_that_cannot_be_read_is_an_event() -> None:
    events: list[hooks.Event] = []
    async with box() as sandbox, sandbox_client(sandbox, hooks=[events.append]) as cj:
        sandbox.faults.add(Fault("deep_json", "product/list", field="listedNum", depth=3))
        page = await cj.products.list(page_size=3)
    skipped = [event for event in events if isinstance(event, hooks.RowSkipped)]
    assert len(skipped) == len(page.skipped) == 3
    assert "listedNum" in skipped[0].path


async def test_a_listener_that_fails_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: hooks.Event) -> None:
        raise ZeroDivisionError

    async with box() as sandbox, sandbox_client(sandbox, hooks=[broken]) as cj:
        assert await cj.categories.get()
    assert "a hook failed on CallStarted" in caplog.text


async def test_the_log_tells_much_and_no_secret(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CJASYNC_LOG", "debug")
    caplog.set_level(logging.DEBUG)
    async with box() as sandbox:
        sandbox.faults.add(
            Fault("refuse", "product/query", code=1600001, message="expired", times=1),
            Fault("bad_gzip", "product/list", times=1),
            Fault("huge_number", "authentication/refreshAccessToken", field="accessToken", times=1),
        )
        async with sandbox_client(sandbox, access_token=None, api_key=sandbox.api_key, clock=Impatient()) as cj:
            await cj.products.list(page_size=1)
            with pytest.raises((NotFoundError, AuthError)):
                await cj.products.query(pid="secret-pid")
            await cj.settings.get()
        secrets = [
            sandbox.api_key.split("@")[-1],
            sandbox.access_token.split("eyJ", 1)[1],
            str(sandbox.account.open_id),
        ]
    text = caplog.text
    assert "product/list" in text
    assert "CallEnded" in text
    for secret in (*secrets, "secret-pid"):
        assert secret not in text


def test_the_log_goes_to_stderr_where_nobody_set_one_up() -> None:
    script = """
        import asyncio, os
        os.environ["CJASYNC_LOG"] = "DEBUG"
        from cjasync.sandbox import Sandbox
        from cjasync.testing.plugin import sandbox_client

        async def main():
            async with Sandbox(products=3) as box, sandbox_client(box) as cj:
                await cj.categories.get()

        asyncio.run(main())
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=30, check=True
    )
    lines = [line for line in result.stderr.splitlines() if "cjasync" in line]
    assert [line.split()[3].split("(")[0] for line in lines] == [
        *("CallStarted", "Booked", "Attempt", "Outcome", "CallEnded")
    ]


# --- broken connections


@pytest.mark.parametrize("kind", ["close_before", "close_headers", "close_body", "truncate", "not_http", "bad_gzip"])
async def test_an_answer_that_breaks_off_is_asked_for_again(kind: str) -> None:
    async with box() as sandbox, sandbox_client(sandbox, clock=Impatient()) as cj:
        sandbox.faults.add(Fault(kind, "product/list", times=2))
        assert len(await cj.products.list()) == 30
        sandbox.faults.add(Fault(kind, "product/list"))
        with pytest.raises(TransportError) as caught:
            await cj.products.list()
        assert caught.value.endpoint == "product/list"


async def test_a_port_where_nobody_listens() -> None:
    async with client("http://127.0.0.1:9/v1", clock=Impatient()) as cj:
        with pytest.raises(ConnectError, match="no connection") as caught:
            await cj.categories.get()
        assert caught.value.endpoint == "product/getCategory"
