"""Every limit as a token bucket: pure integer arithmetic, no clock, no I/O.

A claim says what one request takes from one bucket; the state says what is left in it. Buckets differ only in how tokens
come back:

Rate     each token by itself, `per` after the moment its request has surely arrived;
Budget   all of them at midnight, and (points) a share every minute;
Seats    one for each account behind an IP address, a day after that account's last request.

All times are whole microseconds: `now` of a clock that never runs backwards, `wall` since 1970 UTC, which may be set. A day
is known by its end, and that end never moves back: whatever is done to the clock, no day is filled twice.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from copy import deepcopy
from itertools import islice
from typing import ClassVar, Literal

from msgspec import Struct, field

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

GRAIN = 1440  # budgets count in 1/1440 tokens: a minute brings back exactly `limit` of these
POLL = 5_000  # how soon to ask again for a token whose return hangs on an answer that may come any moment
GRACE = 20_000  # how late a process may be for its turn before the next one takes it


class Start(Struct, frozen=True):
    """The request may go out now. `charged` is the points bucket's running total, for reconciliation later."""

    at: int
    charged: int = 0


class NotBefore(Struct, frozen=True):
    """Nothing was taken; ask again at `at`."""

    at: int
    bucket: str


class Exhausted(Struct, frozen=True):
    """Nothing was taken; there is not enough until `resets_at` (on the `now` clock)."""

    resets_at: int
    used: int
    limit: int
    bucket: str


Blocked = NotBefore | Exhausted
Verdict = Start | NotBefore | Exhausted


class RateState(Struct, tag="rate"):
    """flying: token -> sent, not answered yet. coming: when the answered ones come back, sorted.

    line: who waits for a turn -> when it was told to come back, first come first.
    not_before: the server's stop. said: (limit, per, until) as the server stated it.
    """

    flying: dict[int, int] = field(default_factory=dict)
    coming: list[int] = field(default_factory=list)
    line: dict[int, int] = field(default_factory=dict)
    not_before: int = 0
    said: tuple[int, int, int] | None = None


class BudgetState(Struct, tag="budget"):
    """spent: grains. ends: wall time at which the day ends. trickled: until when minutes have been credited.

    charged: tokens ever taken; it only grows but for refunds, and orders the server's reports (newest: the last one applied).
    limit: the server's own figure. shut: nothing before this moment, whatever is left. reported: the server has spoken.
    """

    spent: int = 0
    ends: int = 0
    trickled: int = 0
    charged: int = 0
    newest: int = 0
    limit: int | None = None
    shut: int = 0
    reported: bool = False


class SeatsState(Struct, tag="seats"):
    """seats: account -> when it was last seen."""

    seats: dict[str, int] = field(default_factory=dict)


State = RateState | BudgetState | SeatsState


class Rate(Struct, frozen=True):
    """One of `limit` tokens, each of which comes back `per` after its request has surely arrived.

    travel: the longest a request is believed to be under way while nothing has been heard of it.
    """

    key: str
    scope: Literal["account", "ip", "login"]
    limit: int
    per: int = SECOND
    travel: int = 2 * SECOND

    new: ClassVar[type[RateState]] = RateState

    def take(self, state: RateState, now: int, wall: int, token: int, who: int) -> Blocked | None:
        """Take the token, or say when to ask again."""
        flying = state.flying
        if (
            len(flying) + len(state.coming) >= self.limit
            or state.line
            or now < state.not_before
            or state.said is not None
        ):
            at = self._turn(state, now, who)
            if at > now:
                state.line[who] = at
                return NotBefore(at, self.key)
            state.line.pop(who, None)
        flying[token] = now
        return None

    def give_back(self, state: RateState, token: int) -> None:
        """Undo a taking: the request never left."""
        state.flying.pop(token, None)

    def _turn(self, state: RateState, now: int, who: str) -> int:
        limit, per = self.in_force(state, now)
        ahead = 0
        for other, due in list(state.line.items()):
            if other == who:
                break
            if due + GRACE < now:  # it did not come: cancelled, killed, or too busy
                del state.line[other]
            else:
                ahead += 1
        self.forget(state, now, per)
        missing = len(state.flying) + len(state.coming) + ahead + 1 - limit
        at = state.not_before
        if missing > 0:
            # A token in flight comes back `per` after sending at the earliest, and only its answer tells how much later.
            back = [*state.coming[:missing], *(sent + per for sent in islice(state.flying.values(), missing))]
            back.sort()
            if missing <= len(back):
                earliest = back[missing - 1]
            else:  # more processes wait than there are tokens: rounds ahead
                earliest = (back[-1] if back else now) + per * -(-(missing - len(back)) // limit)
            at = max(at, earliest, now + 1 if earliest > now else now + POLL)
        return at

    def in_force(self, state: RateState, now: int) -> tuple[int, int]:
        """(limit, per): ours, or the server's own while it is slower and fresh."""
        if state.said is not None:
            limit, per, until = state.said
            if now >= until:
                state.said = None
            elif limit * self.per < self.limit * per:
                return limit, per
        return self.limit, self.per

    def forget(self, state: RateState, now: int, per: int) -> None:
        """Drop the tokens that have come back."""
        coming, flying = state.coming, state.flying
        if coming and coming[0] <= now:
            del coming[: bisect_right(coming, now)]
        while flying:
            token, sent = next(iter(flying.items()))
            if sent + self.travel + per > now:
                break
            del flying[token]

    def sent(self, state: RateState, token: int, at: int) -> None:
        """The request leaves now rather than at its booking."""
        if token in state.flying:
            state.flying[token] = at

    def arrived(self, state: RateState, token: int, by: int, now: int) -> None:
        """The request had been counted by then, so the token is back `per` later."""
        if state.flying.pop(token, None) is not None:
            insort(state.coming, by + self.in_force(state, now)[1])

    def stop(self, state: RateState, until: int) -> None:
        """The server wants quiet: a deadline, which only a later one replaces."""
        state.not_before = max(state.not_before, until)


class Budget(Struct, frozen=True):
    """`cost` tokens of a day's `limit`, of which `keep` stay for others.

    trickles: limit/1440 tokens come back every minute. offset: the day's end, in microseconds after midnight UTC.
    """

    key: str
    scope: Literal["calls", "points", "sourcing"]
    limit: int
    cost: int = 1
    keep: int = 0
    trickles: bool = False
    offset: int = 0

    new: ClassVar[type[BudgetState]] = BudgetState

    def take(self, state: BudgetState, now: int, wall: int, token: int, who: int) -> Blocked | None:
        """Charge the cost, or say until when the budget is exhausted."""
        if wall >= state.ends or (state.spent and now - state.trickled >= MINUTE):
            self.refill(state, now, wall)
        limit = self.limit if state.limit is None else state.limit
        spent = state.spent + self.cost * GRAIN
        if spent > (limit - self.keep) * GRAIN or now < state.shut:
            return self._exhausted(state, limit, spent, now, wall)
        if not state.spent:
            state.trickled = now
        state.spent = spent
        state.charged += self.cost
        return None

    def give_back(self, state: BudgetState, token: int) -> None:
        """Undo a charge: the request never left."""
        state.spent = max(0, state.spent - self.cost * GRAIN)
        state.charged -= self.cost

    def refill(self, state: BudgetState, now: int, wall: int) -> None:
        """What time has brought back."""
        if wall >= state.ends:
            state.ends = (wall - self.offset) // DAY * DAY + DAY + self.offset
            state.spent = state.shut = 0
            if self.scope != "points":
                state.limit = None
        if self.trickles and state.spent:
            minutes = (now - state.trickled) // MINUTE
            limit = self.limit if state.limit is None else state.limit
            state.spent = max(0, state.spent - limit * minutes)
            state.trickled += minutes * MINUTE
        elif not self.trickles:
            state.trickled = now

    def _exhausted(self, state: BudgetState, limit: int, spent: int, now: int, wall: int) -> Exhausted:
        resets_at = now + state.ends - wall
        missing = spent - (limit - self.keep) * GRAIN
        if self.trickles and limit > 0 and self.cost + self.keep <= limit:
            resets_at = min(resets_at, state.trickled + -(-missing // limit) * MINUTE)
        if missing <= 0:
            resets_at = state.shut
        used = -(-(spent - self.cost * GRAIN) // GRAIN)
        return Exhausted(max(resets_at, min(state.shut, now + state.ends - wall)), used, limit, self.key)


class Seats(Struct, frozen=True):
    """A seat for `account`, one of `limit`; it is free again `stay` after the account's last request."""

    key: str
    account: str
    limit: int
    stay: int = DAY
    scope: Literal["accounts"] = "accounts"

    new: ClassVar[type[SeatsState]] = SeatsState

    def take(self, state: SeatsState, now: int, wall: int, token: int, who: int) -> Blocked | None:
        """Sit down, or say when a seat is free."""
        seats = state.seats
        seen = seats.get(self.account)
        if seen is not None and now - seen < 10 * MINUTE:
            return None
        if seen is None and len(seats) >= self.limit:
            for account in [account for account, seen in seats.items() if now - seen >= self.stay]:
                del seats[account]
            if len(seats) >= self.limit:
                return Exhausted(min(seats.values()) + self.stay, len(seats), self.limit, self.key)
        seats[self.account] = now
        return None

    def give_back(self, state: SeatsState, token: int) -> None:
        """Nothing: the account stays known."""


Claim = Rate | Budget | Seats


def step(claim: Claim, state: State, now: int, wall: int = 0, token: int = 0, who: int = 0) -> tuple[State, Verdict]:
    """One claim alone, and without touching `state`: the next state and the verdict."""
    after = deepcopy(state)
    blocked = claim.take(after, now, wall, token, who)  # type: ignore[arg-type]
    return after, blocked or Start(now)
