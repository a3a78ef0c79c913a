"""Files: what is written is read back, row by row; a commit holds, what came after it is gone; doubles go."""

import asyncio
import gzip
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from cjasync.catalog.sinks import SUFFIXES, Batch, Layout, open_sink, read_rows
from cjasync.catalog.sinks import duckdb as duckdb_module
from cjasync.catalog.sinks import parquet as parquet_module
from cjasync.errors import CheckpointError, ConfigError, OutputError
from cjasync.models.product import ListedProduct, SearchProduct
from tests.sink_rows import (
    DATABASES,
    FILES,
    NOON,
    ROWS,
    Part,
    Thing,
    batch,
    expected,
    held_in,
    seen_by_the_usual_tool,
    things,
)

every_format = pytest.mark.parametrize("name", FILES)
every_database = pytest.mark.parametrize("name", DATABASES)


async def write(path, *batches, **options):
    async with await open_sink(path, Thing, **options) as sink:
        for rows in batches:
            await sink.write(rows)
        return await sink.finish()


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


def test_there_is_a_test_file_for_every_suffix():
    assert {"." + name.partition(".")[2] for name in FILES} == set(SUFFIXES)


@every_format
async def test_what_is_written_is_read_back_row_by_row(tmp_path, name):
    written = await write(tmp_path / name, Batch(ROWS, NOON))
    assert (written.rows, written.repeated) == (4, 0)
    assert held_in(tmp_path / name) == expected(ROWS)
    assert {row["fetched_at"] for row in read_rows(tmp_path / name, Thing)} == {NOON}
    assert left_over(tmp_path) == [name]


@every_format
async def test_an_empty_answer_is_a_file_without_rows(tmp_path, name):
    written = await write(tmp_path / name)
    assert written.rows == 0
    assert held_in(tmp_path / name) == {}


@every_format
async def test_no_file_appears_under_the_final_name_before_it_is_finished(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing) as sink:
        await sink.write(batch("a"))
        await sink.commit(b"one")
        assert not (tmp_path / name).exists()
        assert sink.partial.exists()
        assert sink.partial.name == name + ".partial"


@every_format
async def test_a_second_opening_goes_on_after_the_last_commit(tmp_path, name):
    path = tmp_path / name
    async with await open_sink(path, Thing, question="q") as sink:
        assert sink.token is None
        await sink.write(batch("a", "b"))
        await sink.commit(b"one")
        await sink.write(batch("c"))
        await sink.commit(b"two")
        await sink.write(batch("lost"))
    async with await open_sink(path, Thing, question="q") as sink:
        assert (sink.token, sink.rows) == (b"two", 3)
        await sink.write(batch("d"))
        written = await sink.finish()
    assert written.rows == 4
    assert held_in(path) == expected(things("a", "b", "c", "d"))
    assert left_over(tmp_path) == [name]


@every_format
async def test_rows_before_the_first_commit_do_not_count(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing) as sink:
        await sink.write(batch("lost"))
    written = await write(tmp_path / name, batch("a"))
    assert written.rows == 1
    assert set(held_in(tmp_path / name)) == {"a"}


@every_format
async def test_the_newer_row_of_a_product_stays_whichever_came_last(tmp_path, name):
    early, late = batch("a", "b", "c", minute=1, count=1), batch("a", "c", minute=2, count=2)
    again = batch("c", minute=2, count=3)
    written = await write(tmp_path / name, late, early, again, batch("d", count=4))
    assert (written.rows, written.repeated) == (4, 3)
    rows = {row["pid"]: row for row in read_rows(tmp_path / name, Thing)}
    assert {pid: row["count"] for pid, row in rows.items()} == {"a": 2, "b": 1, "c": 3, "d": 4}
    assert rows["a"]["fetched_at"] == NOON + timedelta(minutes=2)
    assert rows["a"] == rows["a"] | expected(things("a", count=2))["a"]
    assert sum(1 for _ in read_rows(tmp_path / name, Thing)) == 4


@every_format
async def test_a_partial_file_of_another_question_is_refused_and_kept(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing, question="hoodies") as sink:
        await sink.write(batch("a"))
        await sink.commit(b"one")
    with pytest.raises(
        CheckpointError, match=r"partial was begun by another question: hoodies, not socks.*`fresh=True`"
    ):
        await open_sink(tmp_path / name, Thing, question="socks")
    async with await open_sink(tmp_path / name, Thing, question="hoodies") as sink:
        assert sink.token == b"one"


@every_format
async def test_a_partial_file_of_other_columns_is_refused(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing) as sink:
        await sink.commit(b"one")
    with pytest.raises(CheckpointError, match="with other columns"):
        await open_sink(tmp_path / name, Part)


@every_format
async def test_fresh_throws_the_partial_file_away(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing, question="hoodies") as sink:
        await sink.write(batch("a"))
        await sink.commit(b"one")
    written = await write(tmp_path / name, batch("b"), question="socks", fresh=True)
    assert written.rows == 1
    assert set(held_in(tmp_path / name)) == {"b"}
    assert left_over(tmp_path) == [name]


@every_format
async def test_a_run_without_rows_leaves_nothing_behind(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing):
        pass
    assert left_over(tmp_path) == []


@every_format
async def test_two_writers_of_one_file_are_refused(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing):
        with pytest.raises(OutputError, match="another process"):
            await open_sink(tmp_path / name, Thing)


@every_format
async def test_nothing_can_be_written_after_the_end(tmp_path, name):
    sink = await open_sink(tmp_path / name, Thing)
    await sink.finish()
    with pytest.raises(OutputError, match="is closed"):
        await sink.write(batch("a"))
    await sink.abort()
    assert left_over(tmp_path) == [name]


@every_format
async def test_rows_of_another_model_are_refused(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing) as sink:
        with pytest.raises(TypeError, match="holds Thing rows, not Part"):
            await sink.write(Batch([Part(vid="v")], NOON))


@every_format
async def test_many_rows_at_once_and_one_at_a_time_are_the_same(tmp_path, name):
    rows = things(*map(str, range(2_500)))
    await write(tmp_path / name, Batch(rows, NOON), *(Batch([row], NOON) for row in rows[:20]))
    assert held_in(tmp_path / name) == expected(rows)


@pytest.mark.parametrize("name", ["t.parquet", "t.duckdb"])
async def test_rows_beyond_a_part_are_cut_back_to_the_commit(tmp_path, monkeypatch, name):
    monkeypatch.setattr(parquet_module, "PART_ROWS", 4)
    monkeypatch.setattr(duckdb_module, "AT_ONCE", 4)
    async with await open_sink(tmp_path / name, Thing) as sink:
        await sink.write(batch("a", "b", "c"))
        await sink.commit(b"one")
        await sink.write(batch("x1", "x2", "x3"))  # seals a part that the commit does not know of
        await sink.write(batch("x4"))
    async with await open_sink(tmp_path / name, Thing) as sink:
        assert (sink.token, sink.rows) == (b"one", 3)
        await sink.write(batch("d", "e"))
        await sink.commit(b"two")
        await sink.write(batch("f"))
        await sink.commit(b"three")
    async with await open_sink(tmp_path / name, Thing) as sink:
        assert (sink.token, sink.rows) == (b"three", 6)
        await sink.write(batch("b", minute=3, count=9))
        assert (await sink.finish()).repeated == 1
    assert held_in(tmp_path / name) == expected([*things("a", "c", "d", "e", "f"), *things("b", count=9)])


@every_format
async def test_a_partial_file_holds_what_was_committed_and_the_usual_tools_open_it(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing) as sink:
        for pids, token in ((("a", "b"), b"one"), (("c",), b"two")):
            await sink.write(batch(*pids))
            await sink.commit(token)
        await sink.write(batch("lost"))
    assert sink.committed == 3
    assert seen_by_the_usual_tool(sink.partial, name) == ["a", "b", "c"]
    beside = {f"{name}.partial", f"{name}.partial.commit"}
    assert set(left_over(tmp_path)) <= beside
    if sink.partial.is_dir():
        assert {path.suffix for path in sink.partial.iterdir()} == {".parquet"}


@every_format
async def test_a_partial_file_of_many_parts_is_one_table_too(tmp_path, monkeypatch, name):
    monkeypatch.setattr(parquet_module, "PART_ROWS", 8)
    monkeypatch.setattr(duckdb_module, "AT_ONCE", 8)
    pids = [str(number) for number in range(30)]
    async with await open_sink(tmp_path / name, Thing) as sink:
        for number in range(0, 30, 3):
            await sink.write(batch(*pids[number : number + 3]))
            if number % 2:
                await sink.commit(b"%d" % number)
    assert seen_by_the_usual_tool(sink.partial, name) == pids
    async with await open_sink(tmp_path / name, Thing) as sink:
        await sink.write(batch("last"))
        assert (await sink.finish()).rows == 31
    assert set(held_in(tmp_path / name)) == {*pids, "last"}


@pytest.mark.parametrize("name", FILES)
async def test_fresh_does_not_touch_what_another_writes(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing) as sink:
        await sink.write(batch("a"))
        await sink.commit(b"one")
        with pytest.raises(OutputError, match="another process"):
            await open_sink(tmp_path / name, Thing, fresh=True)
        await sink.finish()
    assert set(held_in(tmp_path / name)) == {"a"}


async def test_a_folder_that_lost_a_part_is_said(tmp_path):
    async with await open_sink(tmp_path / "t.parquet", Thing) as sink:
        await sink.write(batch("a"))
        await sink.commit(b"one")
    (part,) = sink.partial.iterdir()
    part.unlink()
    with pytest.raises(CheckpointError, match="has lost a part"):
        await open_sink(tmp_path / "t.parquet", Thing)


@pytest.mark.parametrize("name", sorted(set(FILES) - set(DATABASES)))  # whose record is a row of their own
async def test_a_commit_record_cut_in_half_counts_as_the_one_before(tmp_path, name):
    async with await open_sink(tmp_path / name, Thing) as sink:
        await sink.write(batch("a"))
        await sink.commit(b"one")
        await sink.write(batch("b"))
        await sink.commit(b"two")
        commits = _commits(sink.partial)
        sink._commits.close()
        commits.write_bytes(commits.read_bytes()[:-9])
        sink._closed = True  # as if the process had died here
        sink._close()
    async with await open_sink(tmp_path / name, Thing) as sink:
        assert (sink.token, sink.rows) == (b"one", 1)
        await sink.finish()
    assert set(held_in(tmp_path / name)) == {"a"}


def _commits(partial: Path) -> Path:
    return partial.with_name(partial.name + ".commit")


async def test_a_damaged_commit_record_is_said(tmp_path):
    async with await open_sink(tmp_path / "t.csv", Thing) as sink:
        await sink.commit(b"one")
    _commits(sink.partial).write_bytes(b"rubbish\nrubbish\n")
    with pytest.raises(CheckpointError, match=r"t.csv.partial.commit is damaged.*`fresh=True`"):
        await open_sink(tmp_path / "t.csv", Thing)


async def test_a_partial_file_that_lost_bytes_is_said(tmp_path):
    async with await open_sink(tmp_path / "t.csv", Thing) as sink:
        await sink.write(batch("a"))
        await sink.commit(b"one")
    sink.partial.write_bytes(b"pid\n")
    with pytest.raises(CheckpointError, match="shorter than it was"):
        await open_sink(tmp_path / "t.csv", Thing)


async def test_a_long_log_of_commits_is_begun_anew(tmp_path):
    async with await open_sink(tmp_path / "t.csv", Thing) as sink:
        for _ in range(5):
            await sink.commit(b"x" * 400_000)
        assert _commits(sink.partial).stat().st_size < 2_500_000
        await sink.commit(b"last")
    async with await open_sink(tmp_path / "t.csv", Thing) as sink:
        assert sink.token == b"last"


@every_format
async def test_a_cancelled_commit_leaves_a_whole_file(tmp_path, name):
    sink = await open_sink(tmp_path / name, Thing)
    await sink.write(batch("a"))
    task = asyncio.create_task(sink.commit(b"one"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await sink.write(batch("b"))
    await sink.finish()
    assert set(held_in(tmp_path / name)) == {"a", "b"}


@every_format
async def test_a_finished_file_is_replaced_or_updated(tmp_path, name):
    await write(tmp_path / name, batch("a", "b"))
    await write(tmp_path / name, batch("b", "c", minute=1, count=7))
    old = things("a") if name in DATABASES else []
    assert held_in(tmp_path / name) == expected([*old, *things("b", "c", count=7)])
    assert left_over(tmp_path) == [name]


@every_database
async def test_an_older_fetch_never_overwrites_the_files_newer_row(tmp_path, name):
    await write(tmp_path / name, batch("a", minute=5, count=5))
    await write(tmp_path / name, batch("a", "b", minute=4, count=4))
    assert held_in(tmp_path / name) == expected([*things("a", count=5), *things("b", count=4)])


@every_database
async def test_fresh_replaces_a_finished_database(tmp_path, name):
    await write(tmp_path / name, batch("a"))
    await write(tmp_path / name, batch("b"), fresh=True)
    assert set(held_in(tmp_path / name)) == {"b"}


@every_database
async def test_gone_products_get_a_tombstone_unless_they_were_seen(tmp_path, name):
    path = tmp_path / name
    await write(path, batch("a", "b", "c", "d"))
    gone = NOON + timedelta(days=1)
    async with await open_sink(path, Thing) as sink:
        await sink.write(batch("a", minute=9))
        await sink.tombstone(["a", "b"], gone)
        await sink.commit(b"one")
        await sink.tombstone(["d"], gone)  # after the commit: lost with the process
    async with await open_sink(path, Thing) as sink:
        await sink.write(batch("c", minute=9))
        await sink.finish()
    assert {row["pid"]: row["deleted_at"] for row in read_rows(path, Thing)} == {
        "a": None,
        "b": gone,
        "c": None,
        "d": None,
    }
    await write(path, batch("b", minute=10))
    assert {row["deleted_at"] for row in read_rows(path, Thing)} == {None}


@every_database
async def test_what_an_earlier_walk_holds_in_a_span_of_time(tmp_path, name):
    path = tmp_path / name
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        *things("a", createTime=int(start.timestamp() * 1000)),
        *things("b", createTime=int(start.timestamp() * 1000) + 500),
        *things("c", createTime="2026-01-01T09:00:00+08:00"),
        *things("none"),
    ]
    async with await open_sink(path, Thing) as sink:
        await sink.write(Batch(rows, NOON))
        assert await sink.held("create_time", start, NOON) == []
        await sink.finish()
    async with await open_sink(path, Thing) as sink:
        await sink.write(batch("new", createTime=int(start.timestamp() * 1000)))
        assert sorted(await sink.held("create_time", start, start)) == ["a"]
        assert sorted(await sink.held("create_time", start, start + timedelta(seconds=1))) == ["a", "b"]
        assert sorted(await sink.held("create_time", start, start + timedelta(hours=1))) == ["a", "b", "c"]
        assert await sink.held("create_time", None, None) == ["none"]
        with pytest.raises(ValueError, match="no column 'made'"):
            await sink.held("made", start, start)
        await sink.tombstone(["a"], NOON)
        await sink.finish()
    async with await open_sink(path, Thing) as sink:
        assert sorted(await sink.held("create_time", start, start)) == ["new"]


@every_database
async def test_a_file_of_older_columns_gets_the_new_ones(tmp_path, name):
    path = tmp_path / name
    await write(path, batch("a"))
    db = sqlite3.connect(path) if name == "t.sqlite" else duckdb.connect(str(path))
    db.execute("ALTER TABLE products DROP COLUMN rate")
    db.execute("CREATE TABLE mine (x INTEGER)")
    db.close()
    await write(path, batch("b", rate="1.5"))
    assert held_in(path) == expected([*things("a"), *things("b", rate="1.5")])
    db = sqlite3.connect(path) if name == "t.sqlite" else duckdb.connect(str(path))
    assert db.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    db.close()


@every_database
async def test_a_database_of_something_else_is_refused_before_anything_is_written(tmp_path, name):
    path = tmp_path / name
    db = sqlite3.connect(path) if name == "t.sqlite" else duckdb.connect(str(path))
    db.execute("CREATE TABLE products (sku INTEGER)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="holds no table of products by pid"):
        await open_sink(path, Thing)
    assert path.read_bytes() == before


@every_database
async def test_a_file_that_is_no_database_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("shopping list\n" * 100)
    with pytest.raises(ConfigError, match=r"cannot be read: .*; choose another file, or replace it with `fresh=True`"):
        await open_sink(path, Thing)
    assert left_over(tmp_path) == [name]


async def test_the_unknown_suffix_the_missing_folder_and_the_folder_itself(tmp_path):
    with pytest.raises(ConfigError, match=r"products.xlsx: the suffix says the format; use one of .jsonl,"):
        await open_sink(tmp_path / "products.xlsx", Thing)
    with pytest.raises(ConfigError, match=r"the folder .*nowhere does not exist"):
        await open_sink(tmp_path / "nowhere" / "t.csv", Thing)
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        await open_sink(tmp_path / "t.csv", Thing)


def test_the_usual_tools_see_the_columns_in_order():
    names = Layout(ListedProduct).names
    assert names[:4] == ("pid", "product_name", "product_name_en", "product_sku")
    assert {"sell_price_low", "sell_price_high", "product_weight_low", "product_weight_high"} <= set(names)
    assert Layout(SearchProduct).names[0] == "id"


async def test_types_are_native_where_the_format_has_them(tmp_path):
    for name in ("t.parquet", "t.duckdb", "t.sqlite", "t.jsonl", "t.jsonl.gz"):
        await write(tmp_path / name, Batch(ROWS[:1], NOON))
    row = pq.read_table(tmp_path / "t.parquet").to_pylist()[0]
    assert row["sell_price_low"] == Decimal("4.36")
    assert row["create_time"].timestamp() == 1_700_000_000.123
    assert (row["tags"], row["is_new"], row["exact_numbers"]) == (["a", "b,c", '"q"'], True, None)
    with duckdb.connect(str(tmp_path / "t.duckdb")) as db:
        assert db.execute("SELECT sell_price_high, tags[1], is_new FROM products").fetchone() == (
            Decimal("6.14"),
            "a",
            True,
        )
    db = sqlite3.connect(tmp_path / "t.sqlite")
    assert db.execute("SELECT count(*) FROM products WHERE sell_price_low < 5 AND weight_high > 100").fetchone() == (1,)
    assert db.execute("SELECT json_extract(tags, '$[0]') FROM products").fetchone() == ("a",)
    db.close()
    line = json.loads((tmp_path / "t.jsonl").read_text())
    assert line["sell_price_low"] == "4.36"
    assert line["create_time"] == "2023-11-14T22:13:20.123000Z"
    assert line["parts"][0] == {"vid": "7", "price_low": "1.1", "price_high": "1.1", "made": "2026-01-31T02:00:00Z"}
    with gzip.open(tmp_path / "t.jsonl.gz", "rt") as file:
        assert json.loads(file.read()) == line
