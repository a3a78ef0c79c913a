"""Admission: every request asks here before it is sent, and waits for its turn here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from copy import copy, deepcopy
from datetime import UTC, tzinfo
from itertools import chain
from typing import Any, Literal
from weakref import WeakSet

from aiolimiter import AsyncLimiter

from cjasync._clock import SYSTEM_CLOCK, Clock
from cjasync._endpoint import Endpoint
from cjasync.config import Plan, Priority
from cjasync.errors import CJError, ClosedError, ConfigError, StoreError
from cjasync.quota.bucket import SECOND
from cjasync.quota.crew import Crew
from cjasync.quota.desk import Desk
from cjasync.quota.judge import Judge
from cjasync.quota.line import NEVER, Line, Waiter
from cjasync.quota.scopes import Scopes
from cjasync.quota.state import Exhausted
from cjasync.quota.store import QuotaStore
from cjasync.quota.tickets import Booking, Ticket
from cjasync.quota.usage import Estimate, Usage, describe, estimate

THIS_MACHINE = "<this machine>"
RECHECK = 600 * SECOND  # the wall clock may be set while we wait for midnight
AT_ONCE = 32  # turns handed out before those served may send: answers that are read late bring their turns back late
ASKS = 100  # questions to a shared store per second that waiting may cost, at least


class Limiter:
    """The limits of one account, seen from one event loop. Others may share them through the store.

    account: names it; see `account_key`. egress: names the public address that requests leave from; for a store that
    machines share, give each address its own name. on_exhausted: whether a used-up day raises, or waits for the reset.
    background_reserve: the share of the day's budgets that bulk work leaves. day_zone: whose midnight ends the day.
    """

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
        day_zone: tzinfo = UTC,
    ) -> None:
        if not 0 <= background_reserve < 1:
            raise ConfigError(f"`background_reserve` must be at least 0 and below 1, not {background_reserve!r}")
        if on_exhausted not in ("raise", "wait"):
            raise ConfigError(f"`on_exhausted` must be raise or wait, not {on_exhausted!r}")
        self.plan = plan
        self.store = store
        self._scopes = Scopes(plan, account, egress, background_reserve, day_zone)
        self._crew = Crew(self._finish)
        self._desk = Desk(store, clock, self._scopes, self._crew, self._wake)
        self._judge = Judge(self._desk, waits=on_exhausted == "wait")
        self._try_book = store.try_book
        self._interactive: dict[str, Booking] = {}
        self._background: dict[str, Booking] = {}
        self._begin()
        _limiters.add(self)

    def _begin(self) -> None:
        self._line: Line[Ticket] = Line()
        self._server: asyncio.Task[None] | None = None
        self._alarm: asyncio.Future[None] | None = None
        self._turn_at = 0
        self._awake_at = 0
        self._gate: AsyncLimiter | None = None
        self._opening: asyncio.Lock | None = None
        self._open = False

    def forked(self) -> None:
        """In a child process: whoever waits, waits in the parent."""
        self._crew.forked()
        self._desk.renew()
        self._begin()

    def try_admit(self, endpoint: Endpoint[Any]) -> Ticket | None:
        """A ticket if one is free at once: nobody waits, and the store answers without waiting. None: use `admit`."""
        if self._line.waiting:
            return None
        desk = self._desk
        desk.token = token = desk.token + 1
        try:
            booking = self._interactive[endpoint.path]
        except KeyError:
            booking = self._booking(endpoint, "interactive")
        ticket = self._try_book(booking, desk, token)
        return ticket if isinstance(ticket, Ticket) else None

    async def admit(
        self,
        endpoint: Endpoint[Any],
        *,
        max_wait: float | None = None,
        priority: Priority = "interactive",
        deadline: float | None = None,
    ) -> Ticket:
        """Wait for a turn: first come first served, interactive calls before background ones.

        max_wait: seconds. deadline: a time of `clock.monotonic()`. Raises WaitTooLongError before waiting beyond
        either, QuotaExhaustedError, TooManyAccountsError, StoreError, ClosedError.
        """
        if priority == "interactive" and (ticket := self.try_admit(endpoint)) is not None:
            return ticket
        desk, line = self._desk, self._line
        latest = NEVER if max_wait is None else desk.ns() + int(max_wait * SECOND)
        if deadline is not None:
            latest = min(latest, int(deadline * SECOND))
        booking = self._booking(endpoint, priority)
        try:
            if self._open and not line.waiting:
                desk.token = token = desk.token + 1
                verdict = self.store.try_book(booking, desk, token)
                if isinstance(verdict, Ticket):
                    return verdict
                if verdict is not None:
                    self._judge.judge(verdict, booking, latest)
            elif latest < NEVER and (expected := self._expected()) > latest:
                self._judge.too_long(expected)
            return await self._wait(booking, latest, 0 if priority == "interactive" else 1)
        except CJError as error:
            error.endpoint = error.endpoint or endpoint.path
            raise

    async def usage(self) -> Usage:
        """What has been used and what is left in every bucket of this account and address. Raises StoreError."""
        await self._open_store()
        desk, scopes = self._desk, self._scopes
        await desk.written()  # what the last answer said belongs to it
        now, ours = await self.store.read(scopes.prefix, desk)
        _, shared = await self.store.read(scopes.address, desk)
        states, wall = {**ours, **shared}, int(desk.wall() * SECOND)
        claims = scopes.known(states)
        described = (describe(claim, deepcopy(states.get(claim.key)) or claim.new(), now, wall) for claim in claims)
        return Usage(tuple(chain.from_iterable(described)))

    async def estimate(self, endpoint: Endpoint[Any], calls: int) -> Estimate:
        """What so many calls will cost, and when they will be done, given what is left. Sends nothing."""
        usage = await self.usage()
        return estimate(self._scopes, endpoint, calls, usage, int(self._desk.wall() * SECOND))

    async def aclose(self) -> None:
        """Write down what is known and let go of the store. Whoever still waits gets a ClosedError."""
        for waiter in self._line.drain():
            waiter.future.set_exception(ClosedError("the client was closed while this call waited for its turn"))
        self._wake()
        async with AsyncExitStack() as closing:  # each is closed, whatever befalls the one before
            if self._opening is not None:
                self._open = False
                closing.push_async_callback(self.store.aclose)
            await self._crew.aclose()

    def _finish(self) -> None:
        self._desk.write()
        self._wake()

    def _booking(self, endpoint: Endpoint[Any], priority: Priority) -> Booking:
        bookings = self._interactive if priority == "interactive" else self._background
        if endpoint.path not in bookings:
            bookings[endpoint.path] = Booking(self._scopes.claims(endpoint, priority))
        return bookings[endpoint.path]

    async def _open_store(self) -> None:
        self._opening = self._opening or asyncio.Lock()
        async with self._opening:
            if not self._open:
                await self.store.open(self._desk)
                self._crew.open()
                self._open = True

    async def _wait(self, booking: Booking, latest: int, rank: int) -> Ticket:
        loop, line = asyncio.get_running_loop(), self._line
        future: asyncio.Future[Ticket] = loop.create_future()
        waiter = line.join(booking, future, latest, rank)
        if self._server is None:
            self._begin_serving()
        elif latest < self._awake_at or line.first is waiter:
            self._wake()
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                line.leave(waiter)
                if not line.waiting:
                    self._wake()  # nobody needs to be served
            elif future.exception() is None:
                future.result().unsent()  # the turn goes to the next in line
            raise

    def _expected(self) -> int:
        limit, per = self._scopes.pace
        return max(self._desk.ns(), self._turn_at) + self._line.waiting * per // limit

    def _begin_serving(self) -> None:
        self._server = self._crew.start(self._serve())
        self._server.add_done_callback(self._end_serving)

    def _end_serving(self, server: asyncio.Task[None]) -> None:
        if self._server is server:
            self._server = None
            self._turn_at = 0
            if self._line.waiting or self._line.parked:  # it was cancelled, and they were not
                self._begin_serving()

    async def _serve(self) -> None:
        """Hand out turns while anybody waits: one task and one timer for any number of them."""
        line, desk, served = self._line, self._desk, 0
        try:
            if not self._open:
                await self._open_store()
            while line.waiting or line.parked:
                waiter = line.head(desk.ns())
                self._turn_at = 0
                if waiter is not None:
                    again_at = await self._offer(waiter)
                    if again_at is None:
                        served += 1
                        if served % AT_ONCE == 0:
                            await asyncio.sleep(0)
                        continue
                    self._turn_at = again_at
                for late in line.overdue(desk.ns()):
                    self._tell(late, self._judge.too_long, self._expected())
                await self._nap(min(line.next_event(), self._turn_at or NEVER))
        except Exception as error:
            told = error if isinstance(error, CJError) else StoreError(f"the quota store failed: {error!r}")
            for waiter in line.drain():
                waiter.future.set_exception(copy(told))

    async def _offer(self, waiter: Waiter[Ticket]) -> int | None:
        """Try to serve the first in line. None: that is settled; else when to try again."""
        desk, line, booking = self._desk, self._line, waiter.booking
        desk.token = token = desk.token + 1
        if self.store.shared and not await self._may_ask(waiter):
            return None
        verdict = self.store.try_book(booking, desk, token)
        if verdict is None:
            verdict = await self.store.book(booking, desk, token)
        if isinstance(verdict, Ticket):
            if line.serve(waiter):
                waiter.future.set_result(verdict)
            else:
                verdict.unsent()
            return None
        if waiter.future.done() or self._tell(waiter, self._judge.judge, verdict, booking, waiter.latest):
            return None
        if isinstance(verdict, Exhausted):
            line.park(waiter, min(verdict.resets_at, desk.ns() + RECHECK))
            return None
        if verdict.bucket.endswith(":login"):  # nobody else waits for that
            line.park(waiter, verdict.at)
            return None
        return verdict.at

    async def _may_ask(self, waiter: Waiter[Ticket]) -> bool:
        """A coarse gate: waiting must not cost a shared store many more questions than the plan lets us send.

        False if `waiter` has gone meanwhile.
        """
        if self._gate is None:
            limit, per = self._scopes.pace
            self._gate = AsyncLimiter(max(ASKS, 4 * limit * SECOND // per if per else 10 * ASKS), 1)
        while not self._gate.has_capacity():
            await self._nap(self._desk.ns() + int(SECOND / self._gate.max_rate))
            if waiter.future.done():
                return False
        await self._gate.acquire()
        return True

    def _tell(self, waiter: Waiter[Ticket], judge: Callable[..., None], *args: Any) -> bool:
        """Whether `judge` raises; then the waiter is told, and out of the line."""
        try:
            judge(*args)
        except CJError as error:
            if self._line.serve(waiter):
                waiter.future.set_exception(error)
            return True
        return False

    async def _nap(self, until: int) -> None:
        loop = asyncio.get_running_loop()
        self._awake_at = until
        self._alarm = loop.create_future()
        timer = loop.call_later(max(0, until - self._desk.ns()) / SECOND, self._wake)
        try:
            await self._alarm
        finally:
            timer.cancel()
            self._alarm = None

    def _wake(self) -> None:
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)


_limiters: WeakSet[Limiter] = WeakSet()


def _after_fork() -> None:
    for limiter in _limiters:
        limiter.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
