"""No schedule of requests and no turning of clocks gets more out of a bucket than it holds."""

from __future__ import annotations

import heapq
from copy import deepcopy

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cjasync.quota.bucket import DAY, GRAIN, MINUTE, SECOND, Budget, Rate, Seats
from cjasync.quota.delays import ENOUGH, Delays
from cjasync.quota.facts import PointsInfo, Refusal
from cjasync.quota.ledger import Settlement, book, settle
from cjasync.quota.state import BudgetState, Exhausted, NotBefore, RateState, SeatsState
from cjasync.quota.tickets import Booking

settings.register_profile("quota", deadline=None, max_examples=150)
settings.load_profile("quota")

MS = SECOND // 1000
START = 20_000 * DAY
short = st.integers(0, 400 * MS)
request = st.tuples(
    st.integers(0, 1200 * MS),  # pause before it
    st.integers(0, 30 * MS),  # from booking to sending
    st.one_of(short, st.integers(0, 1900 * MS)),  # way there
    st.one_of(short, st.none()),  # way back; None: no answer ever comes
)


def busiest(arrivals: list[int], window: int) -> int:
    """The largest number of arrivals in any half-open window."""
    arrivals.sort()
    best = first = 0
    for last, at in enumerate(arrivals):
        while at - arrivals[first] >= window:
            first += 1
        best = max(best, last - first + 1)
    return best


@given(
    limit=st.integers(1, 6),
    per=st.sampled_from([SECOND, 2 * SECOND, SECOND // 3]),
    requests=st.lists(request, max_size=ENOUGH - 1),
    cancelled=st.sets(st.integers(0, ENOUGH)),
    least=st.integers(0, 300 * MS),
    jitter=st.sampled_from([2 * SECOND, 200 * MS, 10 * MS, 0]),
    elsewhere=st.sets(st.integers(0, ENOUGH)),
)
def test_no_window_of_arrivals_is_ever_over_the_limit(limit, per, requests, cancelled, least, jitter, elsewhere):
    """Some may be sent by a process whose way jitters less, and that says so."""
    here, quick, state, now = (
        Rate("r", "account", limit, per, jitter),
        Rate("r", "account", limit, per, 0),
        RateState(),
        0,
    )
    answers: list[tuple[int, int, int]] = []
    arrivals, senders = [], {}
    for token, (pause, lag, there, back) in enumerate(requests):
        rate = senders[token] = quick if token in elsewhere else here
        there = least + min(there, rate.jitter)
        now += pause
        while True:
            while answers and answers[0][0] <= now:
                at, answered, sent = heapq.heappop(answers)
                state.delays.learn(at - sent)
                senders[answered].arrived(state, answered, at, at - sent, at)
            blocked = rate.take(state, now, 0, token, who=1)
            if blocked is None:
                break
            assert isinstance(blocked, NotBefore)
            assert blocked.at > now, "asking again at the same moment would never end"
            now = min(blocked.at, answers[0][0]) if answers else blocked.at
        if token in cancelled:
            rate.give_back(state, token)
            continue
        rate.sent(state, token, now + lag)
        arrivals.append(now + lag + there)
        if back is not None:
            heapq.heappush(answers, (now + lag + there + back, token, now + lag))
        now += lag
    assert busiest(arrivals, per) <= limit


def test_a_jitter_holds_though_a_larger_one_held_when_it_was_stated():
    large, lesser, none = (Rate("r", "account", 1, jitter=seconds * SECOND) for seconds in (60, 10, 0))
    state = RateState()
    assert large.take(state, 0, 0, token=1, who=1) is None
    large.arrived(state, 1, 100 * MS, 100 * MS, 100 * MS)
    assert lesser.take(state, 62 * SECOND, 0, token=2, who=2) is None
    for second in (64, 72):  # the largest has ended, but what was sent by the other one's word may not have arrived yet
        assert isinstance(none.take(state, second * SECOND, 0, token=3, who=3), NotBefore)
    assert none.take(state, 74 * SECOND, 0, token=3, who=3) is None


@given(st.lists(st.integers(1, 10 * SECOND), min_size=1, max_size=200))
def test_credit_never_exceeds_the_soonest_answer_and_a_refusal_takes_it_back(answers):
    delays = Delays()
    for took in answers:
        delays.learn(took)
        assert 0 <= delays.credit <= min(answers)
    assert delays.credit == 0 or len(answers) >= ENOUGH
    delays.refused()
    first = delays.margin
    assert delays.credit == 0
    assert first > 0
    delays.refused()
    assert delays.margin > first
    for _ in range(2000):
        delays.learn(answers[0])
    assert delays.margin < first, "it fades while all is quiet"


def test_the_margin_has_an_end():
    delays = Delays()
    for _ in range(50):
        delays.refused()
    assert delays.margin <= SECOND // 2


tick = st.tuples(
    st.integers(0, 3 * 60 * MINUTE),  # time passes
    st.one_of(st.just(0), st.integers(-DAY, DAY)),  # somebody sets the clock
    st.integers(0, 60),  # requests
)


@given(limit=st.integers(1, 40), offset=st.sampled_from([0, -8 * 60 * MINUTE]), ticks=st.lists(tick, max_size=60))
def test_no_day_by_any_reading_of_the_clock_is_filled_twice(limit, offset, ticks):
    budget, state = Budget("b", "calls", limit, offset=offset), BudgetState()
    now, set_by = 0, START
    per_day: dict[int, int] = {}
    for passed, turned, wanted in ticks:
        now += passed
        set_by += turned
        wall = now + set_by
        for _ in range(wanted):
            blocked = budget.take(state, now, wall, 0, 0)
            if blocked is None:
                per_day[state.ends] = per_day.get(state.ends, 0) + 1
            else:
                assert isinstance(blocked, Exhausted)
                assert blocked.resets_at > now
                assert blocked.limit == limit
                break
        assert 0 <= state.spent <= limit * GRAIN
    assert max(per_day.values(), default=0) <= limit


def test_a_machine_that_wakes_in_1970_and_then_learns_the_time_has_no_second_day():
    budget, state, morning = Budget("b", "calls", 1), BudgetState(), START + 8 * 60 * MINUTE
    assert budget.take(state, 0, morning, 0, 0) is None
    assert budget.take(state, SECOND, 60 * SECOND, 0, 0) is not None
    assert budget.take(state, MINUTE, morning + MINUTE, 0, 0) is not None
    assert budget.take(state, DAY, morning + DAY, 0, 0) is None


def test_a_laptop_that_slept_over_night_has_its_new_day():
    """Its monotonic clock stood still meanwhile."""
    budget, state, evening = Budget("b", "calls", 1), BudgetState(), START + 20 * 60 * MINUTE
    for day in range(4):
        assert budget.take(state, day * MINUTE, evening + day * DAY, 0, 0) is None
        assert budget.take(state, day * MINUTE + 1, evening + day * DAY + 1, 0, 0) is not None


@given(st.integers(-3600, 3600), st.integers(1, 1000))
def test_an_hour_back_or_forth_mints_nothing(seconds, used):
    budget, state, noon = Budget("b", "calls", 1000), BudgetState(), START + DAY // 2
    for _ in range(used):
        assert budget.take(state, 0, noon, 0, 0) is None
    budget.refill(state, 1, noon + seconds * SECOND)
    assert state.spent == used * GRAIN


def test_a_clock_that_was_years_ahead_does_not_shut_the_bucket_for_years():
    budget, state = Budget("b", "calls", 1), BudgetState()
    assert budget.take(state, 0, START + 4000 * DAY, 0, 0) is None
    blocked = budget.take(state, 1, START, 0, 0)
    assert isinstance(blocked, Exhausted)
    assert blocked.resets_at <= DAY + 1
    assert budget.take(state, DAY + 1, START + DAY, 0, 0) is None


own = st.none() | st.integers(0, 300)  # a user's own limit
heard = st.one_of(
    st.none(),
    st.just("unsent"),
    st.builds(PointsInfo, st.none() | st.integers(0, 60_000), st.none(), st.none() | st.integers(0, 60_000)),
    st.builds(
        Refusal,
        kind=st.sampled_from(["daily", "points"]),
        limit=st.none() | st.integers(0, 2000),
        remaining=st.none() | st.integers(0, 2000),
    ),
)
asking = st.tuples(
    st.sampled_from([0, 0, SECOND, 20 * MINUTE, 7 * 60 * MINUTE, 30 * 60 * MINUTE]),
    st.sampled_from([0] * 8 + [-60 * MINUTE, 60 * MINUTE, DAY, -3 * DAY]),  # somebody sets the clock
    st.sampled_from([10, 50]),
    st.integers(0, 2),  # which process
    st.integers(0, 9),  # of those whose requests are out
    heard,
)


@example(  # the request of yesterday that never left is given back to yesterday
    calls=(1, 1, 1),
    points=(None, None, None),
    asked=[(0, 0, 10, 0, 0, None), (30 * 60 * MINUTE, 0, 10, 0, 0, "unsent"), (0, 0, 10, 0, 0, None)],
)
@given(calls=st.tuples(own, own, own), points=st.tuples(own, own, own), asked=st.lists(asking, max_size=60))
def test_no_schedule_and_no_report_of_the_server_gets_a_process_beyond_what_its_user_allows(calls, points, asked):
    """Whatever the others who share the ledger are held to: their requests count as well."""
    states, out, now, wall = [BudgetState(), BudgetState()], [], 0, START
    sent: dict[int, int] = {}
    paid: dict[int, int] = {}
    for passed, turned, cost, who, n, told in asked:
        passed += bool(turned)  # no clock is set in no time at all: days are told apart by when they began
        now, wall = now + passed, wall + passed + turned
        booking = Booking(
            (
                Budget("c", "calls", 1000, until_points=True, cap=calls[who]),
                Budget("p", "points", 50_000, cost, trickles=True, cap=points[who]),
            )
        )
        if book(booking.claims, states, now, wall, 0, who) is None:
            day = states[0].filled_at
            sent[day], paid[day] = sent.get(day, 0) + 1, paid.get(day, 0) + cost
            assert calls[who] is None or sent[day] <= calls[who]
            assert points[who] is None or paid[day] <= points[who]
            out.append((booking, now, states[1].charged, day))
        if out and told is not None:
            booking, booked_at, charged, day = out.pop(n % len(out))
            if told == "unsent":
                sent[day], paid[day] = sent[day] - 1, paid[day] - booking.claims[1].cost
                job = Settlement(booking, 0, "unsent", booked_at, charged=charged)
            else:
                facts = (told, None) if isinstance(told, PointsInfo) else (None, told)
                job = Settlement(booking, 0, "answered", now, 1, charged, *facts)
            settle(job, states, now, wall)
        assert 0 <= states[0].today <= states[0].charged


@given(cap=st.integers(50, 500), drawn=st.integers(0, 500), limit=st.integers(50, 60_000))
def test_a_users_own_limit_is_back_with_the_next_day_and_not_before(cap, drawn, limit):
    claim, state = Budget("p", "points", limit, 50, trickles=True, cap=cap), BudgetState()
    claim.refill(state, 0, START)
    state.charged = state.returned = min(drawn, cap) * GRAIN  # CJ has all of it again
    blocked = claim.take(state, SECOND, START + SECOND, 0, 0)
    assert (blocked is None) == (min(drawn, cap) + 50 <= cap)
    if isinstance(blocked, Exhausted):
        assert (blocked.resets_at, blocked.used, blocked.limit, blocked.source) == (DAY, min(drawn, cap), cap, "user")
        assert claim.take(deepcopy(state), DAY - 1, START + DAY - 1, 0, 0) is not None
        assert claim.take(state, DAY, START + DAY, 0, 0) is None


spending = st.tuples(st.integers(0, 200 * MINUTE), st.sampled_from([1, 10, 50, 1000]), st.booleans())


@given(total=st.integers(1000, 60_000), requests=st.lists(spending, max_size=80))
def test_points_never_exceed_what_was_there_and_what_trickled(total, requests):
    state, now, spent, first = BudgetState(), 0, 0, None
    for passed, cost, refunded in requests:
        now += passed
        if now >= DAY:
            break
        budget = Budget("p", "points", total, cost, trickles=True)
        if budget.take(state, now, START + now, 0, 0) is None:
            if refunded:
                budget.give_back(state, 0, now, state.charged)
                continue
            spent += cost
            first = now if first is None else first
        trickled = 0 if first is None else total * ((now - first) // MINUTE) / 1440
        assert spent <= total + trickled
        assert 0 <= state.spent <= total * GRAIN


@given(total=st.integers(50, 60_000), drawn=st.integers(0, 60_000))
def test_points_are_told_exactly_when_they_are_back(total, drawn):
    budget, state = Budget("p", "points", total, 50, trickles=True), BudgetState()
    budget.take(state, 0, START, 0, 0)
    state.charged += max(0, min(drawn, total - 50)) * GRAIN
    blocked = budget.take(state, SECOND, START + SECOND, 0, 0)
    if blocked is None:
        return
    assert isinstance(blocked, Exhausted)
    before = blocked.resets_at - 1
    assert budget.take(deepcopy(state), before, START + before, 0, 0) is not None
    assert budget.take(state, blocked.resets_at, START + blocked.resets_at, 0, 0) is None


@given(
    accounts=st.lists(st.tuples(st.integers(0, 6 * 60 * MINUTE), st.sampled_from("abcdefg")), max_size=60),
    limit=st.integers(1, 4),
)
def test_never_more_accounts_than_seats(accounts, limit):
    state, now = SeatsState(), 0
    for passed, account in accounts:
        now += passed
        blocked = Seats("s", account, limit).take(state, now, 0, 0, 0)
        assert len(state.seats) <= limit
        if blocked is not None:
            assert isinstance(blocked, Exhausted)
            assert account not in state.seats
            later = deepcopy(state)
            assert Seats("s", account, limit).take(later, blocked.resets_at, 0, 0, 0) is None


claims = st.builds(
    lambda qps, calls, points, cost, seats: (
        Seats("seats", "me", seats),
        Budget("calls", "calls", calls),
        Budget("points", "points", points, cost, trickles=True),
        Rate("ip", "ip", qps + 1),
        Rate("account", "account", qps),
    ),
    st.integers(1, 4),
    st.integers(1, 12),
    st.integers(50, 500),
    st.sampled_from([10, 50]),
    st.integers(1, 3),
)


@given(claims=claims, pauses=st.lists(st.integers(0, 700 * MS), max_size=30))
def test_buckets_are_booked_together_or_not_at_all(claims, pauses):
    states = [claim.new() for claim in claims]
    taken = now = 0
    for token, pause in enumerate(pauses):
        now += pause
        before = deepcopy(states)
        blocked = book(claims, states, now, START + now, token, 1)
        taken += blocked is None
        calls, points, ip, account = states[1:]
        assert calls.spent == taken * GRAIN
        assert (token in ip.flying) == (token in account.flying) == (blocked is None)
        if blocked is not None:
            assert points.spent <= before[2].spent, "at most something trickled back"
            assert (calls.charged, points.charged) == (before[1].charged, before[2].charged)


@given(claims=claims, unsent=st.booleans())
def test_what_never_left_is_given_back_everywhere(claims, unsent):
    states = [claim.new() for claim in claims]
    assert book(claims, states, 0, START, 7, 1) is None
    what = "unsent" if unsent else "answered"
    settle(Settlement(Booking(claims), 7, what, 10 * MS, 10 * MS, states[2].charged), states, 10 * MS, START)
    calls, points, ip, account = states[1:]
    assert not ip.flying
    assert not account.flying
    if unsent:
        assert (calls.spent, points.spent, account.away) == (0, 0, 0)
    else:
        assert (calls.spent, account.away) == (GRAIN, 1)


@given(
    booked=st.lists(st.sampled_from([10, 50]), min_size=1, max_size=12),
    reports=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 50_000)), max_size=12),
)
def test_the_newest_report_of_the_server_leads_in_whatever_order_they_come(booked, reports):
    state, bookings, marks = BudgetState(), [], []
    for cost in booked:
        claim = Budget("p", "points", 50_000, cost, trickles=True)
        assert claim.take(state, 0, START, 0, 0) is None
        bookings.append(Booking((claim,)))
        marks.append(state.charged)
    newest = None
    for n, remaining in reports:
        if n >= len(booked):
            continue
        points = PointsInfo(50_000, 0, remaining)
        settle(Settlement(bookings[n], 0, "answered", 1, 1, marks[n], points), [state], 1, START + 1)
        if newest is None or n >= newest[0]:
            newest = (n, remaining)
        expected = 50_000 - newest[1] + sum(booked[newest[0] + 1 :])
        assert state.spent == expected * GRAIN
        assert state.reported


@given(kind=st.sampled_from(["daily", "points", "sourcing"]), spent=st.integers(501, 999), left=st.integers(0, 49))
def test_exhausted_means_exhausted_until_it_resets(kind, spent, left):
    scope = {"daily": "calls", "points": "points", "sourcing": "sourcing"}[kind]
    claim, state, noon = Budget("b", scope, 1000, 50, trickles=kind == "points"), BudgetState(), START + DAY // 2
    claim.refill(state, 0, noon)
    state.charged += spent * GRAIN
    refusal = Refusal(kind=kind, remaining=left)
    settle(Settlement(Booking((claim,)), 0, "answered", 1, 1, state.charged, None, refusal), [state], 1, noon + 1)
    blocked = claim.take(state, 2, noon + 2, 0, 0)
    assert isinstance(blocked, Exhausted)
    if kind == "points":
        assert blocked.resets_at == 1 + -(-(50 - left) * 1440 // 1000) * MINUTE
    else:
        assert blocked.resets_at == DAY // 2
    assert claim.take(state, blocked.resets_at, noon + blocked.resets_at, 0, 0) is None


@given(stops=st.lists(st.integers(0, 100 * SECOND), min_size=1, max_size=5))
def test_a_stop_is_a_deadline_that_only_a_later_one_replaces(stops):
    rate, state = Rate("r", "account", 5), RateState()
    for stop in stops:
        rate.stop(state, stop)
    blocked = rate.take(state, 0, 0, 1, 1)
    last = max(stops)
    assert (blocked.at if blocked else 0) == last
    assert rate.take(state, last, 0, 1, 1) is None


@given(times=st.integers(1, 3), seconds=st.integers(1, 10))
def test_a_server_that_says_what_it_allows_is_believed_if_that_is_slower(times, seconds):
    rate, state = Rate("r", "account", 4), RateState()
    refusal = Refusal(kind="qps", times=times, seconds=seconds)
    settle(Settlement(Booking((rate,)), 0, "answered", 0, 0, 0, None, refusal, "account", 1), [state], 0, START)
    assert rate.in_force(state, 1) == (times, seconds * SECOND)
    assert rate.in_force(state, 2 * DAY) == (4, SECOND), "a plan may be upgraded"


def test_a_server_that_allows_more_than_the_plan_does_not_speed_us_up():
    rate, state = Rate("r", "account", 1), RateState()
    refusal = Refusal(kind="qps", times=6, seconds=1)
    settle(Settlement(Booking((rate,)), 0, "answered", 0, 0, 0, None, refusal, "account", 1), [state], 0, START)
    assert rate.in_force(state, 1) == (1, SECOND)


@given(
    limit=st.integers(1, 6),
    processes=st.integers(2, 9),
    rounds=st.integers(2, 8),
    late=st.lists(st.integers(0, 3 * MS), min_size=1, max_size=7),
)
@example(limit=3, processes=2, rounds=8, late=[2, 0, 0, 0, 1, 2 * MS + 2, 0])
@example(limit=6, processes=2, rounds=32, late=[833_338, 833_329, 0, 1, 0, 0, 0])
def test_processes_that_all_want_more_take_turns(limit, processes, rounds, late):
    rate, state, now, token = Rate("r", "account", limit), RateState(), 0, 0
    alarms = [(who, who) for who in range(processes)]
    got = dict.fromkeys(range(processes), 0)
    while token < 10_000 and now < rounds * processes * SECOND:
        now, who = heapq.heappop(alarms)
        token += 1
        blocked = rate.take(state, now, 0, token, who)
        if blocked is None:
            got[who] += 1
            rate.arrived(state, token, now, 0, now)
        heapq.heappush(alarms, (blocked.at + late[token % len(late)] if blocked else now, who))
    alone = limit  # whoever comes first finds all tokens there
    # In the middle of a window one may have its share of it while another has nothing yet.
    assert max(got.values()) - min(got.values()) <= alone + max(2, -(-limit // processes))
    assert sum(got.values()) >= 0.9 * limit * rounds * processes - processes


@given(jitter=st.integers(0, SECOND), refusals=st.integers(0, 8))
def test_after_a_refusal_also_a_stated_jitter_is_doubted(jitter, refusals):
    rate, state = Rate("r", "account", 1, jitter=jitter), RateState()
    for _ in range(refusals):
        state.delays.refused()
    assert rate.take(state, 0, 0, 1, who=1) is None
    back = SECOND + jitter + state.delays.margin
    assert rate.take(state, back - 1, 0, 2, who=1) is not None, "no answer has come"
    assert rate.take(state, back, 0, 2, who=1) is None
    rate.arrived(state, 2, back + 3 * SECOND, 3 * SECOND, back + 3 * SECOND)
    assert rate.take(state, 2 * back - 1, 0, 3, who=1) is not None
    assert rate.take(state, 2 * back, 0, 3, who=1) is None


def test_a_dead_process_costs_the_others_one_moment_and_no_more():
    rate, state = Rate("r", "account", 1), RateState()
    assert rate.take(state, 0, 0, 1, who=1) is None
    rate.arrived(state, 1, 0, 0, 0)
    assert rate.take(state, 1, 0, 2, who=2) == NotBefore(SECOND, "r")  # and it is killed now
    blocked = rate.take(state, 2, 0, 3, who=3)
    while blocked is not None:
        last = blocked.at
        blocked = rate.take(state, last, 0, 3, who=3)
    assert last <= SECOND + 30 * MS


@given(st.integers(300, 2000), st.lists(st.integers(0, 3 * SECOND), max_size=300))
def test_large_buckets_stay_small_on_disk_and_lose_no_token(limit, answers):
    rate, state = Rate("r", "account", limit), RateState()
    for token in range(len(answers)):
        state.flying[token] = 0
    for token, at in enumerate(answers):
        rate.arrived(state, token, at, 0, at)
        assert sum(state.counts) == state.away == token + 1
        assert state.coming == sorted(set(state.coming))
    assert all(back >= at + SECOND for back, at in zip(state.coming[:1], [min(answers, default=0)], strict=False))
    rate.forget(state, 5 * SECOND, SECOND)
    assert (state.away, state.coming, state.counts) == (0, [], [])
