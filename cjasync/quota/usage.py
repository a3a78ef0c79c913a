"""What has been used, what is left, and what a job will cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Literal

from msgspec import Struct

from cjasync.quota.bucket import (
    DAY,
    GRAIN,
    SECOND,
    Budget,
    BudgetState,
    Claim,
    Rate,
    RateState,
    Seats,
    SeatsState,
    State,
)


class BucketUsage(Struct, frozen=True, kw_only=True):
    """One limit.

    name: what is limited, such as "points" or "calls product/list". unit: what it counts.
    limit: tokens in a full bucket; None = counted, not limited. remaining: what can be had now.
    resets_at: when it is full again at the latest (aware datetime). refill: tokens that come back meanwhile, per minute.
    source: whether the figures are the ledger's own count or what the server said last, carried on.
    """

    name: str
    unit: Literal["requests", "calls", "points", "accounts"]
    limit: int | None
    used: int
    remaining: int | None
    resets_at: datetime | None = None
    refill: float = 0.0
    source: Literal["local", "server"] = "local"


class HourUsage(Struct, frozen=True, kw_only=True):
    """What one hour (UTC) used."""

    starts_at: datetime
    calls: int
    points: int


class Usage(Struct, frozen=True, kw_only=True):
    """All limits of the account, as all processes that share its store have used them."""

    buckets: tuple[BucketUsage, ...]
    hours: tuple[HourUsage, ...] = ()

    def __getitem__(self, name: str) -> BucketUsage:
        for bucket in self.buckets:
            if bucket.name == name:
                return bucket
        raise KeyError(name)


class Estimate(Struct, frozen=True, kw_only=True):
    """What a number of calls will cost: `requests`, `points`, `seconds` from now on this plan, in so many UTC `days`.

    limited_by: the limit that sets the time. ends_at: when the last answer may be expected (aware datetime).
    """

    requests: int
    points: int
    seconds: float
    days: int
    ends_at: datetime
    limited_by: str


def _at(wall: int) -> datetime:
    return datetime.fromtimestamp(wall / SECOND, UTC)


def describe(claim: Claim, state: State, now: int, wall: int) -> BucketUsage:
    """The figures of one bucket."""
    name = claim.key.split(":", 2)[2].replace(":", " ")
    if isinstance(claim, Rate) and isinstance(state, RateState):
        limit, per = claim.in_force(state, now)
        claim.forget(state, now, per)
        used = len(state.flying) + len(state.coming)
        back = max([*state.coming, *(sent + per for sent in state.flying.values()), state.not_before])
        return BucketUsage(
            name={"account": "requests", "ip": "requests from this address"}.get(claim.scope, name),
            unit="requests",
            limit=limit,
            used=used,
            remaining=0 if now < state.not_before else max(0, limit - used),
            resets_at=_at(wall + max(0, back - now)),
            source="local" if state.said is None else "server",
        )
    if isinstance(claim, Budget) and isinstance(state, BudgetState):
        claim.refill(state, now, wall)
        budget = claim.limit if state.limit is None else state.limit
        return BucketUsage(
            name=name,
            unit="points" if claim.scope == "points" else "calls",
            limit=budget,
            used=-(-state.spent // GRAIN),
            remaining=max(0, budget - ceil(state.spent / GRAIN)),
            resets_at=_at(state.ends),
            refill=budget / 1440 if claim.trickles else 0.0,
            source="server" if state.reported or state.limit is not None else "local",
        )
    assert isinstance(claim, Seats), "every claim has its state"
    assert isinstance(state, SeatsState), "every claim has its state"
    seats = state.seats
    return BucketUsage(
        name="accounts at this address",
        unit="accounts",
        limit=claim.limit,
        used=len(seats),
        remaining=max(0, claim.limit - len(seats)),
        resets_at=_at(wall + max(seats.values()) + DAY - now) if seats else None,
    )


def estimate(
    calls: int, cost: int, rates: Mapping[str, tuple[int, int]], budgets: Mapping[str, BucketUsage], wall: int
) -> Estimate:
    """How long `calls` calls of `cost` points take: day by day, as fast as the rates and as far as the budgets allow."""
    slowest = max(rates, key=lambda name: rates[name][1] / rates[name][0], default=None)
    spacing = rates[slowest][1] / rates[slowest][0] if slowest else 0.0
    limited_by = slowest or "nothing"
    left, at, days = calls, wall, 1
    while True:
        midnight = (at // DAY + 1) * DAY
        room = left
        for name, usage in budgets.items():
            price = cost if usage.unit == "points" else 1
            if usage.limit is None or usage.remaining is None or not price:
                continue
            have = usage.remaining if days == 1 else usage.limit
            affordable = int((have + usage.refill * (midnight - at) / SECOND / 60) // price)
            if affordable < room:
                room, limited_by = affordable, name
        fits = min(room, int((midnight - at) // spacing) if spacing else room)
        if left <= fits or (fits <= 0 and days > 366_000):
            break
        left -= fits
        at = midnight
        days += 1
    seconds = (at - wall + _time_for(left, spacing, cost, budgets, first_day=days == 1)) / SECOND
    return Estimate(
        requests=calls,
        points=calls * cost,
        seconds=seconds,
        days=days,
        ends_at=_at(wall + int(seconds * SECOND)),
        limited_by=limited_by,
    )


def _time_for(calls: int, spacing: float, cost: int, budgets: Mapping[str, BucketUsage], *, first_day: bool) -> float:
    """Microseconds until the last of these calls: at full speed, or as the points trickle back."""
    longest = max(0, calls - 1) * spacing
    for usage in budgets.values():
        if usage.unit == "points" and usage.refill and usage.remaining is not None and usage.limit is not None:
            missing = calls * cost - (usage.remaining if first_day else usage.limit)
            longest = max(longest, missing / usage.refill * 60 * SECOND)
    return longest
