"""Deadlines for many requests from one timer.

A timer made and cancelled for every request costs more than the rest of the request path together; one timer set to
the earliest deadline costs nothing while all goes well.
"""

from __future__ import annotations

import asyncio

from cjasync._clock import Clock


class Watch:
    """The deadline of one running task. Ends with `stop`; after `expired` the task's CancelledError is a timeout."""

    __slots__ = ("_cancelling", "_dog", "deadline", "expired", "task")

    def __init__(self, dog: Watchdog, task: asyncio.Task[object], deadline: float) -> None:
        self._dog = dog
        self._cancelling = task.cancelling()
        self.task = task
        self.deadline = deadline
        self.expired = False

    def stop(self) -> None:
        """The work is done."""
        self._dog.watches.discard(self)

    def timed_out(self) -> bool:
        """Whether the CancelledError just caught was ours alone, not somebody else's cancellation as well."""
        return self.expired and self.task.uncancel() <= self._cancelling


class Watchdog:
    """Cancels tasks that have outlived their deadline. Belongs to one event loop."""

    __slots__ = ("_clock", "_due", "_loop", "_timer", "watches")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.watches: set[Watch] = set()

    def start(self, seconds: float) -> Watch:
        """Watch the running task for that many seconds."""
        task = asyncio.current_task()
        assert task is not None, "requests are made from a task"
        watch = Watch(self, task, self._clock.monotonic() + seconds)
        self.watches.add(watch)
        if self._timer is None or watch.deadline < self._due:
            self._arm(watch.deadline)
        return watch

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
        for watch in [watch for watch in self.watches if watch.deadline <= now]:
            watch.expired = True
            watch.stop()
            watch.task.cancel()
        if self.watches:
            self._arm(min(watch.deadline for watch in self.watches))
