"""What a store's verdict means to a caller: go on waiting, or an error that says until when."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import NoReturn

from cjasync.errors import QuotaExhaustedError, TooManyAccountsError, WaitTooLongError
from cjasync.quota.bucket import SECOND, Budget
from cjasync.quota.desk import Desk
from cjasync.quota.facts import Source
from cjasync.quota.state import Blocked, Exhausted, NotBefore
from cjasync.quota.tickets import Booking

_SHORT = 0.1  # seconds below which a wait is told by its bound
NOISE = 0.05  # seconds that sums of clocks, one of them perhaps another machine's, may be beside what they mean
_LIFTED_BY = {
    "calls": "`Plan(daily_calls=None)`",
    "points": "`Plan(daily_points=None)`",
    "sourcing": "`Plan(sourcing_daily=None)`",
}


def named(bucket: str, limit: int, source: Source) -> str:
    """A day's limit, by whose it is."""
    what = "sourcing requests" if bucket == "sourcing" else bucket
    if source != "user":
        return f"the day's {what}"
    return f"your own limit of {limit:,} {what.removesuffix('s') if limit == 1 else what} a day"


def way_out(bucket: str, source: Source) -> str:
    """How the plan lifts a limit; CJ's own only CJ can lift."""
    return f"{_LIFTED_BY[bucket]} {'asks CJ all the same' if source == 'server' else 'lifts it'}"


def used_up(bucket: str, used: int, limit: int, source: Source, until: datetime, kept: int = 0) -> str:
    """That there is not enough of a day's limit, until when, and what to do. kept: what this call leaves for others."""
    counted = f"{used:,} of {limit:,}{', as CJ counts' if source == 'server' else ''}"
    if used < limit and kept:
        counted += f"; background calls leave {kept:,} to interactive ones"
    nearly = "" if used >= limit else "all but "  # what is left does not pay for one more call
    return (
        f"{named(bucket, limit, source)} {'is' if source == 'user' else 'are'} {nearly}used up ({counted}) "
        f"until {until:%Y-%m-%d %H:%M:%S} UTC; {way_out(bucket, source)}"
    )


def _kept(booking: Booking, verdict: Exhausted) -> int:
    """What this request leaves for others, of the limit that the verdict is about."""
    budgets = (claim for claim in booking.claims if isinstance(claim, Budget) and claim.key == verdict.bucket)
    return sum(budget.cap_keep if verdict.source == "user" else budget.keep for budget in budgets)


class Judge:
    """Raises where waiting will not help. waits: whether a used-up day is waited out."""

    def __init__(self, desk: Desk, *, waits: bool) -> None:
        self._desk = desk
        self._waits = waits

    def judge(self, verdict: Blocked, booking: Booking, latest: int) -> None:
        """Return if the caller may wait for this until `latest`, and raise if not."""
        if isinstance(verdict, NotBefore):
            if verdict.at > latest:
                self.too_long(verdict.at)
        elif verdict.bucket.endswith(":accounts"):
            raise TooManyAccountsError(
                f"{verdict.used} other accounts were used from this IP address and CJ allows {verdict.limit} in all; "
                "`Plan(accounts_per_ip=None)` lifts that",
                limit=verdict.limit,
                frees_at=self._second(verdict.resets_at),
            )
        elif not self._waits or verdict.resets_at > latest:
            bucket = verdict.bucket.split(":")[2]
            until = self._second(verdict.resets_at)
            raise QuotaExhaustedError(
                used_up(bucket, verdict.used, verdict.limit, verdict.source, until, _kept(booking, verdict)),
                bucket=bucket,
                used=verdict.used,
                limit=verdict.limit,
                resets_at=until,
                source=verdict.source,
            )

    def too_long(self, at: int) -> NoReturn:
        """The turn would come at `at`."""
        seconds = (at - self._desk.ns()) / SECOND
        wait = f"{seconds:.1f} s" if seconds >= _SHORT else f"less than {_SHORT} s"
        raise WaitTooLongError(
            f"the next turn comes in {wait}, which is longer than this call may wait",
            retry_at=self._moment(at),
        )

    def _second(self, at: int) -> datetime:
        """The next whole one: clocks that are read one after the other put midnight a moment before midnight."""
        moment = self._moment(at).timestamp()
        return datetime.fromtimestamp(ceil(moment - NOISE), UTC)

    def _moment(self, at: int) -> datetime:
        return datetime.fromtimestamp(self._desk.wall() + (at - self._desk.ns()) / SECOND, UTC)
