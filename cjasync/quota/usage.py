"""What has been used, what is left, and what a job will cost."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

from msgspec import Struct

from cjasync._endpoint import Endpoint
from cjasync.errors import ConfigError
from cjasync.quota.bucket import DAY, GRAIN, MINUTE, SECOND, Budget, Claim, Rate, Seats
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
    source: whether these are the ledger's own count, or what the server said last, carried on.
    """

    name: str
    unit: Literal["requests", "calls", "points", "accounts"]
    limit: int | None
    used: int
    remaining: int | None
    resets_at: datetime | None = None
    refill: float = 0.0
    hours: tuple[HourUsage, ...] = ()
    source: Literal["local", "server"] = "local"


class Usage(Struct, frozen=True):
    """All limits of an account at an address, as all who share its store have used them."""

    buckets: tuple[BucketUsage, ...]

    def __getitem__(self, name: str) -> BucketUsage:
        for bucket in self.buckets:
            if bucket.name == name:
                return bucket
        raise KeyError(name)


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


def describe(claim: Claim, state: Any, now: int, wall: int) -> BucketUsage:
    """The figures of one bucket. `state` is brought up to date."""
    if isinstance(claim, Rate):
        return _describe_rate(claim, state, now, wall)
    if isinstance(claim, Budget):
        return _describe_budget(claim, state, now, wall)
    assert isinstance(claim, Seats), "there are three kinds of buckets"
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


def _describe_budget(claim: Budget, state: BudgetState, now: int, wall: int) -> BucketUsage:
    claim.refill(state, now, wall)
    limit = claim.in_force(state)
    left = None if limit is None else max(0, (limit * GRAIN - state.spent) // GRAIN)
    hours = [*state.hours, (0, state.charged)]
    return BucketUsage(
        name=claim.key.split(":", 2)[2].replace(":", " "),
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
        source="server" if state.reported or state.limit is not None else "local",
    )


def estimate(scopes: Scopes, endpoint: Endpoint[Any], calls: int, usage: Usage, wall: int) -> Estimate:
    """Day by day, as fast as the rates and as far as the budgets allow. ConfigError if no day is enough for one."""
    cost = scopes.cost(endpoint)
    limit, per = scopes.pace
    spacing = per / limit
    budgets = []
    on_points = any(bucket.unit == "points" and bucket.source == "server" for bucket in usage.buckets)
    for claim in scopes.claims(endpoint):
        if isinstance(claim, Budget):
            known = next((b for b in usage.buckets if b.name == claim.key.split(":", 2)[2].replace(":", " ")), None)
            bucket = known or describe(claim, BudgetState(reported=on_points), 0, wall)
            if bucket.limit is not None and bucket.remaining is not None:
                if claim.cost > bucket.limit:
                    raise ConfigError(f"a call costs {claim.cost} {bucket.unit} and a day has {bucket.limit}")
                budgets.append((bucket, claim.cost))
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
