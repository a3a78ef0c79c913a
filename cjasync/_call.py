"""One call: token, turn, send, decode, judge; then return, wait and try again, or raise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import cjasync.hooks as events
from cjasync._endpoint import Endpoint
from cjasync._patience import Patience
from cjasync._protocol import Request, Verdict, conceal, no_other_token, page_asked_for, read_answer
from cjasync._raw import RawAnswer
from cjasync._services import Services
from cjasync._watchdog import Watched, this_task
from cjasync.config import RequestOptions
from cjasync.errors import (
    AlreadyExistsError,
    AuthError,
    BadResponseError,
    CJError,
    ClosedError,
    OutcomeUnknownError,
    QuotaExhaustedError,
    RateLimitedError,
    TransportError,
    WaitTooLongError,
)
from cjasync.errors import TimeoutError as LateError
from cjasync.quota import Ticket
from cjasync.quota.facts import Refusal

if TYPE_CHECKING:
    from cjasync._transport import Exchange, Response

MAX_REFUSALS = 8  # of one call; a server that goes on refusing has another limit than we believe
LOOK_AGAIN = 60.0  # seconds between two attempts on a budget of which only the server knows when it is full again
_UNSTATED = {"qps": 1.0, "login": 300.0}  # seconds to keep quiet after a refusal that does not say


class Call(Patience):
    """One call with all its attempts."""

    attempt = 0
    refusals = 0
    refreshed = False
    started_at = 0.0
    empty: Verdict | None = None
    lost: OutcomeUnknownError | None = None

    def __init__(
        self,
        services: Services,
        options: RequestOptions,
        endpoint: Endpoint[Any],
        request: Request,
        token: str | None,
        capture: list[RawAnswer[Any]] | None,
    ) -> None:
        Patience.__init__(self, options, services.clock, services.budget)
        self.services = services
        self.capture = capture
        self.endpoint = endpoint
        self.request = request
        self.token = token
        services.calls = self.number = services.calls + 1

    def begin(self) -> None:
        """The caller's time runs from now on, unless the client cannot be used."""
        services = self.services
        if services.closed or services.loop is not asyncio.get_running_loop():
            services.enter(self.endpoint.path)
        super().begin()

    async def run(self) -> Any:
        """The value of the answer, after as many attempts as it takes."""
        services, endpoint = self.services, self.endpoint
        if not self.begun or services.closed:
            self.begin()
        task = this_task()
        running = services.running
        # A call inside a call (a login) must not end its task's registration for the outer one.
        outermost = task not in running
        running.add(task)
        services.budget.called()
        if services.hooks:
            self.started_at = self.clock.monotonic()
            self._tell(events.CallStarted)
        failure: str | None = None
        exchange: Exchange | None = None
        token = self.token
        tokens = services.tokens if endpoint.authenticated and token is None else None
        try:
            while True:
                if tokens is not None:
                    token = tokens.current() or await self._in_time(tokens.get())
                self.attempt += 1
                transport = services.transport or services.open_transport()
                exchange = transport.exchange(self.request, token, self, task)
                try:
                    response = await transport.send(exchange)
                except BaseException as error:
                    if isinstance(error, WaitTooLongError) and self.empty is not None:
                        return self.empty.value
                    await self._after_failure(exchange, error)
                    continue
                verdict = self._settle(exchange, response)
                if verdict.error is None:
                    if not self._may_ask_again(verdict):
                        return verdict.value
                elif verdict.stale_token and tokens is not None and token is not None and not self.refreshed:
                    self.refreshed = True
                    self.error = verdict.error
                    try:
                        await self._in_time(tokens.rejected(token))
                    except (AuthError, WaitTooLongError) as error:
                        raise no_other_token(verdict.error, error) from error.__cause__
                elif self.lost is not None and isinstance(verdict.error, AlreadyExistsError):
                    return True  # by the attempt that was lost
                else:
                    await self._after_refusal(verdict)
        except BaseException as error:
            told = self._told(error, task, sent=exchange is not None and exchange.sent)
            failure = type(told).__name__
            if told is error:
                raise
            raise told from error
        finally:
            if outermost:
                running.discard(task)
                if services.closed and not running:
                    services.all_ended()
            if services.hooks:
                seconds = self.clock.monotonic() - self.started_at
                self._tell(events.CallEnded, seconds=seconds, attempts=self.attempt, error=failure)

    def _told(self, error: BaseException, task: asyncio.Task[Any], *, sent: bool) -> BaseException:
        """What the caller is told of an error that ends the call."""
        if isinstance(error, asyncio.CancelledError) and self.services.was_ended(task):
            error = ClosedError("the client was closed while this call was under way")
            if sent and not self.endpoint.safe:
                error = self._unknown(error)
        if isinstance(error, CJError):
            if self.lost is not None:
                error = self.lost  # whatever came later: the first attempt may have done it
            error.endpoint = error.endpoint or self.endpoint.path
        return error

    async def _in_time(self, token: Awaitable[str]) -> str:
        """A token that had to be fetched, before the call's deadline."""
        if self.deadline is None:
            return await token
        watchdog, watched = (self.services.transport or self.services.open_transport()).watchdog, Watched(this_task())
        try:
            watchdog.start(watched, self.seconds_left())
            return await token
        except asyncio.CancelledError:
            if watched.timed_out():
                raise LateError("the deadline passed while the call waited for a token") from None
            raise
        finally:
            watchdog.stop(watched)

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
        try:
            verdict = read_answer(self.endpoint, response.status, response.body, services.max_depth)
            if self.capture is not None and verdict.error is None:
                raw = bytes(response.body), response.status, response.headers_of_interest()
                self.capture.append(RawAnswer(verdict.value, *raw, verdict.request_id))
        finally:
            response.release()
        if verdict.error is not None:
            conceal(verdict.error, self.endpoint, self.request, exchange.token)
        ticket = exchange.ticket
        if ticket is not None:
            if verdict.refusal is not None:
                ticket.refused(verdict.refusal)
            elif isinstance(verdict.error, AuthError):
                ticket.refused(Refusal(kind="account"))
            else:
                ticket.answered(verdict.points)
        if services.hooks:
            self._note(exchange, verdict.error, response, verdict)
            self._note_rows(verdict.value)
        return verdict

    async def _after_failure(self, exchange: Exchange, error: BaseException) -> None:
        """An attempt that brought no answer: wait for the next one, or raise."""
        if exchange.ticket is not None:
            exchange.ticket.lost()  # also when cancelled: a request that left keeps its charge, because CJ counted it
        if not isinstance(error, TransportError):
            raise error
        self.error = error
        if self.services.hooks:
            self._note(exchange, error)
        if exchange.sent and not self.endpoint.safe:
            self._lose(error)
        elif isinstance(error, BadResponseError) and error.http_status is not None:
            raise error  # too large, and it would be as large again
        await self._pause(error)

    async def _after_refusal(self, verdict: Verdict) -> None:
        """An attempt that was answered with an error: wait for the next one, or raise."""
        error = self.error = verdict.error
        assert error is not None, "called for refusals only"
        if verdict.refusal is not None:
            await self._after_limit(error, verdict.refusal)
            return
        if not self.endpoint.safe:
            if not verdict.doubtful:
                raise error
            self._lose(error)
        elif not verdict.passing:
            raise error
        await self._pause(error)

    async def _after_limit(self, error: CJError, refusal: Refusal) -> None:
        """CJ refused for a limit's sake. The limiter knows of it, and the next admission waits as long as it must."""
        if self.services.hooks:
            self._tell(events.Refused, attempt=self.attempt, limit=refusal.kind)
        self.refusals += 1
        if isinstance(error, RateLimitedError):
            seconds = refusal.seconds or _UNSTATED[refusal.kind]
            error.retry_at = datetime.fromtimestamp(self.clock.time() + seconds, UTC)
            if refusal.kind == "login" or self.refusals > MAX_REFUSALS:
                raise error
        elif isinstance(error, QuotaExhaustedError):
            error.resets_at = error.resets_at or _next_day(self.clock.time())
            if not self.services.wait_when_exhausted or refusal.kind == "sourcing":
                raise error
            if self.refusals > 1:  # it is about a budget that the limiter does not keep
                patience = self.options.max_wait
                if self.is_too_long(LOOK_AGAIN) or (patience is not None and patience < LOOK_AGAIN):
                    raise error
                await self.clock.sleep(LOOK_AGAIN)
        else:
            raise error

    def _may_ask_again(self, verdict: Verdict) -> bool:
        """CJ was seen to answer "nothing" for healthy products and to know them a moment later: worth one more try."""
        endpoint = self.endpoint
        if verdict.value or not endpoint.safe or endpoint.paging or self.empty is not None or not self.take_retry():
            return False
        self.empty = verdict
        return True

    async def _pause(self, error: CJError) -> None:
        """Wait before the next attempt. Raises when there will be none."""
        wait = self.next_pause()
        if not self.take_retry(wait):
            raise error
        if self.services.hooks:
            self._tell(events.Retried, attempt=self.attempt, wait=wait, error=type(error).__name__)
        await self.clock.sleep(wait)

    def _lose(self, error: CJError) -> None:
        """The answer to a write was lost. Only one that CJ refuses the second time may go out again."""
        unknown = self._unknown(error)
        if not self.endpoint.idempotent:
            raise unknown from error
        self.lost = self.lost or unknown

    def _unknown(self, error: CJError) -> OutcomeUnknownError:
        tell = f"; {self.endpoint.recheck} tells" if self.endpoint.recheck else ""
        text = f"the answer was lost ({error.message}), so the write may or may not have happened{tell}"
        return OutcomeUnknownError(text, endpoint=self.endpoint.path)

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

    def _note_rows(self, value: Any) -> None:
        skipped = getattr(value, "skipped", ())
        if self.endpoint.paging is not None and value is not None:
            page, total = page_asked_for(self.endpoint.paging, self.request), value.data and value.data.total
            self._tell(events.PageRead, page=page, rows=len(value.rows), total=total, skipped=len(skipped))
        for row in skipped:
            self._tell(events.RowSkipped, path=row.path, reason=row.reason)

    def _tell(self, event: type[events.Event], **facts: Any) -> None:
        events.emit(self.services.hooks, event(endpoint=self.endpoint.path, call=self.number, **facts))


def _next_day(now: float) -> datetime:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1)
