"""Spans and metrics of calls over a real socket, collected by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from cjasync import CJClient, CJError, NotFoundError, Plan
from cjasync.ext.otel import instrument
from cjasync.hooks import Attempt, Event
from cjasync.sandbox import Fault, Sandbox
from cjasync.testing import clock
from cjasync.testing.plugin import sandbox_client

FAST = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None)
LISTING = "product/list"


class Collector:
    """Where spans and metrics end up."""

    def __init__(self, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = tracers.get_tracer("the application")
        meters = MeterProvider([self._reader])
        self.hook = instrument(tracer_provider=tracers, meter_provider=meters, **options)

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """Ended spans in the order of their beginnings."""
        ended = self._exporter.get_finished_spans()
        return sorted((span for span in ended if name in span.name), key=lambda span: span.start_time or 0)

    def metric(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The points of a metric: attributes, and the value or a histogram's sum."""
        found = []
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                if metric.name == name:
                    points: Sequence[Any] = metric.data.data_points
                    found += [(dict(point.attributes), getattr(point, "value", point)) for point in points]
        return found

    def everything(self) -> str:
        """All that would leave the process."""
        spans = "".join(span.to_json() for span in self.spans())
        data = self._reader.get_metrics_data()
        return spans + (data.to_json() if data is not None else "")


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


async def test_a_call_has_a_span_below_the_callers_and_its_attempt_one_below_that(make_sandbox: Any) -> None:
    async with make_sandbox(plan=FAST) as sandbox:
        collector = Collector(base_url=sandbox.base_url)
        async with sandbox_client(sandbox, hooks=[collector.hook]) as cj:
            with collector.tracer.start_as_current_span("import"):
                answer = await cj.with_raw(cj.settings.get)
    caller, call, attempt = collector.spans()
    assert (caller.name, call.name, attempt.name) == ("import", "cj setting/get", "GET setting/get")
    assert (parent_of(call), parent_of(attempt)) == (id_of(caller), id_of(call))
    assert (call.kind, attempt.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    assert attributes(call) == {"url.template": "setting/get", "cj.attempts": 1}
    assert attributes(attempt) == {
        "http.request.method": "GET",
        "url.template": "setting/get",
        "server.address": "127.0.0.1",
        "server.port": int(sandbox.origin.rpartition(":")[2]),
        "http.response.status_code": 200,
        "cj.request_id": answer.request_id,
        "cj.points.remaining": 50_000,
        "cj.response.size": len(answer.body),
    }
    assert {call.status.status_code, attempt.status.status_code} == {StatusCode.UNSET}
    assert [event.name for event in call.events] == ["cj.booked"]
    (one,) = collector.metric("http.client.request.duration")
    shared = {"http.request.method", "url.template", "server.address", "server.port", "http.response.status_code"}
    assert one[0] == {name: value for name, value in attributes(attempt).items() if name in shared}
    assert (one[1].count, one[1].explicit_bounds[0]) == (1, 0.005)
    assert collector.metric("cj.client.points.remaining") == [({}, 50_000)]
    ((_, size),) = collector.metric("cj.client.response.size")
    assert size.sum == len(answer.body)


def test_retries_refusals_and_waits_are_counted_and_seen() -> None:
    collector = Collector()
    time = clock.VirtualClock()

    async def main() -> None:
        async with Sandbox(products=50, plan=Plan(qps=1, ip_qps=None), clock=time) as sandbox:
            refusal = "Too Many Requests, QPS limit is 1 time/1second"
            sandbox.faults.add(
                Fault("status", LISTING, nth=1, status=503),
                Fault("refuse", LISTING, nth=2, code=1600200, message=refusal),
            )
            async with sandbox_client(sandbox, hooks=[collector.hook], clock=time) as cj:
                await cj.products.list(page_size=20)

    clock.run(main(), clock=time)
    call, *attempts = collector.spans()
    assert [span.name for span in attempts] == ["GET product/list"] * 3
    assert {parent_of(span) for span in attempts} == {id_of(call)}
    assert [attributes(span).get("error.type") for span in attempts] == ["UnavailableError", "RateLimitedError", None]
    assert [attributes(span).get("http.request.resend_count") for span in attempts] == [None, 1, 2]
    assert [attributes(span)["http.response.status_code"] for span in attempts] == [503, 200, 200]
    ends = [span.status.status_code for span in (*attempts, call)]
    assert ends == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET, StatusCode.UNSET]
    assert [event.name for event in call.events] == [
        "cj.booked",
        "cj.retried",
        "cj.booked",
        "cj.refused",
        "cj.booked",
    ]
    assert attributes(call)["cj.attempts"] == 3
    here = {"url.template": LISTING}
    assert collector.metric("cj.client.attempts") == [({"http.request.method": "GET", **here}, 3)]
    assert collector.metric("cj.client.refusals") == [({**here, "cj.limit": "qps"}, 1)]
    assert collector.metric("cj.client.retries") == [({**here, "error.type": "UnavailableError"}, 1)]
    assert collector.metric("cj.client.rows") == [(here, 20)]
    waits = {facts["cj.wait"]: point for facts, point in collector.metric("cj.client.wait.duration")}
    assert (waits["turn"].count, waits["retry"].count) == (3, 1)
    assert waits["turn"].sum + waits["retry"].sum > 1  # at one a second, the third had to wait
    ((_, duration),) = collector.metric("cj.client.call.duration")
    assert duration.sum >= waits["turn"].sum + waits["retry"].sum - 1e-6  # sums of floats


async def test_a_call_that_fails_says_how(cj_sandbox: Sandbox) -> None:
    collector = Collector()
    async with sandbox_client(cj_sandbox, hooks=[collector.hook]) as cj:
        with pytest.raises(NotFoundError):
            await cj.products.query(pid="0")
    call, attempt = collector.spans()
    for span in (call, attempt):
        assert attributes(span)["error.type"] == "NotFoundError"
        assert span.status.status_code is StatusCode.ERROR
    ((facts, _),) = collector.metric("cj.client.call.duration")
    assert facts == {"url.template": "product/query", "error.type": "NotFoundError"}


async def test_writes_are_posts_and_unread_rows_are_counted(cj_sandbox: Sandbox) -> None:
    page = {"pageNum": 1, "pageSize": 3, "total": 3, "list": [{"pid": "1"}, {"pid": "2", "sellPrice": "free"}, {}]}
    cj_sandbox.faults.add(Fault("transient_empty", LISTING, nth=1, data=page))
    collector = Collector()
    async with sandbox_client(cj_sandbox, hooks=[collector.hook]) as cj:
        await cj.products.list(page_size=3)
        (row,) = await cj.products.list(page_size=1)
        await cj.products.add_to_my_product(row.pid)
    (attempt,) = collector.spans("POST product/addToMyProduct")
    assert attributes(attempt)["http.request.method"] == "POST"
    assert collector.metric("cj.client.rows") == [({"url.template": LISTING}, 2)]
    assert collector.metric("cj.client.rows.skipped") == [({"url.template": LISTING}, 2)]


async def test_a_cancelled_call_leaves_no_span_open(cj_sandbox: Sandbox) -> None:
    cj_sandbox.faults.add(Fault("stall", "setting/get"))
    collector, under_way = Collector(), asyncio.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Attempt):
            under_way.set()

    async with sandbox_client(cj_sandbox, hooks=[collector.hook, listen]) as cj:
        call = asyncio.ensure_future(cj.settings.get())
        await under_way.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [attributes(span)["error.type"] for span in collector.spans()] == ["CancelledError"] * 2
    assert not collector.hook._open  # type: ignore[attr-defined]


async def test_the_same_request_on_a_new_connection_is_an_attempt_of_its_own(cj_sandbox: Sandbox) -> None:
    cj_sandbox.faults.add(Fault("drop_kept_alive", "product/globalWarehouseList", times=1))
    collector = Collector()
    async with sandbox_client(cj_sandbox, hooks=[collector.hook]) as cj:
        await cj.settings.get()
        await cj.warehouses.global_list()
    dead, sound = collector.spans("GET product/globalWarehouseList")
    assert attributes(dead)["error.type"] == "connection_lost"
    assert attributes(sound)["http.response.status_code"] == 200
    assert parent_of(dead) == parent_of(sound)


async def test_two_clients_may_share_a_hook(cj_sandbox: Sandbox) -> None:
    collector = Collector()

    async def work(name: str, cj: CJClient) -> None:
        with collector.tracer.start_as_current_span(name):
            for _ in range(5):
                await cj.settings.get()

    async with (
        sandbox_client(cj_sandbox, hooks=[collector.hook]) as one,
        sandbox_client(cj_sandbox, hooks=[collector.hook]) as other,
    ):
        await asyncio.gather(work("one", one), work("other", other))
    callers = {id_of(span): span.name for span in collector.spans() if span.name in ("one", "other")}
    calls = {id_of(span): callers[parent_of(span) or 0] for span in collector.spans("cj setting/get")}
    assert sorted(calls.values()) == ["one"] * 5 + ["other"] * 5
    attempts = [parent_of(span) for span in collector.spans("GET setting/get")]
    assert sorted(attempts, key=str) == sorted(calls, key=str)  # every call has one, and its own


async def test_pages_fetched_ahead_belong_to_the_span_that_asked(cj_sandbox: Sandbox) -> None:
    collector = Collector()
    async with sandbox_client(cj_sandbox, hooks=[collector.hook]) as cj:
        with collector.tracer.start_as_current_span("pull") as pull:
            rows = [row async for row in cj.products.list(page_size=50)]
    calls = collector.spans("cj product/list")
    assert len(calls) == 10
    assert {parent_of(call) for call in calls} == {pull.get_span_context().span_id}
    assert collector.metric("cj.client.rows") == [({"url.template": LISTING}, len(rows))]


async def test_no_secret_leaves(make_sandbox: Any) -> None:
    collector = Collector()
    async with make_sandbox(plan=FAST) as sandbox:
        message = f"refused {sandbox.api_key} {sandbox.access_token}"
        sandbox.faults.add(Fault("refuse", "product/query", code=1600100, message=message))
        told = {"api_key": sandbox.api_key, "hooks": [collector.hook]}
        async with sandbox_client(sandbox, **told) as cj:
            account = await cj.settings.get()
            with pytest.raises(CJError):
                await cj.products.query(pid="0")
            await cj.auth.logout()
        secrets = [sandbox.api_key, sandbox.access_token, account.open_email, "API@CJ"]
    assert collector.spans("POST authentication/getAccessToken")
    exported = collector.everything()
    for secret in secrets:
        assert secret not in exported
    # Times and durations may happen to hold its few digits.
    assert account.open_id not in {str(value) for span in collector.spans() for value in attributes(span).values()}


async def test_without_an_sdk_nothing_happens(cj_sandbox: Sandbox) -> None:
    async with sandbox_client(cj_sandbox, hooks=[instrument()]) as cj:
        assert await cj.settings.get() is not None


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
import cjasync, cjasync.hooks
from cjasync import ConfigError
try:
    import cjasync.ext.otel
except ConfigError as error:
    print(error)
"""


def test_without_the_extra_it_says_what_to_install() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert ran.stdout == "cjasync.ext.otel needs OpenTelemetry: pip install 'cjasync[otel]'\n"
