"""Deadlines for many requests from one timer.

A timer made and cancelled for every request costs more than the rest of the request path together; one timer set to
the earliest deadline costs nothing while all goes well.
"""

from __future__ import annotations

import asyncio
from typing import Any

from cjasync._clock import Clock


class Watched:
    """Something a task does under a deadline. After `expired`, the task's CancelledError means that it passed."""

    # Of the class until they change, since most of what is watched ends in time.
    deadline = 0.0
    cancelling = 0
    expired = False

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task

    def timed_out(self) -> bool:
        """Whether the CancelledError just caught was the watchdog's alone, not somebody else's as well."""
        return self.expired and self.task.uncancel() <= self.cancelling


class Watchdog:
    """Cancels tasks that have outlived their deadline. Belongs to one event loop."""

    __slots__ = ("_clock", "_due", "_loop", "_timer", "_watched")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._watched: set[Watched] = set()

    def start(self, watched: Watched, seconds: float) -> None:
        """Give its task that many seconds from now."""
        watched.cancelling = watched.task.cancelling()
        watched.deadline = deadline = self._clock.monotonic() + seconds
        self._watched.add(watched)
        if self._timer is None or deadline < self._due:
            self._arm(deadline)

    def stop(self, watched: Watched) -> None:
        """No deadline runs any more."""
        self._watched.discard(watched)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, due: float) -> None:
        self.close()
        self._due = due
        self._timer = self._loop.call_later(max(0.0, due - self._clock.monotonic()), self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        for watched in [watched for watched in self._watched if watched.deadline <= now]:
            watched.expired = True
            self.stop(watched)
            watched.task.cancel()
        if self._watched:
            self._arm(min(watched.deadline for watched in self._watched))


def this_task() -> asyncio.Task[Any]:
    """The task that runs."""
    task = asyncio.current_task()
    assert task is not None, "calls are made from a task"
    return task
