"""Admission: every request asks here before it is sent, and waits its turn here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

from cjasync._clock import SYSTEM_CLOCK, Clock
from cjasync._endpoint import Endpoint
from cjasync.config import Plan, Priority
from cjasync.errors import CJError, ConfigError, QuotaExhaustedError, StoreError, TooManyAccountsError, WaitTooLongError
from cjasync.quota.bucket import SECOND, Budget, BudgetState, Exhausted, NotBefore, Start, Verdict
from cjasync.quota.delays import Delays
from cjasync.quota.facts import PointsInfo, Refusal
from cjasync.quota.ledger import Settlement
from cjasync.quota.line import NEVER, Line, Waiter
from cjasync.quota.scopes import Scopes, rate_of
from cjasync.quota.store import Booking, QuotaStore
from cjasync.quota.tickets import Ticket
from cjasync.quota.usage import Estimate, Usage, describe, estimate

THIS_MACHINE = "<this machine>"
RECHECK = 600 * SECOND  # the wall clock may be set while we wait for midnight
LAG = 1_000  # a request that leaves this late is stamped again


class Limiter:
    """The limits of one account, seen from one event loop. Others may share them through the store."""

    def __init__(
        self,
        plan: Plan,
        store: QuotaStore,
        *,
        account: str,
        egress: str = THIS_MACHINE,
        clock: Clock = SYSTEM_CLOCK,
        on_exhausted: Literal["raise", "wait"] = "raise",
        background_reserve: float = 0.1,
    ) -> None:
        if not 0 <= background_reserve < 1:
            raise ConfigError(f"background_reserve must be at least 0 and below 1, not {background_reserve!r}")
        if on_exhausted not in ("raise", "wait"):
            raise ConfigError(f"on_exhausted must be raise or wait, not {on_exhausted!r}")
        self.plan = plan
        self.store = store
        self._clock = clock
        self._waits = on_exhausted == "wait"
        self._scopes = Scopes(plan, account, egress, background_reserve)
        self._bookings: dict[tuple[str, str], Booking] = {}
        self._interactive: dict[str, Booking] = {}
        self._who = random.getrandbits(29)
        self._token = self._who << 32
        self._delays = Delays()
        self._line: Line[Ticket] = Line()
        self._waiting = 0
        self._server: asyncio.Task[None] | None = None
        self._alarm: asyncio.Future[None] | None = None
        self._next_at = 0
        self._opened = False
        self._unsettled: list[Settlement] = []
        self._settler: asyncio.Task[None] | None = None

    def _now(self) -> int:
        return int(self._clock.monotonic() * 1e6)

    def _moment(self, at: int) -> datetime:
        return datetime.fromtimestamp(self._clock.time() + (at - self._now()) / 1e6, UTC)

    def _booking(self, endpoint: Endpoint[Any], priority: Priority) -> Booking:
        booking = self._bookings.get((endpoint.path, priority))
        if booking is None:
            booking = self._bookings[endpoint.path, priority] = Booking(self._scopes.claims(endpoint, priority))
        return booking

    def try_admit(self, endpoint: Endpoint[Any]) -> Ticket | None:
        """A ticket if there is one at once: a free token, nobody waiting, a store that answers without waiting."""
        if self._waiting or not self._opened:
            return None
        booking = self._interactive.get(endpoint.path)
        if booking is None:
            booking = self._interactive[endpoint.path] = self._booking(endpoint, "interactive")
        self._token = token = self._token + 1
        verdict = self.store.try_book(booking, self._clock, token, self._who)
        if type(verdict) is Start:
            return Ticket(self, booking, token, verdict.at, verdict.charged)
        return None

    async def admit(
        self,
        endpoint: Endpoint[Any],
        *,
        max_wait: float | None = None,
        priority: Priority = "interactive",
        deadline: float | None = None,
    ) -> Ticket:
        """Wait for the turn.

        max_wait: seconds; deadline: of `clock.monotonic()`. Raises WaitTooLongError before waiting beyond either,
        QuotaExhaustedError, TooManyAccountsError, StoreError.
        """
        await self._open()
        booking = self._booking(endpoint, priority)
        now = self._now()
        latest = NEVER if max_wait is None else now + int(max_wait * 1e6)
        if deadline is not None:
            latest = min(latest, int(deadline * 1e6))
        try:
            if not self._waiting:
                self._token = token = self._token + 1
                verdict = self.store.try_book(booking, self._clock, token, self._who)
                if isinstance(verdict, Start):
                    return Ticket(self, booking, token, verdict.at, verdict.charged)
                if verdict is not None:
                    self._judge(verdict, latest)
            elif (expected := self._expected()) > latest:
                self._too_long(expected)
            return await self._queue(booking, latest, 0 if priority == "interactive" else 1)
        except CJError as error:
            error.endpoint = error.endpoint or endpoint.path
            raise

    async def usage(self) -> Usage:
        """What has been used and what is left, in every bucket of this account and address. Raises StoreError."""
        await self._open()
        states = await self.store.read(self._scopes.prefix, self._clock)
        states = {**states, **await self.store.read(self._scopes.address, self._clock)}
        now, wall = self._now(), int(self._clock.time() * 1e6)
        claims = self._scopes.known(states)
        return Usage(buckets=tuple(describe(c, deepcopy(states.get(c.key)) or c.new(), now, wall) for c in claims))

    async def estimate(self, endpoint: Endpoint[Any], calls: int) -> Estimate:
        """What `calls` calls of that endpoint cost, and when they would be done, given what is left today."""
        usage = await self.usage()
        budgets = {b.name: b for b in usage.buckets if b.name in ("points", f"calls {endpoint.path}")}
        for claim in self._scopes.claims(endpoint):
            if isinstance(claim, Budget):
                fresh = describe(claim, BudgetState(), self._now(), int(self._clock.time() * 1e6))
                budgets.setdefault(fresh.name, fresh)
        rates = {"requests per second": self.plan.qps, "requests per second and address": self.plan.ip_qps}
        known = {name: rate_of(qps) for name, qps in rates.items() if qps is not None}
        return estimate(calls, self._scopes.cost(endpoint), known, budgets, int(self._clock.time() * 1e6))

    async def _open(self) -> None:
        if not self._opened:
            await self.store.open(self._clock)
            self._opened = True

    async def _queue(self, booking: Booking, latest: int, rank: int) -> Ticket:
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._line.join(booking, future, latest, rank)
        self._waiting += 1
        if self._server is None:
            self._server = asyncio.create_task(self._serve())
        elif latest < self._next_at or rank == 0:
            self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().unsent()  # the turn goes to the next in line
            raise
        finally:
            self._waiting -= 1

    def _expected(self) -> int:
        limit, per = 1, 0
        for claim in self._booking_rates():
            if claim[1] * limit > per * claim[0]:
                limit, per = claim
        return max(self._now(), self._next_at) + self._waiting * per // limit

    def _booking_rates(self) -> list[tuple[int, int]]:
        return [rate_of(qps) for qps in (self.plan.qps, self.plan.ip_qps) if qps is not None]

    def _judge(self, verdict: NotBefore | Exhausted, latest: int) -> None:
        """Raise if waiting will not help, or not in time."""
        if isinstance(verdict, NotBefore):
            if verdict.at > latest:
                self._too_long(verdict.at)
        elif verdict.bucket.endswith(":accounts"):
            raise TooManyAccountsError(
                f"{verdict.used} accounts use this IP address already, and CJ allows {verdict.limit}; "
                "set accounts_per_ip=None in the plan if that is not so",
                limit=verdict.limit,
                frees_at=self._moment(verdict.resets_at),
            )
        elif not self._waits or verdict.resets_at > latest:
            bucket = verdict.bucket.split(":")[2]
            resets_at = self._moment(verdict.resets_at)
            raise QuotaExhaustedError(
                f"the day's {bucket} are used up: {verdict.used} of {verdict.limit}, more at {resets_at:%Y-%m-%d %H:%M:%S} UTC",
                bucket=bucket,
                used=verdict.used,
                limit=verdict.limit,
                resets_at=resets_at,
            )

    def _too_long(self, at: int) -> NoReturn:
        raise WaitTooLongError(
            f"the turn would come in {(at - self._now()) / 1e6:.1f} s, later than max_wait allows",
            retry_at=self._moment(at),
        )

    async def _serve(self) -> None:
        """Hand out turns while anybody waits. One task and one timer for any number of waiters."""
        line = self._line
        try:
            while self._waiting:
                now = self._now()
                for late in line.overdue(now):
                    self._fail(late, lambda: self._too_long(now))
                waiter = line.head(now)
                wake_at = line.next_event()
                if waiter is not None:
                    at = await self._offer(waiter)
                    if at is None:
                        continue
                    wake_at = min(wake_at, at)
                elif wake_at == NEVER:
                    break
                await self._nap(wake_at)
        except Exception as error:  # a broken store, told to all who wait for it
            trouble = error if isinstance(error, StoreError) else StoreError(f"the quota store failed: {error!r}")
            for waiter in line.drain():
                waiter.future.set_exception(trouble)
        finally:
            self._server = None
            self._next_at = 0

    async def _offer(self, waiter: Waiter[Ticket]) -> int | None:
        """Try to serve it; None when that settled the matter, else when to try again."""
        self._token = token = self._token + 1
        verdict: Verdict | None = self.store.try_book(waiter.booking, self._clock, token, self._who)
        if verdict is None:
            verdict = await self.store.book(waiter.booking, self._clock, token, self._who)
        if isinstance(verdict, Start):
            ticket = Ticket(self, waiter.booking, token, verdict.at, verdict.charged)
            self._line.leave(waiter)
            if waiter.future.done():
                ticket.unsent()
            else:
                waiter.future.set_result(ticket)
            return None
        if waiter.future.done():
            self._line.leave(waiter)
            return None
        if self._fail(waiter, lambda: self._judge(verdict, waiter.latest)):
            return None
        if isinstance(verdict, Exhausted):
            self._line.park(waiter, min(verdict.resets_at, self._now() + RECHECK))
            return None
        if verdict.bucket.endswith(":login"):
            self._line.park(waiter, verdict.at)
            return None
        return verdict.at

    def _fail(self, waiter: Waiter[Ticket], judge: Callable[[], None]) -> bool:
        try:
            judge()
        except CJError as error:
            self._line.leave(waiter)
            if not waiter.future.done():
                waiter.future.set_exception(error)
            return True
        return False

    async def _nap(self, until: int) -> None:
        loop = asyncio.get_running_loop()
        self._next_at = until
        self._alarm = alarm = loop.create_future()
        timer = loop.call_later(max(0.0, (until - self._now()) / 1e6), self._wake)
        try:
            await alarm
        finally:
            timer.cancel()
            self._alarm = None

    def _wake(self) -> None:
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    def ticket_sent(self, ticket: Ticket) -> None:
        """Called by the ticket."""
        ticket.sent_at = now = self._now()
        if now - ticket.booked_at > LAG:
            self._settle(ticket, "sent", now)

    def ticket_answered(self, ticket: Ticket, points: PointsInfo | None) -> None:
        """Called by the ticket."""
        now = self._now()
        self._delays.learn(now - ticket.sent_at)
        self._settle(ticket, "arrived", self._delays.arrived_by(now), points=points)

    def ticket_refused(self, ticket: Ticket, refusal: Refusal) -> None:
        """Called by the ticket."""
        now = self._now()
        stop = 0
        if refusal.kind in ("qps", "login"):
            stop = now + int((refusal.seconds or (1.0 if refusal.kind == "qps" else 300.0)) * 1e6)
            self._delays.refused(SECOND // 2)
        self._settle(ticket, "arrived", self._delays.arrived_by(now), refusal=refusal, stop=stop)

    def ticket_unsent(self, ticket: Ticket) -> None:
        """Called by the ticket."""
        self._settle(ticket, "unsent", 0)
        self._wake()

    def _settle(self, ticket: Ticket, what: Literal["sent", "arrived", "unsent"], at: int, **facts: Any) -> None:
        settlement = Settlement(
            claims=ticket.booking.claims, token=ticket.token, what=what, at=at, charged=ticket.charged, **facts
        )
        if not self._unsettled and self.store.try_settle(settlement, self._clock):
            return
        self._unsettled.append(settlement)
        if self._settler is None:
            self._settler = asyncio.create_task(self._settle_later())

    async def _settle_later(self) -> None:
        try:
            while self._unsettled:
                await self.store.settle(self._unsettled[0], self._clock)
                del self._unsettled[0]
        except StoreError:
            self._unsettled.clear()  # what could not be written stays booked; the next booking tells of the store
        finally:
            self._settler = None

    async def aclose(self) -> None:
        """Write down what is known and let go of the store. Whoever still waits is told."""
        for waiter in self._line.drain():
            waiter.future.set_exception(StoreError("the client was closed while this call waited for its turn"))
        for task in (self._server, self._settler):
            if task is not None:
                task.cancel()
        while self._unsettled and self._opened:
            await self.store.settle(self._unsettled.pop(0), self._clock)
        await self.store.aclose()
