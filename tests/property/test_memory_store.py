"""The memory store's short cut grants what the arithmetic grants, and nothing else."""

from __future__ import annotations

from operator import attrgetter
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cjasync.quota import MemoryStore
from cjasync.quota.bucket import DAY, GRAIN, SECOND, Budget, Rate
from cjasync.quota.facts import PointsInfo, Refusal
from cjasync.quota.ledger import Settlement, book, settle
from cjasync.quota.state import BudgetState, NotBefore, RateState
from cjasync.quota.tickets import Booking, Ticket

MS = SECOND // 1000
KEPT = {
    BudgetState: ("charged", "returned", "newest", "dawn"),
    RateState: ("flying", "coming", "counts", "away", "not_before", "said", "delays"),
}
START = 20_000 * DAY + DAY // 2


class Clockwork:
    who = 1

    def __init__(self, store: MemoryStore) -> None:
        self.now = self.ahead = 0
        self.store = store

    def on_answered(self, ticket: Ticket, points: PointsInfo | None) -> None:
        took = self.now - ticket.booked_at
        told = Settlement(ticket.booking, ticket.token, "answered", self.now, took, ticket.charged, points)
        assert self.store.try_settle([told], self)

    def ns(self) -> int:
        return self.now

    def wall(self) -> float:
        return (START + self.now + self.ahead) / 1e9


def kinds(qps: int, calls: int, points: int, trickles: bool) -> list[tuple]:
    rate = Rate("rate", "account", qps)

    def spend(cost: int, keep: int = 0, **own: int) -> Budget:
        return Budget("points", "points", points, cost, keep, trickles, **own)

    return [
        (Budget("calls", "calls", calls), spend(50), rate),
        (Budget("calls", "calls", calls, keep=2), spend(50, keep=30), rate),
        (Budget("other", "calls", calls), spend(10), rate),
        (Budget("free", "calls", None), rate),
        (Budget("other", "calls", calls, cap=calls // 2), spend(10, cap=points // 2, cap_keep=20), rate),
    ]


step = st.tuples(
    st.sampled_from([0, 0, 0, 0, 1, 30, 51, 400, 1000, 61_000]),
    st.sampled_from(["book"] * 6 + ["answered", "answered", "reported", "reported", "late", "unsent", "refused"]),
    st.integers(0, 9),
    st.sampled_from([0, 0, 0, 0, 1, -1, 7, -40]),
)


def report(state, limit: int, charged: int, off: int) -> PointsInfo:
    """What CJ says is left: what we think, in whole points, or so many more; now and then it keeps another budget."""
    left = limit - -(-(charged - state.returned) // GRAIN)
    return PointsInfo(limit + 100 * (off == 7), None, max(0, left + off))


@given(
    qps=st.integers(1, 12) | st.just(200),
    calls=st.integers(4, 60),
    points=st.integers(100, 2000) | st.integers(50, 300),
    trickles=st.booleans(),
    steps=st.lists(step, max_size=80),
)
@example(  # the second looks in full, and what it takes is gone for the others as well
    qps=200,
    calls=5,
    points=201,
    trickles=False,
    steps=[(0, "book", 1, 0), (0, "book", 0, 0), (0, "book", 0, 0), (0, "book", 1, 0)],
)
@example(  # who has no limit of his own takes of what is left of another's, and five times as much
    qps=200,
    calls=20,
    points=300,
    trickles=False,
    steps=[(0, "book", 0, 0), (0, "book", 4, 0), (0, "book", 0, 0), (0, "book", 0, 0), (0, "book", 4, 0)],
)
@settings(deadline=None, max_examples=150)
@patch("cjasync.quota.delays.ENOUGH", 1000)  # what is learnt at once may differ from what is learnt one by one
def test_the_short_cut_is_no_other_way(qps, calls, points, trickles, steps):
    store = MemoryStore()
    desk = Clockwork(store)
    bookings = [Booking(claims) for claims in kinds(qps, calls, points, trickles)]
    states = {claim.key: claim.new() for booking in bookings for claim in booking.claims}
    out: dict[int, tuple[Booking, int, Ticket, int]] = {}
    for token, (pause, kind, n, off) in enumerate(steps):
        desk.now += pause * MS
        if kind == "book":
            booking = bookings[n % len(bookings)]
            theirs = [states[claim.key] for claim in booking.claims]
            blocked = book(booking.claims, theirs, desk.now, START + desk.now, token, desk.who)
            verdict = store.try_book(booking, desk, token)
            assert (blocked is None) == isinstance(verdict, Ticket)
            if blocked is None:
                out[token] = booking, states["points"].charged, verdict, desk.now
                assert verdict.charged in (0, states["points"].charged)
            else:
                assert type(verdict) is type(blocked)
                assert verdict.bucket == blocked.bucket
                assert getattr(verdict, "source", None) == getattr(blocked, "source", None)
                moment = attrgetter("at" if isinstance(blocked, NotBefore) else "resets_at")
                assert abs(moment(verdict) - moment(blocked)) < MS, "but for the rounding of the wall clock"
        elif out:
            known = list(out)[n % len(out)]
            booking, charged, ticket, booked = out.pop(known)
            told, facts = None, ()
            if kind == "reported" and booking.points is not None:
                told = report(states["points"], points, charged, off)
            if kind == "refused":
                facts = (Refusal(kind="qps", times=qps, seconds=1), "account", desk.now + 80 * MS)
            what = "unsent" if kind == "unsent" else "answered"
            at = booked if kind == "unsent" else desk.now
            job = Settlement(booking, known, what, at, desk.now - booked, charged, told, *facts)
            settle(job, [states[claim.key] for claim in booking.claims], desk.now, START + desk.now)
            if kind in ("answered", "reported"):
                ticket.answered(told)
            else:
                assert store.try_settle([job], desk)
    store._catch_up(desk.now, START + desk.now)
    for key, state in store._states.items():
        for fact in KEPT[type(state)]:
            assert getattr(state, fact) == getattr(states[key], fact)


def test_a_wall_clock_that_jumps_over_midnight_begins_the_next_day_at_once():
    store = MemoryStore()
    desk = Clockwork(store)
    booking = Booking((Budget("calls", "calls", 10),))

    def granted(asked: int) -> int:
        return sum(isinstance(store.try_book(booking, desk, token), Ticket) for token in range(asked))

    assert granted(5) == 5
    desk.ahead = DAY
    assert granted(7) == 7
    desk.now += SECOND
    assert granted(5) == 3
