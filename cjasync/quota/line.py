"""Who waits for a turn: first come first served, interactive before background."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, TypeVar

from cjasync.quota.tickets import Booking

T = TypeVar("T")
NEVER = 1 << 62


class Waiter(Generic[T]):
    """One caller in the line. `latest`: when waiting has no sense any more, in nanoseconds."""

    __slots__ = ("booking", "future", "gone", "latest", "parked", "place")

    def __init__(self, booking: Booking, future: asyncio.Future[T], latest: int, place: tuple[int, int]) -> None:
        self.booking = booking
        self.future = future
        self.latest = latest
        self.place = place
        self.parked = self.gone = False


class Line(Generic[T]):
    """Waiters in order; some of them parked until a moment that does not concern the others.

    Cancelled ones stay where they are and are skipped when their turn comes, so that cancelling costs nothing.
    """

    def __init__(self) -> None:
        self.waiting = 0  #: how many want a turn, the parked ones not counted
        self.parked = 0
        self._count = count()
        self._queue: list[tuple[tuple[int, int], Waiter[T]]] = []
        self._parked: list[tuple[int, tuple[int, int], Waiter[T]]] = []
        self._deadlines: list[tuple[int, tuple[int, int], Waiter[T]]] = []

    def join(self, booking: Booking, future: asyncio.Future[T], latest: int, rank: int) -> Waiter[T]:
        """Stand at the end; a lower rank goes before a higher one."""
        waiter = Waiter(booking, future, latest, (rank, next(self._count)))
        heappush(self._queue, (waiter.place, waiter))
        if latest < NEVER:
            heappush(self._deadlines, (latest, waiter.place, waiter))
        self.waiting += 1
        return waiter

    @property
    def first(self) -> Waiter[T] | None:
        """Who stands first, be it a cancelled one."""
        return self._queue[0][1] if self._queue else None

    def head(self, now: int) -> Waiter[T] | None:
        """Whose turn it is."""
        parked, queue = self._parked, self._queue
        while parked and parked[0][0] <= now:
            waiter = heappop(parked)[2]
            if not waiter.gone:
                waiter.parked = False
                self.parked -= 1
                self.waiting += 1
                heappush(queue, (waiter.place, waiter))
        while queue and queue[0][1].future.done():
            heappop(queue)
        return queue[0][1] if queue else None

    def serve(self, waiter: Waiter[T]) -> bool:
        """Whether it still waits; if so, its future may be set now, and it is out of the line."""
        if waiter.future.done():
            return False
        self._remove(waiter)
        self.leave(waiter)
        return True

    def leave(self, waiter: Waiter[T]) -> None:
        """It was cancelled, or served: it is not counted any more."""
        if waiter.gone:
            return
        waiter.gone = True
        if waiter.parked:
            self.parked -= 1
        else:
            self.waiting -= 1

    def park(self, waiter: Waiter[T], until: int) -> None:
        """Let the others pass until then; its place in the order stays."""
        self._remove(waiter)
        self.waiting -= 1
        self.parked += 1
        waiter.parked = True
        heappush(self._parked, (until, waiter.place, waiter))

    def _remove(self, waiter: Waiter[T]) -> None:
        queue = self._queue
        if queue and queue[0][1] is waiter:
            heappop(queue)
        elif (entry := (waiter.place, waiter)) in queue:  # one with a lower rank has come meanwhile
            queue.remove(entry)
            heapify(queue)

    def overdue(self, now: int) -> Iterator[Waiter[T]]:
        """Those whose latest moment has passed."""
        deadlines = self._deadlines
        while deadlines and (deadlines[0][0] < now or deadlines[0][2].future.done()):
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
        return min(deadlines[0][0] + 1 if deadlines else NEVER, parked[0][0] if parked else NEVER)

    def drain(self) -> list[Waiter[T]]:
        """All that wait; the line is empty afterwards."""
        everybody = [entry[1] for entry in self._queue] + [entry[2] for entry in self._parked]
        for waiter in everybody:
            self.leave(waiter)
        self._queue, self._parked, self._deadlines = [], [], []
        return [waiter for waiter in everybody if not waiter.future.done()]
