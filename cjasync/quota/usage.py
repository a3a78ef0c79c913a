"""What has been used, what is left, and what a job will cost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from math import inf
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from cjasync._endpoint import Endpoint
from cjasync.errors import ConfigError
from cjasync.quota.bucket import DAY, GRAIN, MINUTE, SECOND, Budget, Claim, Rate, Seats
from cjasync.quota.facts import Source
from cjasync.quota.scopes import Scopes
from cjasync.quota.state import BudgetState


class HourUsage(Struct, frozen=True, kw_only=True):
    """What the hour (UTC) that began at `starts_at` has used."""

    starts_at: datetime
    used: int


class BucketUsage(Struct, frozen=True, kw_only=True):
    """One limit.

    name: what is limited, such as "points" or "calls product/list". unit: what it counts.
    limit: tokens in a full bucket; None = counted, not limited. remaining: what can be had now.
    resets_at: when it is full again at the latest (aware datetime). refill: tokens that come back meanwhile, a minute.
    hours: what the last hours have used, oldest first; hours without use are left out.
    source: "server": what CJ said last, carried on. "local": the ledger's own count, of a limit that is presumed until
    CJ says. "user": the ledger's own count, of a cap that the plan states: what was sent since the day began.
    """

    name: str
    unit: Literal["requests", "calls", "points", "accounts"]
    limit: int | None
    used: int
    remaining: int | None
    resets_at: datetime | None = None
    refill: float = 0.0
    hours: tuple[HourUsage, ...] = ()
    source: Source = "local"


class Usage(Struct, frozen=True):
    """All limits of an account at an address, as all who share its store have used them.

    `usage["points"]` is the limit of that name that has least left: where the plan states a cap, it and CJ's own limit
    are two of the `buckets`. `"points" in usage` asks for a name, `for bucket in usage` goes through the `buckets`.
    """

    buckets: tuple[BucketUsage, ...]

    def __getitem__(self, name: str) -> BucketUsage:
        named = [bucket for bucket in self.buckets if bucket.name == name]
        if not named:
            raise KeyError(name)
        return min(named, key=lambda bucket: inf if bucket.remaining is None else bucket.remaining)

    def __contains__(self, name: object) -> bool:
        return any(bucket.name == name for bucket in self.buckets)

    def __iter__(self) -> Iterator[BucketUsage]:
        return iter(self.buckets)


class Estimate(Struct, frozen=True, kw_only=True):
    """What a number of calls will cost.

    seconds: from now to the last request; days: how many days it touches; ends_at: when it ends (aware datetime).
    limited_by: the limit that sets the time.
    """

    requests: int
    points: int
    seconds: float
    days: int
    ends_at: datetime
    limited_by: str


def _at(wall: float) -> datetime:
    return datetime.fromtimestamp(wall / SECOND, UTC)


def describe(claim: Claim, state: Any, now: int, wall: int) -> tuple[BucketUsage, ...]:
    """The figures of one bucket, two where the user has a cap beside CJ's limit. `state` is brought up to date."""
    if isinstance(claim, Rate):
        return (_describe_rate(claim, state, now, wall),)
    if isinstance(claim, Budget):
        return _describe_budget(claim, state, now, wall)
    assert isinstance(claim, Seats), "there are three kinds of buckets"
    return (_describe_seats(claim, state, now, wall),)


def _describe_seats(claim: Seats, state: Any, now: int, wall: int) -> BucketUsage:
    seats = [seen for seen in state.seats.values() if now - seen < claim.stay]
    return BucketUsage(
        name="accounts at this address",
        unit="accounts",
        limit=claim.limit,
        used=len(seats),
        remaining=max(0, claim.limit - len(seats)),
        resets_at=_at(wall + max(seats) + claim.stay - now) if seats else None,
    )


def _describe_rate(claim: Rate, state: Any, now: int, wall: int) -> BucketUsage:
    limit, per = claim.in_force(state, now)
    claim.forget(state, now, per)
    used = len(state.flying) + state.away
    back = max([now, state.not_before, *state.coming, *(sent + per for sent in state.flying.values())])
    free = None if limit is None else max(0, limit - used)
    names = {"account": "requests", "ip": "requests from this address", "login": "logins"}
    return BucketUsage(
        name=names[claim.scope],
        unit="requests",
        limit=limit,
        used=used,
        remaining=0 if now < state.not_before else free,
        resets_at=_at(wall + back - now),
        refill=0.0 if limit is None else limit * MINUTE / per,
        source="local" if state.said is None else "server",
    )


def _describe_budget(claim: Budget, state: BudgetState, now: int, wall: int) -> tuple[BucketUsage, ...]:
    claim.refill(state, now, wall)
    limit = claim.in_force(state)
    left = None if limit is None else max(0, (limit * GRAIN - state.spent) // GRAIN)
    hours = [*state.hours, (0, state.charged)]
    bucket = BucketUsage(
        name=_name(claim),
        unit="points" if claim.scope == "points" else "calls",
        limit=limit,
        used=max(0, -(-state.spent // GRAIN)),
        remaining=0 if now < state.shut else left,
        resets_at=_at(state.ends),
        refill=(limit or 0) / 1440 if claim.trickles else 0.0,
        hours=tuple(
            HourUsage(starts_at=_at(hour * 60 * MINUTE), used=(until - since) // GRAIN)
            for (hour, since), (_, until) in pairwise(hours)
            if until > since
        ),
        source="server" if now < state.shut else state.source,
    )
    if claim.cap is None:
        return (bucket,)
    today = max(0, state.today // GRAIN)
    left = max(0, claim.cap - today)
    own = replace(bucket, limit=claim.cap, used=today, remaining=left, refill=0.0, source="user")
    # What is presumed is no limit beside one that the user states.
    return (own,) if bucket.source == "local" or bucket.remaining is None else (bucket, own)


def _name(claim: Budget) -> str:
    return claim.key.split(":", 2)[2].replace(":", " ")


def estimate(scopes: Scopes, endpoint: Endpoint[Any], calls: int, usage: Usage, wall: int) -> Estimate:
    """Day by day, as fast as the rates and as far as the budgets allow. ConfigError if no day is enough for one."""
    if type(calls) is not int or calls < 0:
        raise ConfigError(f"`calls` must be a whole number of 0 or more; not {calls!r}")
    cost = scopes.cost(endpoint)
    limit, per = scopes.pace
    spacing = per / limit
    budgets = []
    on_points = any(bucket.unit == "points" and bucket.source == "server" for bucket in usage.buckets)
    for claim in scopes.claims(endpoint):
        if isinstance(claim, Budget):
            known = [bucket for bucket in usage.buckets if bucket.name == _name(claim)]
            for bucket in known or describe(claim, BudgetState(reported=on_points), 0, wall):
                if bucket.limit is not None and bucket.remaining is not None:
                    if claim.cost > bucket.limit:
                        has = "your own limit is" if bucket.source == "user" else "a day has"
                        raise ConfigError(f"a call costs {claim.cost} {bucket.unit} and {has} {bucket.limit}")
                    name = f"your own limit of {bucket.name}" if bucket.source == "user" else bucket.name
                    budgets.append((replace(bucket, name=name), claim.cost))
    pace = "requests per second"
    left, at, days, limited_by = calls, wall, 1, ""
    while True:
        midnight = (at - scopes.offset) // DAY * DAY + DAY + scopes.offset
        room = {pace: int((midnight - at) // spacing) + 1 if spacing else left}
        have = {bucket.name: (bucket.remaining if days == 1 else bucket.limit) or 0 for bucket, _ in budgets}
        for bucket, price in budgets:
            room[bucket.name] = int((have[bucket.name] + bucket.refill * (midnight - at) / MINUTE) // price)
        tightest = min(room, key=room.__getitem__)
        if left <= room[tightest]:
            break
        left, at, days, limited_by = left - room[tightest], midnight, days + 1, tightest
    waits = {pace: max(0, left - 1) * spacing}
    for bucket, price in budgets:
        if bucket.refill:
            waits[bucket.name] = (left * price - have[bucket.name]) / bucket.refill * MINUTE
    longest = max(waits, key=waits.__getitem__)
    at += int(max(0, waits[longest]))
    limited_by = limited_by or (longest if waits[longest] > 0 else "nothing")
    return Estimate(
        requests=calls,
        points=calls * cost,
        seconds=(at - wall) / SECOND,
        days=days,
        ends_at=_at(at),
        limited_by=limited_by,
    )
