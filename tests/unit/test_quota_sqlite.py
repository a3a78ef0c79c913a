"""The ledger on disk: what it keeps over restarts, who may read it, and what it says when it cannot be used."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.errors import ConfigError, QuotaExhaustedError, StoreError
from cjasync.quota import Limiter, MemoryStore, PointsInfo, Refusal, SQLiteStore, open_store
from cjasync.quota.bucket import SECOND
from cjasync.quota.database import Database
from cjasync.quota.places import default_path, shared_disk
from cjasync.testing.clock import VirtualClock, run

LIST = Endpoint(method="GET", path="product/list", answer=object, points=50)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@contextlib.asynccontextmanager
async def opened(path: Path, clock: VirtualClock, **plan):
    lim = Limiter(Plan(**plan), SQLiteStore(path), account="me", clock=clock)
    yield lim
    await lim.aclose()


async def send(lim: Limiter, times: int = 1) -> None:
    for _ in range(times):
        ticket = lim.try_admit(LIST) or await lim.admit(LIST)
        ticket.sent()
        await asyncio.sleep(0.01)
        ticket.answered()


def in_one_run(path: Path | None, work, *, clock: VirtualClock | None = None, **plan):
    clock = clock or VirtualClock(NOON)

    async def main():
        async with opened(path, clock, **plan) as lim:
            return await work(lim)

    return run(main(), clock=clock)


async def test_closing_that_is_cancelled_before_a_thread_is_free_closes_the_file_all_the_same(tmp_path):
    store = SQLiteStore(tmp_path / "quota.db")
    lim = Limiter(Plan(qps=100), store, account="me")
    await send(lim)
    loop, free = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, free.wait)
    closing = asyncio.ensure_future(lim.aclose())
    for _ in range(5):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.sleep(0)
    free.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not store._file.is_open
    await busy


async def test_who_comes_when_the_file_is_open_does_not_overtake_those_who_waited_for_that(tmp_path):
    lim = Limiter(Plan(qps=None), SQLiteStore(tmp_path / "quota.db"), account="me")
    waiting = asyncio.ensure_future(lim.admit(LIST))
    for _ in range(5):
        await asyncio.sleep(0)
    while not lim.store._file.is_open:
        time.sleep(0.001)  # noqa: ASYNC251 - the loop has not heard of it yet
    assert lim.try_admit(LIST) is None
    late = await lim.admit(LIST)
    assert (await waiting).token < late.token
    await lim.aclose()


def test_a_restart_goes_on_where_the_day_stood(tmp_path):
    path = tmp_path / "quota.db"
    in_one_run(path, lambda lim: send(lim, 3), qps=100, daily_calls=5)

    async def second(lim):
        usage = await lim.usage()
        assert usage["calls product/list"].used == 3
        assert usage["points"].used == 150
        await send(lim, 2)
        with pytest.raises(QuotaExhaustedError):
            await lim.admit(LIST)

    in_one_run(path, second, qps=100, daily_calls=5)


def test_a_users_own_limit_goes_on_after_a_restart_also_in_a_ledger_that_did_not_count_for_it(tmp_path):
    path, clock = tmp_path / "quota.db", VirtualClock(NOON)

    async def first(lim):
        for _ in range(3):
            (await lim.admit(LIST)).answered(PointsInfo(50_000, 0, 50_000))

    async def second(lim):
        await send(lim)
        with pytest.raises(QuotaExhaustedError, match="your own limit of 200 points") as caught:
            await lim.admit(LIST)
        assert caught.value.used == 200
        assert (await lim.usage())["points"].source == "user"

    async def today_and_tomorrow(lim):
        with pytest.raises(QuotaExhaustedError):
            await lim.admit(LIST)
        clock.advance(12 * 3600)
        await send(lim, 4)
        with pytest.raises(QuotaExhaustedError):
            await lim.admit(LIST)

    in_one_run(path, first, clock=clock, qps=100)
    in_one_run(path, second, clock=clock, qps=100, daily_points=200)
    with contextlib.closing(sqlite3.connect(path)) as db:
        for key, blob in db.execute("SELECT key, state FROM bucket WHERE key LIKE 'account:%'").fetchall():
            states = msgspec.msgpack.decode(blob)
            for state in states.values():
                if state[0] == "budget":
                    del state[-1]  # `dawn`
            db.execute("UPDATE bucket SET state = ? WHERE key = ?", (msgspec.msgpack.encode(states), key))
        db.commit()
    in_one_run(path, today_and_tomorrow, clock=clock, qps=100, daily_points=200)


def test_a_restart_of_the_machine_neither_frees_nor_blocks(tmp_path):
    """The monotonic clock begins again, and the ledger goes on."""
    path = tmp_path / "quota.db"

    async def stopped(lim):
        await send(lim)
        ticket = await lim.admit(LIST)
        ticket.sent()
        ticket.refused(Refusal(kind="qps", times=1, seconds=30))

    clock = VirtualClock(NOON)
    clock.advance(500_000)
    in_one_run(path, stopped, clock=clock, qps=1, daily_calls=None)
    rebooted = VirtualClock(datetime.fromtimestamp(clock.time() + 10, UTC))

    async def after(lim):
        await send(lim)
        assert 15 <= rebooted.monotonic() - 1000 <= 21, "of the 30 seconds about 10 passed while the machine was off"

    in_one_run(path, after, clock=rebooted, qps=1, daily_calls=None)


def test_a_machine_that_comes_up_with_its_clock_set_back_still_goes_on(tmp_path):
    path = tmp_path / "quota.db"
    clock = VirtualClock(NOON)
    clock.advance(10_000)
    in_one_run(path, lambda lim: send(lim, 2), clock=clock, qps=1, daily_calls=2)
    early = VirtualClock(datetime(2026, 3, 1, 11, tzinfo=UTC))

    async def after(lim):
        with pytest.raises(QuotaExhaustedError):
            await lim.admit(LIST)
        other = Endpoint(method="GET", path="product/query", answer=object)
        await lim.admit(other)
        assert early.monotonic() <= 1015

    in_one_run(path, after, clock=early, qps=1, daily_calls=2)


@pytest.mark.parametrize("qps", [1, 6, 20])
def test_processes_share_one_limit_fairly(tmp_path, qps):
    """Four stores on one file, as in four processes, each with more to do than it may."""
    clock, sends = VirtualClock(NOON), []
    counts = dict.fromkeys(range(4), 0)

    async def process(n):
        lim = Limiter(
            Plan(qps=qps, ip_qps=None, daily_calls=None, daily_points=None),
            SQLiteStore(tmp_path / "quota.db"),
            account="me",
            clock=clock,
        )
        await lim.usage()
        seconds = 40 if qps == 1 else 12

        async def worker():
            while clock.monotonic() < 1000 + seconds:
                ticket = lim.try_admit(LIST) or await lim.admit(LIST)
                ticket.sent()
                sends.append(clock.monotonic())
                counts[n] += 1
                await asyncio.sleep(0.05)
                ticket.answered()

        await asyncio.gather(*(worker() for _ in range(qps + 1)))
        await lim.aclose()

    async def main():
        await asyncio.gather(*(process(n) for n in range(4)))

    run(main(), clock=clock)
    sends.sort()
    assert all(last - first >= 1 - 1e-6 for first, last in zip(sends, sends[qps:], strict=False))
    windows = (len(sends) - 1) // qps
    assert windows / (sends[windows * qps] - sends[0]) >= 0.93, "0.95 is what answers that take 50 ms leave of the rate"
    fair = len(sends) / 4
    assert min(counts.values()) >= 0.8 * fair


def test_processes_learn_from_each_others_answers_and_none_is_refused(tmp_path):
    clock, dice, arrivals = VirtualClock(NOON), random.Random(11), []

    async def process():
        plan = Plan(qps=4, ip_qps=None, daily_calls=None, daily_points=None)
        lim = Limiter(plan, SQLiteStore(tmp_path / "quota.db"), account="me", clock=clock)
        await lim.usage()

        async def worker():
            while clock.monotonic() < 1000 + 240:
                ticket = lim.try_admit(LIST) or await lim.admit(LIST)
                ticket.sent()
                there = dice.uniform(0.010, 0.090)
                arrivals.append(clock.monotonic() + there)
                await asyncio.sleep(there + dice.uniform(0.010, 0.090))
                ticket.answered()

        await asyncio.gather(*(worker() for _ in range(3)))
        await lim.aclose()

    async def main():
        await asyncio.gather(*(process() for _ in range(3)))

    run(main(), clock=clock)
    arrivals.sort()
    assert all(last - first >= 1 for first, last in zip(arrivals, arrivals[4:], strict=False))
    assert len(arrivals) >= 0.9 * 4 * 240


def test_two_accounts_and_three_kinds_of_calls_live_side_by_side(tmp_path):
    async def main():
        clock = VirtualClock(NOON)
        one = Limiter(Plan(), SQLiteStore(tmp_path / "q.db"), account="one", clock=clock)
        two = Limiter(Plan(), SQLiteStore(tmp_path / "q.db"), account="two", clock=clock)
        await send(one)
        await send(two)
        assert (await one.usage())["points"].used == 50
        assert (await one.usage())["accounts at this address"].used == 2
        await one.aclose()
        await two.aclose()

    asyncio.run(main())


def test_only_the_owner_may_read_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "state" / "cjasync" / "quota.db"
    in_one_run(None, lambda lim: send(lim))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_no_credential_is_written(tmp_path):
    from cjasync.quota import account_key

    path, secret = tmp_path / "quota.db", "CJ123456@api@0123456789abcdef0123456789abcdef"

    async def main():
        lim = Limiter(Plan(), SQLiteStore(path), account=account_key(secret))
        await send(lim)
        await lim.aclose()

    asyncio.run(main())
    written = path.read_bytes()
    assert b"CJ123456" not in written
    assert b"0123456789abcdef" not in written


def test_it_lives_in_the_users_state_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "cjasync" / "quota.db"
    assert SQLiteStore().path == default_path()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_path() == tmp_path / "home" / ".local" / "state" / "cjasync" / "quota.db"


def test_stores_are_named_by_urls(tmp_path):
    assert isinstance(open_store("memory"), MemoryStore)
    assert isinstance(open_store("memory://"), MemoryStore)
    assert open_store("sqlite").path == default_path()
    assert open_store("sqlite:///var/lib/q.db").path == Path("/var/lib/q.db")
    store = MemoryStore()
    assert open_store(store) is store
    for nonsense in ("postgres://host", "", "sqlite3", "redis"):
        with pytest.raises(ConfigError):
            open_store(nonsense)


def damaged(path: Path) -> None:
    path.write_bytes(b"this is no database, but a file of another kind" * 100)


def foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (x)")


def newer(path: Path) -> None:
    in_one_run(path, lambda lim: send(lim))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")


def older(path: Path) -> None:
    """As it was while each bucket had a row of its own."""
    in_one_run(path, lambda lim: send(lim))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=1")


def scribbled(path: Path) -> None:
    in_one_run(path, lambda lim: send(lim))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE bucket SET state = x'c1'")
        db.commit()


def folder(path: Path) -> None:
    path.mkdir()


def in_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("not a directory")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damaged, "is damaged"),
        (foreign, "not one of quotas"),
        (newer, "another version"),
        (older, "another version .* will not know what today has used"),
        (scribbled, "cannot be read"),
        (folder, "cannot be written"),
        (in_a_file, "cannot be written"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_clear_error_and_nothing_is_sent(tmp_path, spoil, words):
    path = tmp_path / "state" / "quota.db"
    path.parent.mkdir()
    spoil(path)

    async def work(lim):
        for _ in range(2):
            assert lim.try_admit(LIST) is None
            with pytest.raises(StoreError, match=words) as caught:
                await lim.admit(LIST)
            assert str(path) in str(caught.value)

    in_one_run(path, work)


async def call_many_endpoints(lim: Limiter) -> None:
    for n in range(200):  # a full disk has room in its last pages
        endpoint = Endpoint(method="GET", path=f"some/{'path' * 20}/{n}", answer=object)
        ticket = await lim.admit(endpoint)
        ticket.answered()


@pytest.mark.parametrize(
    ("pragma", "words"), [("PRAGMA max_page_count=1", "disk is full"), ("PRAGMA query_only=1", "cannot be written")]
)
def test_a_disk_that_fails_while_in_use_is_a_clear_error_and_recovers(tmp_path, pragma, words):
    path = tmp_path / "quota.db"

    async def work(lim):
        await send(lim)
        db = lim.store._file._db
        if "max_page" in pragma:
            db.execute("INSERT INTO bucket VALUES ('ballast', zeroblob(100000))")
            db.execute(f"PRAGMA max_page_count={db.execute('PRAGMA page_count').fetchone()[0]}")
        else:
            db.execute(pragma)
        with pytest.raises(StoreError, match=words):
            await call_many_endpoints(lim)
        db.execute("PRAGMA max_page_count=1000000")
        db.execute("PRAGMA query_only=0")
        await send(lim)

    in_one_run(path, work, qps=None, ip_qps=None, daily_calls=None)


def test_a_lock_that_nobody_lets_go_is_told_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("cjasync.quota.sqlite.PATIENCE", SECOND)
    path = tmp_path / "quota.db"

    async def work(lim):
        await send(lim)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert lim.try_admit(LIST) is None
            with pytest.raises(StoreError, match="has held the quota database"):
                await lim.admit(LIST)
            other.execute("ROLLBACK")
        await send(lim)

    in_one_run(path, work, qps=None)


def test_settlements_wait_for_a_lock_and_are_not_lost(tmp_path):
    path = tmp_path / "quota.db"

    async def work(lim):
        ticket = await lim.admit(LIST)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ticket.unsent()
            await asyncio.sleep(0.05)
            other.execute("ROLLBACK")
        await asyncio.sleep(0.05)
        assert (await lim.usage())["points"].used == 0
        late = await lim.admit(LIST)
        late.unsent()  # written by aclose

    in_one_run(path, work, qps=None)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM bucket").fetchone()[0] > 0
    in_one_run(path, check_nothing_used, qps=None)


async def check_nothing_used(lim: Limiter) -> None:
    assert (await lim.usage())["points"].used == 0


@pytest.mark.parametrize("taken", [["quota.db"], ["quota.db-wal"], ["quota.db-shm"], ["quota.db", "quota.db-wal"]])
def test_a_file_that_is_taken_away_is_noticed(tmp_path, taken):
    path, clock = tmp_path / "quota.db", VirtualClock(NOON)

    async def work(lim):
        await send(lim)
        for name in taken:
            (tmp_path / name).unlink()
        clock.advance(0.1)
        with pytest.raises(StoreError, match="removed or replaced"):
            await lim.admit(LIST)
        await send(lim)
        assert path.exists()

    in_one_run(path, work, clock=clock)


def test_two_machines_on_one_file_are_told(tmp_path, monkeypatch):
    path = tmp_path / "quota.db"

    async def main():
        here = Limiter(Plan(qps=None), SQLiteStore(path), account="me")
        await send(here)
        monkeypatch.setattr("cjasync.quota.sqlite.boot_id", lambda: "another machine")
        there = Limiter(Plan(qps=None), SQLiteStore(path), account="me")
        await send(there)
        with pytest.raises(StoreError, match="another machine"):
            await here.admit(LIST)
        await here.aclose()
        await there.aclose()

    asyncio.run(main())


MOUNTS = """\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 21 0:40 / /home rw - nfs4 server:/home rw
41 40 8:2 / /home/me/fast rw - xfs /dev/sdb1 rw
42 21 0:41 / /mnt/my\\040share rw - cifs //server/share rw
a line that makes no sense
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/var/lib/quota.db", None),
        ("/home/me/.local/state/quota.db", "nfs4"),
        ("/home/me/fast/quota.db", None),
        ("/homely/quota.db", None),
        ("/mnt/my share/quota.db", "cifs"),
    ],
)
def test_disks_that_machines_share_are_known(tmp_path, place, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert shared_disk(Path(place), mounts) == kind
    assert shared_disk(Path(place), tmp_path / "missing") is None


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cjasync.quota.database.shared_disk", lambda path: "nfs4")

    async def work(lim):
        with pytest.raises(StoreError, match=r"network file system \(nfs4\)"):
            await lim.admit(LIST)

    in_one_run(tmp_path / "quota.db", work)


def test_the_log_is_carried_over_in_a_thread(tmp_path, monkeypatch):
    monkeypatch.setattr("cjasync.quota.sqlite.TIDY_AFTER", 20)
    path = tmp_path / "quota.db"

    async def work(lim):
        await send(lim, 60)
        await asyncio.sleep(0.1)
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
            assert db.execute("SELECT count(*) FROM bucket").fetchone()[0] == 3, "the file itself, without its log"
        await send(lim)

    in_one_run(path, work, qps=None, ip_qps=None)


def test_the_log_begins_anew_however_busy_the_file_is(tmp_path):
    path, done, written = tmp_path / "quota.db", threading.Event(), []
    in_one_run(path, lambda lim: send(lim))

    def write():
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
            db.execute("PRAGMA wal_autocheckpoint=0")
            while not done.is_set():
                db.execute("REPLACE INTO bucket VALUES ('', randomblob(50))")
                written.append(1)
                time.sleep(0.001)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write) for _ in range(2)]
        for n in range(1, 4):
            while len(written) < 150 * n:
                time.sleep(0.001)
            Database(path).tidy()
        pages = path.with_name("quota.db-wal").stat().st_size / 1048
        done.set()
        for writer in writers:
            writer.result()
    assert pages < len(written) / 2
