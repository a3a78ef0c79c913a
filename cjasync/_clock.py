"""The one place that asks what time it is."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Time as the library sees it. Tests pass another one and live through a week in a second."""

    def monotonic(self) -> float:
        """Seconds that never run backwards: for rates, waits and deadlines."""
        ...

    def time(self) -> float:
        """Seconds since 1970 UTC: for days, expiry dates and what people read."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...


class SystemClock:
    """The machine's clocks.

    `time.monotonic`, not `loop.time()`: uvloop caches the latter per iteration, in steps of a millisecond.
    """

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep`."""
        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
