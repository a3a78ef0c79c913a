"""OpenTelemetry (extra `otel`): a span for every call and every attempt, and metrics::

    from cjasync import CJClient
    from cjasync.ext.otel import instrument

    async with CJClient.from_env(hooks=[instrument()]) as cj: ...

A call's span (`cj product/list`) is a child of whatever span the caller is in; its attempts (`GET product/list`) are
children of the call's. Attempts and `http.client.request.duration` follow the semantic conventions for HTTP clients;
what those have no word for begins with `cj.`. Parameters, tokens and keys are in no event, so they are in no attribute.

Metrics: http.client.request.duration, cj.client.call.duration and cj.client.wait.duration in seconds (`cj.wait` is
"turn" for the limiter, "retry" for the pause before another attempt), cj.client.attempts, cj.client.retries,
cj.client.refusals (`cj.limit` says whose), cj.client.response.size in bytes, unpacked, cj.client.rows,
cj.client.rows.skipped, and cj.client.points.remaining as CJ said last.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from cjasync._version import __version__
from cjasync.errors import ConfigError
from cjasync.hooks import (
    Attempt,
    Booked,
    CallEnded,
    CallStarted,
    Event,
    Hook,
    Outcome,
    PageRead,
    Refused,
    Retried,
    RowSkipped,
)
from cjasync.resources import endpoints

try:
    from opentelemetry import metrics, trace
except ImportError:
    raise ConfigError("cjasync.ext.otel needs OpenTelemetry: pip install 'cjasync[otel]'") from None

_NAME = "cjasync"
# The bounds that the conventions name for durations of HTTP requests; the SDK's own are made for milliseconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_LONG_SECONDS = (*_SECONDS, 30.0, 60.0, 300.0, 3600.0)  # a wait may last until the day's end
_BYTES = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0)

Attributes = dict[str, str | int | float]


def instrument(
    *,
    base_url: str | None = None,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> Hook:
    """A hook that turns events into spans and metrics: `CJClient(hooks=[instrument()])`.

    Args:
        base_url: the client's, for the attributes server.address and server.port; without it they are left out.
        tracer_provider: where spans go; None = the global one.
        meter_provider: where metrics go; None = the global one.
    """
    tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
    meter = metrics.get_meter(_NAME, __version__, meter_provider)
    return _Telemetry(tracer, meter, _server(base_url))


def _server(base_url: str | None) -> Attributes:
    if base_url is None:
        return {}
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


class _Open:
    """A call under way."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span
        self.attempt: trace.Span | None = None


class _Telemetry:
    """The hook. Calls are told apart by their number and their task, so that several clients may share it."""

    def __init__(self, tracer: trace.Tracer, meter: metrics.Meter, server: Attributes) -> None:
        self._tracer = tracer
        self._server = server
        self._methods = {path: endpoint.method for path, endpoint in endpoints().items()}
        self._open: dict[Any, _Open] = {}
        self._metrics = _Metrics(meter)
        self._handlers: dict[type[Event], Any] = {
            CallStarted: self._call_started,
            Booked: self._booked,
            Attempt: self._attempt,
            Outcome: self._outcome,
            Refused: self._refused,
            Retried: self._retried,
            PageRead: self._page_read,
            RowSkipped: self._row_skipped,
            CallEnded: self._call_ended,
        }

    def __call__(self, event: Event) -> None:
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(event)

    def _call_started(self, event: CallStarted) -> None:
        span = self._tracer.start_span(f"cj {event.endpoint}", attributes={"url.template": event.endpoint})
        self._open[_key(event)] = _Open(span)

    def _booked(self, event: Booked) -> None:
        self._metrics.waits.record(event.waited, {"url.template": event.endpoint, "cj.wait": "turn"})
        if (call := self._open.get(_key(event))) is not None:
            call.span.add_event("cj.booked", {"cj.attempt": event.attempt, "cj.waited": event.waited})

    def _attempt(self, event: Attempt) -> None:
        attributes = self._request(event)
        self._metrics.attempts.add(1, attributes)
        call = self._open.get(_key(event))
        if call is None:
            return
        if call.attempt is not None:  # the connection was dead, and the same request goes out once more
            _end(call.attempt, "connection_lost")
        if event.attempt > 1:
            attributes["http.request.resend_count"] = event.attempt - 1
        call.attempt = self._tracer.start_span(
            f"{attributes['http.request.method']} {event.endpoint}",
            context=trace.set_span_in_context(call.span),
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
        )

    def _outcome(self, event: Outcome) -> None:
        answer: Attributes = {}
        if event.http_status is not None:
            answer["http.response.status_code"] = event.http_status
            self._metrics.sizes.record(event.bytes, {"url.template": event.endpoint})
        if event.points_left is not None:
            self._metrics.points.set(event.points_left)
        failed: Attributes = {} if event.error is None else {"error.type": event.error}
        self._metrics.requests.record(event.seconds, {**self._request(event), **answer, **failed})
        call = self._open.get(_key(event))
        if call is None or call.attempt is None:
            return
        told = {"cj.request_id": event.request_id, "cj.points.remaining": event.points_left}
        answer["cj.response.size"] = event.bytes
        call.attempt.set_attributes({**answer, **{name: value for name, value in told.items() if value is not None}})
        _end(call.attempt, event.error)
        call.attempt = None

    def _refused(self, event: Refused) -> None:
        self._metrics.refusals.add(1, {"url.template": event.endpoint, "cj.limit": event.limit})
        if (call := self._open.get(_key(event))) is not None:
            call.span.add_event("cj.refused", {"cj.attempt": event.attempt, "cj.limit": event.limit})

    def _retried(self, event: Retried) -> None:
        self._metrics.retries.add(1, {"url.template": event.endpoint, "error.type": event.error})
        self._metrics.waits.record(event.wait, {"url.template": event.endpoint, "cj.wait": "retry"})
        if (call := self._open.get(_key(event))) is not None:
            facts: Attributes = {"cj.attempt": event.attempt, "cj.waited": event.wait, "error.type": event.error}
            call.span.add_event("cj.retried", facts)

    def _page_read(self, event: PageRead) -> None:
        self._metrics.rows.add(event.rows, {"url.template": event.endpoint})

    def _row_skipped(self, event: RowSkipped) -> None:
        self._metrics.skipped.add(1, {"url.template": event.endpoint})

    def _call_ended(self, event: CallEnded) -> None:
        failed: Attributes = {} if event.error is None else {"error.type": event.error}
        self._metrics.calls.record(event.seconds, {"url.template": event.endpoint, **failed})
        call = self._open.pop(_key(event), None)
        if call is None:
            return
        if call.attempt is not None:  # cancelled, or stopped while it was on its way
            _end(call.attempt, event.error or "unanswered")
        call.span.set_attribute("cj.attempts", event.attempts)
        _end(call.span, event.error)

    def _request(self, event: Event) -> Attributes:
        method = self._methods.get(event.endpoint, "GET")
        return {"http.request.method": method, "url.template": event.endpoint, **self._server}


class _Metrics:
    """The instruments."""

    def __init__(self, meter: metrics.Meter) -> None:
        def histogram(name: str, unit: str, what: str, bounds: tuple[float, ...]) -> metrics.Histogram:
            return meter.create_histogram(name, unit, what, explicit_bucket_boundaries_advisory=bounds)

        self.requests = histogram("http.client.request.duration", "s", "One attempt, to the last byte.", _SECONDS)
        self.calls = histogram("cj.client.call.duration", "s", "A call with its waits and attempts.", _LONG_SECONDS)
        self.waits = histogram("cj.client.wait.duration", "s", "Waits for a turn or for a retry.", _LONG_SECONDS)
        self.sizes = histogram("cj.client.response.size", "By", "Bytes of an answer, unpacked.", _BYTES)
        self.attempts = meter.create_counter("cj.client.attempts", "{attempt}", "Requests that left.")
        self.retries = meter.create_counter("cj.client.retries", "{retry}", "Attempts that were made again.")
        self.refusals = meter.create_counter("cj.client.refusals", "{refusal}", "Refusals for a limit's sake.")
        self.rows = meter.create_counter("cj.client.rows", "{row}", "Rows read from listings.")
        self.skipped = meter.create_counter("cj.client.rows.skipped", "{row}", "Rows that could not be read.")
        self.points = meter.create_gauge("cj.client.points.remaining", "{point}", "Points left, as CJ said last.")


def _end(span: trace.Span, error: str | None) -> None:
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(trace.StatusCode.ERROR, error)
    span.end()


def _key(event: Event) -> tuple[int, Any]:
    try:
        return event.call, asyncio.current_task()
    except RuntimeError:  # the loop is gone, and what was left of the call with it
        return event.call, None
