"""What the limiter needs of a store: one truth about the buckets, shared by all who open it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cjasync.quota.desk import Desk, Journal
from cjasync.quota.state import Blocked, State
from cjasync.quota.tickets import Booking, Ticket


class QuotaStore(Journal, Protocol):
    """Where the buckets are. All times it takes and gives are nanoseconds of the desk's clock."""

    async def open(self, desk: Desk) -> None:
        """Make it ready; again after it was closed. Raises StoreError."""
        ...

    def try_book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked | None:
        """Book at once; None when only `book` can tell. Raises StoreError."""
        ...

    async def book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Take all that a request needs, or nothing. Raises StoreError."""
        ...

    async def read(self, prefix: str, desk: Desk) -> tuple[int, Mapping[str, State]]:
        """The moment on the buckets' clock, and the buckets whose keys begin so. Raises StoreError."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections; what was booked stays booked."""
        ...
