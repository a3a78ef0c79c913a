"""What the two database files share: a walk's rows are brought into the file of an earlier walk in one transaction.

A product that came again is replaced unless the file's row is newer, products that were not seen stay as they are, and
those given to `tombstone` get a `deleted_at`. Until `finish` the earlier file stays untouched.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import msgspec

import cjasync.catalog.sinks.durable as durable
from cjasync.catalog.sinks.cells import CellKind
from cjasync.catalog.sinks.columns import DELETED_AT, FETCHED_AT, Layout
from cjasync.catalog.sinks.durable import Commit
from cjasync.catalog.sinks.sink import FileSink, Written
from cjasync.errors import ConfigError

# In all statements $key stands for the column that names a product, $columns for all of them, $typed with their types.
CREATE_PRODUCTS = "CREATE TABLE products ($typed)"
CREATE_GONE = "CREATE TABLE cjasync_gone (pid $text, gone_at $time)"
KEEP_NEWEST = """
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


class UpsertingSink(FileSink):
    """A database file with the table `products`, which outlives a walk.

    `FILE.partial` is such a database too. Rows are appended without an index, which is several times faster, and change
    in one transaction with the commit record.
    """

    upserts = True
    types: ClassVar[Mapping[CellKind, str]]
    beside: ClassVar[tuple[str, ...]]  # what the database adds to its file's name for files of its own

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
            self._dirty = True
            await self._long(lambda: self._bury(pids, at))

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
    def _take_hold(self) -> None:
        """Connect to the partial file as its only writer."""

    @abstractmethod
    def _bury(self, pids: Sequence[str], at: datetime) -> None:
        """Note tombstones."""

    @abstractmethod
    def _stored(self, time: datetime) -> Any:
        """A time as the database compares it."""

    def _insert_waiting(self) -> None:
        """Insert what was kept back to be inserted together."""

    def _keep_newest(self) -> None:
        """Of the rows of each product, leave the newest."""
        self._db.execute(self._named(KEEP_NEWEST))

    def _complete(self) -> None:
        """Make a finished database of the partial one, which holds all rows."""

    def _open(self, fresh: bool) -> None:
        self._look_at_earlier(fresh)
        self._take_hold()
        if fresh:  # only now that nobody else writes it
            self._db.close()
            self._remove()
            self._take_hold()
        self._begin()
        commit = self._last_commit()
        self._end()
        if commit is not None:
            self._go_on(commit)

    def _last_commit(self) -> Commit | None:
        """The last commit's record; an empty database gets its tables."""
        if "cjasync_commit" not in _tables(self._db):
            for statement in (CREATE_PRODUCTS, CREATE_GONE, "CREATE TABLE cjasync_commit (record BLOB)"):
                self._db.execute(self._named(statement))
        record = self._db.execute("SELECT record FROM cjasync_commit").fetchone()
        return None if record is None else msgspec.json.decode(record[0], type=Commit)

    def _commit(self, token: bytes) -> None:
        self._insert_waiting()
        self._begin()
        self._db.execute("DELETE FROM cjasync_commit")
        self._db.execute("INSERT INTO cjasync_commit VALUES (?)", [msgspec.json.encode(self._state(token))])
        self._end()

    def _finish(self) -> Written:
        self._insert_waiting()
        if self._writing:
            self._end()
        self._keep_newest()
        rows = self._db.execute("SELECT count(*) FROM products").fetchone()[0]
        self._complete()
        if self._updates:
            self._merge(self._db)
            self._close()
        else:
            self._close()
            durable.publish(self.partial, self.path)
            with closing(self._connect(self.path)) as db:
                db.execute("DROP TABLE cjasync_commit")
                db.execute("DROP TABLE cjasync_gone")
        self._remove()
        return Written(path=self.path, rows=rows, repeated=self.rows - rows)

    def _begin(self) -> None:
        if not self._writing:
            self._db.execute("BEGIN")
            self._writing = True

    def _end(self) -> None:
        self._db.execute("COMMIT")
        self._writing = False

    def _cut_back(self) -> None:
        """What was not committed goes with the connection."""

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _remove(self) -> None:
        for suffix in ("", *self.beside):
            self.partial.with_name(self.partial.name + suffix).unlink(missing_ok=True)

    def _look_at_earlier(self, fresh: bool) -> None:
        """Find out whether there is a file to update, and that it is one of ours."""
        self._updates = self.path.exists() and not fresh
        if not self._updates:
            return
        try:
            with closing(self._connect(self.path, read_only=True)) as db:
                known = {self._layout.key, FETCHED_AT.name, DELETED_AT.name}
                ours = "products" in _tables(db) and known <= _columns(db, "products")
            what = "" if ours else f"holds no table of products by {self._layout.key}"
        except self.errors as error:
            what = f"cannot be read: {error}"
        if what:
            raise ConfigError(f"{self.path} {what}; choose another file, or replace it with `fresh=True`")

    def _held(self, column: str, low: datetime | None, high: datetime | None) -> list[str]:
        if column not in self._columns:
            raise ValueError(f"{self.path} has no column {column!r}")
        if not self._updates:
            return []
        if low is None or high is None:
            when, times = f"{column} IS NULL", []
        else:
            when, times = f"{column} BETWEEN ? AND ?", [self._stored(low), self._stored(high)]
        with closing(self._connect(self.path, read_only=True)) as db:
            query = self._named("SELECT $key FROM products WHERE deleted_at IS NULL AND ") + when
            return [pid for (pid,) in db.execute(query, times).fetchall()]

    def _merge(self, db: Any) -> None:
        """Bring the tables `products` and `cjasync_gone` of the connection's file into the earlier file."""
        name = str(self.path).replace("'", "''")
        db.execute(f"ATTACH '{name}' AS earlier")
        present = _columns(db, "earlier.products")
        for column, kind in self._columns.items():
            if column not in present:
                db.execute(f"ALTER TABLE earlier.products ADD COLUMN {column} {kind}")
        db.execute("BEGIN")
        for statement in _MERGE:
            db.execute(self._named(statement))
        db.execute("COMMIT")

    def _named(self, statement: str) -> str:
        names = {
            "$key": self._layout.key,
            "$columns": ", ".join(self._columns),
            "$typed": ", ".join(f"{name} {kind}" for name, kind in self._columns.items()),
            "$text": self.types["text"],
            "$time": self.types["time"],
        }
        for name, text in names.items():
            statement = statement.replace(name, text)
        return statement


def _tables(db: Any) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master").fetchall()}


def _columns(db: Any, table: str) -> set[str]:
    return {column[0] for column in db.execute("SELECT * FROM $table LIMIT 0".replace("$table", table)).description}
