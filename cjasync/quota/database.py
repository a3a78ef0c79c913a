"""A SQLite file that many processes write to in short transactions, none of which waits for a lock or a disk."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from cjasync.errors import ConfigError, StoreError
from cjasync.quota.places import default_path, shared_disk

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

APPLICATION = 0x636A6173  # "cjas"
VERSION = 2
OPEN_SECONDS = 10.0  # for opening, which may wait
SPIN_SECONDS = 0.001  # for a transaction; SQLite's own waiting starves some and keeps the event loop
NAP_SECONDS = 0.00005
_ADVICE = '`quota="memory"` needs no file and holds for one process; `quota="sqlite:///path"` names another one'


class Database:
    """One process's connection to the file. Use it from one thread; `connect` and `tidy` may run in another.

    It is closed before a fork: SQLite remembers in the process's memory which locks it has, and a child would take its
    parent's for its own. It would go on in a log that the last other process to close the file has thrown away.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db: sqlite3.Connection | None = None
        self._files = [Path(f"{path}{end}") for end in ("", "-wal", "-shm")]
        self._known: list[tuple[int, int]] | None = None
        self._in_use = threading.RLock()
        self._elsewhere = threading.RLock()
        _databases.add(self)

    @property
    def is_open(self) -> bool:
        """Whether transactions can be made."""
        return self._db is not None

    def connect(self, prepare: Callable[[sqlite3.Connection], None]) -> None:
        """Open or create the file, readable for its owner only, and `prepare` it under the lock.

        Raises StoreError, and ConfigError where the folder of a named file does not exist.
        """
        import sqlite3

        if (kind := shared_disk(self.path)) is not None:
            raise StoreError(
                f"{self.path} is on a network file system ({kind}), where SQLite cannot lock; "
                "share a redis:// store, or name a file on a disk of this machine"
            )
        try:
            if self.path == default_path():
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not self.path.parent.exists():
                raise ConfigError(
                    f"the folder {self.path.parent} for the quota database does not exist; create it first"
                )
            with contextlib.suppress(FileExistsError):  # opened and closed, all this process's locks on it would go
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))
        except OSError as error:
            raise StoreError(
                f"the quota database {self.path} cannot be written: {error.strerror}; {_ADVICE}"
            ) from error
        with self._elsewhere:
            db = None
            try:
                db = sqlite3.connect(self.path, timeout=OPEN_SECONDS, isolation_level=None, check_same_thread=False)
                self._prepare(db, prepare)
            except sqlite3.Error as error:
                if db is not None:
                    db.close()
                raise self._explained(error) from error
            except BaseException:
                if db is not None:
                    db.close()
                raise
            self._known = self._identify()
            self._db = db

    def _prepare(self, db: sqlite3.Connection, prepare: Callable[[sqlite3.Connection], None]) -> None:
        db.execute("PRAGMA page_size=1024")  # of a new file: a booking changes one page, which is copied to the log
        mode = db.execute("PRAGMA journal_mode=wal").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"the quota database {self.path} cannot be shared: its disk does not allow WAL; {_ADVICE}")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA wal_autocheckpoint=0")  # its fsync would hold up the event loop: `tidy` does it
        db.execute("BEGIN IMMEDIATE")
        application, version = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if (application, version) == (0, 0) and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            db.execute("CREATE TABLE bucket (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID")
            db.execute(f"PRAGMA application_id={APPLICATION}")
            db.execute(f"PRAGMA user_version={VERSION}")
        elif application != APPLICATION:
            raise StoreError(f"{self.path} is a database, but not one of quotas; name another file")
        elif version != VERSION:
            raise StoreError(
                f"the quota database {self.path} was written by another version of cjasync (format {version}, "
                f"here {VERSION}); name another file, or remove it when nobody uses it: the new one will not know what "
                "today has used"
            )
        prepare(db)
        db.execute("COMMIT")
        db.execute("PRAGMA busy_timeout=0")

    def transact(self, work: Callable[..., T], *args: Any) -> T | None:
        """Do `work(connection, *args)` under the lock, all or nothing. None: not open, or another keeps the lock."""
        with self._in_use:
            db = self._db
            if db is None:
                return None
            try:
                if not _begin(db):
                    return None
                result = work(db, *args)
                db.execute("COMMIT")
            except BaseException as error:
                self._undo(db)
                import sqlite3

                if isinstance(error, sqlite3.Error):
                    raise self._explained(error) from error
                raise
            return result

    def _undo(self, db: sqlite3.Connection) -> None:
        import sqlite3

        with contextlib.suppress(sqlite3.Error):
            if db.in_transaction:
                db.execute("ROLLBACK")

    def tidy(self) -> None:
        """Carry the log over into the file, and begin the next log: both may wait for the disk."""
        import sqlite3

        with (
            self._elsewhere,
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(self.path, timeout=3)) as db,
        ):
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()  # most of it while others go on writing,
            db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()  # and the rest under the lock, or it never ends

    def replaced(self) -> bool:
        """Whether a file of ours was removed or exchanged: others would not see what is written here."""
        return self._known != self._identify()

    def _identify(self) -> list[tuple[int, int]] | None:
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return None
        return [(one.st_dev, one.st_ino) for one in found]

    def close(self) -> None:
        """Close the connection."""
        with self._in_use:
            db, self._db = self._db, None
            if db is not None:
                db.close()

    def before_fork(self) -> None:
        """Close the connection, and let nobody open another."""
        self._in_use.acquire()
        self._elsewhere.acquire()
        self.close()

    def after_fork(self) -> None:
        """On both sides: whoever needs it opens it again."""
        self._elsewhere.release()
        self._in_use.release()

    def _explained(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", None) or ""
        where = f"the quota database {self.path}"
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return StoreError(
                f"{where} is damaged ({error}). Moved away, a new one is begun, which will not know what today has used"
            )
        if name.startswith("SQLITE_FULL"):
            return StoreError(f"{where} cannot grow: the disk is full. Nothing is sent until there is room")
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            return StoreError(f"{where} cannot be written ({error}); {_ADVICE}")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreError(f"another program has held {where} for {OPEN_SECONDS:g} seconds")
        return StoreError(f"{where} failed: {error} ({name or type(error).__name__})")


def _begin(db: sqlite3.Connection) -> bool:
    """Take the lock, if it is free within a moment."""
    give_up = 0.0
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except Exception as error:
            if not _is_busy(error):
                raise
            now = time.perf_counter()
            give_up = give_up or now + SPIN_SECONDS
            if now >= give_up:
                return False
            time.sleep(NAP_SECONDS)
        else:
            return True


def _is_busy(error: Exception) -> bool:
    import sqlite3

    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


_databases: WeakSet[Database] = WeakSet()
_parting: list[Database] = []
_forking = threading.RLock()


def _before_fork() -> None:
    _forking.acquire()
    _parting.extend(_databases)
    for database in _parting:
        database.before_fork()


def _after_fork() -> None:
    for database in _parting:
        database.after_fork()
    _parting.clear()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
