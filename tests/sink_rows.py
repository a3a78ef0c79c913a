"""Rows for the tests of sinks: a model with a field of every kind, and rows of it in the shapes that CJ sends."""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.dataset as ds

from cjasync._decode import AnswerDecoder
from cjasync.catalog.sinks import Batch, Layout, read_rows
from cjasync.models._model import Id, Json, Model, wire
from cjasync.models._pages import ListData
from cjasync.models._values import Price, Weight

FILES = ("t.jsonl", "t.jsonl.gz", "t.jsonl.zst", "t.csv", "t.parquet", "t.sqlite", "t.duckdb")
DATABASES = ("t.sqlite", "t.duckdb")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Part(Model):
    vid: Id
    price: Price | None = None
    made: datetime | None = None


class Thing(Model):
    pid: str
    name: str | None = None
    image: str | None = wire("productImage", "bigImage")
    code: Id | None = None
    count: int | None = None
    is_new: bool | None = wire("isNew", "isNue")
    rate: Decimal | None = None
    sell_price: Price | None = None
    weight: Weight | None = None
    create_time: datetime | None = None
    tags: tuple[str, ...] = ()
    lengths: tuple[Decimal, ...] = ()
    extra: Json | None = None
    parts: tuple[Part, ...] = ()
    first: Part | None = None


_DECODER = AnswerDecoder(ListData[Thing])


def decoded_page(*wired):
    """The rows of a page as the library decodes what CJ sends; those that nobody can read are left out."""
    _, page = _DECODER.decode(msgspec.json.encode({"code": 200, "data": {"list": wired}}))
    return page.rows


def decoded(**wired):
    """One such row."""
    (row,) = decoded_page(wired)
    return row


def things(*pids, **more):
    return [decoded(pid=pid, name=f"thing {pid}", sellPrice="4.36 -- 6.14", **more) for pid in pids]


def batch(*pids, minute=0, **more):
    """Rows fetched so many minutes past noon."""
    return Batch(things(*pids, **more), NOON + timedelta(minutes=minute))


RICH = decoded(
    pid="1",
    name='a "quoted", two-\nline text; 裙子\r\n with \\ and \t and \u2028',
    productImage="",
    bigImage="https://example.com/1.jpg",
    code=2606120857201601800,
    count=-3,
    isNew=1,
    rate=8.261,
    sellPrice="4.36 -- 6.14",
    weight="300.00-340.00",
    createTime=1_700_000_000_123,
    tags='["a","b,c","\\"q\\""]',
    lengths="[1.50, 2]",
    extra={"deep": [1, None, 1.25, {"x": "y"}]},
    parts=[{"vid": 7, "price": 1.10, "made": "2026-01-31T10:00:00+08:00"}, {"vid": "v"}],
    first={"vid": "w", "price": "2-3"},
)
BARE = decoded(pid="2")
EMPTY = decoded(pid="3", name="", productImage="", code="", sellPrice="", tags=[], extra="", parts=[], createTime="")
EXACT = decoded(pid="4", rate="12.290000000000001", sellPrice="123456789012345678901234567890.5", weight="0.0000001")
ROWS = (RICH, BARE, EMPTY, EXACT)

_LAYOUT = Layout(Thing)


def expected(rows):
    """What a file must say of the rows, by key."""
    return {row.pid: _LAYOUT.values(row) for row in rows}


def held_in(path, model=Thing):
    """What a finished file says, by key, without the times of the fetch; no key may come twice."""
    found = {}
    for row in read_rows(path, model):
        row.pop("fetched_at")
        row.pop("deleted_at", None)
        assert row["pid"] not in found, "a double"
        found[row["pid"]] = row
    return found


def seen_by_the_usual_tool(path, name, key="pid"):
    """The keys in a partial file, in order, as the tools that people use read them; `name` is the final one."""
    match name.partition(".")[2]:
        case "jsonl":
            return [json.loads(line)[key] for line in path.read_bytes().splitlines()]
        case "jsonl.gz":
            with gzip.open(path) as file:
                return [json.loads(line)[key] for line in file]
        case "jsonl.zst":
            with pa.CompressedInputStream(str(path), "zstd") as file:
                return [json.loads(line)[key] for line in file.read().splitlines()]
        case "csv":
            with path.open(newline="", encoding="utf-8") as file:
                return [row[key] for row in csv.DictReader(file)]
        case "parquet":
            seen = ds.dataset(path, format="parquet").to_table([key])[key].to_pylist()
            by_glob = f"SELECT {key} FROM read_parquet('{path}/*.parquet')"
            assert sorted(seen) == sorted(found for (found,) in duckdb.sql(by_glob).fetchall())
            return seen
        case "sqlite":
            with closing(sqlite3.connect(path)) as db:
                return [found for (found,) in db.execute(f"SELECT {key} FROM products")]
        case "duckdb":
            with closing(duckdb.connect(str(path))) as db:
                return [found for (found,) in db.execute(f"SELECT {key} FROM products").fetchall()]
