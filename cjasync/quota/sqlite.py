"""The buckets in a SQLite file: one truth for all processes of a user on a machine, and for tomorrow's.

All buckets of an account are one row, and so are those of an address, since a booking takes from all of them at once:
one statement reads both and one writes them. These short transactions are made in the event loop's own thread and wait
for nothing longer than a moment. What may wait for the disk (opening, checkpoints) is done in a thread.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import msgspec
from msgspec import Struct

from cjasync._to_the_end import to_the_end
from cjasync.errors import StoreError
from cjasync.quota.bucket import SECOND, Claim
from cjasync.quota.database import Database
from cjasync.quota.keeper import Keeper
from cjasync.quota.ledger import Settlement, book, settle
from cjasync.quota.parents import left_to_the_parent
from cjasync.quota.places import boot_id, default_path
from cjasync.quota.state import Blocked, Exhausted, NotBefore, State
from cjasync.quota.tickets import Booking, Ticket

if TYPE_CHECKING:
    import sqlite3

    from cjasync.quota.desk import Desk

T = TypeVar("T")

PATIENCE = 10 * SECOND  # after so long a lock that nobody lets go is an error
EAGER = 16  # tries without a pause: the lock is nearly always let go within a moment
TIDY_AFTER = 4000  # transactions: some 8 MB of log
LOOK = SECOND // 10  # how often to see whether the files are still there
REMEMBER = 10 * SECOND  # how often the era is written down

_ERA = ""
_PUT = "INSERT INTO bucket VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET state = excluded.state"
_ROW = "(SELECT state FROM bucket WHERE key = ?)"
_GET = f"SELECT {_ROW}, {_ROW}, {_ROW}"
_ALL = "SELECT state FROM bucket WHERE key <> ?"
_decode = msgspec.msgpack.Decoder(dict[str, State]).decode
_encode = msgspec.msgpack.Encoder().encode


class Era(Struct, frozen=True, array_like=True):
    """How the ledger's time, which goes on over restarts of the machine, hangs together with the machine's clocks.

    ahead: the ledger's time minus the monotonic clock since `boot`. seen, wall: one moment on the ledger's clock and on
    the wall.
    """

    boot: str
    ahead: int
    seen: int
    wall: int


_decode_era = msgspec.msgpack.Decoder(Era).decode


class Row:
    """The buckets of an account or an address as last read or written; decoding them is much of the work."""

    __slots__ = ("blob", "key", "states")

    def __init__(self, key: str, blob: bytes | None, states: dict[str, Any]) -> None:
        self.key = key
        self.blob = blob
        self.states = states


Rows = tuple[Row, Row]  # the address's and the account's


class SQLiteStore:
    """Limits that all processes of this user on this machine share. `path`: None for the user's state directory."""

    shared = True

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = default_path() if path is None else Path(path)
        self._file = Database(self.path)
        self._opening: asyncio.Future[None] | None = None
        self._tidying: asyncio.Future[None] | None = None
        self._boot = boot_id()
        self._ahead = 0
        self._remembered = 0
        self._looked = 0
        self._era: bytes = b""
        self._known: dict[str, Row] = {}
        self._commits = 0
        self._keeper = Keeper()
        _stores.add(self)

    async def open(self, desk: Desk) -> None:
        """Make it ready. Raises StoreError."""
        self._keeper.check()
        while not self._file.is_open:
            if self._opening is None:
                loop = asyncio.get_running_loop()
                self._opening = loop.run_in_executor(None, self._file.connect, lambda db: self._begin_era(db, desk))
                self._opening.add_done_callback(self._opened)
            await asyncio.shield(self._opening)

    def _opened(self, _done: asyncio.Future[None]) -> None:
        self._opening = None

    def try_book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked | None:
        """Book at once; None while another process holds the file."""
        return self._transact(desk, self._book, booking, desk, token)

    async def book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Take all that a request needs, or nothing. Raises StoreError."""
        return await self._patiently(desk, self._book, booking, desk, token)

    def try_settle(self, settlements: Sequence[Settlement], desk: Desk) -> bool:
        """Write down what became of requests, unless another process holds the file."""
        return self._transact(desk, self._settle, settlements, desk) is not None

    async def settle(self, settlements: Sequence[Settlement], desk: Desk) -> None:
        """Write down what became of requests. Raises StoreError."""
        await self._patiently(desk, self._settle, settlements, desk)

    async def read(self, prefix: str, desk: Desk) -> tuple[int, dict[str, State]]:
        """The moment on the buckets' clock, and the buckets whose keys begin so. Raises StoreError."""

        def scan(db: sqlite3.Connection) -> tuple[int, dict[str, State]]:
            rows = [self._read(_decode, blob) for (blob,) in db.execute(_ALL, (_ERA,))]
            found = {key: state for row in rows for key, state in row.items() if key.startswith(prefix)}
            return desk.ns() + self._ahead, found

        return await self._patiently(desk, scan)

    async def aclose(self) -> None:
        """Close the file, also when it is about to be opened."""
        try:
            if under_way := [job for job in (self._opening, self._tidying) if job is not None]:
                await asyncio.wait(under_way)
        finally:
            await to_the_end(asyncio.get_running_loop().run_in_executor(None, self._file.close))

    def forked(self) -> None:
        """In a child process: begin anew."""
        self._keeper = Keeper()
        left_to_the_parent(self._opening, self._tidying)
        self._opening = self._tidying = None

    def _transact(self, desk: Desk, work: Callable[..., T], *args: Any) -> T | None:
        self._keeper.check()
        try:
            self._look(desk.ns())
            result = self._file.transact(work, *args)
        except BaseException:
            self._known.clear()  # what was rolled back is not what it says
            if self._file.replaced():
                self._file.close()
            raise
        self._commits += 1
        if self._commits >= TIDY_AFTER and self._tidying is None:
            self._commits = 0
            self._tidying = asyncio.get_running_loop().run_in_executor(None, self._file.tidy)
            self._tidying.add_done_callback(self._tidied)
        return result

    def _tidied(self, _done: asyncio.Future[None]) -> None:
        self._tidying = None

    async def _patiently(self, desk: Desk, work: Callable[..., T], *args: Any) -> T:
        """Try until the lock is had, and leave the loop to others meanwhile."""
        give_up, tries, pause = desk.ns() + PATIENCE, 0, 0.001
        while True:
            await self.open(desk)
            result = self._transact(desk, work, *args)
            if result is not None:
                return result
            tries += 1
            if tries < EAGER:
                await asyncio.sleep(0)
            elif desk.ns() > give_up:
                raise StoreError(
                    f"another program has held the quota database {self.path} for {PATIENCE // SECOND} seconds"
                )
            else:
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, 0.008)

    # Under the lock: clocks are read here, and only here, so that no process books with a moment that has passed.

    def _book(self, db: sqlite3.Connection, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        rows = self._load(db, desk)
        answered = desk.hand_over()
        at, wall, ahead = desk.ns(), int(desk.wall() * SECOND), self._ahead
        if answered:
            self._write_down(answered, rows, at + ahead, wall)
        states = self._states(booking, rows)
        blocked = book(booking.claims, states, at + ahead, wall, token, desk.who)
        self._save(db, rows, at, wall)
        if blocked is None:
            return Ticket(desk, booking, token, at, 0 if booking.points is None else states[booking.points].charged)
        if isinstance(blocked, Exhausted):
            return msgspec.structs.replace(blocked, resets_at=blocked.resets_at - ahead)
        return NotBefore(blocked.at - ahead, blocked.bucket)

    def _settle(self, db: sqlite3.Connection, settlements: Sequence[Settlement], desk: Desk) -> bool:
        rows = self._load(db, desk)
        at, wall = desk.ns(), int(desk.wall() * SECOND)
        self._write_down(settlements, rows, at + self._ahead, wall)
        self._save(db, rows, at, wall)
        return True

    def _write_down(self, settlements: Sequence[Settlement], rows: Rows, now: int, wall: int) -> None:
        for settlement in settlements:
            settle(_shifted(settlement, self._ahead), self._states(settlement.booking, rows), now, wall)

    def _load(self, db: sqlite3.Connection, desk: Desk) -> Rows:
        address, account = desk.prefixes
        era, of_address, of_account = db.execute(_GET, (_ERA, address, account)).fetchone()
        if era != self._era:
            self._recognise(era or b"")
        return self._row(address, of_address), self._row(account, of_account)

    def _row(self, key: str, blob: bytes | None) -> Row:
        row = self._known.get(key)
        if row is None or row.blob != blob:
            self._known[key] = row = Row(key, blob, {} if blob is None else self._read(_decode, blob))
        return row

    def _states(self, booking: Booking, rows: Rows) -> list[Any]:
        if booking.cache is None or booking.cache[0] != rows:
            booking.cache = rows, [self._state(claim, *rows) for claim in booking.claims]
        states: list[Any] = booking.cache[1]
        return states

    def _state(self, claim: Claim, address: Row, account: Row) -> Any:
        states = (address if claim.key.startswith(address.key) else account).states
        state = states.get(claim.key)
        if state is None:
            states[claim.key] = state = claim.new()
        return state

    def _save(self, db: sqlite3.Connection, rows: Rows, at: int, wall: int) -> None:
        changed = []
        for row in rows:
            blob = _encode(row.states)
            if blob != row.blob:
                row.blob = blob
                changed.append((row.key, blob))
        if at - self._remembered >= REMEMBER:
            self._remembered = at
            self._era = _encode(Era(self._boot, self._ahead, at + self._ahead, wall))
            changed.append((_ERA, self._era))
        if changed:
            db.executemany(_PUT, changed)

    def _look(self, now: int) -> None:
        if now - self._looked >= LOOK and self._file.is_open:
            self._looked = now
            if self._file.replaced():
                raise StoreError(f"the quota database {self.path} was removed or replaced while it was in use")

    def _recognise(self, blob: bytes) -> None:
        """Another process has written down the era; it must still be ours."""
        era = self._read(_decode_era, blob)
        if era.boot != self._boot or era.ahead != self._ahead:
            raise StoreError(
                f"the quota database {self.path} is used by another machine as well, whose clocks are not ours; "
                "share a redis:// store instead, or give each machine its own file"
            )
        self._era = blob

    def _begin_era(self, db: sqlite3.Connection, desk: Desk) -> None:
        """Go on with the ledger's time where it stood, also after a restart of the machine."""
        found = db.execute("SELECT state FROM bucket WHERE key = ?", (_ERA,)).fetchone()
        at, wall = desk.ns(), int(desk.wall() * SECOND)
        era = Era(self._boot, 0, at, wall) if found is None else self._read(_decode_era, found[0])
        if era.boot != self._boot or at + era.ahead < era.seen:
            # Another boot. Only the wall clock knows how long it took; should that have been set back, no time passed.
            seen = era.seen + max(0, wall - era.wall)
            era = Era(self._boot, seen - at, seen, wall)
        self._ahead, self._remembered, self._era = era.ahead, at, _encode(era)
        self._known.clear()
        db.execute(_PUT, (_ERA, self._era))

    def _read(self, decode: Callable[[bytes], T], blob: bytes) -> T:
        try:
            return decode(blob)
        except msgspec.MsgspecError as error:
            raise StoreError(f"the quota database {self.path} holds something that cannot be read: {error}") from error


def _shifted(settlement: Settlement, ahead: int) -> Settlement:
    """On the ledger's clock."""
    if not ahead:
        return settlement
    return msgspec.structs.replace(settlement, at=settlement.at + ahead, stop=settlement.stop + ahead)


_stores: WeakSet[SQLiteStore] = WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
