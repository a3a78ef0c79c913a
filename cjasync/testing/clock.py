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
SPINS = 1000  # turns of the loop without a pause after which each takes a blink of time
BLINK = 1e-6


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
        self._spins = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events:
            return events
        if timeout is not None and timeout <= 0:
            self._spins += 1
            if self._spins > SPINS:  # somebody asks for the time over and over; on a real machine it passes meanwhile
                self.clock.advance(BLINK)
            return events
        self._spins = 0
        if self.jobs:
            return super().select(STUCK)
        if timeout is None:
            events = super().select(STUCK)
            if not events:
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
        self._clock_resolution = 1e-9  # a timer that is due but for a rounding error is due

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

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """As ever, while time stands still: a jump would look as if the threads took minutes to end."""
        self._jumping.jobs += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self._jumping.jobs -= 1

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.jobs -= 1


def run(main: Coroutine[Any, Any, T], *, clock: VirtualClock | None = None) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)
