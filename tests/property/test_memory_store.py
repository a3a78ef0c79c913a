"""The memory store's short cut grants what the arithmetic grants, and nothing else."""

from __future__ import annotations

from operator import attrgetter

from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync.quota import MemoryStore
from cjasync.quota.bucket import DAY, SECOND, Budget, Rate
from cjasync.quota.facts import Refusal
from cjasync.quota.ledger import Settlement, book, settle
from cjasync.quota.state import NotBefore
from cjasync.quota.tickets import Booking, Ticket

MS = SECOND // 1000
START = 20_000 * DAY + DAY // 2


class Clockwork:
    who = 1

    def __init__(self) -> None:
        self.now = 0

    def ns(self) -> int:
        return self.now

    def wall(self) -> float:
        return (START + self.now) / 1e9


def kinds(qps: int, calls: int, points: int) -> list[tuple]:
    rate = Rate("rate", "account", qps)
    return [
        (Budget("calls", "calls", calls), Budget("points", "points", points, 50), rate),
        (Budget("calls", "calls", calls, keep=2), Budget("points", "points", points, 50, keep=30), rate),
        (Budget("other", "calls", calls), Budget("points", "points", points, 10), rate),
        (Budget("free", "calls", None), rate),
    ]


step = st.tuples(
    st.sampled_from([0, 0, 0, 1, 30, 51, 400, 1000]),
    st.sampled_from(["book"] * 6 + ["answered", "unsent", "refused"]),
    st.integers(0, 9),
)


@given(
    qps=st.integers(1, 12),
    calls=st.integers(4, 30),
    points=st.integers(100, 2000),
    steps=st.lists(step, max_size=80),
)
@settings(deadline=None, max_examples=150)
def test_the_short_cut_is_no_other_way(qps, calls, points, steps):
    store, desk = MemoryStore(), Clockwork()
    bookings = [Booking(claims) for claims in kinds(qps, calls, points)]
    states = {claim.key: claim.new() for booking in bookings for claim in booking.claims}
    out: dict[int, Booking] = {}
    for token, (pause, kind, n) in enumerate(steps):
        desk.now += pause * MS
        if kind == "book":
            booking = bookings[n % len(bookings)]
            theirs = [states[claim.key] for claim in booking.claims]
            blocked = book(booking.claims, theirs, desk.now, START + desk.now, token, desk.who)
            verdict = store.try_book(booking, desk, token)
            assert (blocked is None) == isinstance(verdict, Ticket)
            if blocked is None:
                out[token] = booking
                assert verdict.charged in (0, states["points"].charged)
            else:
                assert type(verdict) is type(blocked)
                assert verdict.bucket == blocked.bucket
                moment = attrgetter("at" if isinstance(blocked, NotBefore) else "resets_at")
                assert abs(moment(verdict) - moment(blocked)) < MS, "but for the rounding of the wall clock"
        elif out:
            known = list(out)[n % len(out)]
            booking = out.pop(known)
            facts = ()
            if kind == "refused":
                facts = (Refusal(kind="qps", times=qps, seconds=1), "account", desk.now + 80 * MS)
            what = "unsent" if kind == "unsent" else "answered"
            job = Settlement(booking, known, what, desk.now, 20 * MS, 0, None, *facts)
            settle(job, [states[claim.key] for claim in booking.claims], desk.now, START + desk.now)
            assert store.try_settle([job], desk)
