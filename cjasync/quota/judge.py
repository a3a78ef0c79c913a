"""What a store's verdict means to a caller: go on waiting, or an error that says until when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn

from cjasync.errors import QuotaExhaustedError, TooManyAccountsError, WaitTooLongError
from cjasync.quota.bucket import SECOND
from cjasync.quota.desk import Desk
from cjasync.quota.state import Blocked, NotBefore


class Judge:
    """Raises where waiting will not help. waits: whether a used-up day is waited out."""

    def __init__(self, desk: Desk, *, waits: bool) -> None:
        self._desk = desk
        self._waits = waits

    def judge(self, verdict: Blocked, latest: int) -> None:
        """Return if the caller may wait for this until `latest`, and raise if not."""
        if isinstance(verdict, NotBefore):
            if verdict.at > latest:
                self.too_long(verdict.at)
        elif verdict.bucket.endswith(":accounts"):
            raise TooManyAccountsError(
                f"{verdict.used} other accounts were used from this IP address and CJ allows {verdict.limit} in all; "
                "accounts_per_ip=None in the plan (--accounts-per-ip none) lifts that",
                limit=verdict.limit,
                frees_at=self._moment(verdict.resets_at),
            )
        elif not self._waits or verdict.resets_at > latest:
            bucket = verdict.bucket.split(":")[2]
            until = self._moment(verdict.resets_at)
            hint = "; daily_calls=None in the plan (--daily-calls none) lifts it" if bucket == "calls" else ""
            raise QuotaExhaustedError(
                f"today's {bucket} are used up ({verdict.used} of {verdict.limit}) "
                f"until {until:%Y-%m-%d %H:%M:%S} UTC{hint}",
                bucket=bucket,
                used=verdict.used,
                limit=verdict.limit,
                resets_at=until,
            )

    def too_long(self, at: int) -> NoReturn:
        """The turn would come at `at`."""
        seconds = max(0.0, (at - self._desk.ns()) / SECOND)
        raise WaitTooLongError(
            f"the next turn comes in {seconds:.1f} s, which is longer than this call may wait",
            retry_at=self._moment(at),
        )

    def _moment(self, at: int) -> datetime:
        return datetime.fromtimestamp(self._desk.wall() + (at - self._desk.ns()) / SECOND, UTC)
