"""The file that a walk goes on from: SQLite, one transaction per answer or per few that came together.

What an answer brought is in the file before anybody gets to see it: the rows, until whoever takes them has committed
them (`staged`), and the answer itself as the planner needs it. A planner's state is a function of the answers it was
fed, so it is written whole only now and then (`walk.planner`), with the answers since beside it (`answer`).
Killed at any moment, the next run asks at most the questions again that were in flight.

WAL without an fsync per commit: a killed process loses nothing, and after a power cut the file is as it was a moment
before; what a sink has committed beyond that is fetched again and replaced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from cjasync.catalog.entry import Earlier, Entry, Part, Skip, Standing
from cjasync.catalog.planning.question import Answer
from cjasync.catalog.tally import Tally
from cjasync.errors import CheckpointError, CJError, OutputError

VERSION = 1
PAUSE = -1  # stands in the log of answers for a pause in which the catalogue moved on
_KIND = 0x434A4157  # SQLite's application id: CJAW
_MAGIC = b"SQLite format 3\0"
_HEAD = 100  # bytes, of which these and some others say what the file is
_PAGE_BYTES = 8192
_PLACES = 1 << 20  # more than a page has rows

_TABLES = """
    CREATE TABLE walk (
        name TEXT, question TEXT, state TEXT, planner BLOB, tally BLOB, taken INTEGER, last INTEGER, earlier BLOB
    );
    CREATE TABLE answer (seq INTEGER PRIMARY KEY, question INTEGER, body BLOB);
    CREATE TABLE staged (seq INTEGER PRIMARY KEY, part BLOB);
    CREATE TABLE delivered (seq INTEGER PRIMARY KEY, keys BLOB);
    CREATE TABLE known (keys BLOB);
    CREATE TABLE skipped (pid TEXT PRIMARY KEY, raw BLOB, path TEXT, reason TEXT) WITHOUT ROWID;
    CREATE TABLE todo (n INTEGER PRIMARY KEY, pid TEXT);
    CREATE TABLE failed (pid TEXT PRIMARY KEY, reason TEXT) WITHOUT ROWID;
"""


def refuse_foreign(path: Path) -> bytes:
    """What the file begins with; nothing if there is none. CheckpointError for one that is none of ours."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise OutputError(f"cannot read the checkpoint {path}: {error}") from error
    if head and not _is_ours(head) and (len(head) == _HEAD or not _MAGIC.startswith(head[: len(_MAGIC)])):
        raise CheckpointError(
            f"{path} is no checkpoint, and is not deleted: move it away yourself, or choose another file"
        )
    return head


def _is_ours(head: bytes) -> bool:
    return head[68:72] == _KIND.to_bytes(4, "big")


class Checkpoint:
    """An open checkpoint. Its methods block; one thread at a time."""

    def __init__(self, path: Path | None, question: str, *, fresh: bool) -> None:
        """`path`: None keeps all of it in a temporary file. `fresh`: forget what the file holds.

        Raises CheckpointError for a file that cannot be resumed, OutputError for one that cannot be written.
        """
        self.path = path
        self.question = question
        if path is not None:
            self._look_at(path, fresh=fresh)
        with self._explained():
            # An empty name is a database of SQLite's own that is gone when it is closed.
            self._db = sqlite3.connect(path or "", isolation_level=None, timeout=0.5, check_same_thread=False)
        try:
            with self._explained():
                self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        run = self._db.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        kind, version = (run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._create()
        elif kind != _KIND:
            raise self._refused("is damaged")
        elif version != VERSION:
            raise self._refused(f"was written by another version of cjasync ({version}, not {VERSION})")
        elif (said := run("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise self._refused(f"is damaged ({said})")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA wal_autocheckpoint = 2000")
        asked = self._one("question")
        if asked != self.question:
            raise self._refused(f"belongs to another question, {asked}, and not to {self.question}")

    def _create(self) -> None:
        """Before WAL, so that the file says from its first byte on what it is."""
        run = self._db.execute
        run(f"PRAGMA page_size = {_PAGE_BYTES}")
        run("BEGIN EXCLUSIVE")
        for statement in _TABLES.split(";"):
            run(statement)
        run("INSERT INTO walk VALUES (NULL, ?, 'new', NULL, NULL, 0, 0, NULL)", [self.question])
        run(f"PRAGMA application_id = {_KIND}")
        run(f"PRAGMA user_version = {VERSION}")
        run("COMMIT")

    def _look_at(self, path: Path, *, fresh: bool) -> None:
        """Refuse a file that is none of ours, and, unless it is to be replaced, one that is hardly there."""
        head = refuse_foreign(path)
        if fresh:
            self._remove(path)
        elif head and not _is_ours(head):
            raise self._refused("is damaged")

    def _remove(self, path: Path) -> None:
        """Delete an earlier checkpoint, whatever state it is in; but not under another's hands."""
        try:
            with closing(sqlite3.connect(path, isolation_level=None, timeout=0.5)) as db:
                db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise self._in_use() from None
        except (sqlite3.DatabaseError, OSError):
            pass  # damaged, or not to be read; what cannot be deleted either says so below
        with self._explained():
            for suffix in ("", "-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    # What it holds

    def standing(self) -> Standing:
        """Where it stands."""
        with self._explained():
            row = self._db.execute("SELECT name, state, taken, last, earlier, tally FROM walk").fetchone()
            name, state, taken, last, earlier, tally = row
            return Standing(
                name=name,
                state=state,
                taken=taken,
                last=max(taken, last),
                earlier=None if earlier is None else _decode(earlier, Earlier),
                tally=Tally() if tally is None else _decode(tally, Tally),
            )

    @property
    def planner(self) -> bytes:
        """The planner's state, as of the first of `answers`."""
        return bytes(self._one("planner"))

    def answers(self) -> Iterator[tuple[int, Answer | None]]:
        """Questions and answers since `planner`, in order; a pause has no answer."""
        with self._explained():
            for question, body in self._db.execute("SELECT question, body FROM answer ORDER BY seq"):
                yield question, None if body is None else _decode(body, Answer)

    def keys(self) -> bytes:
        """The keys of all products delivered."""
        with self._explained():
            return b"".join(keys for (keys,) in self._db.execute("SELECT keys FROM delivered"))

    def known(self) -> bytes:
        """The keys of products that earlier walks brought into a database; some may be there twice."""
        with self._explained():
            return b"".join(keys for (keys,) in self._db.execute("SELECT keys FROM known"))

    def skipped(self) -> list[Skip]:
        """Rows that could not be read."""
        with self._explained():
            return [Skip(*row) for row in self._db.execute("SELECT pid, raw, path, reason FROM skipped")]

    def staged(self, after: int) -> list[int]:
        """Numbers of the parts that wait, in order."""
        with self._explained():
            return [seq for (seq,) in self._db.execute("SELECT seq FROM staged WHERE seq > ? ORDER BY seq", [after])]

    def part(self, seq: int) -> Part:
        """A part that waits."""
        with self._explained():
            (part,) = self._db.execute("SELECT part FROM staged WHERE seq = ?", [seq]).fetchone()
            found: Part = _decode(part, Part)
            return found

    def todo(self, after: int, count: int) -> list[tuple[int, str]]:
        """The next products whose details are to be asked for: their place in the list and their id."""
        with self._explained():
            return list(self._db.execute("SELECT n, pid FROM todo WHERE n > ? ORDER BY n LIMIT ?", [after, count]))

    # What changes it

    def begin(self, name: str, planner: bytes) -> None:
        """A new walk; what an unfinished one left is gone."""
        with self._transaction() as run:
            for table in ("answer", "staged", "delivered", "skipped", "todo", "failed"):
                run(f"DELETE FROM {table}")  # noqa: S608 - our own names
            run(
                "UPDATE walk SET name = ?, state = 'walking', planner = ?, tally = NULL, taken = 0, last = 0",
                [name, planner],
            )

    def save(self, entries: Iterable[Entry], tally: Tally, taken: int, snapshot: tuple[int, bytes] | None) -> None:
        """Write down some answers; `snapshot`: the planner's state after the answer of that number."""
        with self._transaction() as run:
            for entry in entries:
                self._write(run, entry)
                run("UPDATE walk SET last = ?", [entry.seq])
            if snapshot is not None:
                seq, planner = snapshot
                run("UPDATE walk SET planner = ?", [planner])
                run("DELETE FROM answer WHERE seq <= ?", [seq])
            run("UPDATE walk SET tally = ?, taken = ?", [_encode(tally), taken])
            run("DELETE FROM staged WHERE seq <= ?", [taken])

    def _write(self, run: Callable[..., Any], entry: Entry) -> None:
        if entry.question is not None:
            body = None if entry.answer is None else _encode(entry.answer)
            run("INSERT INTO answer VALUES (?, ?, ?)", [entry.seq, entry.question, body])
        if entry.part is not None:
            run("INSERT INTO staged VALUES (?, ?)", [entry.seq, _encode(entry.part)])
        if entry.keys:
            run("INSERT INTO delivered VALUES (?, ?)", [entry.seq, entry.keys])
        for skip in entry.skipped:
            run("INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?)", msgspec.structs.astuple(skip))
        for pid in entry.mended:
            run("DELETE FROM skipped WHERE pid = ?", [pid])
        for place, pid in enumerate(entry.todo):
            run("INSERT INTO todo VALUES (?, ?)", [entry.seq * _PLACES + place, pid])
        for n in entry.done:
            run("DELETE FROM todo WHERE n = ?", [n])
        for failure in entry.failed.items():
            run("INSERT OR REPLACE INTO failed VALUES (?, ?)", failure)

    def closing(self) -> None:
        """All is delivered; what follows is the sink's end."""
        with self._transaction() as run:
            run("UPDATE walk SET state = 'closing'")

    def finish(self, earlier: Earlier, tally: Tally, *, know: bool, proved: bool) -> None:
        """The walk is over; the next one begins with what it leaves.

        know: remember its products, because the next one may find some gone. proved: it has seen all there were, and
        what earlier walks knew beside has been dealt with.
        """
        with self._transaction() as run:
            if proved or not know:
                run("DELETE FROM known")
            if know:
                run("INSERT INTO known SELECT keys FROM delivered")
            for table in ("answer", "staged", "delivered", "todo"):
                run(f"DELETE FROM {table}")  # noqa: S608 - our own names
            told = [_encode(earlier), _encode(tally)]
            run("UPDATE walk SET state = 'finished', planner = NULL, earlier = ?, tally = ?", told)
        with self._explained():
            self._db.execute("VACUUM")

    def close(self) -> None:
        """Let go of the file."""
        with self._explained():
            self._db.close()

    # Plumbing

    def _one(self, column: str) -> Any:
        with self._explained():
            return self._db.execute(f"SELECT {column} FROM walk").fetchone()[0]  # noqa: S608 - our own names

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., Any]]:
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db.execute
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what SQLite's errors mean for a walk."""
        try:
            yield
        except CJError:
            raise
        except (sqlite3.OperationalError, OSError) as error:
            if "locked" in str(error):
                raise self._in_use() from None
            raise OutputError(f"cannot write the checkpoint {self.path}: {error}") from error
        except (sqlite3.DatabaseError, msgspec.MsgspecError, TypeError) as error:
            raise self._refused(f"is damaged or no checkpoint ({error})") from None

    def _refused(self, why: str) -> CheckpointError:
        return CheckpointError(f"{self.path} {why}; start anew with `fresh=True`, or choose another file")

    def _in_use(self) -> CheckpointError:
        return CheckpointError(f"{self.path} is in use by another walk; wait for it, or choose another file")


def _encode(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


def _decode(data: bytes, kind: Any) -> Any:
    return msgspec.msgpack.decode(data, type=kind)
