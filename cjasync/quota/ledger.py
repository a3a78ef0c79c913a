"""Booking and settling: what one request does to all its buckets, together or not at all. Pure, like the buckets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from cjasync.quota.bucket import DAY, GRAIN, MINUTE, SECOND, Budget, Claim, Rate
from cjasync.quota.facts import BUCKETS, PointsInfo, Refusal
from cjasync.quota.state import Blocked, BudgetState, RateState
from cjasync.quota.tickets import Booking

MIDNIGHT_DOUBT = 15 * MINUTE  # a refusal so soon after our midnight: the server's day has not ended yet


class Settlement(Struct, frozen=True):
    """What became of a booked request.

    sent: it leaves at `at`. answered: at `at`, `took` after it was sent. unsent: it never left, and all that was booked
    at `at` is given back.
    charged: the points bucket's running total when it was booked; it orders reports that overtake each other.
    scope, stop: which rate a refusal for speed is about, and until when it asks for quiet.
    """

    booking: Booking
    token: int
    what: Literal["sent", "answered", "unsent"]
    at: int = 0
    took: int = 0
    charged: int = 0
    points: PointsInfo | None = None
    refusal: Refusal | None = None
    scope: Literal["account", "ip", "login"] | None = None
    stop: int = 0


def book(claims: Sequence[Claim], states: Sequence[Any], now: int, wall: int, token: int, who: int) -> Blocked | None:
    """Take every claim, or none; what stood in the way, or None."""
    for n, claim in enumerate(claims):
        blocked = claim.take(states[n], now, wall, token, who)
        if blocked is not None:
            for earlier in range(n):
                claims[earlier].undo(states[earlier], token)
            return blocked
    return None


def settle(settlement: Settlement, states: Sequence[Any], now: int, wall: int) -> None:
    """Write down what became of a request."""
    booking, token, refusal = settlement.booking, settlement.token, settlement.refusal
    claims, answered = booking.claims, settlement.what == "answered"
    if settlement.what == "unsent":
        for claim, state in zip(claims, states, strict=True):
            claim.give_back(state, token, settlement.at, settlement.charged)
        return
    for n in booking.rates:
        claim, state = claims[n], states[n]
        if not answered:
            claim.sent(state, token, settlement.at)
        else:
            if refusal is None and (claim.limit is not None or state.said is not None):
                state.delays.learn(settlement.took)
            claim.arrived(state, token, settlement.at, settlement.took, now)
        if refusal is not None and settlement.scope == claim.scope:
            _slow_down(claim, state, refusal, settlement.stop, now)
    if booking.seats is not None and answered:
        claim, state = claims[booking.seats], states[booking.seats]
        if refusal is None:
            claim.welcome(state, now)
        elif refusal.kind == "account":
            claim.turn_away(state)
    if settlement.points is not None:
        note_points(booking, states, settlement.points, settlement.charged, now, wall)
    if refusal is not None:
        for claim, state in zip(claims, states, strict=True):
            if BUCKETS.get(refusal.kind) == claim.scope:
                _exhaust(claim, state, settlement, refusal, now, wall)


def settle_answers(booking: Booking, states: Sequence[Any], answers: list[tuple[int, int]]) -> None:
    """Write down many answers at once, as (at, took): no refusals, to requests that were not written down as flying."""
    took = [took for _, took in answers]
    for n in booking.rates:
        claim, state = booking.claims[n], states[n]
        if claim.limit is not None:
            state.delays.learn(*took)
            claim.landed(state, answers)
    if booking.seats is not None:
        booking.claims[booking.seats].welcome(states[booking.seats], answers[-1][0])


def note_points(booking: Booking, states: Sequence[Any], points: PointsInfo, charged: int, now: int, wall: int) -> None:
    """Write down what an answer said about points. An account that has some is not held to a count of calls."""
    if booking.calls is not None and points.total is not None:
        states[booking.calls].reported = True
    if booking.points is not None:
        claim, state = booking.claims[booking.points], states[booking.points]
        _reconcile(claim, state, points, charged, now, wall)


def _reconcile(claim: Budget, state: BudgetState, points: PointsInfo, charged: int, now: int, wall: int) -> None:
    """The server's figure leads. What was booked after this request is not in it yet."""
    claim.refill(state, now, wall)
    if points.total is not None and claim.limit is not None:
        state.limit = points.total
    size = points.total if points.total is not None else claim.in_force(state)
    if points.remaining is None or size is None or charged < state.newest:
        return
    state.newest = charged
    state.reported = True
    state.returned = charged - max(0, size - points.remaining) * GRAIN
    state.trickled = now


def _slow_down(claim: Rate, state: RateState, refusal: Refusal, stop: int, now: int) -> None:
    """Too fast, says the server; where it says what it allows, it is believed for a day."""
    if refusal.times and refusal.seconds:
        state.said = (refusal.times, int(refusal.seconds * SECOND), now + DAY)
    state.delays.refused()
    claim.stop(state, stop)


def _exhaust(claim: Budget, state: BudgetState, settlement: Settlement, refusal: Refusal, now: int, wall: int) -> None:
    """Nothing left, says the server: until the reset, or until enough has come back."""
    claim.refill(state, now, wall)
    size = refusal.limit if refusal.limit is not None else claim.in_force(state)
    morning = wall - (state.ends - DAY)
    if morning < MIDNIGHT_DOUBT and (size is None or state.spent * 2 < size * GRAIN):
        state.shut = now + MINUTE
    elif size is None:
        state.shut = now + (MINUTE if claim.trickles else state.ends - wall)
    elif claim.trickles:
        _reconcile(claim, state, PointsInfo(size, None, refusal.remaining or 0), settlement.charged, now, wall)
    else:
        state.limit = size
        state.returned = min(state.returned, state.charged - (size - (refusal.remaining or 0)) * GRAIN)
