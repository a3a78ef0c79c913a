"""What the limiter needs of a store: one truth about the buckets, shared by whoever opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cjasync._clock import Clock
from cjasync.quota.bucket import Claim, State, Verdict
from cjasync.quota.ledger import Settlement


class Booking:
    """All that one kind of request takes. `cache` belongs to the store."""

    __slots__ = ("cache", "claims", "points")

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self.claims = claims
        self.points = next((n for n, claim in enumerate(claims) if claim.scope == "points"), None)
        self.cache: Any = None

    def charged(self, states: Sequence[Any]) -> int:
        """The running total of the points bucket, if points are taken."""
        return 0 if self.points is None else states[self.points].charged


class QuotaStore(Protocol):
    """Where the buckets are. All times are microseconds of the caller's `clock.monotonic()`.

    shared: other processes book here too.
    """

    shared: bool

    async def open(self, clock: Clock) -> None:
        """Make it ready. Raises StoreError."""
        ...

    def try_book(self, booking: Booking, clock: Clock, token: int, who: int) -> Verdict | None:
        """Book at once without waiting; None when only `book` can tell."""
        ...

    async def book(self, booking: Booking, clock: Clock, token: int, who: int) -> Verdict:
        """Take all claims of a request, or none. Raises StoreError."""
        ...

    def try_settle(self, settlement: Settlement, clock: Clock) -> bool:
        """Write down what became of a request, if that can be done at once."""
        ...

    async def settle(self, settlement: Settlement, clock: Clock) -> None:
        """Write down what became of a request. Raises StoreError."""
        ...

    async def read(self, prefix: str, clock: Clock) -> Mapping[str, State]:
        """The buckets whose keys begin so. Raises StoreError."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections; what was booked stays booked."""
        ...
