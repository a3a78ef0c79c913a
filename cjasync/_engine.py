"""The attempt loop: token, turn, send, decode, judge; then return, wait or raise. Every call passes through here."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec import Struct

from cjasync import errors
from cjasync import hooks as events
from cjasync._clock import Clock
from cjasync._endpoint import Endpoint
from cjasync._flights import Flights
from cjasync._protocol import Request, Verdict, build_request, read_answer
from cjasync._retry import RetryBudget, delays
from cjasync.config import Plan, RequestOptions
from cjasync.errors import (
    APIError,
    CJError,
    ClosedError,
    ConnectError,
    OutcomeUnknownError,
    QuotaExhaustedError,
    RateLimitedError,
    TransportError,
)
from cjasync.quota import Limiter, Ticket

if TYPE_CHECKING:
    from cjasync._transport import Exchange, Response, Transport
    from cjasync.auth import Tokens

T = TypeVar("T")

UNLIMITED_CONCURRENCY = 16
MAX_REFUSALS = 8  # in a row; a server that goes on refusing has another limit than we believe


class TokenSource(Protocol):
    """Where the engine's token comes from."""

    def current(self) -> str | None:
        """A valid token if there is one now."""
        ...

    async def get(self) -> str:
        """A valid token, fetched if need be."""
        ...

    async def rejected(self, token: str) -> str:
        """The token to use after CJ has refused this one."""
        ...

    async def login(self) -> Tokens:
        """A valid pair, fetched if need be."""
        ...

    async def logout(self) -> None:
        """End the pair for everybody."""
        ...


class RawAnswer(Struct, Generic[T], frozen=True):
    """An answer as it came, beside what it was decoded to."""

    value: T
    body: bytes
    http_status: int
    headers: Mapping[str, str]
    request_id: str | None


class Services:
    """What the calls of one client share."""

    def __init__(
        self,
        *,
        base_url: str,
        plan: Plan,
        limiter: Limiter,
        clock: Clock,
        zone: tzinfo,
        open_transport: Any,
        hooks: Sequence[events.Hook],
        coalesce: bool,
        wait_when_exhausted: bool,
    ) -> None:
        self.base_url = base_url
        self.plan = plan
        self.limiter = limiter
        self.clock = clock
        self.latency = 0.5  # seconds: the slowest answer lately, before the first a guess
        self.zone = zone
        self.tokens: TokenSource | None = None
        self.open_transport = open_transport
        self.transport: Transport | None = None
        self.hooks = tuple(hooks)
        self.flights = Flights() if coalesce else None
        self.wait_when_exhausted = wait_when_exhausted
        self.budget = RetryBudget()
        self.closed = False
        self.calls = 0
        self.running: set[asyncio.Task[Any]] = set()

    def concurrency(self) -> int:
        """Calls to have in flight so that no turn is lost: what rate times latency needs, and at least 2."""
        return UNLIMITED_CONCURRENCY if self.rate is None else max(2, math.ceil(self.rate * self.latency) + 1)

    @property
    def rate(self) -> float | None:
        """Requests per second that the plan allows; None = no limit."""
        rates = [rate for rate in (self.plan.qps, self.plan.ip_qps) if rate is not None]
        return min(rates, default=None)


_captured: ContextVar[list[RawAnswer[Any]] | None] = ContextVar("cjasync_captured", default=None)


class Engine:
    """Makes calls with one set of options. Copies with other options share everything else."""

    def __init__(self, services: Services, options: RequestOptions) -> None:
        self.services = services
        self.options = options

    @property
    def zone(self) -> tzinfo:
        """The zone of CJ's text dates."""
        return self.services.zone

    @property
    def token_source(self) -> TokenSource:
        """Where tokens come from."""
        assert self.services.tokens is not None, "the client wires it"
        return self.services.tokens

    def with_options(self, options: RequestOptions) -> Engine:
        """The same engine with other patience."""
        other = copy.copy(self)
        other.options = options
        return other

    async def call(self, endpoint: Endpoint[T], params: Mapping[str, Any], *, token: str | None = None) -> T:
        """Make one call; see the resource's method for what it returns and raises. `token`: this one, and no other."""
        services = self.services
        if services.closed:
            raise ClosedError("the client is closed", endpoint=endpoint.path)
        request = build_request(services.base_url, endpoint, params)
        call = _Call(self, endpoint, request, token)
        flights = services.flights
        if flights is None or not endpoint.safe or endpoint.method != "GET" or _captured.get() is not None:
            return await call.run()  # type: ignore[no-any-return]
        return await flights.run((request.url, endpoint.cached), call.run, services.clock)  # type: ignore[no-any-return]


class captured:  # noqa: N801 - used like a function
    """While it is open, the answers of this task's calls are kept."""

    def __enter__(self) -> list[RawAnswer[Any]]:
        answers: list[RawAnswer[Any]] = []
        self._token = _captured.set(answers)
        return answers

    def __exit__(self, *exc: object) -> None:
        _captured.reset(self._token)


class _Call:
    """One call with all its attempts."""

    __slots__ = (
        "attempt",
        "clock",
        "deadline",
        "empty_seen",
        "endpoint",
        "engine",
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

    def __init__(self, engine: Engine, endpoint: Endpoint[Any], request: Request, token: str | None) -> None:
        self.engine = engine
        self.services = engine.services
        self.options = engine.options
        self.endpoint = endpoint
        self.request = request
        self.token = token
        self.clock = engine.services.clock
        self.services.calls += 1
        self.number = self.services.calls
        self.attempt = 0
        self.retries = 0
        self.refusals = 0
        self.refreshed = False
        self.empty_seen = False
        self.error: CJError | None = None
        self.pauses: Iterator[float] | None = None
        self.deadline = None if engine.options.deadline is None else self.clock.monotonic() + engine.options.deadline

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
        answers = _captured.get()
        if answers is not None:
            from cjasync._transport import headers_of_interest

            headers = headers_of_interest(response.headers)
            answers.append(RawAnswer(verdict.value, response.body, response.status, headers, verdict.request_id))

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
