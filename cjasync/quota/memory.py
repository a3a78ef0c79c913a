"""The buckets of one process, in its memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from cjasync.errors import StoreError
from cjasync.quota.bucket import GRAIN, SECOND, Budget, Rate
from cjasync.quota.ledger import Settlement, book, settle
from cjasync.quota.state import Blocked, State
from cjasync.quota.tickets import Booking, Ticket

if TYPE_CHECKING:
    from cjasync.quota.desk import Desk

CALM = SECOND // 20  # so long after a full look at the clocks nothing but counting is needed


class MemoryStore:
    """Limits that hold in one process, for as long as it runs."""

    shared = False

    def __init__(self) -> None:
        self._states: dict[str, Any] = {}
        self._calm_until = 0
        self._calm: list[Booking] = []
        self._elsewhere = False
        _stores.add(self)

    async def open(self, desk: Desk) -> None:
        """Nothing to do."""

    def try_book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Book at once."""
        now = desk.ns()
        calm = booking.cache
        if calm is not None and now < self._calm_until:
            # The same as `book` below while neither time nor the server nor a queue has a say: only counting.
            rates, budgets, points = calm
            for rate, flying, limit in rates:
                if len(flying) + rate.away >= limit:
                    break
                flying[token] = now
            else:
                for state, need, cost in budgets:
                    charged = state.charged
                    if charged + need > state.returned:
                        for done, _, its_cost in budgets:  # give back what the ones before it took
                            if done is state:
                                break
                            done.charged -= its_cost
                        break
                    state.charged = charged + cost
                else:
                    return Ticket(desk, booking, token, now, 0 if points is None else points.charged)
            for _, flying, _ in rates:
                flying.pop(token, None)
        return self._look(booking, desk, token, now)

    def _look(self, booking: Booking, desk: Desk, token: int, now: int) -> Ticket | Blocked:
        if self._elsewhere:
            raise StoreError(
                "a memory store made before a fork would let each process use the whole limit; make it in the process "
                'that uses it, or share quota="sqlite"'
            )
        states = self._find(booking)
        wall = int(desk.wall() * SECOND)
        blocked = book(booking.claims, states, now, wall, token, desk.who)
        if blocked is not None:
            self._disturbed()
            return blocked
        points = None if booking.points is None else states[booking.points]
        self._remember(booking, states, points, now, wall)
        return Ticket(desk, booking, token, now, 0 if points is None else points.charged)

    def _remember(self, booking: Booking, states: list[Any], points: Any, now: int, wall: int) -> None:
        rates, budgets, calm_until = [], [], now + CALM
        for claim, state in zip(booking.claims, states, strict=True):
            if isinstance(claim, Rate):
                if state.line or state.said is not None or now < state.not_before:
                    return
                if claim.limit is not None:
                    rates.append((state, state.flying, claim.limit))
            elif isinstance(claim, Budget):
                calm_until = min(calm_until, now + state.ends - wall)
                limit = claim.in_force(state)
                need = (claim.cost + claim.keep - limit) * GRAIN if limit is not None else -(1 << 80)
                budgets.append((state, need, claim.cost * GRAIN))
        if now >= self._calm_until:
            self._disturbed()
            self._calm_until = calm_until
        booking.cache = (tuple(rates), tuple(budgets), points)
        self._calm.append(booking)

    def _disturbed(self) -> None:
        for booking in self._calm:
            booking.cache = None
        self._calm.clear()

    async def book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Book at once."""
        return self.try_book(booking, desk, token)

    def try_settle(self, settlements: Sequence[Settlement], desk: Desk) -> bool:
        """Write down what became of requests."""
        for settlement in settlements:
            if settlement.points is not None or settlement.refusal is not None:
                self._disturbed()
            settle(settlement, self._find(settlement.booking), desk.ns(), int(desk.wall() * SECOND))
        return True

    async def settle(self, settlements: Sequence[Settlement], desk: Desk) -> None:
        """Write down what became of requests."""
        self.try_settle(settlements, desk)

    async def read(self, prefix: str, desk: Desk) -> tuple[int, dict[str, State]]:
        """The moment on the buckets' clock, and the buckets whose keys begin so."""
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


_stores: WeakSet[MemoryStore] = WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
