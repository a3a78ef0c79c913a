"""Where tickets report, and what became of their requests is written to the store."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from cjasync._clock import Clock, SystemClock
from cjasync.errors import StoreError
from cjasync.quota.bucket import SECOND
from cjasync.quota.crew import Crew
from cjasync.quota.facts import PointsInfo, Refusal
from cjasync.quota.ledger import Settlement
from cjasync.quota.scopes import Scopes
from cjasync.quota.tickets import Ticket

LAG = SECOND // 10  # a request that leaves so much later than it was booked is stamped again
WRITE_AFTER = SECOND // 50  # how long an answer may wait for the next booking
UNSTATED = {"qps": SECOND, "login": 300 * SECOND}  # how long to keep quiet after a refusal that does not say


class Journal(Protocol):
    """The part of a store that desks write to."""

    shared: bool  #: whether other processes may book here too

    def try_settle(self, settlements: Sequence[Settlement], desk: Desk) -> bool:
        """Write down what became of requests, if that can be done at once. Raises StoreError."""
        ...

    async def settle(self, settlements: Sequence[Settlement], desk: Desk) -> None:
        """Write down what became of requests. Raises StoreError."""
        ...


class Desk:
    """One limiter's place at the store.

    who: its number among all who share the store. ns: a clock that never runs backwards, in nanoseconds; wall: seconds
    since 1970 UTC. Stores read them under their lock. prefixes: what the keys of its address's and of its account's
    buckets begin with.
    """

    def __init__(self, store: Journal, clock: Clock, scopes: Scopes, crew: Crew, freed: Callable[[], None]) -> None:
        self.ns: Callable[[], int] = (
            time.monotonic_ns if isinstance(clock, SystemClock) else lambda: int(clock.monotonic() * 1e9)
        )
        self.wall = clock.time
        self._store = store
        self._scopes = scopes
        self._crew = crew
        self.prefixes = (scopes.address, scopes.prefix)
        self._freed = freed
        self._backlog: list[Settlement] = []
        self._timer: asyncio.TimerHandle | None = None
        self.renew()

    def renew(self) -> None:
        """A name of its own, also in a forked process, which must not answer for its parent's requests."""
        self.who = random.SystemRandom().getrandbits(29)
        self.token = self.who << 32
        self._backlog = []
        self._timer = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: asyncio.Task[None] | None = None

    def on_sent(self, ticket: Ticket) -> None:
        """A request leaves."""
        now = ticket.sent_at = self.ns()
        if now - ticket.booked_at > LAG:
            self._settle(Settlement(ticket.booking, ticket.token, "sent", now))

    def on_answered(self, ticket: Ticket, points: PointsInfo | None) -> None:
        """An answer came."""
        now = self.ns()
        took = now - (ticket.sent_at or ticket.booked_at)
        self._settle(Settlement(ticket.booking, ticket.token, "answered", now, took, ticket.charged, points))

    def on_refused(self, ticket: Ticket, refusal: Refusal) -> None:
        """The server refused for a limit's sake."""
        now = self.ns()
        took = now - (ticket.sent_at or ticket.booked_at)
        scope, stop = self._scopes.scope_of(refusal), 0
        if scope is not None:
            stop = now + (int(refusal.seconds * SECOND) if refusal.seconds else UNSTATED[refusal.kind])
        settlement = Settlement(
            ticket.booking, ticket.token, "answered", now, took, ticket.charged, None, refusal, scope, stop
        )
        self._settle(settlement, urgent=True)

    def on_unsent(self, ticket: Ticket) -> None:
        """It never left; the next in line may have its turn."""
        unsent = Settlement(ticket.booking, ticket.token, "unsent", ticket.booked_at, charged=ticket.charged)
        self._settle(unsent, urgent=True)
        if not self._store.shared:
            self._freed()

    def hand_over(self) -> list[Settlement]:
        """What has not been written yet, for a store that is about to write anyway. It need not be told again."""
        backlog = self._backlog
        if backlog:
            self._backlog = []
        return backlog

    def write(self) -> None:
        """Write what has not been written: at once, or begin to."""
        self._forget_timer()
        if self._writer is not None or not self._backlog:
            return
        try:
            if self._store.try_settle(self._backlog, self):
                self._written(self.hand_over())
                return
        except StoreError:
            self._backlog = []  # what could not be written stays booked, and the next booking tells of the store
            return
        self._writer = self._crew.start(self._write_patiently())
        self._writer.add_done_callback(self._end_writing)  # also if it is cancelled before it has begun

    async def written(self) -> None:
        """Write what has not been written, and wait for it."""
        self.write()
        if self._writer is not None:
            await asyncio.wait([self._writer])

    def _settle(self, settlement: Settlement, *, urgent: bool = False) -> None:
        if not self._store.shared:
            self._store.try_settle((settlement,), self)
            return
        # Answers wait a moment for the next booking, which writes them along; what others must know does not.
        self._backlog.append(settlement)
        loop = self._crew.loop()
        if loop is None:
            return  # should there be another booking, it writes it along
        if urgent or self._loop is not loop:
            self._forget_timer()
            self._loop = loop
        if self._timer is None:
            wait, write = (0.0, self.write) if urgent else (WRITE_AFTER / SECOND, self._write_old)
            self._timer = loop.call_later(wait, write)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write_old(self) -> None:
        """Write, or wait on if bookings took along what the timer was for."""
        self._timer = None
        if self._backlog and (left := self._backlog[0].at + WRITE_AFTER - self.ns()) > 0:
            self._timer = asyncio.get_running_loop().call_later(left / SECOND, self._write_old)
        else:
            self.write()

    def _end_writing(self, writer: asyncio.Task[None]) -> None:
        if self._writer is writer:
            self._writer = None
            if self._crew.loop() is not None:
                self.write()  # what came meanwhile

    async def _write_patiently(self) -> None:
        try:
            while batch := self.hand_over():
                await self._store.settle(batch, self)
                self._written(batch)
        except StoreError:
            self._backlog = []

    def _written(self, batch: list[Settlement]) -> None:
        if any(settlement.what == "unsent" for settlement in batch):
            self._freed()
