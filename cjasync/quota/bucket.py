"""Every limit as a token bucket: pure integer arithmetic, no clock, no I/O.

A claim says what one request takes from one bucket; a state says what is left in it. Buckets differ only in how their
tokens come back:

Rate     each by itself, `per` after the moment its request has surely arrived;
Budget   all of them at the day's end, and of points a share every minute;
Seats    one for each account behind an IP address, a day after that account's last request.

Times are whole nanoseconds: `now` of a clock that never runs backwards, `wall` since 1970 UTC, which people may set. A
day is known by its end, and that end never moves back: whoever sets the clock back an hour gets no day twice.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import ClassVar, Literal

from msgspec import Struct

from cjasync.quota.state import Blocked, BudgetState, Exhausted, NotBefore, RateState, SeatsState

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND

GRAIN = 1440  # budgets count in 1/1440 tokens: a minute brings back exactly `limit` of them
POLL = SECOND // 200  # when to ask again for a token whose return hangs on an answer that may come any moment
GRACE = SECOND // 50  # how late a process may be for its turn before another one takes it
YIELD = SECOND // 200  # what a process that comes last leaves to those who are about to come for their turn
LONGER = 2 * SECOND  # than a request may be on its way its jitter holds, margins and the store's short cuts included
STEPS = 1024  # returns of a larger bucket are rounded up to so many steps a window, which keeps its state small


class Rate(Struct, frozen=True):
    """One of `limit` tokens, each of which is back `per` after its request has surely arrived. None: no limit.

    jitter: by how much the ways of two requests to the server are believed to differ at most. So long after sending it
    counts as arrived even if no answer has come. Of those who share the bucket, the most careful one's word holds.
    """

    key: str
    scope: Literal["account", "ip", "login"]
    limit: int | None
    per: int = SECOND
    jitter: int = 2 * SECOND

    new: ClassVar[type[RateState]] = RateState

    def take(self, state: RateState, now: int, wall: int, token: int, who: int) -> Blocked | None:
        """Take the token, or say when to ask again."""
        limit, per = self.in_force(state, now)
        at, turn = state.not_before, 0
        if limit is not None:
            self.forget(state, now, per)
            at, turn = self._turn(state, now, who, limit, per)
        if at > now:
            state.line[who] = (at, turn)
            return NotBefore(at, self.key)
        if limit is not None:
            self._fly(state, token, now, per)
        if state.line or state.next_turns:
            state.line.pop(who, None)
            state.turn = max(state.turn, turn)
            turns = {**state.next_turns, who: turn + 1}
            oldest = state.turn - (limit or 0)  # who fell behind may catch up, but not for all the time it was away
            state.next_turns = {other: next_turn for other, next_turn in turns.items() if next_turn > oldest}
        return None

    def give_back(self, state: RateState, token: int, booked_at: int = 0, charged: int = 0) -> None:
        """The request never left."""
        state.flying.pop(token, None)

    undo = give_back

    def in_force(self, state: RateState, now: int) -> tuple[int | None, int]:
        """(limit, per): ours, or the server's own while that is slower and fresh."""
        if state.said is not None:
            limit, per, until = state.said
            if now >= until:
                state.said = None
            elif self.limit is None or limit * self.per < self.limit * per:
                return limit, per
        return self.limit, self.per

    def forget(self, state: RateState, now: int, per: int) -> None:
        """Drop the tokens that have come back."""
        flying = state.flying
        if state.away and state.coming[0] <= now:
            back = bisect_right(state.coming, now)
            state.away -= sum(state.counts[:back])
            del state.coming[:back], state.counts[:back]
        while flying:
            token, sent = next(iter(flying.items()))
            if sent + state.careful(self.jitter, now) + state.delays.margin + per > now:
                break
            del flying[token]

    def _fly(self, state: RateState, token: int, at: int, per: int) -> None:
        state.flying[token] = at
        state.hold(self.jitter, at, at + self.jitter + per + LONGER)

    def _turn(self, state: RateState, now: int, who: int, limit: int, per: int) -> tuple[int, int]:
        """When to go or ask again, and the turn: whoever has had fewest goes first, then whoever came first."""
        turn, ahead, due = 0, 0, 0
        if state.line or state.next_turns:
            turn, ahead, due = self._place(state, now, who)
        missing = len(state.flying) + state.away + ahead + 1 - limit
        at = now
        if missing > 0:
            at = self._back(state, now, missing, limit, per)
            if ahead:
                at = min(at, due + GRACE + 1)  # to see whether those ahead came: nobody waits for the dead
        elif ahead and who not in state.line:
            at = now + YIELD  # even if there are enough: those ahead are about to come, and may want more than one
        return max(at, state.not_before), turn

    def _place(self, state: RateState, now: int, who: int) -> tuple[int, int, int]:
        """The turn of `who`, how many turns come before it, and when the first who has one is to come."""
        queued = state.line.get(who)
        turn = queued[1] if queued is not None else state.next_turns.get(who, state.turn)
        ahead, first, passed = 0, now, False
        for other, (due, its) in list(state.line.items()):
            if other == who:
                passed = True
            elif due + GRACE < now:  # it did not come: cancelled, killed, or too busy
                del state.line[other]
            elif its < turn or (its == turn and not passed):
                first = min(first, due) if ahead else due
                ahead += max(1, turn - its)
        return turn, ahead, first

    def _back(self, state: RateState, now: int, missing: int, limit: int, per: int) -> int:
        """When so many tokens can be back at the earliest."""
        # One in flight is back `per` after sending at best; its answer will tell how much later.
        flying = (sent + per for sent in islice(state.flying.values(), missing))
        coming = (at for at, count in zip(state.coming, state.counts, strict=True) for _ in range(count))
        back = sorted([*islice(coming, missing), *flying])
        if missing <= len(back):
            at = back[missing - 1]
        else:  # more processes wait than there are tokens
            at = (back[-1] if back else now) + per * -(-(missing - len(back)) // limit)
        return at if at > now else now + POLL

    def sent(self, state: RateState, token: int, at: int) -> None:
        """The request leaves later than it was booked."""
        if self.limit is not None:
            state.flying.pop(token, None)  # they stand in the order of their sending
            self._fly(state, token, at, self.per)

    def arrived(self, state: RateState, token: int, at: int, took: int, now: int) -> None:
        """An answer came at `at`, `took` after sending: so long ago the request had surely been counted."""
        if state.flying.pop(token, None) is None:
            return
        limit, per = (self.limit, self.per) if state.said is None else self.in_force(state, now)
        self._expect(state, [(at, took)], limit, per)

    def landed(self, state: RateState, answers: list[tuple[int, int]]) -> None:
        """The same for many (at, took) of requests that nobody has written down as flying; in any order."""
        if self.limit is not None:
            self._expect(state, answers, self.limit, self.per)

    def _expect(self, state: RateState, answers: list[tuple[int, int]], limit: int | None, per: int) -> None:
        """Await the tokens of these answers."""
        delays, coming, counts = state.delays, state.coming, state.counts
        after, credit, jitter = delays.margin + per, delays.credit, state.careful(self.jitter, answers[-1][0])
        back = [at + after - max(credit, took - jitter) for at, took in answers]
        if limit is not None and limit > STEPS:
            width = per // STEPS
            back = [at + -at % width for at in back]
        state.away += len(back)
        back.sort()
        for at in back:
            if not coming or at > coming[-1]:  # nearly always: answers come in the order of time
                coming.append(at)
                counts.append(1)
            elif coming[place := bisect_left(coming, at)] == at:
                counts[place] += 1
            else:
                coming.insert(place, at)
                counts.insert(place, 1)

    def stop(self, state: RateState, until: int) -> None:
        """The server wants quiet: a deadline, which nothing but time lifts."""
        state.not_before = max(state.not_before, until)


class Budget(Struct, frozen=True):
    """`cost` tokens of a day's `limit` (None: counted, not limited), of which `keep` stay for others.

    trickles: limit/1440 tokens come back every minute. offset: the day's end, in nanoseconds after midnight UTC.
    until_points: the limit is for accounts without points, and ends when the server reports some.
    cap, cap_keep: the user's own limit and what of it stays for others. It holds beside the other, whatever the server
    says: so much may be charged in a day, and nothing but the next day brings it back.
    """

    key: str
    scope: Literal["calls", "points", "sourcing"]
    limit: int | None
    cost: int = 1
    keep: int = 0
    trickles: bool = False
    offset: int = 0
    until_points: bool = False
    cap: int | None = None
    cap_keep: int = 0

    new: ClassVar[type[BudgetState]] = BudgetState

    def take(self, state: BudgetState, now: int, wall: int, token: int, who: int) -> Blocked | None:
        """Charge the cost, or say until when there is too little."""
        self.refill(state, now, wall)
        limit = self.in_force(state)
        if (
            now < state.shut
            or (limit is not None and state.spent + (self.cost + self.keep - limit) * GRAIN > 0)
            or (self.cap is not None and self._over(state, self.cap))
        ):
            return self._exhausted(state, limit, now, wall)
        state.charged += self.cost * GRAIN
        return None

    def undo(self, state: BudgetState, token: int) -> None:
        """Nothing was charged after all, in the same breath: reports and hours go by what was ever charged."""
        state.charged -= self.cost * GRAIN

    def give_back(self, state: BudgetState, token: int, booked_at: int, charged: int) -> None:
        """The request never left. charged: of the points, when it was booked."""
        if booked_at >= state.filled_at:  # else the new day has given it back
            state.dawn = min(state.charged, state.dawn + self.cost * GRAIN)
            if self.scope != "points" or charged > state.newest:  # else the figure believed was without it
                state.returned = min(state.charged, state.returned + self.cost * GRAIN)

    def in_force(self, state: BudgetState) -> int | None:
        """Tokens in a full bucket: the server's figure, or the plan's. Of lifted points only a refusal is believed."""
        if state.limit is not None and not (self.trickles and self.limit is None):
            return state.limit
        return None if self.until_points and state.reported else self.limit

    def refill(self, state: BudgetState, now: int, wall: int) -> None:
        """What time has brought back."""
        if wall >= state.ends or state.ends - wall > 2 * DAY:  # the latter: the clock had been days ahead
            today = (wall - self.offset) % DAY
            state.ends = wall - today + DAY
            # A later day than any before; or the clock was years ahead, and a day has passed since it was believed.
            if state.ends > state.filled or now - state.filled_at >= DAY:
                state.filled, state.filled_at = state.ends, now
                state.returned, state.dawn, state.shut = state.charged, state.charged, 0
                if not self.trickles:
                    state.limit = None
        if self.trickles and (limit := self.in_force(state)) is not None:
            if state.returned >= state.charged:
                state.trickled = now
            elif (minutes := (now - state.trickled) // MINUTE) > 0:
                state.returned = min(state.charged, state.returned + limit * minutes)
                state.trickled += minutes * MINUTE
        hour = wall // (60 * MINUTE)
        if not state.hours or state.hours[-1][0] < hour:
            state.hours = [*state.hours[-24:], (hour, state.charged)]

    def _exhausted(self, state: BudgetState, limit: int | None, now: int, wall: int) -> Exhausted:
        midnight = now + state.ends - wall
        if self.cap is not None and self._over(state, self.cap):
            return Exhausted(midnight, state.today // GRAIN, self.cap, self.key, "user")
        resets_at = state.shut
        size = limit or 0
        missing = state.spent + (self.cost + self.keep - size) * GRAIN
        if limit is not None and missing > 0:
            trickle = self.trickles and self.cost + self.keep <= size
            resets_at = max(resets_at, state.trickled + -(-missing // size) * MINUTE if trickle else midnight)
        source = "server" if now < state.shut else state.source
        return Exhausted(min(resets_at, midnight), -(-state.spent // GRAIN), size, self.key, source)

    def _over(self, state: BudgetState, cap: int) -> bool:
        return state.today + (self.cost + self.cap_keep - cap) * GRAIN > 0


class Seats(Struct, frozen=True):
    """A seat for `account`, one of `limit`; it is free again `stay` after the account's last request.

    It is free at once if the server does not know the account: a mistyped key takes nobody's seat.
    """

    key: str
    account: str
    limit: int
    stay: int = DAY
    scope: Literal["accounts"] = "accounts"

    new: ClassVar[type[SeatsState]] = SeatsState

    def take(self, state: SeatsState, now: int, wall: int, token: int, who: int) -> Blocked | None:
        """Sit down, or say when a seat is free."""
        seats = state.seats
        if self.account not in seats and len(seats) >= self.limit:
            for account in [account for account, seen in seats.items() if now - seen >= self.stay]:
                del seats[account]
                state.new.pop(account, None)
            if len(seats) >= self.limit:
                return Exhausted(min(seats.values()) + self.stay, len(seats), self.limit, self.key)
        if self.account not in seats:
            seats[self.account], state.new[self.account] = now, token
        elif now - seats[self.account] >= 10 * MINUTE:  # often enough for a day, and seldom written
            seats[self.account] = now
        return None

    def give_back(self, state: SeatsState, token: int, booked_at: int = 0, charged: int = 0) -> None:
        """The request for which the account sat down never left; one that is known stays."""
        if state.new.get(self.account) == token:
            self.turn_away(state)

    undo = give_back

    def welcome(self, state: SeatsState, now: int) -> None:
        """The server answered the account."""
        state.new.pop(self.account, None)
        state.seats.setdefault(self.account, now)

    def turn_away(self, state: SeatsState) -> None:
        """The server does not let the account in; one that it did keeps its seat, as it does there."""
        if state.new.pop(self.account, None) is not None:
            state.seats.pop(self.account, None)


Claim = Rate | Budget | Seats
