"""The ledger in Redis: the same arithmetic in one script, on a real server where there is one, else on its double."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from copy import deepcopy
from functools import partial

import fakeredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis.asyncio import Redis

from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.errors import ConfigError, QuotaExhaustedError, StoreError
from cjasync.quota import Limiter, PointsInfo, Refusal, open_store
from cjasync.quota.bucket import DAY, GRAIN, MINUTE, SECOND, Budget, Rate, Seats
from cjasync.quota.ledger import Settlement, book, settle
from cjasync.quota.redis import RedisStore, read_script
from cjasync.quota.state import Exhausted, NotBefore, RateState
from cjasync.quota.tickets import Booking, Ticket
from cjasync.testing.clock import VirtualClock, run
from tests.integration import cancelling
from tests.integration.loops import run_clean

LIST = Endpoint(method="GET", path="product/list", answer=object, points=50)
MS = SECOND // 1000


@pytest.fixture(scope="module")
def server():
    """The port of a redis-server of our own, or None where none is installed."""
    if shutil.which("redis-server") is None:
        yield None
        return
    port = free_port()
    process = start_redis(port)
    yield port
    process.terminate()
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_redis(port: int) -> subprocess.Popen[bytes]:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.01)
    return process


class Shop:
    """Opens clients of one fresh Redis."""

    def __init__(self, port: int | None) -> None:
        self.port = port
        self.double = fakeredis.FakeServer()

    def client(self) -> Redis:
        if self.port is None:
            return fakeredis.FakeAsyncRedis(server=self.double)
        return Redis(host="127.0.0.1", port=self.port)


async def empty(port: int | None) -> Redis:
    """A client of a server that holds nothing."""
    client = Shop(port).client()
    await client.flushall()
    return client


@pytest.fixture
async def shop(server):
    await (await empty(server)).aclose()
    return Shop(server)


def limiter(client: Redis, account: str = "me", on_exhausted: str = "raise", **plan) -> Limiter:
    return Limiter(Plan(**plan), RedisStore(client=client), account=account, on_exhausted=on_exhausted)


async def send(lim: Limiter) -> None:
    ticket = await lim.admit(LIST)
    ticket.sent()
    ticket.answered()


async def test_machines_share_one_day(shop):
    one, two = shop.client(), shop.client()
    here, there = (limiter(client, qps=None, ip_qps=None, daily_calls=7, daily_points=None) for client in (one, two))
    outcomes = await asyncio.gather(*(send(lim) for lim in (here, there) * 5), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 3
    assert {type(error) for error in refused} == {QuotaExhaustedError}
    assert refused[0].used == refused[0].limit == 7
    usage = await there.usage()
    assert usage["calls product/list"].used == 7
    assert usage["calls product/list"].remaining == 0
    assert usage["accounts at this address"].used == 1
    for lim in (here, there):
        await lim.aclose()
    for client in (one, two):
        await client.aclose()


async def test_machines_share_one_rate(shop):
    clients = [shop.client() for _ in range(3)]
    sends: list[float] = []

    async def machine(client):
        lim = limiter(client, qps=10, ip_qps=None, daily_calls=25, daily_points=None)

        async def worker():
            while True:
                try:
                    ticket = await lim.admit(LIST)
                except QuotaExhaustedError:
                    return
                ticket.sent()
                sends.append(time.monotonic())
                await asyncio.sleep(0.005)
                ticket.answered()

        await asyncio.gather(*(worker() for _ in range(6)))
        await lim.aclose()

    await asyncio.gather(*(machine(client) for client in clients))
    for client in clients:
        await client.aclose()
    assert len(sends) == 25
    sends.sort()
    assert all(last - first >= 1 for first, last in zip(sends, sends[10:], strict=False))


async def test_points_and_refusals_are_shared(shop):
    one, two = shop.client(), shop.client()
    here, there = (limiter(client, qps=6, ip_qps=None, daily_calls=None) for client in (one, two))
    ticket = await here.admit(LIST)
    ticket.sent()
    ticket.answered(PointsInfo(56_107, 50_000, 60))
    await asyncio.sleep(0.05)
    points = (await there.usage())["points"]
    assert (points.limit, points.remaining, points.source) == (56_107, 60, "server")
    await send(there)
    with pytest.raises(QuotaExhaustedError):
        await here.admit(LIST)
    free = Endpoint(method="GET", path="product/getCategory", answer=object)
    ticket = await there.admit(free)
    ticket.refused(Refusal(kind="qps", times=1, seconds=20))
    await asyncio.sleep(0.05)
    from cjasync.errors import WaitTooLongError

    with pytest.raises(WaitTooLongError):
        await here.admit(free, max_wait=10)
    requests = (await here.usage())["requests"]
    assert (requests.limit, requests.remaining, requests.source) == (1, 0, "server")
    assert [hour.used for hour in points.hours] == [50]
    for lim in (here, there):
        await lim.aclose()
    for client in (one, two):
        await client.aclose()


async def test_what_never_left_is_given_back(shop):
    client = shop.client()
    lim = limiter(client, qps=1, ip_qps=None)
    (await lim.admit(LIST)).unsent()
    await asyncio.sleep(0.05)
    ticket = await lim.admit(LIST, max_wait=0.5)
    assert (await lim.usage())["points"].used == 50
    ticket.answered()
    await lim.aclose()
    assert (await lim.usage())["requests"].used == 1, "closing wrote it down; asking opens it again"
    await lim.aclose()
    await client.aclose()


async def test_a_cancellation_that_the_client_loses_passes_all_the_same(shop):
    client = shop.client()
    lim = limiter(client, qps=None, ip_qps=None)
    await send(lim)
    await lim.usage()  # which writes down the answer: what is lost is to be the question
    script, begun = lim.store._script, asyncio.Event()

    async def losing(**given):
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await script(**given)

    lim.store._script = losing
    asking = asyncio.create_task(lim.usage())
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    lim.store._script = script
    await send(lim)
    await lim.aclose()
    await client.aclose()


async def test_a_store_that_is_emptied_is_told_to_everybody_once_each_time(shop):
    one, two = shop.client(), shop.client()
    here, there = (limiter(client, qps=None, ip_qps=None, daily_calls=3) for client in (one, two))
    for lim in (here, here, there):
        await send(lim)
    for _ in range(2):
        await one.flushall()
        for lim in (here, there):
            with pytest.raises(StoreError, match="emptied"):
                await send(lim)
        for lim in (here, there):
            await send(lim)
    for lim in (here, there):
        await lim.aclose()
    for client in (one, two):
        await client.aclose()


class Mortal:
    """A Redis that can be killed with all it knows, and comes back with nothing: a real one where there is one."""

    def __init__(self, real: bool) -> None:
        self.port, self.double = free_port() if real else None, fakeredis.FakeServer()
        self.process = start_redis(self.port) if self.port else None

    def client(self) -> Redis:
        if self.port is None:
            return fakeredis.FakeAsyncRedis(server=self.double)
        return Redis(host="127.0.0.1", port=self.port, retry=None)

    def dies(self) -> None:
        self.double.connected = False
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def comes_back(self) -> None:
        self.double.connected = True
        if self.port is not None:
            self.process = start_redis(self.port)
        else:
            fakeredis.FakeRedis(server=self.double).flushall()


async def test_a_server_that_dies_while_callers_wait_is_told_to_all_of_them_and_not_trusted_when_it_is_back(server):
    redis = Mortal(server is not None)
    client = redis.client()
    lim = limiter(client, qps=2, ip_qps=None, daily_calls=None)
    await send(lim)
    await send(lim)
    waiting = [asyncio.create_task(send(lim)) for _ in range(5)]
    await asyncio.sleep(0.05)
    redis.dies()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StoreError}
    with pytest.raises(StoreError, match="nothing is sent meanwhile"):
        await send(lim)
    redis.comes_back()
    with pytest.raises(StoreError, match="emptied"):
        await send(lim)
    await send(lim)
    await lim.aclose()
    await client.aclose()
    redis.dies()


async def test_a_server_that_may_forget_buckets_is_not_used(shop, monkeypatch):
    client = shop.client()

    async def info(section):
        return {"maxmemory": 10**8, "maxmemory_policy": "allkeys-lru"}

    monkeypatch.setattr(client, "info", info)
    lim = limiter(client)
    with pytest.raises(StoreError, match="noeviction"):
        await lim.admit(LIST)
    await client.aclose()


async def test_a_server_that_is_not_there_is_a_clear_error():
    port = free_port()
    store = open_store(f"redis://user:secret@127.0.0.1:{port}/3")
    lim = Limiter(Plan(), store, account="me")
    for _ in range(2):
        assert lim.try_admit(LIST) is None
        with pytest.raises(StoreError) as caught:
            await lim.admit(LIST)
        assert f"redis://127.0.0.1:{port}/3" in str(caught.value)
        assert "secret" not in str(caught.value)
    await lim.aclose()


async def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    lim = Limiter(Plan(), open_store("redis://localhost"), account="me")
    with pytest.raises(ConfigError, match=r"cjasync\[redis\]"):
        await lim.admit(LIST)


async def test_a_url_that_makes_no_sense_is_a_clear_error():
    lim = Limiter(Plan(), RedisStore("rodis://localhost"), account="me")
    with pytest.raises(ConfigError, match="redis URL"):
        await lim.admit(LIST)


async def all_that_asks(lim: Limiter, sent: list[Ticket]) -> None:
    """What opens, reads, books, settles and closes."""
    try:
        await lim.usage()
        for _ in range(3):
            sent.append(await lim.admit(LIST))
            sent[-1].answered()
        (await lim.admit(LIST)).unsent()
        await lim.usage()
    finally:
        await lim.aclose()


def everybody(begun: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """As at the end of a loop."""
    return begun


@pytest.mark.parametrize(
    ("whom", "qps", "lost"),
    [
        pytest.param(None, 33.3, 0, id="the caller"),
        pytest.param(everybody, 100, 1, id="everybody"),
    ],
)
def test_cancelled_at_every_await_it_costs_one_slot_at_most_and_goes_on(server, monkeypatch, whom, qps, lost):
    """On connections of its own, beside another machine; and at each turn of its closing."""
    clients = []

    def connect(url, **options):
        clients.append(from_url(url, **options) if server else fakeredis.FakeAsyncRedis(server=double, **options))
        clients[-1].auto_close_connection_pool = True  # as if the double were made from an address
        return clients[-1]

    from_url, double = Redis.from_url, fakeredis.FakeServer()
    monkeypatch.setattr(Redis, "from_url", connect)
    monkeypatch.setattr(cancelling, "covered", set())
    plan = Plan(qps=qps, ip_qps=None, daily_calls=1000)

    async def main():
        await (await empty(server)).aclose()
        url = f"redis://127.0.0.1:{server or 6379}/0"
        here, there = (Limiter(plan, RedisStore(url), account="me") for _ in range(2))
        await send(there)
        through = False
        while not through:
            sent, before = [], (await there.usage())["calls product/list"].used
            begin = partial(all_that_asks, here, sent)
            task = await cancelling.cancelled_at_new_places(begin, cancelling.REDIS, whom=whom)
            through = not task.cancelled()
            if through:
                task.result()
            assert (await there.usage())["calls product/list"].used - before <= len(sent) + lost
            for lim in (there, here):
                (await lim.admit(LIST, max_wait=1)).answered()
            await here.aclose()
            assert connected(clients[1:]) == 0
        for turns in range(1, 6):
            await here.usage()
            closing = asyncio.ensure_future(here.aclose())
            for _ in range(turns):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait((closing,))
            assert connected(clients[1:]) == 0
        await there.aclose()

    run_clean(main())
    assert cancelling.missed(cancelling.REDIS) == []


def connected(clients: list[Redis]) -> int:
    pools = [client.connection_pool for client in clients]
    assert not any(pool._in_use_connections for pool in pools)
    return sum(connection.is_connected for pool in pools for connection in pool._available_connections)


class OnVirtualTime(RedisStore):
    def clock(self, desk) -> int:
        return int(desk.wall() * 1e6)


def test_a_day_ends_on_the_server_too():
    clock = VirtualClock()

    async def main():
        client = fakeredis.FakeAsyncRedis()
        lim = Limiter(
            Plan(qps=None, ip_qps=None, daily_calls=3, daily_points=None),
            OnVirtualTime(client=client),
            account="me",
            clock=clock,
            on_exhausted="wait",
        )
        for _ in range(7):
            await send(lim)
        await lim.aclose()
        await client.aclose()

    run(main(), clock=clock)
    assert 2 * 86_400 <= clock.monotonic() - 1000 < 2 * 86_400 + 60


# The script and the Python arithmetic are two renderings of the same rules: whatever happens, they must agree.

claims = st.builds(
    lambda qps, per, jitter, calls, until_points, points, cost, keep, own_calls, own_points, seats, me: (
        Seats("seats", me, seats),
        Budget("calls", "calls", calls, keep=keep, until_points=until_points, cap=own_calls, cap_keep=keep),
        Budget("points", "points", points, cost, trickles=True, cap=own_points),
        Rate("ip", "ip", qps + 1),
        Rate("account", "account", qps, per, jitter),
    ),
    st.integers(1, 3),
    st.sampled_from([SECOND, SECOND // 2]),
    st.sampled_from([2 * SECOND, SECOND // 50, 0]),
    st.one_of(st.none(), st.integers(3, 12)),
    st.booleans(),
    st.one_of(st.none(), st.integers(50, 300)),
    st.sampled_from([10, 50]),
    st.integers(0, 2),
    st.one_of(st.none(), st.integers(3, 5)),
    st.one_of(st.none(), st.integers(40, 200)),
    st.integers(1, 2),
    st.sampled_from(["me", "you"]),
)


def beside(one, me, cost, keep, own_calls, own_points, jitter):
    """What another client of the same account claims: the same buckets, limits and a way of its own."""
    seats, calls, points, *rates, account = one
    return (
        replace(seats, account=me),
        replace(calls, keep=keep, cap=own_calls),
        replace(points, cost=cost, cap=own_points, cap_keep=keep),
        *rates,
        replace(account, jitter=jitter),
    )


two_clients = claims.flatmap(
    lambda one: st.tuples(
        st.just(one),
        st.builds(
            beside,
            st.just(one),
            st.sampled_from(["me", "you"]),
            st.sampled_from([10, 50]),
            st.integers(0, 2),
            st.one_of(st.none(), st.integers(3, 5)),
            st.one_of(st.none(), st.integers(40, 200)),
            st.sampled_from([2 * SECOND, SECOND // 50, 0]),
        ),
    )
)
microseconds = st.integers(0, 1_500_000)
refusals = st.one_of(
    st.none(),
    st.builds(
        Refusal,
        kind=st.sampled_from(["qps", "daily", "points", "account"]),
        times=st.one_of(st.none(), st.integers(1, 2)),
        seconds=st.integers(1, 3),
        remaining=st.one_of(st.none(), st.integers(0, 60)),
        limit=st.one_of(st.none(), st.integers(3, 300)),
    ),
)
event = st.one_of(
    st.tuples(st.just("book"), microseconds, st.integers(0, 2)),
    st.tuples(st.just("book"), st.sampled_from([0, 3_600_000_000, 86_400_000_000]), st.integers(0, 2)),
    st.tuples(st.just("set back"), microseconds, st.sampled_from([1, 900, 3_600, 86_400, 3 * 86_400])),
    st.tuples(st.just("sent"), microseconds, st.integers(0, 30)),
    st.tuples(st.just("unsent"), microseconds, st.integers(0, 30)),
    st.tuples(
        st.just("answered"),
        microseconds,
        st.integers(0, 30),
        microseconds,
        refusals,
        st.one_of(st.none(), st.tuples(st.sampled_from([None, 300, 1000]), st.integers(0, 300))),
    ),
)


class Clockwork:
    """A desk whose clock the test turns. The wall clock, which is the server's too, may have been set back."""

    def __init__(self) -> None:
        self.now = 20_000 * DAY + 7 * 3600 * SECOND
        self.set_back = 0
        self.who = 0
        self.answered: list[Settlement] = []

    def hand_over(self) -> list[Settlement]:
        answered, self.answered = self.answered, []
        return answered

    def ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return self.now - self.set_back

    def wall(self) -> float:
        return self.wall_ns() / 1e9


class OnClockwork(RedisStore):
    def clock(self, desk) -> int:
        return desk.wall_ns() // 1000


PLAIN = (
    Seats("seats", "me", 1),
    Budget("calls", "calls", 12),
    Budget("points", "points", 300, 10, trickles=True),
    Rate("ip", "ip", 2),
    Rate("account", "account", 1),
)


@example(  # who looks after the clock was set back for days sees what is spent
    clients=(PLAIN, PLAIN), events=[("book", 0, 0), ("set back", 0, 3 * 86_400)], answers_first=False
)
@given(clients=two_clients, events=st.lists(event, max_size=25), answers_first=st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_script_and_the_arithmetic_agree(server, clients, events, answers_first):
    async def main():
        client = await empty(server)
        store, desk, bookings = OnClockwork(client=client), Clockwork(), [Booking(claims) for claims in clients]
        states = [claim.new() for claim in clients[0]]
        marks: dict[int, int] = {}
        booked: dict[int, tuple[Booking, int]] = {}
        if answers_first:  # enough of them to have learnt something
            for token in range(100, 118):
                job = Settlement(bookings[0], token, "answered", desk.now, 50 * MS + token * MS)
                settle(job, states, desk.now, desk.wall_ns())
                await store.settle([job], desk)
        for token, (kind, pause, *rest) in enumerate(events, 1):
            desk.now += pause * 1000
            if kind == "book":
                desk.who = rest[0]
                booking = bookings[desk.who % 2]
                expected = book(booking.claims, states, desk.now, desk.wall_ns(), token, desk.who)
                verdict = await store.book(booking, desk, token)
                compare(expected, verdict)
                if expected is None:
                    marks[token] = states[2].charged
                    booked[token] = booking, desk.now
                    assert verdict.charged == states[2].charged
                continue
            if kind == "set back":
                await store.settle([], desk)  # the script knows of a clock that is set back what it has seen of it
                desk.set_back += rest[0] * SECOND
                await store.settle([], desk)
            if kind == "set back" or not marks:
                continue
            known = list(marks)[rest[0] % len(marks)]
            if kind == "answered":
                took, refusal, figures = rest[1:]
                points = None if figures is None else PointsInfo(figures[0], None, figures[1])
                scope = "account" if refusal is not None and refusal.kind == "qps" else None
                stop = desk.now + 2 * SECOND if scope else 0
                job = Settlement(
                    booked[known][0], known, kind, desk.now, took * 1000, marks[known], points, refusal, scope, stop
                )
            else:
                booking, at = booked[known]
                job = Settlement(booking, known, kind, at if kind == "unsent" else desk.now, charged=marks[known])
            settle(job, states, desk.now, desk.wall_ns())
            await store.settle([job], desk)
            if kind != "sent":
                del marks[known]
        await same_usage(store, desk, clients[0], states)
        await client.aclose()

    asyncio.run(main())


def test_there_too_a_jitter_holds_though_a_larger_one_held_when_it_was_stated(server):
    async def main():
        large, lesser, none = (Booking((Rate("r", "account", 1, jitter=seconds * SECOND),)) for seconds in (60, 10, 0))
        client, state = await empty(server), RateState()
        store, desk, verdicts = OnClockwork(client=client), Clockwork(), []
        steps = [(0, large), (62, lesser), (2, none), (8, none), (2, none)]
        for token, (pause, booking) in enumerate(steps):
            desk.now, desk.who = desk.now + pause * SECOND, pause
            expected = book(booking.claims, [state], desk.now, desk.now, token, desk.who)
            verdicts.append(await store.book(booking, desk, token))
            compare(expected, verdicts[-1])
        assert [isinstance(verdict, Ticket) for verdict in verdicts] == [True, True, False, False, True]
        _, found = await store.read("", desk)
        assert (found["r"].jitter, found["r"].lesser) == (state.jitter, state.lesser)
        await client.aclose()

    asyncio.run(main())


turn = st.one_of(
    st.tuples(st.just("book"), st.sampled_from([0, 1, 2, 5, 21, 300, 1000]), st.integers(0, 3)),
    st.tuples(st.just("answered"), st.sampled_from([0, 1, 300]), st.integers(0, 5)),
    st.tuples(st.just("refused"), st.sampled_from([1, 300]), st.integers(0, 5)),
)


@given(limit=st.integers(1, 3), turns=st.lists(turn, min_size=5, max_size=40), schooling=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_the_script_lets_processes_take_turns_as_the_arithmetic_does(server, limit, turns, schooling):
    async def main():
        rate = Rate("r", "account", limit)
        client, state, booking = await empty(server), rate.new(), Booking((rate,))
        store, desk, out = OnClockwork(client=client), Clockwork(), []
        jobs = [Settlement(booking, 1000 + n, "answered", desk.now, (40 + n * 7 % 11) * MS) for n in range(schooling)]
        if jobs:
            await store.settle(jobs, desk)
        for job in jobs:
            settle(job, [state], desk.now, desk.now)
        for token, (kind, pause, n) in enumerate(turns):
            desk.now += pause * MS
            if kind == "book":
                desk.who = n
                for job in desk.answered:  # written along with the booking, before it
                    settle(job, [state], desk.now, desk.now)
                expected = book((rate,), [state], desk.now, desk.now, token, n)
                compare(expected, await store.book(booking, desk, token))
                if expected is None:
                    out.append(token)
            elif out:
                known, refusal = out.pop(n % len(out)), None
                if kind == "refused":
                    refusal = Refusal(kind="qps", times=limit, seconds=1)
                facts = (refusal, "account", desk.now + 50 * MS) if refusal else ()
                job = Settlement(booking, known, "answered", desk.now, 45 * MS, 0, None, *facts)
                if n % 2 and refusal is None:
                    desk.answered.append(job)
                    continue
                settle(job, [state], desk.now, desk.now)
                await store.settle([job], desk)
        for job in desk.hand_over():
            settle(job, [state], desk.now, desk.now)
            await store.settle([job], desk)
        await same_usage(store, desk, (rate,), [state])
        await client.aclose()

    asyncio.run(main())


def compare(expected, verdict):
    if expected is None:
        assert isinstance(verdict, Ticket)
    elif isinstance(expected, NotBefore):
        assert isinstance(verdict, NotBefore)
        assert verdict.bucket == expected.bucket
        assert abs(verdict.at - expected.at) <= 20_000, "rounding aside"
    else:
        assert isinstance(verdict, Exhausted)
        assert (verdict.bucket, verdict.used, verdict.limit) == (expected.bucket, expected.used, expected.limit)
        assert verdict.source == expected.source
        assert abs(verdict.resets_at - expected.resets_at) <= 20_000


async def same_usage(store, desk, claims, states):
    _, found = await store.read("", desk)
    for claim, state in zip(claims, deepcopy(states), strict=True):
        theirs = found.get(claim.key)
        if theirs is None:
            continue  # never asked for
        if isinstance(claim, Budget):
            claim.refill(state, desk.now, desk.wall_ns())
            claim.refill(theirs, desk.now, desk.wall_ns())
            assert (theirs.spent, theirs.today) == (state.spent, state.today)
            assert (theirs.limit, theirs.reported) == (state.limit, state.reported)
        elif isinstance(claim, Rate):
            claim.forget(state, desk.now, claim.per)
            claim.forget(theirs, desk.now, claim.per)
            assert sorted(theirs.flying) == sorted(state.flying)
            assert theirs.away == state.away
            assert abs(theirs.not_before - state.not_before) < 20_000
            assert abs(theirs.delays.credit - state.delays.credit) < 20_000
            assert abs(theirs.delays.margin - state.delays.margin) < 20_000
        else:
            assert theirs.seats.keys() == state.seats.keys()


def test_grains_and_minutes_mean_the_same_there():
    import re

    script = read_script()
    assert re.search(rf"GRAIN, .* = {GRAIN},", script)
    assert MINUTE == 60 * SECOND
