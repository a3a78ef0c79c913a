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

import cjasync.catalog.sinks.durable as durable
from cjasync.catalog.sinks.cells import FROM_TEXT, TO_TEXT, CellKind, Convert, digits, iso_texts, moment, utc
from cjasync.catalog.sinks.columns import DELETED_AT, FETCHED_AT, Layout
from cjasync.catalog.sinks.converter import PageConverter
from cjasync.catalog.sinks.texts import json_lists
from cjasync.catalog.sinks.upserting import UpsertingSink
from cjasync.models._model import Model

_NULL = float("nan")
_WHOLE = len("2026-01-31T10:00:00Z")  # a time without parts of a second; all others are longer
_INTS: Mapping[bool | None, int | None] = {False: 0, True: 1, None: None}


class SqliteSink(UpsertingSink):
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

    beside = ("-wal", "-shm")

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        columns: Mapping[CellKind, Convert] = {**TO_TEXT, "time": _sortable, "bool": _as_ints}
        self._convert = PageConverter(layout, _number, columns, {"texts": json_lists})
        cells = "?" * (len(layout.columns) + 1)
        self._insertion = "INSERT INTO products VALUES ($cells, NULL)".replace("$cells", ", ".join(cells))

    def _connect(self, path: Path, *, read_only: bool = False) -> Any:
        uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "")
        # The event loop's thread and the worker threads take turns; the sink's lock sees to it.
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1, check_same_thread=False)

    def _take_hold(self) -> None:
        self._db = self._connect(self.partial)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA cache_size = -32768")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise durable.in_use(self.partial) from None
            raise

    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        self._begin()
        columns = map(_without_none, self._convert(rows))
        self._db.executemany(self._insertion, zip(*columns, repeat(self._stored(fetched_at)), strict=False))

    def _bury(self, pids: Sequence[str], at: datetime) -> None:
        self._begin()
        self._db.executemany("INSERT INTO cjasync_gone VALUES (?, ?)", [(pid, self._stored(at)) for pid in pids])

    def _keep_newest(self) -> None:
        try:
            self._index("UNIQUE", self._layout.key)
        except sqlite3.IntegrityError:  # only then is it worth sorting all rows
            super()._keep_newest()
            self._index("UNIQUE", self._layout.key)

    def _index(self, kind: str, column: str) -> None:
        self._db.execute(f"CREATE {kind} INDEX IF NOT EXISTS products_by_{column} ON products ({column})")

    def _complete(self) -> None:
        for column in self._layout.columns:
            if column.kind == "time":
                self._index("", column.name)
        if not self._updates:
            self._db.execute("PRAGMA journal_mode = DELETE")

    def _stored(self, time: datetime) -> str:
        (text,) = _sortable([utc(time)])
        assert text is not None
        return text


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


def _sortable(column: Sequence[datetime | None]) -> Sequence[str | None]:
    texts: Any = iso_texts(column)
    if texts and all(texts) and sum(map(len, texts)) == _WHOLE * len(texts):  # as nearly all are: a few steps of C
        return "\n".join(texts).replace("Z", ".000000Z").split("\n")
    return [text if text is None or text[19] == "." else f"{text[:19]}.000000{text[19:]}" for text in texts]


def _without_none(column: Sequence[Any]) -> Sequence[Any]:
    # For a None, sqlite3 looks for an adapter first, which takes longer than all else about a cell; a float that is no
    # number becomes NULL as well. `all` is the quicker look, and enough for most columns.
    return column if all(column) or None not in column else [_NULL if cell is None else cell for cell in column]


def _as_ints(column: Sequence[bool | None]) -> Sequence[int | None]:
    # What is exactly an int goes to SQLite as it is; for a bool, sqlite3 looks for an adapter, four times as long.
    return list(map(_INTS.__getitem__, column))


def _number(number: Decimal) -> int | float | bytes:
    if number == number.to_integral_value() and abs(number) < 2**63:
        return int(number)
    real = float(number)
    return real if Decimal(repr(real)) == number else digits(number).encode()


def _from_number(cell: float | bytes) -> Decimal:
    return Decimal(cell.decode() if isinstance(cell, bytes) else repr(cell))


_FROM_CELL: Mapping[CellKind, Callable[[Any], Any]] = {
    "bool": bool,
    "decimal": _from_number,
    "time": moment,
    "texts": FROM_TEXT["texts"],
    "numbers": FROM_TEXT["numbers"],
    "json": FROM_TEXT["json"],
}
