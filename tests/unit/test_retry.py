"""When to try again: the schedule, the budget that all calls share, and the patience of one call."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync import RequestOptions, UnavailableError
from cjasync import TimeoutError as LateError
from cjasync._patience import Patience
from cjasync._retry import RetryBudget, delays
from cjasync.testing.clock import VirtualClock


@given(st.floats(0.01, 5), st.floats(0.01, 60))
@settings(deadline=None)
def test_pauses_grow_are_spread_and_end_at_the_cap(base: float, cap: float) -> None:
    for number, pause in enumerate(islice(delays(base, cap), 12)):
        assert 0 <= pause <= min(cap, base * 2**number)


def test_pauses_are_spread_over_the_whole_range() -> None:
    first = [next(delays()) for _ in range(300)]
    assert min(first) < 0.1
    assert max(first) > 0.4
    assert len(set(first)) > 250


def test_a_burst_of_failures_does_not_double_the_load() -> None:
    budget = RetryBudget()
    retried = 0
    for _ in range(1000):  # each fails, and would be tried again three times
        budget.called()
        retried += sum(budget.take() for _ in range(3))
    assert 20 <= retried <= 20 + 1000 * 0.1


def test_the_budget_comes_back_with_the_calls_and_never_beyond_its_most() -> None:
    budget = RetryBudget()
    assert sum(budget.take() for _ in range(100)) == 20
    for _ in range(9):
        budget.called()
    assert not budget.take()
    budget.called()
    budget.called()
    assert budget.take()
    assert not budget.take()
    for _ in range(10_000):
        budget.called()
    assert sum(budget.take() for _ in range(100)) == 20


def patience(clock: VirtualClock | None = None, budget: RetryBudget | None = None, **options: object) -> Patience:
    return Patience(RequestOptions(**options), clock or VirtualClock(), budget or RetryBudget())


def test_without_a_deadline_an_attempt_has_its_timeout() -> None:
    call = patience(timeout=7)
    call.begin()
    assert call.seconds_left() == 7
    assert not call.is_too_long(1e9)


def test_time_runs_from_the_beginning_and_beginning_again_gains_nothing() -> None:
    clock = VirtualClock()
    call = patience(clock, timeout=30, deadline=10)
    clock.advance(100)  # made and not awaited yet
    call.begin()
    clock.advance(4)
    call.begin()
    assert call.seconds_left() == pytest.approx(6)
    assert call.is_too_long(6)
    assert not call.is_too_long(5.9)
    clock.advance(6)
    with pytest.raises(LateError, match="the deadline passed before the request could be sent"):
        call.seconds_left()


def test_what_went_wrong_is_told_rather_than_that_it_is_late() -> None:
    clock = VirtualClock()
    call = patience(clock, deadline=1)
    call.begin()
    call.error = UnavailableError("busy")
    clock.advance(2)
    with pytest.raises(UnavailableError, match="busy"):
        call.seconds_left()


def test_retries_are_counted_and_paid_for() -> None:
    budget = RetryBudget(left=2)
    call = patience(budget=budget, retries=3)
    assert [call.take_retry() for _ in range(4)] == [True, True, False, False]
    assert call.retries == 2
    assert [patience(retries=1).take_retry() for _ in range(2)] == [True, True]
    assert not patience(retries=0).take_retry()


def test_a_retry_that_would_come_too_late_costs_nothing() -> None:
    budget = RetryBudget(left=1)
    call = patience(budget=budget, deadline=1)
    call.begin()
    assert not call.take_retry(wait=2)
    assert budget.left == 1
    assert call.take_retry(wait=0.5)


def test_pauses_of_one_call_go_on_where_they_were() -> None:
    call = patience()
    pauses = [call.next_pause() for _ in range(30)]
    assert max(pauses[:2]) <= 1
    assert max(pauses) > 5  # one in twenty of twenty-five is
