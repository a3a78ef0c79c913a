"""Going on: where a walk was broken off, the next day, and from one walk to the next."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from cjasync._clock import SYSTEM_CLOCK
from cjasync.catalog import walk
from cjasync.catalog.checkpoint import VERSION, Checkpoint
from cjasync.catalog.entry import Entry, Part
from cjasync.catalog.sinks import FileSink, open_sink, read_rows
from cjasync.catalog.staging import Arrival, Staging
from cjasync.errors import CheckpointError, OutputError, QuotaExhaustedError
from cjasync.models import ListedProduct
from tests.integration.sandbox_desk import Hands
from tests.integration.walking import Shelf, drain, pids, shop, unlimited

START_ANEW = "start anew with `fresh=True`"


async def broken_off(cj, path: Path, after: int, **arguments) -> list[str]:
    """Walk until so many products came, and stop."""
    found = []
    async with walk(cj, checkpoint=path, **arguments) as walked:
        async for product in walked:
            found.append(product.pid)
            if len(found) == after:
                break
    return found


async def test_a_walk_that_was_broken_off_goes_on_where_it_was(tmp_path):
    async with shop() as (sandbox, cj):
        path = tmp_path / "walk.db"
        found, runs = [], 0
        while runs < 4:
            found += await broken_off(cj, path, 650)
            runs += 1
        walked = walk(cj, checkpoint=path)
        await drain(walked, found)
        report = walked.report
        asked = sandbox.stats()["requests"]
    assert set(found) == sandbox.catalogue.pids_now()
    assert len(found) - len(set(found)) <= 4 * 200  # the page that was being handed out comes again
    assert report.delivered == 3000
    assert report.runs == 5
    assert report.proved
    assert asked - report.requests <= 4 * 16 + 1  # what was in flight, and the categories once


async def test_a_walk_that_ended_before_its_first_answer_was_written_down_asks_for_the_categories(
    tmp_path, monkeypatch
):
    """They are the last resort of cutting, and asked for beside the second question."""
    async with shop() as (sandbox, cj):
        path = tmp_path / "walk.db"
        with monkeypatch.context() as patch:
            patch.setattr("cjasync.catalog.crawl.Crawl.hear", Mock(side_effect=KeyError("killed")))
            with pytest.raises(KeyError, match="killed"):
                await pids(cj, checkpoint=path)
        walked = walk(cj, checkpoint=path)
        await drain(walked)
        assert walked.report.proved
        assert sandbox.stats()["requests"] == 1 + walked.report.requests + 1


async def test_what_is_counted_is_written_down_also_if_the_walk_is_cancelled_there(tmp_path):
    opened = partial(Checkpoint, tmp_path / "walk.db", "all", fresh=True)
    staging = Staging(opened, SYSTEM_CLOCK, {"list": ListedProduct})
    await staging.open()
    await staging.run(lambda: staging.checkpoint.begin("a walk", b""))
    await staging.resume()
    busy = threading.Event()
    blocked = asyncio.ensure_future(staging.run(busy.wait))
    staging.tally.delivered += 1
    saving = asyncio.ensure_future(staging.save([Arrival(Entry(staging.number(), part=Part("list", 0.0, b"[]")))]))
    for _ in range(5):
        await asyncio.sleep(0)
    saving.cancel()
    await asyncio.sleep(0)
    busy.set()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert await blocked
    await staging.aclose()
    with closing(Checkpoint(tmp_path / "walk.db", "all", fresh=False)) as checkpoint:
        assert checkpoint.standing().tally.delivered == len(checkpoint.staged(0)) == 1


async def test_what_was_fetched_and_not_taken_is_not_asked_for_again(tmp_path):
    async with shop() as (sandbox, cj):
        path = tmp_path / "walk.db"
        async with walk(cj, checkpoint=path) as walked:
            untaken = [delivery async for delivery in walked.batches()]
            with pytest.raises(RuntimeError, match="after its commit"):
                await walked.finish()
        asked = sandbox.stats()["requests"]
        async with walk(cj, checkpoint=path) as walked:
            again = [delivery async for delivery in walked.batches()]
            assert walked.progress.delivered == 3000
            walked.commit(again[-1].token)
            await walked.finish()
        assert sandbox.stats()["requests"] == asked
    assert [delivery.rows for delivery in again] == [delivery.rows for delivery in untaken]
    assert [delivery.rows.fetched_at for delivery in again] == [delivery.rows.fetched_at for delivery in untaken]


async def test_the_next_day_goes_on(tmp_path):
    clock = Hands()
    plan = unlimited(daily_calls=20, list_window=2000)
    async with shop(12_000, window=2000, plan=plan, clock=clock, client={"clock": clock}) as (sandbox, cj):
        shelf, report, ends = Shelf(), None, []
        while report is None:
            try:
                report = await walk(cj, checkpoint=tmp_path / "walk.db").into(shelf)
            except QuotaExhaustedError as error:
                ends.append(error)
                clock.now = error.resets_at.timestamp() + 1
        assert sandbox.stats()["refused"] == 0
    assert shelf.rows.keys() == sandbox.catalogue.pids_now()
    assert report.proved
    assert report.repaired == 0
    assert report.runs == len(ends) + 1 > 3
    for day, error in enumerate(ends, 1):
        assert error.resets_at == datetime.fromtimestamp((Hands().now // 86_400 + day) * 86_400, UTC)


async def test_waiting_for_the_next_day(tmp_path):
    clock = Hands()
    plan = unlimited(daily_calls=20, list_window=2000)
    async with shop(8000, window=2000, plan=plan, clock=clock, client={"clock": clock}) as (sandbox, cj):
        began = clock.now
        walked = walk(cj, wait=True)
        found: list[str] = []
        await drain(walked, found)
        assert sandbox.stats()["refused"] == 0
    assert set(found) == sandbox.catalogue.pids_now()
    assert clock.now - began > 86_400
    assert walked.report.proved
    assert walked.progress.waiting_until is None


async def test_the_second_walk_knows_where_windows_end(tmp_path):
    async with shop(12_000, window=2000, null_times=0.0) as (sandbox, cj):
        path = tmp_path / "walk.db"
        first, second = walk(cj, checkpoint=path), walk(cj, checkpoint=path)
        await drain(first)
        found: list[str] = []
        await drain(second, found)
    assert set(found) == sandbox.catalogue.pids_now()
    assert second.report.proved
    assert second.report.runs == 1
    assert second.report.requests == second.report.lower_bound == 60  # windows end where pages end now
    assert second.report.requests < first.report.requests


async def test_the_second_walk_finds_what_has_no_creation_time(tmp_path):
    async with shop(6000, window=1000, null_times=0.01) as (sandbox, cj):
        await pids(cj, checkpoint=tmp_path / "walk.db")
        assert set(await pids(cj, checkpoint=tmp_path / "walk.db")) == sandbox.catalogue.pids_now()


async def test_fresh_forgets(tmp_path):
    async with shop() as (_, cj):
        path = tmp_path / "walk.db"
        await broken_off(cj, path, 700)
        found: list[str] = []
        walked = walk(cj, checkpoint=path, fresh=True)
        await drain(walked, found)
    assert len(found) == len(set(found)) == 3000
    assert walked.report.runs == 1


# Files that cannot be gone on with


async def test_another_question_is_refused(tmp_path):
    async with shop() as (sandbox, cj):
        path = tmp_path / "walk.db"
        await broken_off(cj, path, 700, country_code="US")
        asked = sandbox.stats()["requests"]
        with pytest.raises(CheckpointError, match=rf'another question.*`country_code="US"`.*{START_ANEW}'):
            await drain(walk(cj, checkpoint=path, country_code="CN"))
        with pytest.raises(CheckpointError, match="another question"):
            await walk(cj, checkpoint=path, country_code="US", with_="query").open()
        assert sandbox.stats()["requests"] == asked
        assert len(set(await pids(cj, checkpoint=path, country_code="US"))) > 300


async def test_the_same_question_in_other_words_is_the_same(tmp_path):
    async with shop() as (_, cj):
        await broken_off(cj, tmp_path / "walk.db", 300, country_code=("US",), min_price=5)
        walked = walk(cj, checkpoint=tmp_path / "walk.db", min_price="5", country_code="US")
        await drain(walked)
    assert walked.report.runs == 2


@pytest.fixture
async def cj():
    """A client of a shop with 3,000 products."""
    async with shop() as (_, cj):
        yield cj


@pytest.fixture
async def begun(cj, tmp_path):
    """A checkpoint halfway."""
    await broken_off(cj, tmp_path / "walk.db", 1300)
    return tmp_path / "walk.db"


async def go_on(cj, path: Path, **arguments) -> int:
    return len(set(await pids(cj, checkpoint=path, **arguments)))


async def test_another_cj_behind_the_same_host_is_refused(begun):
    async with shop(seed=3) as (sandbox, another):
        with pytest.raises(CheckpointError, match=f"another question.*not to product/list of {sandbox.base_url}"):
            await go_on(another, begun)
        assert sandbox.stats()["requests"] == 0


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.1, 0.5, 0.9])
async def test_a_truncated_checkpoint_is_refused(cj, begun, share):
    size = begun.stat().st_size
    with begun.open("r+b") as file:
        file.truncate(int(size * share))
    with pytest.raises(CheckpointError, match=START_ANEW):
        await go_on(cj, begun)
    assert await go_on(cj, begun, fresh=True) == 3000


async def test_a_checkpoint_with_bytes_changed_is_refused(cj, begun):
    content = bytearray(begun.read_bytes())
    content[8192 : len(content) : 512] = b"\x55" * len(content[8192 : len(content) : 512])
    begun.write_bytes(content)
    with pytest.raises(CheckpointError, match=START_ANEW):
        await go_on(cj, begun)


async def test_a_planner_state_that_cannot_be_read_is_refused(cj, begun):
    with closing(sqlite3.connect(begun)) as db:
        db.execute("UPDATE walk SET planner = x'c1c1c1'")
        db.commit()
    with pytest.raises(CheckpointError, match="start anew"):
        await go_on(cj, begun)


async def test_another_version_is_refused(cj, begun):
    with closing(sqlite3.connect(begun)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(CheckpointError, match=f"another version.*{VERSION + 1}.*{START_ANEW}"):
        await go_on(cj, begun)


async def test_a_crash_in_mid_write_is_as_if_it_had_not_been_begun(cj, begun):
    """SQLite's log ends in half a transaction."""
    with closing(Checkpoint(begun, await question(begun), fresh=False)) as checkpoint:
        checkpoint._db.execute("PRAGMA wal_autocheckpoint = 0")
        checkpoint._db.execute("BEGIN")
        checkpoint._db.execute("DELETE FROM staged")
        checkpoint._db.execute("COMMIT")
        for suffix in ("", "-wal"):
            shutil.copy(begun.with_name(begun.name + suffix), begun.with_name("copy.db" + suffix))
    log = begun.with_name("copy.db-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 100)
    assert await go_on(cj, begun.with_name("copy.db")) >= 3000 - 1300


async def question(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("SELECT question FROM walk").fetchone()[0])


async def test_a_checkpoint_in_use_is_refused(tmp_path):
    async with shop() as (_, cj), walk(cj, checkpoint=tmp_path / "walk.db"):
        with pytest.raises(CheckpointError, match="in use by another walk"):
            await drain(walk(cj, checkpoint=tmp_path / "walk.db"))
        with pytest.raises(CheckpointError, match="in use by another walk"):
            await drain(walk(cj, checkpoint=tmp_path / "walk.db", fresh=True))


@pytest.mark.parametrize("content", [b"pid,name\n1,lamp\n" * 100, b"x", b"SQLite format 3\0" + bytes(4096)])
async def test_a_file_of_something_else_is_neither_read_nor_replaced(tmp_path, content):
    path = tmp_path / "products.csv"
    path.write_bytes(content)
    async with shop(300) as (sandbox, cj):
        for fresh in (False, True):
            with pytest.raises(CheckpointError, match="is no checkpoint, and is not deleted"):
                await drain(walk(cj, checkpoint=path, fresh=fresh))
        assert sandbox.stats()["requests"] == 0
    assert path.read_bytes() == content


async def test_a_database_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE orders (id INTEGER)")
    async with shop(300) as (_, cj):
        for fresh in (False, True):
            with pytest.raises(CheckpointError, match="is no checkpoint, and is not deleted"):
                await drain(walk(cj, checkpoint=path, fresh=fresh))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM orders").fetchone() == (0,)


async def test_a_checkpoint_that_cannot_be_written_says_so(tmp_path):
    async with shop(300) as (_, cj):
        with pytest.raises(OutputError, match="cannot write the checkpoint"):
            await drain(walk(cj, checkpoint=tmp_path / "no such folder" / "walk.db"))


async def test_a_full_disk_ends_the_walk_and_what_was_fetched_before_is_safe(tmp_path, monkeypatch):
    path = tmp_path / "walk.db"
    save = Checkpoint.save
    count = 0

    def full(self, *arguments):
        nonlocal count
        count += 1
        if count == 6:
            self._db.execute("PRAGMA max_page_count = 1")
        save(self, *arguments)

    async with shop() as (sandbox, cj):
        monkeypatch.setattr(Checkpoint, "save", full)
        found: list[str] = []
        with pytest.raises(OutputError, match="cannot write the checkpoint"):
            await drain(walk(cj, checkpoint=path), found)
        monkeypatch.undo()
        assert 0 < len(found) < 3000
        await drain(walk(cj, checkpoint=path), found)
    assert set(found) == sandbox.catalogue.pids_now()


# The sink's file and the checkpoint


async def bring(cj, file: Path, **arguments):
    async with walk(cj, checkpoint=file.with_name("walk.db"), **arguments) as walked:
        fresh = arguments.get("fresh", False)
        async with await open_sink(file, ListedProduct, question=walked.question, fresh=fresh) as sink:
            return await walked.into(sink)


def products_of(file: Path) -> list[str]:
    return [row["pid"] for row in read_rows(file, ListedProduct)]


async def test_rows_of_another_walk_are_not_mixed_in(tmp_path):
    async with shop() as (_, cj):
        file = tmp_path / "products.jsonl"
        async with walk(cj) as other, await open_sink(file, ListedProduct, question=other.question) as sink:
            async for delivery in other.batches():
                await sink.write(delivery.rows)
                await sink.commit(delivery.token)
                break
        with pytest.raises(CheckpointError, match="is of a walk that this checkpoint knows nothing of"):
            await bring(cj, file)
        assert (await bring(cj, file, fresh=True)).proved
    assert len(products_of(file)) == 3000


async def test_rows_that_are_gone_are_missed(tmp_path, monkeypatch):
    async with shop() as (_, cj):
        file = tmp_path / "products.jsonl"
        shelf = Shelf(fails_at=12)
        with pytest.raises(OutputError):
            await walk(cj, checkpoint=tmp_path / "walk.db").into(shelf)
        with pytest.raises(CheckpointError, match="they are gone; start anew"):
            await bring(cj, file)


@pytest.mark.parametrize("suffix", [".jsonl", ".sqlite"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_around_the_sinks_end_loses_and_repeats_nothing(tmp_path, monkeypatch, suffix, when):
    async with shop() as (sandbox, cj):
        file = tmp_path / f"products{suffix}"
        with monkeypatch.context() as patch:

            def crash(*_, **__):
                raise RuntimeError("crash")

            patch.setattr(*((FileSink, "finish", crash) if when == "before" else (Staging, "finish", crash)))
            with pytest.raises(RuntimeError, match="crash"):
                await bring(cj, file)
        assert file.exists() == (when == "after")
        asked = sandbox.stats()["requests"]
        report = await bring(cj, file)
        assert sandbox.stats()["requests"] == asked
        assert report.proved
        assert sorted(products_of(file)) == sorted(sandbox.catalogue.pids_now())
        assert {path.name for path in tmp_path.iterdir()} == {file.name, "walk.db"}
        # And then it is over: the next one is another walk.
        assert (await bring(cj, file)).runs == 1
        assert sandbox.stats()["requests"] > asked
