"""DuckDB: the table `products`, fed a few thousand rows at a time through Arrow, with Arrow's types (see `arrow`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.arrow import EPOCH, EXACT_NUMBERS, BatchMaker, exact_row
from cjasync.catalog.sinks.cells import CellKind
from cjasync.catalog.sinks.columns import DELETED_AT, FETCHED_AT, Column, Layout
from cjasync.catalog.sinks.database import DatabaseSink
from cjasync.models._model import Model

_ROWS_AT_ONCE = 8_192


class DuckdbSink(DatabaseSink):
    """`.duckdb`."""

    errors = (OSError, duckdb.Error, pa.ArrowException)
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
        self._batch = BatchMaker(layout)
        self._waiting: list[Any] = []
        self._waiting_rows = 0

    def _connect(self, path: Path, *, read_only: bool = False) -> Any:
        try:
            return duckdb.connect(str(path), read_only=read_only, config={"memory_limit": "512MB", "threads": 2})
        except duckdb.IOException as error:
            if "lock" in str(error):
                raise durable.in_use(path) from None
            raise

    def _is_long(self, count: int) -> bool:
        return super()._is_long(count) or self._waiting_rows + count >= _ROWS_AT_ONCE

    def _insert(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        self._waiting.append(self._batch(rows, fetched_at))
        self._waiting_rows += len(rows)
        if self._waiting_rows >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._db.register("waiting", pa.Table.from_batches(self._waiting))
            self._db.execute("INSERT INTO products BY NAME SELECT * FROM waiting")
            self._db.unregister("waiting")
        self._waiting, self._waiting_rows = [], 0

    def _end(self) -> None:
        self._flush()
        super()._end()

    def _insert_gone(self, pids: Sequence[str], at: datetime) -> None:
        self._begin()
        self._db.execute("INSERT INTO cjasync_gone SELECT unnest(?::VARCHAR[]), ?", [list(pids), at])

    def _stored(self, time: datetime) -> datetime:
        return time


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    columns = (*layout.columns, FETCHED_AT, DELETED_AT, Column(EXACT_NUMBERS, "text"))
    # Times as numbers: in Python they would depend on the session's time zone and a package for it.
    cells = ", ".join(f"epoch_us({c.name})" if c.kind == "time" else c.name for c in columns)
    with closing(duckdb.connect(str(path), read_only=True)) as db:
        db.execute("SELECT $cells FROM products".replace("$cells", cells))
        while found := db.fetchmany(10_000):
            for values in found:
                row = {
                    column.name: EPOCH + timedelta(microseconds=value)
                    if value is not None and column.kind == "time"
                    else value
                    for column, value in zip(columns, values, strict=True)
                }
                yield exact_row(row, layout)
