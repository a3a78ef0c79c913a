"""Limits counted exactly, on a clock that the test moves."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync.config import Plan
from cjasync.sandbox.accounts import Accounts
from cjasync.sandbox.limits import PointsBucket, SlidingWindow
from cjasync.sandbox.refusal import Refusal
from cjasync.sandbox.settings import Settings
from cjasync.sandbox.stats import Stats

DAY = 86_400


@given(st.integers(1, 6), st.lists(st.integers(0, 400), min_size=1, max_size=120))
@settings(deadline=None, max_examples=150)
def test_no_sliding_second_ever_holds_more_than_the_limit_and_no_refusal_is_without_need(limit, gaps):
    window = SlidingWindow(limit)
    taken = []
    now = 0
    for gap in gaps:
        now += gap
        arrival = now / 1024
        inside = sum(arrival - 1 < earlier <= arrival for earlier in taken)
        assert window.full(arrival) == (inside >= limit)
        if inside < limit:
            window.take(arrival)
            taken.append(arrival)
    recent = deque()
    for arrival in taken:
        recent.append(arrival)
        while recent[0] <= arrival - 1:
            recent.popleft()
        assert len(recent) <= limit


def test_a_rate_below_one_is_one_in_a_longer_time():
    window = SlidingWindow(0.25)
    window.take(0.0)
    assert window.full(3.999)
    assert not window.full(4.0)
    assert str(window) == "1 time/4second"
    assert str(SlidingWindow(1)) == "1 time/1second"
    assert not SlidingWindow(None).full(0.0)


def test_points_come_back_by_the_minute_and_wholly_at_midnight():
    points = PointsBucket(50_000, 10 * DAY + 3600, refills=True)
    points.take(1000)
    assert (points.used, points.remaining) == (1000, 49_000)
    points.catch_up(10 * DAY + 3659)
    assert points.remaining == 49_000
    points.catch_up(10 * DAY + 3660)
    assert points.remaining == 49_034
    points.catch_up(10 * DAY + 3600 + 28 * 60)
    assert points.remaining == 49_972
    points.catch_up(10 * DAY + 3600 + 29 * 60)
    assert (points.used, points.remaining) == (1000, 50_000)
    points.take(50_000)
    points.catch_up(11 * DAY - 1)
    assert points.used == 51_000
    points.catch_up(11 * DAY)
    assert (points.used, points.remaining) == (0, 50_000)
    points.take(50)
    points.catch_up(11 * DAY - 5000)
    assert points.remaining == 49_950


def test_points_without_refill_wait_for_midnight():
    points = PointsBucket(100, 0.0, refills=False)
    points.take(100)
    points.catch_up(DAY - 1)
    assert points.remaining == 0
    points.catch_up(DAY)
    assert points.remaining == 100


def test_the_worst_second_is_the_fullest_sliding_one():
    stats = Stats()
    for arrival in (0.0, 0.9, 1.0, 1.1, 1.5, 3.0):
        stats.arrival(arrival, "ip a")
    assert stats.report()["worst_second"] == {"ip a": 4}
    assert stats.report()["seconds"] == 3.0


class Still:
    now = 1_750_000_000.0

    def time(self):
        return self.now

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


def test_tokens_look_like_cjs_and_live_as_long_as_they_are_told():
    clock = Still()
    accounts = Accounts(Settings(access_lifetime=100.0, refresh_lifetime=1000.0), clock)
    account = accounts.add(Plan())
    pair = accounts.login(account)
    assert pair.access.startswith(f"API@CJ{account.number}@CJ:eyJ")
    assert 570 <= len(pair.access) <= 610
    assert pair.access.count(".") == 2
    assert accounts.login(account) == pair
    assert accounts.of_token(pair.access) is account
    clock.now += 100
    with pytest.raises(Refusal) as caught:
        accounts.of_token(pair.access)
    assert (caught.value.code, caught.value.status) == (1600001, 401)
    fresh = accounts.refresh(pair.refresh)
    assert fresh.refresh == pair.refresh
    assert fresh.refresh_until == pair.refresh_until
    assert accounts.of_token(fresh.access) is account
    clock.now += 900
    with pytest.raises(Refusal) as caught:
        accounts.refresh(pair.refresh)
    assert caught.value.code == 1600003


def test_a_pair_of_tokens_is_kept_for_a_day():
    clock = Still()
    accounts = Accounts(Settings(), clock)
    account = accounts.add(Plan())
    pair = accounts.login(account)
    clock.now += DAY - 1
    assert accounts.login(account) == pair
    clock.now += 1
    assert accounts.login(account) != pair
    assert accounts.of_token(pair.access) is account


def test_no_secret_in_an_accounts_repr():
    accounts = Accounts(Settings(), Still())
    account = accounts.add(Plan())
    pair = accounts.login(account)
    assert account.api_key not in repr(account)
    assert pair.access not in repr(account)
