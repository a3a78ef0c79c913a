"""The buckets of one process, in its memory."""

from __future__ import annotations

from typing import Any

from cjasync._clock import Clock
from cjasync.quota.bucket import Claim, Exhausted, NotBefore, Start, State
from cjasync.quota.ledger import Settlement, book, settle
from cjasync.quota.store import Booking

WALL_READ_EVERY = 100_000  # microseconds; between two readings of the wall clock it is carried on by the other one


class MemoryStore:
    """Limits that hold for one process and for as long as it runs."""

    shared = False

    def __init__(self) -> None:
        self._states: dict[str, Any] = {}
        self._wall_ahead = 0
        self._wall_read = -WALL_READ_EVERY

    async def open(self, clock: Clock) -> None:
        """Nothing to do."""

    def try_book(self, booking: Booking, clock: Clock, token: int, who: int) -> Start | NotBefore | Exhausted:
        """Book at once."""
        states = booking.cache
        if states is None:
            states = booking.cache = self._find(booking.claims)
        now = int(clock.monotonic() * 1e6)
        if now - self._wall_read >= WALL_READ_EVERY:
            self._wall_read = now
            self._wall_ahead = int(clock.time() * 1e6) - now
        blocked = book(booking.claims, states, now, now + self._wall_ahead, token, who)
        return blocked or Start(now, booking.charged(states))

    async def book(self, booking: Booking, clock: Clock, token: int, who: int) -> Start | NotBefore | Exhausted:
        """Book at once."""
        return self.try_book(booking, clock, token, who)

    def try_settle(self, settlement: Settlement, clock: Clock) -> bool:
        """Write down what became of a request."""
        now = int(clock.monotonic() * 1e6)
        settle(settlement, self._find(settlement.claims), now, int(clock.time() * 1e6))
        return True

    async def settle(self, settlement: Settlement, clock: Clock) -> None:
        """Write down what became of a request."""
        self.try_settle(settlement, clock)

    async def read(self, prefix: str, clock: Clock) -> dict[str, State]:
        """The buckets whose keys begin so."""
        return {key: state for key, state in self._states.items() if key.startswith(prefix)}

    async def aclose(self) -> None:
        """Nothing to let go of; the limits stay known to other clients of the same store."""

    def _find(self, claims: tuple[Claim, ...]) -> list[Any]:
        states = self._states
        for claim in claims:
            if claim.key not in states:
                states[claim.key] = claim.new()
        return [states[claim.key] for claim in claims]
