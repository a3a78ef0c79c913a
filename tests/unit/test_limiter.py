"""Admission in virtual time: who goes when, who waits, who is told what."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections import deque
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cjasync._endpoint import Endpoint
from cjasync.config import CHINA_TIME, Plan
from cjasync.errors import (
    ClosedError,
    ConfigError,
    QuotaExhaustedError,
    StoreError,
    TooManyAccountsError,
    WaitTooLongError,
)
from cjasync.quota import Limiter, MemoryStore, PointsInfo, Refusal, Ticket
from cjasync.testing.clock import VirtualClock, run

LIST = Endpoint(method="GET", path="product/list", answer=object, points=50)
FREE = Endpoint(method="GET", path="product/getCategory", answer=object)
LOGIN = Endpoint(method="POST", path="authentication/getAccessToken", answer=object)
SOURCING = Endpoint(method="POST", path="product/sourcing/create", answer=object)
NO_BUDGETS = {"daily_calls": None, "daily_points": None, "ip_qps": None}


def limiter(clock: VirtualClock, store: MemoryStore | None = None, account: str = "me", **settings) -> Limiter:
    options = {
        name: settings.pop(name)
        for name in ("on_exhausted", "background_reserve", "egress", "day_zone")
        if name in settings
    }
    return Limiter(Plan(**settings), store or MemoryStore(), account=account, clock=clock, **options)


async def send(lim: Limiter, endpoint: Endpoint = LIST, *, takes: float = 0.0, **options) -> Ticket:
    ticket = lim.try_admit(endpoint) if not options else None
    ticket = ticket or await lim.admit(endpoint, **options)
    ticket.sent()
    await asyncio.sleep(takes)
    ticket.answered()
    return ticket


class StrictServer:
    """Counts arrivals in any sliding window of a second, and calls per day; on its own true clock."""

    def __init__(self, qps: int, daily: int | None = None) -> None:
        self.qps, self.daily = qps, daily
        self.window: deque[float] = deque()
        self.calls: dict[int, int] = {}
        self.refused: list[str] = []

    def arrives(self, at: float, wall: float) -> Refusal | None:
        while self.window and at - self.window[0] >= 1 - 1e-6:
            self.window.popleft()
        day = int(wall // 86_400)
        if len(self.window) >= self.qps:
            return self._refuse(Refusal(kind="qps", times=self.qps, seconds=1))
        if self.daily is not None and self.calls.get(day, 0) >= self.daily:
            return self._refuse(Refusal(kind="daily", limit=self.daily))
        self.window.append(at)
        self.calls[day] = self.calls.get(day, 0) + 1
        return None

    def _refuse(self, refusal: Refusal) -> Refusal:
        self.refused.append(refusal.kind)
        return refusal


def share_of_rate(sends: list[float], qps: int) -> float:
    """How long so many seconds' worth of requests really took."""
    seconds = (len(sends) - 1) // qps
    return seconds / (sends[seconds * qps] - sends[0])


@pytest.mark.parametrize("qps", [1, 2, 4, 6, 100, 1000])
def test_a_strict_server_never_refuses_and_is_never_idle(qps):
    clock, server, sends = VirtualClock(), StrictServer(qps), []

    async def main():
        lim = limiter(clock, qps=qps, **NO_BUDGETS)
        total = qps * 20

        async def worker():
            while len(sends) < total:
                ticket = lim.try_admit(LIST) or await lim.admit(LIST)
                ticket.sent()
                sends.append(clock.monotonic())
                server.arrives(clock.monotonic(), clock.time())
                await asyncio.sleep(0.002)
                ticket.answered()

        await asyncio.gather(*(worker() for _ in range(qps + 2)))

    run(main(), clock=clock)
    assert server.refused == []
    assert share_of_rate(sends, qps) >= 0.99


def test_of_many_turns_that_are_back_at_once_only_a_few_are_handed_out_before_those_served_may_send():
    """Else the last of a thousand answers would be read when a thousand callers have sent, and each turn be late."""
    clock, held, most = VirtualClock(), 0, 0

    class Counting(MemoryStore):
        def try_book(self, booking, desk, token):
            nonlocal held, most
            verdict = super().try_book(booking, desk, token)
            held += isinstance(verdict, Ticket)
            most = max(most, held)
            return verdict

    async def caller(lim):
        nonlocal held
        ticket = await lim.admit(LIST)
        held -= 1
        ticket.sent()
        await asyncio.sleep(0)
        ticket.answered()

    async def main():
        lim = limiter(clock, Counting(), qps=500, **NO_BUDGETS)
        await asyncio.gather(*(caller(lim) for _ in range(1500)))

    run(main(), clock=clock)
    assert held == 0
    assert most <= 32


def crawl(qps: int, requests: int, there, back, seed: int = 1, **settings) -> tuple[float, StrictServer]:
    """Send that many as fast as allowed; the share of the rate that was reached in the second half, and the server."""
    clock, server, sends, arrivals = VirtualClock(), StrictServer(qps), [], []
    rnd = random.Random(seed)

    async def main():
        lim = limiter(clock, qps=qps, **NO_BUDGETS, **settings)

        async def worker():
            while len(sends) < requests:
                ticket = lim.try_admit(LIST) or await lim.admit(LIST)
                ticket.sent()
                sends.append(clock.monotonic())
                out = there(rnd)
                arrivals.append(clock.monotonic() + out)
                await asyncio.sleep(out + back(rnd))
                ticket.answered()

        await asyncio.gather(*(worker() for _ in range(qps + 3)))

    run(main(), clock=clock)
    for at in sorted(arrivals):
        server.arrives(at, at)
    half = len(sends) // 2
    return share_of_rate(sends[half:], qps), server


def jitter(rnd: random.Random) -> float:
    return rnd.uniform(0.010, 0.090)


def quick(rnd: random.Random) -> float:
    return rnd.uniform(0.018, 0.022)


def stalling(rnd: random.Random) -> float:
    return quick(rnd) + (0.2 if rnd.random() < 0.01 else 0.0)


@pytest.mark.parametrize("qps", [1, 6])
def test_delays_that_jitter_are_learnt_and_nothing_is_refused(qps):
    rate, server = crawl(qps, 6000, jitter, jitter)
    assert server.refused == []
    assert rate >= 0.92


@pytest.mark.parametrize("qps", [1, 6])
def test_how_long_cj_works_costs_nothing_where_the_jitter_of_the_way_is_stated(qps):
    def worked_on(rnd: random.Random) -> float:
        return quick(rnd) + rnd.lognormvariate(math.log(0.6), 0.5)

    cautious, strict = crawl(qps, 400 * qps, quick, worked_on)
    assert strict.refused == []
    assert cautious < 0.7, "an answer alone does not tell when its request was counted"
    rate, strict = crawl(qps, 400 * qps, quick, worked_on, jitter=0.005)
    assert strict.refused == []
    assert rate >= 0.99


@pytest.mark.parametrize(("there", "back"), [(quick, stalling), (stalling, quick)])
def test_rare_stalls_cost_only_those_who_stall(there, back):
    rate, server = crawl(6, 4000, there, back)
    assert server.refused == []
    assert rate >= 0.98


def test_ten_thousand_waiters_half_cancelled_go_out_in_order_at_the_full_rate():
    clock, order, stamps = VirtualClock(), [], []
    rnd = random.Random(5)
    victims = set(rnd.sample(range(10_000), 5000))

    async def main():
        lim = limiter(clock, qps=1000, **NO_BUDGETS)

        async def one(n):
            ticket = await lim.admit(LIST)
            ticket.sent()
            order.append(n)
            stamps.append(clock.monotonic())
            ticket.answered()

        tasks = [asyncio.create_task(one(n)) for n in range(10_000)]
        loop = asyncio.get_running_loop()
        for victim in victims:
            loop.call_later(rnd.uniform(0, 9), tasks[victim].cancel)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(done[n], asyncio.CancelledError) or done[n] is None for n in range(10_000))
        assert all(done[n] is None for n in range(10_000) if n not in victims)

    run(main(), clock=clock)
    assert order == sorted(order), "displacement is 0"
    for first, last in zip(stamps, stamps[1000:], strict=False):
        assert last - first >= 1 - 1e-6, "no token was minted"
    seconds = len(order) / 1000
    assert stamps[-1] - stamps[0] <= seconds + 0.05, "no token was lost"


def test_a_waiter_cancelled_at_the_moment_of_its_turn_hands_it_on():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=1, **NO_BUDGETS)
        await send(lim)
        first = asyncio.create_task(lim.admit(LIST))
        second = asyncio.create_task(lim.admit(LIST))
        while lim._line.waiting != 1:
            await asyncio.sleep(0)
            clock.advance(0.01)
        first.cancel()  # it has its ticket, and has not run since
        assert isinstance(await second, Ticket)
        assert clock.monotonic() < 1001.1
        with pytest.raises(asyncio.CancelledError):
            await first

    run(main(), clock=clock)


def test_nothing_is_booked_when_the_wait_is_too_long():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=1, daily_calls=10)
        await send(lim)
        with pytest.raises(WaitTooLongError, match=r"comes in 1\.0 s, which is longer") as caught:
            await lim.admit(LIST, max_wait=0.5)
        assert caught.value.retry_at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
        assert caught.value.endpoint == "product/list"
        usage = await lim.usage()
        assert usage["calls product/list"].used == 1
        assert usage["requests"].used == 1
        assert clock.monotonic() == 1000.0, "told at once"
        clock.advance(0.96)
        with pytest.raises(WaitTooLongError, match=r"comes in less than 0\.1 s, which is longer"):
            await lim.admit(LIST, max_wait=0.01)
        await lim.admit(LIST, max_wait=1.0)

    run(main(), clock=clock)


def test_with_a_line_ahead_the_wait_is_foreseen():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=2, **NO_BUDGETS)
        waiting = [asyncio.create_task(send(lim)) for _ in range(12)]
        await asyncio.sleep(0)
        began = clock.monotonic()
        with pytest.raises(WaitTooLongError):
            await lim.admit(LIST, max_wait=3)
        assert clock.monotonic() == began
        patient = asyncio.create_task(lim.admit(LIST, max_wait=8))
        await asyncio.gather(*waiting)
        assert isinstance(await patient, Ticket)

    run(main(), clock=clock)


def test_a_deadline_that_passes_while_waiting_is_told_in_time():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=5, **NO_BUDGETS)
        ticket = await lim.admit(FREE)
        task = asyncio.create_task(lim.admit(FREE, deadline=clock.monotonic() + 4))
        others = [asyncio.create_task(send(lim, FREE)) for _ in range(4)]
        await asyncio.gather(*others)
        assert isinstance(await task, Ticket)
        lost = [asyncio.create_task(lim.admit(FREE, deadline=clock.monotonic() + 1.2)) for _ in range(3)]
        await asyncio.sleep(0)
        ticket.refused(Refusal(kind="qps", seconds=30))  # the server's stop makes the wait longer than foreseen
        began = clock.monotonic()
        results = await asyncio.gather(*lost, return_exceptions=True)
        assert all(isinstance(result, WaitTooLongError | Ticket) for result in results)
        assert any(isinstance(r, WaitTooLongError) for r in results)
        assert clock.monotonic() - began <= 1.21

    run(main(), clock=clock)


def test_an_exhausted_day_says_until_when():
    clock = VirtualClock(datetime(2026, 3, 1, 15, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100, daily_calls=3, daily_points=None)
        for _ in range(3):
            await send(lim)
        with pytest.raises(QuotaExhaustedError) as caught:
            await lim.admit(LIST)
        error = caught.value
        assert (error.bucket, error.used, error.limit) == ("calls", 3, 3)
        assert error.resets_at == datetime(2026, 3, 2, tzinfo=UTC)
        assert error.endpoint == "product/list"
        await send(lim, FREE)  # another interface has its own count
        clock.advance(9 * 3600)
        await send(lim)

    run(main(), clock=clock)


def test_the_day_may_end_at_another_midnight():
    clock = VirtualClock(datetime(2026, 3, 1, 15, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100, daily_calls=1, daily_points=None, day_zone=CHINA_TIME)
        await send(lim)
        with pytest.raises(QuotaExhaustedError) as caught:
            await lim.admit(LIST)
        assert caught.value.resets_at == datetime(2026, 3, 1, 16, tzinfo=UTC)
        later = await lim.estimate(LIST, 2)
        assert later.ends_at == datetime(2026, 3, 2, 16, tzinfo=UTC)
        clock.advance(3600)
        await send(lim)

    run(main(), clock=clock)


def test_a_day_that_is_longer_in_autumn_is_none():
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        limiter(VirtualClock(), day_zone=ZoneInfo("Europe/Berlin"))


def test_waiting_for_the_reset_keeps_the_order_and_lets_others_pass():
    clock, order = VirtualClock(datetime(2026, 3, 1, 23, 50, tzinfo=UTC)), []

    async def main():
        lim = limiter(clock, qps=10, daily_calls=2, daily_points=None, on_exhausted="wait")

        async def one(n):
            await send(lim)
            order.append((n, clock.time()))

        tasks = [asyncio.create_task(one(n)) for n in range(4)]
        await asyncio.sleep(1)
        assert len(order) == 2
        await send(lim, FREE)
        assert clock.time() < datetime(2026, 3, 1, 23, 51, tzinfo=UTC).timestamp()
        with pytest.raises(QuotaExhaustedError):
            await lim.admit(LIST, max_wait=60)
        await asyncio.gather(*tasks)

    run(main(), clock=clock)
    assert [n for n, _ in order] == [0, 1, 2, 3]
    midnight = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
    assert midnight <= order[2][1] < midnight + 1


def test_points_come_back_by_the_minute():
    clock = VirtualClock(datetime(2026, 3, 1, 6, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100, daily_calls=None, on_exhausted="wait")
        (await lim.admit(LIST)).answered(PointsInfo(1440, 0, 1440))
        for _ in range(28):
            await send(lim)  # 1400 of 1440; 40 are left and one comes back every minute
        await send(lim)
        assert 600 <= clock.monotonic() - 1000 <= 601

    run(main(), clock=clock)


def test_bulk_work_leaves_the_reserve_to_interactive_calls():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=100, daily_calls=20, daily_points=None, background_reserve=0.25)
        for _ in range(15):
            await send(lim, priority="background")
        with pytest.raises(QuotaExhaustedError, match=r"all but .*\(15 of 20; background calls leave 5 to interactive"):
            await lim.admit(LIST, priority="background")
        for _ in range(5):
            await send(lim)
        with pytest.raises(QuotaExhaustedError):
            await lim.admit(LIST)

    run(main(), clock=clock)


def test_interactive_calls_go_before_bulk_work_that_waits():
    clock, order = VirtualClock(), []

    async def main():
        lim = limiter(clock, qps=1, **NO_BUDGETS)

        async def one(name, priority):
            await send(lim, priority=priority)
            order.append(name)

        bulk = [asyncio.create_task(one(f"bulk {n}", "background")) for n in range(4)]
        await asyncio.sleep(0.5)
        await asyncio.gather(one("person", "interactive"), *bulk)

    run(main(), clock=clock)
    assert order == ["bulk 0", "person", "bulk 1", "bulk 2", "bulk 3"]


def test_a_refusal_stops_the_account_until_a_deadline_that_no_other_answer_lifts():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=6, **NO_BUDGETS)
        refused, fine = await lim.admit(LIST), await lim.admit(LIST)
        refused.sent()
        fine.sent()
        refused.refused(Refusal(kind="qps", times=1, seconds=7))
        began = clock.monotonic()
        fine.answered()
        assert lim.try_admit(LIST) is None
        await send(lim)
        assert clock.monotonic() - began >= 7
        await send(lim)
        assert clock.monotonic() - began >= 14, "one in seven seconds is what the server said"

    run(main(), clock=clock)


def test_a_refusal_of_the_address_is_told_from_one_of_the_account_by_its_figure():
    clock = VirtualClock()

    async def main():
        store = MemoryStore()
        one = limiter(clock, store, "one", qps=6, daily_calls=None)
        two = limiter(clock, store, "two", qps=6, daily_calls=None)
        elsewhere = limiter(clock, store, "one", qps=6, daily_calls=None, egress="another address")
        ticket = await one.admit(FREE)
        ticket.sent()
        ticket.refused(Refusal(kind="qps", times=10, seconds=1))
        assert one.try_admit(FREE) is None
        assert two.try_admit(FREE) is None
        assert isinstance(await elsewhere.admit(FREE, max_wait=0), Ticket)

    run(main(), clock=clock)


def test_the_address_is_shared_by_the_accounts_behind_it():
    clock = VirtualClock()

    async def main():
        store, sends = MemoryStore(), []
        lims = [limiter(clock, store, name, qps=6, ip_qps=10, daily_calls=None) for name in "abc"]

        async def worker(lim):
            while clock.monotonic() < 1010:
                await send(lim, FREE)
                sends.append(clock.monotonic())

        await asyncio.gather(*(worker(lim) for lim in lims for _ in range(6)))
        for first, last in zip(sends, sends[10:], strict=False):
            assert last - first >= 1 - 1e-6
        assert len(sends) >= 0.97 * 100

    run(main(), clock=clock)


def test_an_account_that_cj_does_not_know_keeps_no_seat():
    clock = VirtualClock()

    async def main():
        store = MemoryStore()
        for name in ("a", "b", "mistyped", "mistyped again", "c"):
            lim = limiter(clock, store, name, daily_calls=None)
            ticket = await lim.admit(FREE)
            ticket.sent()
            if name.startswith("mistyped"):
                ticket.refused(Refusal(kind="account"))
            else:
                ticket.answered()
        assert (await lim.usage())["accounts at this address"].used == 3
        with pytest.raises(TooManyAccountsError, match=r"`Plan\(accounts_per_ip=None\)` lifts"):
            await limiter(clock, store, "d", daily_calls=None).admit(FREE)

    run(main(), clock=clock)


def test_a_fourth_account_is_told_before_anything_is_sent():
    clock = VirtualClock()

    async def main():
        store = MemoryStore()
        for name in "abc":
            await send(limiter(clock, store, name, daily_calls=None), FREE)
        with pytest.raises(TooManyAccountsError) as caught:
            await limiter(clock, store, "d", daily_calls=None).admit(FREE)
        assert caught.value.limit == 3
        assert caught.value.frees_at == datetime(2026, 1, 2, tzinfo=UTC)
        assert await limiter(clock, store, "d", accounts_per_ip=None).admit(FREE)
        assert await limiter(clock, store, "d", egress="elsewhere").admit(FREE)
        clock.advance(86_401)
        assert await limiter(clock, store, "d", daily_calls=None).admit(FREE)

    run(main(), clock=clock)


def test_a_credential_that_is_none_keeps_no_seat():
    clock = VirtualClock()

    async def main():
        store = MemoryStore()
        for name in "ab":
            await send(limiter(clock, store, name, daily_calls=None), FREE)
        mistyped = limiter(clock, store, "mistyped", qps=6, daily_calls=None)
        first, second = await mistyped.admit(FREE), await mistyped.admit(FREE)
        first.sent()
        second.unsent()
        with pytest.raises(TooManyAccountsError):
            await limiter(clock, store, "c", daily_calls=None).admit(FREE)
        first.refused(Refusal(kind="account"))
        right = limiter(clock, store, "c", qps=6, daily_calls=None)
        await send(right, FREE)
        revoked = await right.admit(FREE)
        revoked.refused(Refusal(kind="account"))
        with pytest.raises(TooManyAccountsError):  # CJ knew the account today, and counts it
            await mistyped.admit(FREE)

    run(main(), clock=clock)


def test_an_account_whose_request_never_left_keeps_no_seat():
    clock = VirtualClock()

    async def main():
        store = MemoryStore()
        for name in "abcd":
            (await limiter(clock, store, name, daily_calls=None).admit(FREE)).unsent()
        waiting = limiter(clock, store, "a", qps=1, ip_qps=None, daily_calls=None)
        ticket = await waiting.admit(FREE)
        with pytest.raises(WaitTooLongError):
            await waiting.admit(FREE, max_wait=0)
        assert (await waiting.usage())["accounts at this address"].used == 1, "that it waits again costs no seat"
        ticket.answered()

    run(main(), clock=clock)


def test_logins_are_rare_and_hold_up_nobody_else():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=2)
        await send(lim, LOGIN)
        began = clock.monotonic()
        again = asyncio.create_task(send(lim, LOGIN))
        await asyncio.sleep(0.01)
        await send(lim, FREE)
        assert clock.monotonic() - began < 2
        with pytest.raises(WaitTooLongError):
            await lim.admit(LOGIN, max_wait=100)
        await again
        assert clock.monotonic() - began >= 300

    run(main(), clock=clock)


def test_five_sourcing_requests_a_day():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=100, daily_points=None)
        for _ in range(5):
            await send(lim, SOURCING)
        with pytest.raises(QuotaExhaustedError, match="the day's sourcing requests are used up") as caught:
            await lim.admit(SOURCING)
        assert caught.value.bucket == "sourcing"
        assert await limiter(clock, lim.store, sourcing_daily=None).admit(SOURCING)

    run(main(), clock=clock)


def test_lifted_limits_are_lifted_and_still_counted_and_a_refusal_is_still_believed():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=None, ip_qps=None, daily_calls=None, daily_points=None, accounts_per_ip=None)
        for _ in range(500):
            await send(lim)
        assert clock.monotonic() == 1000.0
        usage = await lim.usage()
        assert (usage["calls product/list"].used, usage["calls product/list"].limit) == (500, None)
        assert "calls product/list" in usage
        assert "calls product/nothing" not in usage
        assert list(usage) == list(usage.buckets)
        assert (usage["points"].used, usage["points"].remaining) == (25_000, None)
        ticket = await lim.admit(LIST)
        ticket.refused(Refusal(kind="qps", times=2, seconds=1))
        await send(lim)
        assert clock.monotonic() >= 1001.0
        ticket = await lim.admit(LIST)
        clock.advance(3600)
        ticket.refused(Refusal(kind="daily", limit=1000))
        with pytest.raises(QuotaExhaustedError):
            await lim.admit(LIST)

    run(main(), clock=clock)


def test_what_never_left_is_not_charged_and_what_was_lost_is():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=2)
        unsent, lost = await lim.admit(LIST), await lim.admit(LIST)
        unsent.unsent()
        unsent.answered()  # too late: it has ended
        lost.sent()
        lost.lost()
        lost.unsent()
        usage = await lim.usage()
        assert usage["calls product/list"].used == 1
        assert usage["points"].used == 50
        began = clock.monotonic()
        await send(lim)
        await send(lim)
        assert clock.monotonic() - began <= 1.01, "the one that is unheard of keeps its turn only for a while"
        await send(lim)
        await send(lim)
        assert clock.monotonic() - began <= 4

    run(main(), clock=clock)


def test_the_servers_figure_leads():
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100, daily_calls=None)
        ticket = await lim.admit(LIST)
        later = await lim.admit(LIST)
        ticket.answered(PointsInfo(56_107, 50_110, 120))
        points = (await lim.usage())["points"]
        assert (points.limit, points.remaining, points.source) == (56_107, 70, "server"), (
            "the later one is not in it yet"
        )
        later.answered(PointsInfo(56_107, 50_210, 20))
        with pytest.raises(QuotaExhaustedError) as caught:
            await lim.admit(LIST)
        assert caught.value.resets_at == datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
        clock.advance(60)
        await send(lim)

    run(main(), clock=clock)


def test_a_limit_of_the_users_own_holds_whatever_cj_says_and_cjs_holds_beside_it():
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        store = MemoryStore()
        capped, free = limiter(clock, store, qps=100, daily_points=150), limiter(clock, store, qps=100)
        (await free.admit(LIST)).answered(PointsInfo(56_107, 50, 56_057))
        (await capped.admit(LIST)).answered(PointsInfo(56_107, 50, 56_107))
        usage = await capped.usage()
        assert [(b.limit, b.used, b.remaining, b.source) for b in usage.buckets if b.name == "points"] == [
            (56_107, 0, 56_107, "server"),
            (150, 100, 50, "user"),
        ]
        assert usage["points"].source == "user"
        assert (await free.usage())["points"].remaining == 56_107
        soon = await capped.estimate(LIST, 4)
        assert (soon.days, soon.limited_by) == (2, "your own limit of points")
        await send(capped)
        clock.advance(3600)  # CJ's points trickle back, the user's do not
        with pytest.raises(QuotaExhaustedError, match="your own limit of 150 points a day is used up") as caught:
            await capped.admit(LIST)
        error = caught.value
        assert (error.source, error.used, error.limit) == ("user", 150, 150)
        assert error.resets_at == datetime(2026, 3, 2, tzinfo=UTC)
        assert "`Plan(daily_points=None)` lifts it" in str(error)
        (await free.admit(LIST)).answered(PointsInfo(56_107, 56_107, 0))
        clock.advance(11 * 3600)
        await send(capped)
        clock.advance(60)
        (await free.admit(LIST)).answered(PointsInfo(56_107, 56_107, 0))
        with pytest.raises(QuotaExhaustedError, match="as CJ counts") as caught:
            await capped.admit(LIST)
        assert caught.value.source == "server"

    run(main(), clock=clock)


def test_a_limit_of_calls_that_the_user_states_does_not_end_with_points():
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100, daily_calls=3)
        for _ in range(3):
            (await lim.admit(LIST)).answered(PointsInfo(50_000, 0, 50_000))
        with pytest.raises(QuotaExhaustedError, match=r"`Plan\(daily_calls=None\)`") as caught:
            await lim.admit(LIST)
        assert (caught.value.bucket, caught.value.source, caught.value.limit) == ("calls", "user", 3)
        calls = [bucket for bucket in (await lim.usage()).buckets if bucket.name == "calls product/list"]
        assert [(bucket.limit, bucket.used, bucket.source) for bucket in calls] == [(3, 3, "user")]
        (await lim.admit(FREE)).unsent()
        clock.advance(12 * 3600)
        await send(lim)

    run(main(), clock=clock)


def test_lifted_points_are_lifted_also_where_the_ledger_knows_cjs_figure():
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        store = MemoryStore()
        (await limiter(clock, store).admit(LIST)).answered(PointsInfo(50_000, 50_000, 0))
        lifted = limiter(clock, store, qps=100, daily_points=None)
        await send(lifted)
        assert (await lifted.usage())["points"].remaining is None

    run(main(), clock=clock)


def test_what_never_left_is_given_back_once_also_after_a_report_that_is_without_it():
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100)
        never, sent = await lim.admit(LIST), await lim.admit(LIST)
        sent.answered(PointsInfo(50_000, 50, 49_950))
        never.unsent()
        assert (await lim.usage())["points"].used == 50

    run(main(), clock=clock)


def test_the_daily_count_of_calls_ends_with_the_first_report_of_points():
    """CJ has replaced one by the other; should it refuse for the count all the same, that is believed for the day."""
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100)
        for _ in range(2):
            await send(lim)
        assert (await lim.usage())["calls product/list"].limit == 1000
        (await lim.admit(LIST)).answered(PointsInfo(50_000, 150, 49_850))
        calls = (await lim.usage())["calls product/list"]
        assert (calls.limit, calls.used, calls.source) == (None, 3, "server")
        estimate = await lim.estimate(FREE, 500)
        assert (estimate.days, estimate.limited_by) == (1, "requests per second"), "also of an interface not yet called"
        for _ in range(10):
            await send(lim)
        (await lim.admit(LIST)).refused(Refusal(kind="daily", limit=14))
        with pytest.raises(QuotaExhaustedError) as caught:
            await lim.admit(LIST)
        assert (caught.value.bucket, caught.value.limit) == ("calls", 14)
        clock.advance(12 * 3600)
        for _ in range(15):
            await send(lim)

    run(main(), clock=clock)


def test_waiting_is_no_use_of_points():
    """Whoever waits asks again and again; neither the chart of hours nor the next report may count that."""
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=1, daily_calls=None)
        ticket = await lim.admit(LIST)
        waiting = [asyncio.create_task(lim.admit(LIST)) for _ in range(3)]
        await asyncio.sleep(1.9)
        ticket.answered(PointsInfo(50_000, 49_850, 150))
        points = (await lim.usage())["points"]
        assert points.remaining == 150
        assert [hour.used for hour in points.hours] == [50]
        for task in waiting:
            (await task).answered()
        assert (await lim.usage())["points"].hours[0].used == 200

    run(main(), clock=clock)


def test_a_refusal_just_after_midnight_does_not_cost_the_whole_day():
    clock = VirtualClock(datetime(2026, 3, 1, 0, 0, 3, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100, daily_points=None)
        ticket = await lim.admit(LIST)
        ticket.sent()
        ticket.refused(Refusal(kind="daily", limit=1000))
        with pytest.raises(QuotaExhaustedError) as caught:
            await lim.admit(LIST)
        assert caught.value.resets_at <= datetime(2026, 3, 1, 0, 1, 4, tzinfo=UTC)
        clock.advance(61)
        await send(lim)

    run(main(), clock=clock)


def test_a_week_of_the_free_plan():
    """A thousand calls a day, a clock that is set back an hour, a colleague who uses the same account."""
    clock, server = VirtualClock(datetime(2026, 3, 2, 7, tzinfo=UTC)), StrictServer(1, 1000)
    true_wall = clock.time() - clock.monotonic()
    per_day: dict[int, int] = {}

    def colleague() -> None:
        server.calls[int((clock.monotonic() + true_wall) // 86_400)] += 100

    async def main():
        lim = limiter(clock, qps=1, daily_points=None, on_exhausted="wait")
        loop = asyncio.get_running_loop()
        day = 86_400
        loop.call_later(2.2 * day, clock.set_wall, -3600)
        loop.call_later(4.6 * day, clock.set_wall, 3600)
        loop.call_later(5 * day + 17 * 3600 + 60, colleague)
        end = clock.monotonic() + 7 * day
        rnd = random.Random(3)
        while clock.monotonic() < end:
            ticket = lim.try_admit(LIST) or await lim.admit(LIST)
            ticket.sent()
            await asyncio.sleep(rnd.uniform(0.02, 0.03))
            refusal = server.arrives(clock.monotonic(), clock.monotonic() + true_wall)
            await asyncio.sleep(rnd.uniform(0.02, 0.03))
            if refusal is None:
                ticket.answered()
                today = int((clock.monotonic() + true_wall) // day)
                per_day[today] = per_day.get(today, 0) + 1
            else:
                ticket.refused(refusal)

    run(main(), clock=clock)
    assert server.refused == ["daily"], "once, because of the colleague, and never for going too fast"
    assert [per_day[day] for day in sorted(per_day)][:7] == [1000, 1000, 1000, 1000, 1000, 1000, 900]


def test_closing_tells_those_who_wait():
    clock = VirtualClock()

    async def main():
        lim = limiter(clock, qps=1, **NO_BUDGETS)
        await send(lim)
        waiting = [asyncio.create_task(lim.admit(LIST)) for _ in range(3)]
        await asyncio.sleep(0.1)
        waiting[1].cancel()
        await lim.aclose()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(r) for r in results] == [ClosedError, asyncio.CancelledError, ClosedError]

    run(main(), clock=clock)


def test_a_store_that_breaks_is_told_to_everybody_who_waits():
    clock = VirtualClock()

    class Breaking(MemoryStore):
        broken = False

        def try_book(self, booking, desk, token):
            if self.broken:
                raise StoreError("the disk is gone")
            return super().try_book(booking, desk, token)

    async def main():
        store = Breaking()
        lim = limiter(clock, store, qps=1, **NO_BUDGETS)
        await send(lim)
        waiting = [asyncio.create_task(lim.admit(LIST)) for _ in range(3)]
        await asyncio.sleep(0.1)
        store.broken = True
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(r) for r in results] == ["the disk is gone"] * 3
        with pytest.raises(StoreError):
            await lim.admit(LIST)
        store.broken = False
        await send(lim)

    run(main(), clock=clock)


@pytest.mark.parametrize(
    "settings", [{"background_reserve": 1.0}, {"background_reserve": -0.1}, {"on_exhausted": "cry"}]
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ConfigError):
        limiter(VirtualClock(), **settings)


def test_a_fraction_of_a_request_per_second_is_kept_by_spacing():
    clock, sends = VirtualClock(), []

    async def main():
        lim = limiter(clock, qps=2.5, **NO_BUDGETS)
        for _ in range(11):
            await send(lim)
            sends.append(clock.monotonic())

    run(main(), clock=clock)
    assert all(later - sooner >= 0.4 - 1e-6 for sooner, later in itertools.pairwise(sends))
    assert sends[-1] - sends[0] <= 4.05


def test_an_estimate_adds_up():
    clock = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=1)
        for _ in range(100):
            await send(lim)
        soon = await lim.estimate(LIST, 60)
        assert (soon.requests, soon.points, soon.days) == (60, 3000, 1)
        assert soon.seconds == pytest.approx(59)
        assert soon.limited_by == "requests per second"
        later = await lim.estimate(LIST, 2500)
        assert later.days == 3
        assert later.limited_by == "calls product/list"
        midnight = datetime(2026, 3, 3, tzinfo=UTC)
        assert midnight + timedelta(minutes=9) <= later.ends_at <= midnight + timedelta(minutes=11)
        with pytest.raises(ConfigError):
            await limiter(clock, daily_points=40).estimate(LIST, 1)
        for wrong in (-1, 2.5, "3", True):
            with pytest.raises(ConfigError, match="`calls` must be a whole number of 0 or more; not"):
                await lim.estimate(LIST, wrong)
        assert (await lim.estimate(LIST, 0)).points == 0
        free = await limiter(clock, qps=None, ip_qps=None, daily_calls=None, daily_points=None).estimate(LIST, 10**6)
        assert (free.seconds, free.limited_by) == (0, "nothing")

    run(main(), clock=clock)


def test_usage_shows_what_the_last_hours_used():
    clock = VirtualClock(datetime(2026, 3, 1, 12, 30, tzinfo=UTC))

    async def main():
        lim = limiter(clock, qps=100)
        for calls in (3, 0, 2):
            for _ in range(calls):
                await send(lim)
            clock.advance(3600)
        points = (await lim.usage())["points"]
        assert [(hour.starts_at.hour, hour.used) for hour in points.hours] == [(12, 150), (14, 100)]
        with pytest.raises(KeyError):
            (await lim.usage())["nonsense"]

    run(main(), clock=clock)
