"""When a window may begin: when the budget can pay for all of it at once.

A window that is read without a pause holds still. One whose budget runs out halfway stays open for hours, and pages of
it have to be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cjasync._endpoint import Endpoint
from cjasync.catalog.asking import Asker
from cjasync.catalog.planning.question import Question
from cjasync.errors import QuotaExhaustedError
from cjasync.quota import BucketUsage, Usage
from cjasync.quota.judge import named, way_out

PAUSE = 60.0  # seconds between two answers of a window after which its pages no longer join
SHORT = 60.0  # seconds that are waited for points also by those who do not wait for the next day


class Bursts:
    """What open windows still need, and whether there is enough for one more.

    kept: the share of each budget that is left to others.
    """

    def __init__(self, asker: Asker, endpoint: Endpoint[Any], *, kept: float) -> None:
        self._asker = asker
        self._endpoint = endpoint
        self._kept = kept
        self._needed: dict[int, int] = {}  # window -> calls without an answer, as far as is known
        self._last: dict[int, float] = {}  # window -> when its last answer came

    def is_open(self, window: int) -> bool:
        """Has it begun?"""
        return window in self._needed

    async def open(self, question: Question, flying: Mapping[int, int]) -> bool:
        """Begin the window of this question, if there is enough for it beside the windows that have questions `flying`.

        Where there is not, and no other window is being read that may need less than it seems, this waits for more,
        or raises QuotaExhaustedError.
        """
        self._needed = {window: calls for window, calls in self._needed.items() if window in flying}
        # Those in flight have been charged already.
        calls = question.burst + sum(max(0, calls - flying[window]) for window, calls in self._needed.items())
        while (short := await self._shortage(calls, question.burst)) is not None:
            if flying:
                return False
            await self._wait(*short)
        self._needed[question.window] = question.burst
        return True

    def asked(self, question: Question) -> None:
        """One of a window's questions is on its way."""
        self._needed[question.window] = question.burst

    def answered(self, question: Question) -> bool:
        """An answer came; whether there was a pause before it."""
        if question.window in self._needed:
            self._needed[question.window] -= 1
        now = self._asker.clock.time()  # the other clock stands still while a laptop sleeps
        paused = now - self._last.get(question.window, now) > PAUSE
        if len(self._last) > len(self._needed) + 1:
            self._last = {window: at for window, at in self._last.items() if window in self._needed}
        self._last[question.window] = now
        return paused

    async def _shortage(self, calls: int, burst: int) -> tuple[BucketUsage, datetime] | None:
        services = self._asker.engine.services
        usage = await services.limiter.usage()
        cost = services.plan.costs.get(self._endpoint.path, self._endpoint.points)
        prices = {f"calls {self._endpoint.path}": 1, "points": cost}
        now = datetime.fromtimestamp(self._asker.clock.time(), UTC)
        return shortage(usage, prices, calls, burst, kept=self._kept, now=now)

    async def _wait(self, bucket: BucketUsage, until: datetime) -> None:
        left = until.timestamp() - self._asker.clock.time()
        if not self._asker.wait and left > SHORT:
            limit = bucket.limit or 0
            raise QuotaExhaustedError(
                f"what is left of {named(bucket.unit, limit, bucket.source)} ({bucket.remaining:,} of {limit:,}) does "
                f"not pay for the next part of the catalogue; there will be enough at {until:%Y-%m-%d %H:%M:%S} UTC; "
                f"{way_out(bucket.unit, bucket.source)}",
                bucket=bucket.unit,
                used=bucket.used,
                limit=limit,
                resets_at=until,
                source=bucket.source,
                endpoint=self._endpoint.path,
            )
        await self._asker.sleep_until(until)


def shortage(
    usage: Usage, prices: dict[str, int], calls: int, burst: int, *, kept: float, now: datetime
) -> tuple[BucketUsage, datetime] | None:
    """The bucket that cannot pay for so many calls now, and when it can; None if all can.

    prices: bucket names to tokens a call. burst: those of the calls that cannot be fewer; where a full bucket does not
    hold them, waiting does not help, and one call is enough.
    """
    worst: tuple[BucketUsage, datetime] | None = None
    for bucket in usage.buckets:
        price = prices.get(bucket.name, 0)
        if not price or bucket.limit is None or bucket.remaining is None or bucket.resets_at is None:
            continue
        keep = int(bucket.limit * kept)
        need = calls * price if burst * price + keep <= bucket.limit else price
        missing = need + keep - bucket.remaining
        if missing <= 0:
            continue
        until = bucket.resets_at
        if bucket.refill:
            until = min(until, now + timedelta(minutes=missing / bucket.refill))
        if worst is None or until > worst[1]:
            worst = bucket, until
    return worst
