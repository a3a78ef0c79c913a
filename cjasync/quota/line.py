"""Who waits for a turn: first come first served, interactive before background."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

from cjasync.quota.store import Booking

T = TypeVar("T")
NEVER = 1 << 62


class Waiter(Generic[T]):
    """One caller in the line. `latest`: when waiting has no sense any more, in microseconds."""

    __slots__ = ("booking", "future", "latest", "place")

    def __init__(self, booking: Booking, future: asyncio.Future[T], latest: int, place: tuple[int, int]) -> None:
        self.booking = booking
        self.future = future
        self.latest = latest
        self.place = place


class Line(Generic[T]):
    """Waiters in order; some of them parked until a moment that does not concern the others.

    Cancelled ones are left where they are and skipped when their turn comes, so that cancelling costs nothing.
    """

    def __init__(self) -> None:
        self._count = count()
        self._waiting: list[tuple[tuple[int, int], Waiter[T]]] = []
        self._parked: list[tuple[int, tuple[int, int], Waiter[T]]] = []
        self._deadlines: list[tuple[int, tuple[int, int], Waiter[T]]] = []

    def join(self, booking: Booking, future: asyncio.Future[T], latest: int, rank: int) -> Waiter[T]:
        """Stand at the end; a lower rank goes before a higher one."""
        waiter = Waiter(booking, future, latest, (rank, next(self._count)))
        heappush(self._waiting, (waiter.place, waiter))
        if latest < NEVER:
            heappush(self._deadlines, (latest, waiter.place, waiter))
        return waiter

    def head(self, now: int) -> Waiter[T] | None:
        """Whose turn it is."""
        parked, waiting = self._parked, self._waiting
        while parked and parked[0][0] <= now:
            waiter = heappop(parked)[2]
            heappush(waiting, (waiter.place, waiter))
        while waiting and waiting[0][1].future.done():
            heappop(waiting)
        return waiting[0][1] if waiting else None

    def leave(self, waiter: Waiter[T]) -> None:
        """It has been served, or told why not. Usually the first, unless one with a lower rank has just come."""
        waiting = self._waiting
        if waiting and waiting[0][1] is waiter:
            heappop(waiting)
        elif (entry := (waiter.place, waiter)) in waiting:
            waiting.remove(entry)
            heapify(waiting)

    def park(self, waiter: Waiter[T], until: int) -> None:
        """Let the others pass until then; its place in the order stays."""
        self.leave(waiter)
        heappush(self._parked, (until, waiter.place, waiter))

    def overdue(self, now: int) -> Iterator[Waiter[T]]:
        """Those whose latest moment has passed; they are out of the line."""
        deadlines = self._deadlines
        while deadlines and (deadlines[0][0] <= now or deadlines[0][2].future.done()):
            waiter = heappop(deadlines)[2]
            if not waiter.future.done():
                yield waiter

    def next_event(self) -> int:
        """The next moment at which a deadline passes or a parked one comes back."""
        deadlines, parked = self._deadlines, self._parked
        while deadlines and deadlines[0][2].future.done():
            heappop(deadlines)
        while parked and parked[0][2].future.done():
            heappop(parked)
        return min(deadlines[0][0] if deadlines else NEVER, parked[0][0] if parked else NEVER)

    def drain(self) -> list[Waiter[T]]:
        """All that wait; the line is empty afterwards."""
        everybody = [entry[-1] for entry in (*self._waiting, *self._parked)]
        self._waiting, self._parked, self._deadlines = [], [], []
        return [waiter for waiter in everybody if not waiter.future.done()]
