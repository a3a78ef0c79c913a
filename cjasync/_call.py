"""One call: token, turn, send, decode, judge; then return, wait and try again, or raise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from cjasync import errors
from cjasync import hooks as events
from cjasync._endpoint import Endpoint
from cjasync._protocol import Request, Verdict, read_answer
from cjasync._retry import delays
from cjasync._services import Services
from cjasync.config import RequestOptions
from cjasync.errors import (
    APIError,
    CJError,
    ConnectError,
    OutcomeUnknownError,
    QuotaExhaustedError,
    RateLimitedError,
    TransportError,
)
from cjasync.quota import Ticket

if TYPE_CHECKING:
    from cjasync._transport import Exchange, Response

T = TypeVar("T")

MAX_REFUSALS = 8  # in a row; a server that goes on refusing has another limit than we believe


class RawAnswer(Struct, Generic[T], frozen=True):
    """An answer as it came, beside what it was decoded to."""

    value: T
    body: bytes
    http_status: int
    headers: Mapping[str, str]
    request_id: str | None


class Call:
    """One call with all its attempts."""

    __slots__ = (
        "attempt",
        "capture",
        "clock",
        "deadline",
        "empty_seen",
        "endpoint",
        "error",
        "number",
        "options",
        "pauses",
        "refreshed",
        "refusals",
        "request",
        "retries",
        "services",
        "token",
    )

    def __init__(
        self,
        services: Services,
        options: RequestOptions,
        endpoint: Endpoint[Any],
        request: Request,
        *,
        token: str | None = None,
        capture: list[RawAnswer[Any]] | None = None,
    ) -> None:
        self.services = services
        self.options = options
        self.capture = capture
        self.endpoint = endpoint
        self.request = request
        self.token = token
        self.clock = services.clock
        self.services.calls += 1
        self.number = self.services.calls
        self.attempt = 0
        self.retries = 0
        self.refusals = 0
        self.refreshed = False
        self.empty_seen = False
        self.error: CJError | None = None
        self.pauses: Iterator[float] | None = None
        self.deadline = None if options.deadline is None else self.clock.monotonic() + options.deadline

    async def run(self) -> Any:
        services = self.services
        services.budget.called()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("cjasync is awaited from a task")
        # A call inside a call (a login) must not end its task's registration for the outer one.
        mine = task not in services.running
        services.running.add(task)
        began = self.clock.monotonic()
        if services.hooks:
            self._tell(events.CallStarted)
        failure: str | None = None
        try:
            return await self._attempts()
        except BaseException as error:
            failure = type(error).__name__
            if isinstance(error, CJError) and error.endpoint is None:
                error.endpoint = self.endpoint.path
            raise
        finally:
            if mine:
                services.running.discard(task)
            if services.hooks:
                seconds = self.clock.monotonic() - began
                self._tell(events.CallEnded, seconds=seconds, attempts=self.attempt, error=failure)

    async def _attempts(self) -> Any:
        services, endpoint = self.services, self.endpoint
        from cjasync._transport import Exchange  # aiohttp is loaded by the first call, not by `import cjasync`

        token = self.token
        tokens = services.tokens if endpoint.authenticated and token is None else None
        while True:
            if tokens is not None:
                token = tokens.current() or await tokens.get()
            self.attempt += 1
            exchange = Exchange(self.request, token, self._admit, self._seconds_left(), self.clock)
            transport = services.transport or services.open_transport()
            try:
                response = await transport.send(exchange)
            except BaseException as error:
                # Also when cancelled: a request that left keeps its charge, because CJ will have counted it.
                if exchange.ticket is not None:
                    exchange.ticket.lost()
                if not isinstance(error, TransportError):
                    raise
                self._note(exchange, None, error)
                await self._after_failure(error, exchange.sent)
                continue
            services.latency = max(response.seconds, services.latency * 0.99)
            verdict = read_answer(endpoint, response.status, response.body)
            self._settle(exchange, verdict)
            self._note(exchange, response, verdict.error, verdict)
            if verdict.error is None:
                if verdict.value is None and endpoint.safe and not self.empty_seen:
                    # CJ was seen to answer "nothing" for healthy products and to know them a moment later.
                    self.empty_seen = True
                    if self._may_ask_again():
                        continue
                self._capture(response, verdict)
                return verdict.value
            if verdict.stale_token and tokens is not None and token is not None and not self.refreshed:
                self.refreshed = True
                self.error = verdict.error
                token = await tokens.rejected(token)
                continue
            await self._after_refusal(verdict)

    async def _admit(self) -> Ticket:
        services = self.services
        asked = self.clock.monotonic() if services.hooks else 0.0
        ticket = services.limiter.try_admit(self.endpoint) if self.options.priority == "interactive" else None
        if ticket is None:
            ticket = await services.limiter.admit(
                self.endpoint, max_wait=self.options.max_wait, priority=self.options.priority, deadline=self.deadline
            )
        if services.hooks:
            self._tell(events.Booked, attempt=self.attempt, waited=self.clock.monotonic() - asked)
            self._tell(events.Attempt, attempt=self.attempt)
        return ticket

    def _settle(self, exchange: Exchange, verdict: Verdict) -> None:
        ticket = exchange.ticket
        if ticket is None:
            return
        if verdict.refusal is not None:
            ticket.refused(verdict.refusal)
        else:
            ticket.answered(verdict.points)

    def _seconds_left(self) -> float:
        if self.deadline is None:
            return self.options.timeout
        left = self.deadline - self.clock.monotonic()
        if left <= 0:
            raise self.error or _late()
        return min(self.options.timeout, left)

    async def _after_failure(self, error: TransportError, sent: bool) -> None:
        """An attempt that brought no answer: wait for the next one, or raise."""
        self.error = error
        if not self.endpoint.safe and sent and not isinstance(error, ConnectError):
            raise self._unknown(error) from error
        await self._pause(error)

    async def _after_refusal(self, verdict: Verdict) -> None:
        """An attempt that was answered with an error: wait for the next one, or raise."""
        error = self.error = verdict.error
        assert error is not None, "called for refusals only"
        if verdict.refusal is not None and self.services.hooks:
            self._tell(events.Refused, attempt=self.attempt, limit=verdict.refusal.kind)
        if isinstance(error, RateLimitedError) and verdict.refusal is not None:
            refusal = verdict.refusal
            seconds = (refusal.seconds or 1.0) / (refusal.times or 1)
            error.retry_at = datetime.fromtimestamp(self.clock.time() + seconds, UTC)
            self.refusals += 1
            if refusal.kind == "login" or self.refusals > MAX_REFUSALS:
                raise error
            return  # the limiter knows of the stop, and the next admission waits it out
        if isinstance(error, QuotaExhaustedError):
            error.resets_at = error.resets_at or _next_day(self.clock.time())
            if self.services.wait_when_exhausted and error.bucket != "sourcing":
                return
            raise error
        if not self.endpoint.safe:
            if verdict.passing and not (isinstance(error, APIError) and error.code == 1600000):
                raise self._unknown(error) from error
            raise error
        if not verdict.passing:
            raise error
        await self._pause(error)

    def _may_ask_again(self) -> bool:
        if self.retries >= self.options.retries or not self.services.budget.take():
            return False
        self.retries += 1
        return True

    async def _pause(self, error: CJError) -> None:
        """Wait before the next attempt; it holds no connection and no turn. Raises when there will be none."""
        if self.retries >= self.options.retries or not self.services.budget.take():
            raise error
        self.retries += 1
        self.pauses = self.pauses or delays()
        wait = next(self.pauses)
        if self.deadline is not None and self.clock.monotonic() + wait >= self.deadline:
            raise error
        if self.services.hooks:
            self._tell(events.Retried, attempt=self.attempt, wait=wait, error=type(error).__name__)
        await self.clock.sleep(wait)

    def _unknown(self, error: CJError) -> OutcomeUnknownError:
        tell = f"; {self.endpoint.recheck} tells" if self.endpoint.recheck else ""
        return OutcomeUnknownError(
            f"the answer was lost ({error.message}), so the write may or may not have happened{tell}",
            endpoint=self.endpoint.path,
        )

    def _capture(self, response: Response, verdict: Verdict) -> None:
        if self.capture is not None:
            from cjasync._transport import headers_of_interest

            headers = headers_of_interest(response.headers)
            answer = RawAnswer(verdict.value, response.body, response.status, headers, verdict.request_id)
            self.capture.append(answer)

    def _note(
        self, exchange: Exchange, response: Response | None, error: CJError | None, verdict: Verdict | None = None
    ) -> None:
        if not self.services.hooks:
            return
        points = verdict.points if verdict is not None else None
        self._tell(
            events.Outcome,
            attempt=self.attempt,
            seconds=self.clock.monotonic() - exchange.sent_at if exchange.sent else 0.0,
            http_status=response.status if response is not None else None,
            bytes=len(response.body) if response is not None else 0,
            request_id=verdict.request_id if verdict is not None else None,
            points_left=points.remaining if points is not None else None,
            error=type(error).__name__ if error is not None else None,
        )

    def _tell(self, event: type[events.Event], **facts: Any) -> None:
        events.emit(self.services.hooks, event(endpoint=self.endpoint.path, call=self.number, **facts))


def _late() -> CJError:
    return errors.TimeoutError("the deadline passed before the request could be sent")


def _next_day(now: float) -> datetime:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)
