"""Time for tests: a clock that is moved, and an event loop that moves it, so that a week passes in a second."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 0.002  # seconds that sockets are given before time jumps
STUCK = 10.0  # real seconds without any event after which nothing will ever happen


class VirtualClock:
    """A `Clock` that stands still until it is advanced, or is run by a `VirtualLoop`."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = 1000.0
        self._wall = start.timestamp() - self._now

    def monotonic(self) -> float:
        """Virtual seconds; they never run backwards."""
        return self._now

    def time(self) -> float:
        """Virtual seconds since 1970 UTC."""
        return self._wall + self._now

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep`: on a VirtualLoop it takes no real time."""
        await asyncio.sleep(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("time never runs backwards; set_wall sets the clock on the wall")
        self._now += seconds

    def set_wall(self, seconds: float) -> None:
        """Set the clock on the wall forward, or back, as an administrator would; `monotonic` does not notice."""
        self._wall += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the sockets first; where they are silent, the time until the next timer passes at once."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.jobs = 0  # in threads, which live in real time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self.jobs or timeout is None:
            events = super().select(STUCK)
            if not events and timeout is None:
                raise RuntimeError("nothing is scheduled and nothing arrives: this would wait for ever")
            return events
        if len(self.get_map()) > 1:  # more than the loop's own wake-up pipe
            events = super().select(PATIENCE)
        if not events:
            self.clock.advance(timeout)
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers fire at once, in order, while `clock` jumps along.

    Sockets on loopback work, also with both ends in this loop: time only jumps after they have been silent for a
    moment. Work in threads holds time still.
    """

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self._jumping = _JumpingSelector(self.clock)
        super().__init__(self._jumping)
        # The smallest step that makes a float of this size grow, so that a timer never fires a hair early for ever.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Virtual seconds."""
        return self.clock.monotonic()

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """As ever, while time stands still."""
        self._jumping.jobs += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.jobs -= 1


def run(main: Coroutine[Any, Any, T], *, clock: VirtualClock | None = None) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)
