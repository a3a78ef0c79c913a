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
        "began",
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
        self.began = 0.0
        self.retries = 0
        self.refusals = 0
        self.refreshed = False
        self.empty_seen = False
        self.error: CJError | None = None
        self.pauses: Iterator[float] | None = None
        self.deadline = None if options.deadline is None else self.clock.monotonic() + options.deadline

    async def run(self) -> Any:
        """The value of the answer, after as many attempts as it takes."""
        services, endpoint = self.services, self.endpoint
        from cjasync._transport import Exchange  # aiohttp is loaded by the first call, not by `import cjasync`

        task = asyncio.current_task()
        # A call inside a call (a login) must not end its task's registration for the outer one.
        outermost = task not in services.running
        services.running.add(task)
        services.budget.called()
        if services.hooks:
            self.began = self.clock.monotonic()
            self._tell(events.CallStarted)
        failure: str | None = None
        token = self.token
        tokens = services.tokens if endpoint.authenticated and token is None else None
        try:
            while True:
                if tokens is not None:
                    token = tokens.current() or await tokens.get()
                self.attempt += 1
                exchange = Exchange(self.request, token, self, self._seconds_left(), self.clock)
                transport = services.transport or services.open_transport()
                try:
                    response = await transport.send(exchange)
                except BaseException as error:
                    await self._after_failure(exchange, error)
                    continue
                verdict = self._settle(exchange, response)
                if verdict.error is None:
                    if verdict.value is not None or not self._may_ask_again():
                        return verdict.value
                elif verdict.stale_token and tokens is not None and token is not None and not self.refreshed:
                    self.refreshed = True
                    self.error = verdict.error
                    await tokens.rejected(token)
                else:
                    await self._after_refusal(verdict)
        except BaseException as error:
            failure = type(error).__name__
            if isinstance(error, CJError) and error.endpoint is None:
                error.endpoint = endpoint.path
            raise
        finally:
            if outermost:
                services.running.discard(task)
            if services.hooks:
                seconds = self.clock.monotonic() - self.began
                self._tell(events.CallEnded, seconds=seconds, attempts=self.attempt, error=failure)

    def try_admit(self) -> Ticket | None:
        """A turn, if there is one at once and nobody has to be told."""
        if self.services.hooks or self.options.priority != "interactive":
            return None
        return self.services.limiter.try_admit(self.endpoint)

    async def admit(self) -> Ticket:
        """Wait for a turn. It holds no connection, and no lock."""
        services, options = self.services, self.options
        asked = self.clock.monotonic()
        ticket = await services.limiter.admit(
            self.endpoint, max_wait=options.max_wait, priority=options.priority, deadline=self.deadline
        )
        if services.hooks:
            self._tell(events.Booked, attempt=self.attempt, waited=self.clock.monotonic() - asked)
            self._tell(events.Attempt, attempt=self.attempt)
        return ticket

    def _settle(self, exchange: Exchange, response: Response) -> Verdict:
        """What an answer means; the limiter learns what it said about limits."""
        services = self.services
        if response.seconds > services.latency:
            services.latency = response.seconds
        else:
            services.latency *= 0.99
        verdict = read_answer(self.endpoint, response.status, response.body)
        ticket = exchange.ticket
        if ticket is not None:
            if verdict.refusal is None:
                ticket.answered(verdict.points)
            else:
                ticket.refused(verdict.refusal)
        if services.hooks:
            self._note(exchange, verdict.error, response, verdict)
        if self.capture is not None and verdict.error is None:
            from cjasync._transport import headers_of_interest

            headers = headers_of_interest(response.headers)
            answer = RawAnswer(verdict.value, response.body, response.status, headers, verdict.request_id)
            self.capture.append(answer)
        return verdict

    def _seconds_left(self) -> float:
        if self.deadline is None:
            return self.options.timeout
        left = self.deadline - self.clock.monotonic()
        if left <= 0:
            raise self.error or _late()
        return min(self.options.timeout, left)

    async def _after_failure(self, exchange: Exchange, error: BaseException) -> None:
        """An attempt that brought no answer: wait for the next one, or raise."""
        if exchange.ticket is not None:
            exchange.ticket.lost()  # also when cancelled: a request that left keeps its charge, because CJ counted it
        if not isinstance(error, TransportError):
            raise error
        self.error = error
        if self.services.hooks:
            self._note(exchange, error)
        if not self.endpoint.safe and exchange.sent and not isinstance(error, ConnectError):
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
        """CJ was seen to answer "nothing" for healthy products and to know them a moment later: worth one more try."""
        if not self.endpoint.safe or self.empty_seen or self.retries >= self.options.retries:
            return False
        self.empty_seen = True
        self.retries += 1
        return self.services.budget.take()

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

    def _note(
        self,
        exchange: Exchange,
        error: CJError | None,
        response: Response | None = None,
        verdict: Verdict | None = None,
    ) -> None:
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
