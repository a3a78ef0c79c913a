"""Booking and settling: what one request does to all its buckets, together or not at all. Pure, like the buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from cjasync.quota.bucket import DAY, GRAIN, MINUTE, SECOND, Blocked, Budget, BudgetState, Claim, Rate, RateState
from cjasync.quota.facts import PointsInfo, Refusal

MIDNIGHT_DOUBT = 15 * MINUTE  # a refusal this soon after our midnight: the server's day has not ended yet


class Settlement(Struct, frozen=True, kw_only=True):
    """What became of a booked request.

    sent: it leaves at `at`. arrived: it had been counted by `at`. unsent: it never left, all is given back.
    charged: the points bucket's running total when it was booked; orders reports that overtake each other.
    """

    claims: tuple[Claim, ...]
    token: int
    what: Literal["sent", "arrived", "unsent"]
    at: int
    charged: int = 0
    points: PointsInfo | None = None
    refusal: Refusal | None = None
    stop: int = 0


def book(claims: Sequence[Claim], states: Sequence[Any], now: int, wall: int, token: int, who: int) -> Blocked | None:
    """Take every claim, or none."""
    for n, claim in enumerate(claims):
        blocked = claim.take(states[n], now, wall, token, who)
        if blocked is not None:
            for earlier in range(n):
                claims[earlier].give_back(states[earlier], token)
            return blocked
    return None


def settle(settlement: Settlement, states: Sequence[Any], now: int, wall: int) -> None:
    """Write down what became of a request."""
    token = settlement.token
    for claim, state in zip(settlement.claims, states, strict=True):
        if settlement.what == "unsent":
            claim.give_back(state, token)
        elif isinstance(claim, Rate):
            if settlement.what == "sent":
                claim.sent(state, token, settlement.at)
            else:
                claim.arrived(state, token, settlement.at, now)
        if isinstance(claim, Budget) and claim.scope == "points" and settlement.points is not None:
            reconcile(claim, state, settlement.points, settlement.charged, now, wall)
        if settlement.refusal is not None:
            believe(claim, state, settlement.refusal, settlement.stop, now, wall)


def reconcile(claim: Budget, state: BudgetState, points: PointsInfo, charged: int, now: int, wall: int) -> None:
    """The server's figure leads. What was booked after this request is not in it yet."""
    claim.refill(state, now, wall)
    if points.total is not None:
        state.limit = points.total
    if points.remaining is None or charged < state.newest:
        return
    state.newest = charged
    state.reported = True
    limit = claim.limit if state.limit is None else state.limit
    since = max(0, state.charged - charged)
    state.spent = max(0, limit - points.remaining + since) * GRAIN
    state.trickled = now


def believe(claim: Claim, state: Any, refusal: Refusal, stop: int, now: int, wall: int) -> None:
    """Write down a refusal on the bucket that it is about."""
    if isinstance(claim, Rate):
        _believe_rate(claim, state, refusal, stop, now)
    elif isinstance(claim, Budget):
        scopes = {"daily": "calls", "points": "points", "sourcing": "sourcing"}
        if scopes.get(refusal.kind) == claim.scope:
            _believe_budget(claim, state, refusal, now, wall)


def _believe_rate(claim: Rate, state: RateState, refusal: Refusal, stop: int, now: int) -> None:
    if refusal.kind != ("login" if claim.scope == "login" else "qps"):
        return
    times, seconds = refusal.times, refusal.seconds
    if times and seconds:
        state.said = (times, int(seconds * SECOND), now + DAY)
    claim.stop(state, stop)


def _believe_budget(claim: Budget, state: BudgetState, refusal: Refusal, now: int, wall: int) -> None:
    claim.refill(state, now, wall)
    limit = refusal.limit or (claim.limit if state.limit is None else state.limit)
    morning = wall - (state.ends - DAY)
    if morning < MIDNIGHT_DOUBT and state.spent * 2 < limit * GRAIN:
        state.shut = now + MINUTE
        return
    state.limit = limit
    state.spent = max(state.spent, (limit - (refusal.remaining or 0)) * GRAIN)
    state.trickled = now
