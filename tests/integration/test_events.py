"""What hooks hear of calls over a real socket, and what the log shows of it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest

from cjasync import CJError, NotFoundError, Plan, hooks
from cjasync.hooks import (
    Attempt,
    Booked,
    CallEnded,
    CallStarted,
    Event,
    Outcome,
    PageRead,
    Refused,
    Retried,
    RowSkipped,
)
from cjasync.sandbox import Fault, Sandbox
from cjasync.testing import clock
from cjasync.testing.plugin import sandbox_client

EVENTS = (CallStarted, Booked, Attempt, Outcome, Refused, Retried, PageRead, RowSkipped, CallEnded)
LISTING = "product/list"
FAST = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None)


class Heard(list[Event]):
    """A hook that keeps what it hears."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if type(event) is kind]


async def test_a_call_is_told_from_its_start_to_its_end(make_sandbox: Any) -> None:
    heard = Heard()
    async with make_sandbox(plan=FAST) as sandbox, sandbox_client(sandbox, hooks=[heard]) as cj:
        answer = await cj.with_raw(cj.settings.get)
    started, booked, attempt, outcome, ended = heard
    assert [type(event) for event in heard] == [CallStarted, Booked, Attempt, Outcome, CallEnded]
    assert {(event.endpoint, event.call) for event in heard} == {("setting/get", started.call)}
    assert isinstance(booked, Booked)
    assert booked.waited >= 0
    assert isinstance(attempt, Attempt)
    assert attempt.attempt == booked.attempt == 1
    assert isinstance(outcome, Outcome)
    assert (outcome.http_status, outcome.bytes, outcome.error) == (200, len(answer.body), None)
    assert outcome.request_id == answer.request_id
    assert outcome.points_left == json.loads(answer.body)["pointsInfo"]["remaining"]
    assert isinstance(ended, CallEnded)
    assert (ended.attempts, ended.error) == (1, None)
    assert ended.seconds >= outcome.seconds > 0


def test_waits_refusals_and_retries_are_told() -> None:
    heard = Heard()
    time = clock.VirtualClock()

    async def main() -> None:
        plan = Plan(qps=1, ip_qps=None)
        async with Sandbox(products=50, plan=plan, clock=time) as sandbox:
            sandbox.faults.add(
                Fault("status", LISTING, nth=1, status=503),
                Fault("refuse", LISTING, nth=2, code=1600200, message="Too Many Requests, QPS limit is 1 time/1second"),
            )
            async with sandbox_client(sandbox, hooks=[heard], clock=time) as cj:
                await cj.products.list()
                with pytest.raises(NotFoundError):
                    await cj.products.query(pid="0")

    clock.run(main(), clock=time)
    listing = [event for event in heard if event.endpoint == LISTING]
    kinds = [type(event) for event in listing]
    once = [Booked, Attempt, Outcome]
    assert kinds == [CallStarted, *once, Retried, *once, Refused, *once, PageRead, CallEnded]
    assert [event.error for event in heard.of(Outcome)] == [
        "UnavailableError",
        "RateLimitedError",
        None,
        "NotFoundError",
    ]
    (retried,) = heard.of(Retried)
    assert (retried.attempt, retried.error) == (1, "UnavailableError")
    assert retried.wait >= 0
    (refused,) = heard.of(Refused)
    assert (refused.attempt, refused.limit) == (2, "qps")
    assert [event.attempt for event in heard.of(Attempt)] == [1, 2, 3, 1]
    assert any(event.waited > 0.5 for event in heard.of(Booked))  # at one a second somebody had to wait
    assert [(event.attempts, event.error) for event in heard.of(CallEnded)] == [(3, None), (1, "NotFoundError")]


async def test_pages_and_rows_that_cannot_be_read_are_told(cj_sandbox: Sandbox) -> None:
    page = {"pageNum": 1, "pageSize": 2, "total": 2, "list": [{"pid": "1"}, {"pid": "2", "sellPrice": "free"}]}
    cj_sandbox.faults.add(Fault("transient_empty", LISTING, nth=1, data=page))
    heard = Heard()
    async with sandbox_client(cj_sandbox, hooks=[heard]) as cj:
        await cj.products.list(page_size=2)
        pages = [page async for page in cj.products.list(page_size=200).pages()]
    (first, *rest) = heard.of(PageRead)
    assert (first.endpoint, first.page, first.rows, first.total, first.skipped) == (LISTING, 1, 1, 2, 1)
    assert sorted((event.page, event.rows, event.total) for event in rest) == [
        (page.number, len(page), page.total) for page in pages
    ]
    assert len(rest) == len(pages) == 3
    asked = [event.call for event in heard.of(CallStarted) if event.endpoint == LISTING]
    assert sorted(event.call for event in heard.of(PageRead)) == asked  # also while several are under way
    (skipped,) = heard.of(RowSkipped)
    assert (skipped.endpoint, skipped.path, skipped.call) == (LISTING, "sellPrice", first.call)
    assert "free" in skipped.reason


async def test_rows_of_a_list_without_pages_that_cannot_be_read_are_told(cj_sandbox: Sandbox) -> None:
    rows = [{"vid": "1"}, {"vid": "2", "variantSellPrice": "free"}]
    cj_sandbox.faults.add(Fault("transient_empty", "product/variant/query", data=rows))
    heard = Heard()
    async with sandbox_client(cj_sandbox, hooks=[heard]) as cj:
        assert len(await cj.variants.query(pid="1")) == 1
    (skipped,) = heard.of(RowSkipped)
    assert (skipped.endpoint, skipped.path) == ("product/variant/query", "variantSellPrice")


async def test_a_cancelled_call_ends_too(cj_sandbox: Sandbox) -> None:
    cj_sandbox.faults.add(Fault("stall", "setting/get"))
    heard, under_way = Heard(), asyncio.Event()

    def listen(event: Event) -> None:
        heard(event)
        if isinstance(event, Attempt):
            under_way.set()

    async with sandbox_client(cj_sandbox, hooks=[listen]) as cj:
        call = asyncio.ensure_future(cj.settings.get())
        await under_way.wait()
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
    assert [event.error for event in heard.of(CallEnded)] == ["CancelledError"]


async def test_a_hook_that_fails_is_logged_and_disturbs_nobody(
    cj_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise ZeroDivisionError(type(event).__name__)

    heard = Heard()
    async with sandbox_client(cj_sandbox, hooks=[broken, heard]) as cj:
        assert await cj.settings.get() is not None
    assert len(heard) == 5
    assert [record.getMessage() for record in caplog.records] == [
        f"a hook failed on {type(event).__name__}" for event in heard
    ]


async def test_no_event_is_made_when_nobody_listens(cj_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(**facts: Any) -> None:
        raise AssertionError("an event was made")

    for kind in EVENTS:
        monkeypatch.setattr(hooks, kind.__name__, made)
    cj_sandbox.faults.add(Fault("status", LISTING, nth=1, status=503))
    async with sandbox_client(cj_sandbox) as cj:
        assert len(await cj.products.list(page_size=5)) == 5
        with suppress(CJError):
            await cj.products.query(pid="0")


SESSION = """
import asyncio, json, logging
from contextlib import suppress
from cjasync import CJClient, CJError, Plan
from cjasync.sandbox import Fault, Sandbox

async def main():
    plan = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None)
    async with Sandbox(products=50, plan=plan) as sandbox:
        sandbox.faults.add(
            Fault("status", "product/list", nth=1, status=503),
            Fault("refuse", "setting/get", nth=2, code=1600001, message=f"bad token {sandbox.access_token}"),
            Fault("refuse", "product/query", nth=1, code=1600100, message=f"Param error {sandbox.api_key}"),
        )
        told = {"api_key": sandbox.api_key, "base_url": sandbox.base_url}
        async with CJClient(quota="memory", token_store="memory", plan=plan, **told) as cj:
            account = await cj.settings.get()
            row = (await cj.products.list(page_size=5))[0]
            for call in (cj.settings.get(), cj.products.query(pid=row.pid), cj.products.add_to_my_product(row.pid)):
                with suppress(CJError):
                    await call
            with suppress(CJError):
                await cj.auth.logout()
            told = {"open_id": account.open_id, "texts": [sandbox.api_key, sandbox.access_token, account.open_email]}
    print(json.dumps(told).encode().hex())  # in the clear it would be found among what the suite has written

logging.getLogger("asyncio").setLevel(logging.ERROR)  # a busy machine makes callbacks slow
asyncio.run(main())
"""


def run_session(**environment: str) -> tuple[dict[str, Any], str]:
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SESSION],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return json.loads(bytes.fromhex(ran.stdout)), ran.stderr


def test_the_log_shows_every_event_and_no_secret() -> None:
    secrets, log = run_session(CJASYNC_LOG="debug")
    for kind in (CallStarted, Booked, Attempt, Outcome, Retried, PageRead, CallEnded):
        assert f"{kind.__name__}(endpoint=" in log
    assert "authentication/getAccessToken" in log
    assert "UnavailableError" in log
    for secret in (*secrets["texts"], "API@CJ", "@api@"):
        assert secret not in log
    # A duration may happen to hold its few digits.
    assert re.search(rf"(?<![\d.]){secrets['open_id']}(?!\d)", log) is None


def test_without_the_switch_nothing_is_logged() -> None:
    assert run_session(CJASYNC_LOG="")[1] == ""


async def test_the_log_goes_where_the_application_wants_it(
    cj_sandbox: Sandbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CJASYNC_LOG", "DEBUG")
    logger = logging.getLogger("cjasync")
    level, handlers = logger.level, list(logger.handlers)
    try:
        async with sandbox_client(cj_sandbox) as cj:
            await cj.settings.get()
        assert logger.handlers == handlers  # the application has one already
    finally:
        logger.setLevel(level)
    assert [record.name for record in caplog.records] == ["cjasync"] * 5
    assert cj_sandbox.access_token not in caplog.text
