"""What the limiter needs of a store: one truth about the buckets, shared by all who open it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from cjasync.quota.ledger import Settlement
from cjasync.quota.state import Blocked, State
from cjasync.quota.tickets import Booking, Ticket

if TYPE_CHECKING:
    from cjasync.quota.desk import Desk


class QuotaStore(Protocol):
    """Where the buckets are. All times it takes and gives are nanoseconds of the desk's clock."""

    shared: bool  #: whether other processes may book here too

    async def open(self, desk: Desk) -> None:
        """Make it ready; again after it was closed. Raises StoreError."""
        ...

    def try_book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked | None:
        """Book at once; None when only `book` can tell. Raises StoreError."""
        ...

    async def book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Take all that a request needs, or nothing. Raises StoreError."""
        ...

    def try_settle(self, settlements: Sequence[Settlement], desk: Desk) -> bool:
        """Write down what became of requests, if that can be done at once. Raises StoreError."""
        ...

    async def settle(self, settlements: Sequence[Settlement], desk: Desk) -> None:
        """Write down what became of requests. Raises StoreError."""
        ...

    async def read(self, prefix: str, desk: Desk) -> tuple[int, Mapping[str, State]]:
        """The moment on the buckets' clock, and the buckets whose keys begin so. Raises StoreError."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections; what was booked stays booked."""
        ...
