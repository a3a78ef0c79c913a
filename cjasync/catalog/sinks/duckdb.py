"""DuckDB: the table `products` with Arrow's types (see `arrow`).

`FILE.partial` is a database too. Rows are inserted some thousand at a time, because DuckDB is slow at small pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import duckdb
import pyarrow as pa

import cjasync.catalog.sinks.durable as durable
from cjasync.catalog.sinks.arrow import EPOCH, EXACT_NUMBERS, Gathering, exact_row
from cjasync.catalog.sinks.cells import CellKind
from cjasync.catalog.sinks.columns import DELETED_AT, FETCHED_AT, Column, Layout
from cjasync.catalog.sinks.upserting import UpsertingSink
from cjasync.models._model import Model

AT_ONCE = 16_384  # rows, about 10 MB in memory
_CONFIG: dict[str, Any] = {
    "memory_limit": "256MB",
    "threads": 1,  # a second one, for so few rows at a time, only waits: as much CPU again, and no time gained
    # What one row group of DuckDB's takes in the log: each checkpoint packs the last group again, however full it is.
    "checkpoint_threshold": "64MB",
}
_REPEATED = "SELECT 1 FROM products GROUP BY $key HAVING count(*) > 1 LIMIT 1"


class DuckdbSink(UpsertingSink):
    """`.duckdb`."""

    errors = (OSError, pa.ArrowException, duckdb.Error)
    beside = (".wal",)
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
        self._waiting = Gathering(layout)

    def _connect(self, path: Path, *, read_only: bool = False) -> Any:
        try:
            return duckdb.connect(str(path), read_only=read_only, config=_CONFIG)
        except duckdb.IOException as error:
            if "lock" in str(error):
                raise durable.in_use(path) from None
            raise

    def _take_hold(self) -> None:
        # DuckDB keeps other processes out by itself, but in this one hands its open database to whoever asks.
        if _writers.setdefault(self.partial.resolve(), self) is not self:
            raise durable.in_use(self.partial)
        self._db = self._connect(self.partial)

    def _close(self) -> None:
        super()._close()
        if _writers.get(self.partial.resolve()) is self:
            del _writers[self.partial.resolve()]

    def _is_long(self, count: int) -> bool:
        return super()._is_long(count) or self._waiting.rows + count >= AT_ONCE

    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        self._waiting.add(rows, fetched_at)
        if self._waiting.rows >= AT_ONCE:
            self._insert_waiting()

    def _insert_waiting(self) -> None:
        if self._waiting.rows:
            self._begin()
            self._db.register("waiting", self._waiting.table())
            self._db.execute("INSERT INTO products BY NAME SELECT * FROM waiting")
            self._db.unregister("waiting")
            self._waiting.clear()

    def _keep_newest(self) -> None:
        if self._db.execute(self._named(_REPEATED)).fetchone():  # only then is it worth sorting all rows
            super()._keep_newest()

    def _bury(self, pids: Sequence[str], at: datetime) -> None:
        self._begin()
        self._db.execute("INSERT INTO cjasync_gone SELECT unnest(?::VARCHAR[]), ?", [list(pids), at])

    def _stored(self, time: datetime) -> datetime:
        return time


_writers: WeakValueDictionary[Path, DuckdbSink] = WeakValueDictionary()


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
