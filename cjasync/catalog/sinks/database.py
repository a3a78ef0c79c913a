"""What the two database files share: rows are appended to a table, and replaced ones deleted at the end.

`FILE.partial` is a database with the table `products`; rows and the commit record change in one transaction. A file of
an earlier walk stays untouched until `finish`, which brings the new rows into it in one transaction: a product that
came again is replaced unless the file's row is newer, products that were not seen stay as they are, and those given to
`tombstone` get a `deleted_at`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.cells import CellKind
from cjasync.catalog.sinks.columns import DELETED_AT, FETCHED_AT, Layout
from cjasync.catalog.sinks.durable import Commit
from cjasync.catalog.sinks.sink import FileSink, Written
from cjasync.errors import OutputError
from cjasync.models._model import Model

# In all statements $key stands for the column that names a product, $columns for all of them.
_CREATE = (
    "CREATE TABLE products ($typed)",
    "CREATE TABLE cjasync_commit (record BLOB)",
    "CREATE TABLE cjasync_gone (pid $text, gone_at $time)",
)
_KEEP_NEWEST = """
    DELETE FROM products WHERE rowid IN (
        SELECT id FROM (
            SELECT rowid AS id, row_number() OVER (PARTITION BY $key ORDER BY fetched_at DESC, rowid DESC) AS place
            FROM products
        ) AS placed WHERE place > 1
    )"""
_MERGE = (
    """DELETE FROM earlier.products WHERE EXISTS (
        SELECT 1 FROM products AS new WHERE new.$key = products.$key AND new.fetched_at >= products.fetched_at)""",
    """INSERT INTO earlier.products ($columns) SELECT $columns FROM products AS new WHERE NOT EXISTS (
        SELECT 1 FROM earlier.products AS old WHERE old.$key = new.$key)""",
    """UPDATE earlier.products SET deleted_at = (SELECT max(gone_at) FROM cjasync_gone WHERE pid = products.$key)
        WHERE $key IN (SELECT pid FROM cjasync_gone) AND $key NOT IN (SELECT $key FROM products)""",
)


class DatabaseSink(FileSink):
    """A database file with the table `products`."""

    upserts = True
    types: ClassVar[Mapping[CellKind, str]]

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._db: Any = None
        self._writing = False
        self._updates = False
        self._columns = {column.name: self.types[column.kind] for column in (*layout.columns, FETCHED_AT, DELETED_AT)}

    async def tombstone(self, pids: Sequence[str], at: datetime) -> None:
        """Mark products of the earlier walk as gone since `at` (aware), unless this walk has seen them.

        Takes part in the next commit; the file shows it when it is finished.
        """
        async with self._turn:
            await self._long(lambda: self._insert_gone(pids, at))

    async def held(self, column: str, low: datetime | None, high: datetime | None) -> list[str]:
        """Products of the earlier walk, not gone, whose time in `column` lies from low to high, both included.

        With None for both ends: those that have no time there. Empty where there was no earlier walk.
        """
        async with self._turn:
            return await self._long(lambda: self._held(column, low, high))

    @abstractmethod
    def _connect(self, path: Path, *, read_only: bool = False) -> Any:
        """A connection that begins and ends transactions only when told to."""

    @abstractmethod
    def _insert(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        """Append rows."""

    @abstractmethod
    def _insert_gone(self, pids: Sequence[str], at: datetime) -> None:
        """Append to cjasync_gone."""

    @abstractmethod
    def _stored(self, time: datetime) -> Any:
        """A time as the database compares it."""

    def _prepare(self) -> None:
        """Make look-ups by key fast, now that all rows are there."""

    def _settle(self) -> None:
        """Bring the file into one piece, to be renamed once it is closed."""

    def _open(self, fresh: bool) -> None:
        self._updates = self.path.exists() and not fresh
        if self._updates:
            self._check_earlier()
        if fresh:
            self._remove()
        self._db = self._connect(self.partial)
        commit = self._load()
        if commit is not None:
            self._check(commit)
            self.token, self.rows = commit.token, commit.rows
            return
        self._begin()
        for table in ("products", "cjasync_commit", "cjasync_gone"):
            self._run("DROP TABLE IF EXISTS " + table)
        for statement in _CREATE:
            self._run(statement)
        self._end()

    def _check_earlier(self) -> None:
        with closing(self._connect(self.path, read_only=True)) as db:
            if _has_table(db, "products") and {self._layout.key, "fetched_at", "deleted_at"} <= set(_columns(db)):
                return
        raise OutputError(
            f"{self.path} holds no table of products by {self._layout.key}: choose another file, "
            "or replace it with fresh=True (--fresh)"
        )

    def _load(self) -> Commit | None:
        if not _has_table(self._db, "cjasync_commit"):
            return None
        record = self._run("SELECT record FROM cjasync_commit").fetchone()
        return None if record is None else msgspec.json.decode(record[0], type=Commit)

    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        self._begin()
        self._insert(rows, fetched_at)

    def _commit(self, token: bytes) -> None:
        self._begin()
        self._run("DELETE FROM cjasync_commit")
        self._run("INSERT INTO cjasync_commit VALUES (?)", [msgspec.json.encode(self._state(token))])
        self._end()

    def _held(self, column: str, low: datetime | None, high: datetime | None) -> list[str]:
        if not self._updates:
            return []
        if low is None or high is None:
            when, times = "IS NULL", []
        else:
            when, times = "BETWEEN ? AND ?", [self._stored(low), self._stored(high)]
        if column not in self._columns:
            raise ValueError(f"{self.path} has no column {column!r}")
        with closing(self._connect(self.path, read_only=True)) as db:
            query = self._named("SELECT $key FROM products WHERE deleted_at IS NULL AND $column ")
            return [pid for (pid,) in db.execute(query.replace("$column", column) + when, times).fetchall()]

    def _finish(self) -> Written:
        self._begin()
        self._end()
        self._run(_KEEP_NEWEST)
        rows = self._run("SELECT count(*) FROM products").fetchone()[0]
        self._prepare()
        if self._updates:
            self._merge()
            self._close()
            self._remove()
        else:
            self._settle()
            self._close()
            durable.publish(self.partial, self.path)
            with closing(self._connect(self.path)) as db:
                db.execute("DROP TABLE cjasync_commit")
                db.execute("DROP TABLE cjasync_gone")
        return Written(path=self.path, rows=rows, repeated=self.rows - rows)

    def _merge(self) -> None:
        name = str(self.path).replace("'", "''")
        self._run(f"ATTACH '{name}' AS earlier")
        present = {column[0] for column in self._run("SELECT * FROM earlier.products LIMIT 0").description}
        for column in self._columns.keys() - present:
            self._run(f"ALTER TABLE earlier.products ADD COLUMN {column} {self._columns[column]}")
        self._begin()
        for statement in _MERGE:
            self._run(statement)
        self._end()

    def _begin(self) -> None:
        if not self._writing:
            self._db.execute("BEGIN")
            self._writing = True

    def _end(self) -> None:
        self._db.execute("COMMIT")
        self._writing = False

    def _run(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self._db.execute(self._named(statement), values)

    def _named(self, statement: str) -> str:
        typed = ", ".join(f"{name} {kind}" for name, kind in self._columns.items())
        for name, text in (
            ("$key", self._layout.key),
            ("$columns", ", ".join(self._columns)),
            ("$typed", typed),
            ("$text", self.types["text"]),
            ("$time", self.types["time"]),
        ):
            statement = statement.replace(name, text)
        return statement

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm", ".wal"):
            self.partial.with_name(self.partial.name + suffix).unlink(missing_ok=True)


def _has_table(db: Any, name: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [name]).fetchone() is not None


def _columns(db: Any) -> list[str]:
    return [column[0] for column in db.execute("SELECT * FROM products LIMIT 0").description]
