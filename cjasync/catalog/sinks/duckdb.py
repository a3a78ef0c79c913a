"""DuckDB: the table `products` with Arrow's types (see `arrow`), made of Parquet parts when all rows are there.

`FILE.partial` is a folder of Parquet files, which DuckDB reads as they are, and `gone`, the tombstones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import duckdb
import msgspec
import pyarrow as pa

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.arrow import EPOCH, EXACT_NUMBERS, exact_row
from cjasync.catalog.sinks.cells import CellKind
from cjasync.catalog.sinks.columns import DELETED_AT, FETCHED_AT, Column, Layout
from cjasync.catalog.sinks.durable import Commit
from cjasync.catalog.sinks.parts import PartsSink
from cjasync.catalog.sinks.sink import Written
from cjasync.catalog.sinks.upserting import CREATE_GONE, CREATE_PRODUCTS, KEEP_NEWEST, UpsertingSink


class _Gone(msgspec.Struct):
    pids: list[str]
    at: datetime


class DuckdbSink(UpsertingSink, PartsSink):
    """`.duckdb`."""

    errors = (OSError, pa.ArrowException, duckdb.Error)
    types: ClassVar[Mapping[CellKind, str]] = {
        "text": "VARCHAR",
        "int": "BIGINT",
        "bool": "BOOLEAN",
        "decimal": "DECIMAL(18, 6)",
        "time": "TIMESTAMPTZ",
        "texts": "VARCHAR[]",
        "numbers": "VARCHAR[]",
        "json": "VARCHAR",
    }

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._columns[EXACT_NUMBERS] = self.types["text"]
        self._gone: BinaryIO | None = None

    def _connect(self, path: Path, *, read_only: bool = False) -> Any:
        try:
            return duckdb.connect(str(path), read_only=read_only, config={"memory_limit": "256MB", "threads": 2})
        except duckdb.IOException as error:
            if "lock" in str(error):
                raise durable.in_use(path) from None
            raise

    def _open(self, fresh: bool) -> None:
        self._look_at_earlier(fresh)
        super()._open(fresh)

    def _restore(self, commit: Commit | None) -> None:
        super()._restore(commit)
        self._gone = durable.cut_open(self.partial / "gone", 0 if commit is None else commit.gone)

    def _bury(self, pids: Sequence[str], at: datetime) -> None:
        assert self._gone is not None
        self._gone.write(msgspec.json.encode(_Gone(list(pids), at)) + b"\n")

    def _commit(self, token: bytes) -> None:
        assert self._gone is not None
        durable.sync_file(self._gone)
        super()._commit(token)

    def _state(self, token: bytes, *, offset: int = 0, part: int = 0) -> Commit:
        assert self._gone is not None
        return msgspec.structs.replace(super()._state(token, offset=offset, part=part), gone=self._gone.tell())

    def _finish(self) -> Written:
        assert self._gone is not None
        if self._waiting:
            self._seal()
        self._gone.flush()
        new = self.partial / "final"
        new.unlink(missing_ok=True)
        with closing(self._connect(new)) as db:
            db.execute(self._named(CREATE_PRODUCTS))
            for part in self._all_parts():
                db.execute("INSERT INTO products BY NAME SELECT * FROM read_parquet(?)", [str(part)])
            db.execute(self._named(KEEP_NEWEST))
            rows = db.execute("SELECT count(*) FROM products").fetchone()[0]
            if self._updates:
                self._merge(db)
        if not self._updates:
            durable.publish(new, self.path)
        self._close()
        self._remove()
        return Written(path=self.path, rows=rows, repeated=self.rows - rows)

    def _merge(self, db: Any) -> None:
        db.execute(self._named(CREATE_GONE))
        with (self.partial / "gone").open("rb") as file:
            for line in file:
                gone = msgspec.json.decode(line, type=_Gone)
                db.execute("INSERT INTO cjasync_gone SELECT unnest(?::VARCHAR[]), ?", [gone.pids, gone.at])
        super()._merge(db)

    def _stored(self, time: datetime) -> datetime:
        return time

    def _close(self) -> None:
        with ExitStack() as stack:
            stack.callback(super()._close)
            if self._gone is not None:
                stack.callback(self._gone.close)


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    columns = (*layout.columns, FETCHED_AT, DELETED_AT, Column(EXACT_NUMBERS, "text"))
    # Times as numbers: in Python they would depend on the session's time zone and on a package for it.
    cells = ", ".join(f"epoch_us({column.name})" if column.kind == "time" else column.name for column in columns)
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        db.execute("SELECT $cells FROM products".replace("$cells", cells))
        while found := db.fetchmany(10_000):
            for values in found:
                row = dict(zip((column.name for column in columns), map(_shown, columns, values), strict=True))
                yield exact_row(row, layout)


def _shown(column: Column, value: Any) -> Any:
    return EPOCH + timedelta(microseconds=value) if column.kind == "time" and value is not None else value
