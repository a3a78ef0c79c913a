"""The buckets of one process, in its memory."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from cjasync.errors import StoreError
from cjasync.quota.bucket import GRAIN, SECOND, Budget
from cjasync.quota.desk import LAG, Desk
from cjasync.quota.facts import PointsInfo
from cjasync.quota.keeper import Keeper
from cjasync.quota.ledger import Settlement, book, note_points, settle, settle_answers
from cjasync.quota.state import Blocked, BudgetState, State
from cjasync.quota.tickets import Booking, Ticket

MANY, NO_END = 1 << 40, 1 << 100
NOTES = 256  # turns and answers that are written down in one go at most, so that the event loop is not held up
CALM = SECOND // 4  # so long after a full look at the buckets nothing but counting is needed


class CalmTicket(Ticket, gc=True, eq=False):  # the store knows it, and it knows the store
    """A ticket given out while there was plenty. It holds by itself what came of it until somebody looks.

    Only then (it has landed) do the buckets know of it; see `MemoryStore._land`.
    """

    store: Any = None
    answered_at: int = -1  # not yet
    points: PointsInfo | None = None
    landed: bool = False

    @property
    def took(self) -> int:
        """Nanoseconds from sending to the answer."""
        return self.answered_at - (self.sent_at or self.booked_at)

    def answered(self, points: PointsInfo | None = None) -> None:
        """An answer came that is no refusal for a limit's sake; `points` is what it said about the budget."""
        if (
            self.landed
            or self.sent_at - self.booked_at > LAG
            or (points is not None and self.store.is_news(self, points))
        ):
            Ticket.answered(self, points)
        elif not self.ended:
            self.ended, self.answered_at, self.points = True, self._desk.ns(), points


class MemoryStore:
    """Limits that hold in one process, for as long as it runs."""

    shared = False

    def __init__(self) -> None:
        self._states: dict[str, Any] = {}
        self._calm_until = 0
        self._day_ends = 0.0  # by the wall clock, which may be set
        self._sure = 0
        self._calm: list[Booking] = []
        self._rooms: dict[str, tuple[int, int]] = {}  # how far `charged` may go in calm times, and the dearest call
        self._aloft: dict[Booking, list[CalmTicket]] = {}  # of which the buckets do not know yet
        self._noted: list[Settlement] = []  # to be written down before anybody looks
        self._elsewhere = False
        self._keeper = Keeper()
        _stores.add(self)

    async def open(self, desk: Desk) -> None:
        """Nothing to do."""

    def try_book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Book at once."""
        now = desk.ns()
        calm = booking.cache
        if calm is not None and now < self._calm_until and self._sure > 0 and desk.wall() < self._day_ends:
            # As `_look` does, while neither time nor server nor queue has a say and there is enough of everything.
            self._sure -= 1
            charges, points, aloft = calm
            for state, cost in charges:
                state.charged += cost
            charged = 0 if points is None else points.charged
            ticket = CalmTicket(desk, booking, token, now, charged, 0, False, self)
            aloft.append(ticket)
            if len(aloft) > NOTES:
                self._catch_up(now, int(desk.wall() * SECOND))
            return ticket
        return self._look(booking, desk, token, now)

    def _look(self, booking: Booking, desk: Desk, token: int, now: int) -> Ticket | Blocked:
        if self._elsewhere:
            raise StoreError(
                "a memory store made before a fork would let each process use the whole limit; make it in the process "
                'that uses it, or share `quota="sqlite"`'
            )
        self._keeper.check()
        states = self._find(booking)
        wall = int(desk.wall() * SECOND)
        self._catch_up(now, wall)
        blocked = book(booking.claims, states, now, wall, token, desk.who)
        if blocked is not None:
            self._disturbed()
            return blocked
        self._sure -= 1  # of what all others count on
        points = None if booking.points is None else states[booking.points]
        self._remember(booking, states, points, now)
        return Ticket(desk, booking, token, now, 0 if points is None else points.charged)

    def _remember(self, booking: Booking, states: list[Any], points: Any, now: int) -> None:
        """How many more requests there is surely enough for, whichever they are, and what this one takes."""
        rates = [(booking.claims[n], states[n]) for n in booking.rates]
        if any(state.line or state.said is not None or now < state.not_before for _, state in rates):
            self._disturbed()
            return
        if now >= self._calm_until:
            self._disturbed()
            self._calm_until, self._sure, self._day_ends = now + CALM, MANY, math.inf
        for claim, state in rates:
            if claim.limit is not None:
                self._sure = min(self._sure, claim.limit - len(state.flying) - state.away)
        charges = []
        for claim, state in zip(booking.claims, states, strict=True):
            if isinstance(claim, Budget):
                self._day_ends = min(self._day_ends, state.ends / SECOND)
                charges.append((state, claim.cost * GRAIN))
                # Of those who share a budget, one may be held to less, and another ask for more.
                most, dearest = self._rooms.get(claim.key, (NO_END, 0))
                most, dearest = min(most, state.charged + _left(claim, state)), max(dearest, claim.cost * GRAIN)
                self._rooms[claim.key] = most, dearest
                self._sure = min(self._sure, (most - state.charged) // dearest)
        booking.cache = (charges, points, self._aloft.setdefault(booking, []))
        self._calm.append(booking)

    def _disturbed(self) -> None:
        self._calm_until = 0
        for booking in self._calm:
            booking.cache = None
        self._calm.clear()
        self._rooms.clear()

    async def book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Book at once."""
        return self.try_book(booking, desk, token)

    def try_settle(self, settlements: Sequence[Settlement], desk: Desk) -> bool:
        """Note what became of requests. It is written down before the next full look, which is when it can matter."""
        in_order = False
        for settlement in settlements:
            self._noted.append(settlement)
            points = settlement.points
            if settlement.refusal is not None or (points is not None and self.is_news(settlement, points)):
                self._disturbed()
            in_order = in_order or settlement.refusal is not None or settlement.what != "answered"
        if in_order or len(self._noted) > NOTES:  # tickets still aloft may tell of answers before these, or after
            self._catch_up(desk.ns(), int(desk.wall() * SECOND))
        return True

    def is_news(self, answered: Settlement | Ticket, points: PointsInfo) -> bool:
        """Whether CJ sees a point or more less than we do, or another budget than we thought: that ends the calm."""
        booking, n = answered.booking, answered.booking.points
        if n is None:
            return False
        claim, state = booking.claims[n], self._find(booking)[n]
        limit = claim.in_force(state)
        if limit is None or answered.charged < state.newest:
            return False
        if points.remaining is None or points.total not in (limit, None):
            return True
        left: int = limit * GRAIN - (answered.charged - state.returned)
        return points.remaining * GRAIN <= left - GRAIN

    def _catch_up(self, now: int, wall: int) -> None:
        self._land(now, wall)
        for settlement in self._noted:
            at = now if settlement.what == "unsent" else settlement.at
            settle(settlement, self._find(settlement.booking), at, wall + at - now)
        self._noted.clear()

    def _land(self, now: int, wall: int) -> None:
        """Write down the tickets of calm times: those answered all at once, and the others as flying."""
        for booking, aloft in self._aloft.items():
            if not aloft:
                continue
            for ticket in aloft:
                ticket.landed = True
            states, flying = self._find(booking), {one.token: one.booked_at for one in aloft if one.answered_at < 0}
            for n in booking.rates:
                if booking.claims[n].limit is not None:
                    states[n].flying.update(flying)
            answered = [one for one in aloft if one.answered_at >= 0]
            aloft.clear()
            if answered:
                settle_answers(booking, states, [(one.answered_at, one.took) for one in answered])
            for one in answered:
                if one.points is not None:
                    at = one.answered_at
                    note_points(booking, states, one.points, one.charged, at, wall + at - now)

    async def settle(self, settlements: Sequence[Settlement], desk: Desk) -> None:
        """Write down what became of requests."""
        self.try_settle(settlements, desk)

    async def read(self, prefix: str, desk: Desk) -> tuple[int, dict[str, State]]:
        """The moment on the buckets' clock, and the buckets whose keys begin so."""
        self._catch_up(desk.ns(), int(desk.wall() * SECOND))
        return desk.ns(), {key: state for key, state in self._states.items() if key.startswith(prefix)}

    async def aclose(self) -> None:
        """Nothing to let go of; clients that share this store go on."""

    def forked(self) -> None:
        """In a child process: the parent goes on counting for itself, so this copy must not."""
        self._elsewhere = True
        self._disturbed()

    def _find(self, booking: Booking) -> list[Any]:
        if booking.states is None:
            states = self._states
            booking.states = [states.setdefault(claim.key, claim.new()) for claim in booking.claims]
        return booking.states


def _left(claim: Budget, state: BudgetState) -> int:
    """Grains that may surely be charged still."""
    left, limit = NO_END, claim.in_force(state)
    if limit is not None:
        doubt = GRAIN if claim.scope == "points" else 0  # by so much CJ may contradict us, see `is_news`
        left = (limit - claim.keep) * GRAIN - state.spent - doubt
    return left if claim.cap is None else min(left, (claim.cap - claim.cap_keep) * GRAIN - state.today)


_stores: WeakSet[MemoryStore] = WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
