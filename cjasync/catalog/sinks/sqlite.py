"""SQLite: the table `products` with an index by product and one for each time.

Times are ISO UTC with six digits of a second, so that they sort; booleans 0 and 1; lists and objects JSON. An exact
number is an INTEGER or REAL where that holds it exactly (15 digits always do; `4.36` reads `4.36`), and else, which no
price needs, its digits as a BLOB.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.cells import FROM_TEXT, TO_TEXT, CellKind, digits, moment, utc
from cjasync.catalog.sinks.columns import DELETED_AT, FETCHED_AT, Layout, PageConverter
from cjasync.catalog.sinks.database import DatabaseSink
from cjasync.models._model import Model


class SqliteSink(DatabaseSink):
    """`.sqlite`."""

    errors = (OSError, sqlite3.Error)
    types: ClassVar[Mapping[CellKind, str]] = {
        "text": "TEXT",
        "int": "INTEGER",
        "bool": "BOOLEAN",
        "decimal": "NUMERIC",
        "time": "TEXT",
        "texts": "TEXT",
        "numbers": "TEXT",
        "json": "TEXT",
    }

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._convert = PageConverter(layout, _CELLS)
        cells = "?" * (len(layout.columns) + 1)
        self._insertion = "INSERT INTO products VALUES ($cells, NULL)".replace("$cells", ", ".join(cells))

    def _connect(self, path: Path, *, read_only: bool = False) -> Any:
        uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "")
        # The event loop's thread and the worker threads take turns; the lock of the sink sees to it.
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1, check_same_thread=False)
        if path == self.partial:
            try:
                db.execute("PRAGMA main.locking_mode = EXCLUSIVE")
                db.execute("PRAGMA main.journal_mode = WAL")
                db.execute("PRAGMA main.synchronous = FULL")
                db.execute("PRAGMA main.cache_size = -32768")
                db.execute("BEGIN IMMEDIATE")
                db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                db.close()
                if "locked" in str(error):
                    raise durable.in_use(path) from None
                raise
        return db

    def _insert(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        columns = self._convert(rows)
        self._db.executemany(self._insertion, zip(*columns, repeat(_sortable(fetched_at), len(rows)), strict=True))

    def _insert_gone(self, pids: Sequence[str], at: datetime) -> None:
        self._begin()
        self._db.executemany("INSERT INTO cjasync_gone VALUES (?, ?)", zip(pids, repeat(_sortable(at)), strict=False))

    def _stored(self, time: datetime) -> str:
        return _sortable(time)

    def _prepare(self) -> None:
        self._run("CREATE UNIQUE INDEX IF NOT EXISTS products_by_$key ON products ($key)")
        for column in self._layout.columns:
            if column.kind == "time":
                self._run(f"CREATE INDEX IF NOT EXISTS products_by_{column.name} ON products ({column.name})")

    def _settle(self) -> None:
        self._run("PRAGMA journal_mode = DELETE")


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    columns = (*layout.columns, FETCHED_AT, DELETED_AT)
    query = "SELECT $columns FROM products".replace("$columns", ", ".join(column.name for column in columns))
    with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as db:
        for cells in db.execute(query):
            row: dict[str, Any] = {}
            for column, cell in zip(columns, cells, strict=True):
                convert = _FROM_CELL.get(column.kind)
                row[column.name] = cell if cell is None or convert is None else convert(cell)
            yield row


def _sortable(time: datetime) -> str:
    return utc(time).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _number(number: Decimal) -> int | float | bytes:
    if number == number.to_integral_value() and abs(number) < 2**63:
        return int(number)
    real = float(number)
    return real if Decimal(repr(real)) == number else digits(number).encode()


def _from_number(cell: float | bytes) -> Decimal:
    return Decimal(cell.decode() if isinstance(cell, bytes) else repr(cell))


_CELLS: Mapping[CellKind, Callable[[Any], Any]] = {
    "decimal": _number,
    "time": _sortable,
    "texts": TO_TEXT["texts"],
    "numbers": TO_TEXT["numbers"],
    "json": TO_TEXT["json"],
}
_FROM_CELL: Mapping[CellKind, Callable[[Any], Any]] = {
    "bool": bool,
    "decimal": _from_number,
    "time": moment,
    "texts": FROM_TEXT["texts"],
    "numbers": FROM_TEXT["numbers"],
    "json": FROM_TEXT["json"],
}
