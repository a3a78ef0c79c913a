"""Between those who fetch and whoever takes: what comes is written down first, then handed on, then acknowledged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cjasync._clock import Clock
from cjasync._to_the_end import to_the_end
from cjasync.catalog.checkpoint import Checkpoint
from cjasync.catalog.delivered import Delivered
from cjasync.catalog.entry import Earlier, Entry, Kind, Standing, decode_rows
from cjasync.catalog.tally import Tally
from cjasync.catalog.tokens import seq_of, token_of
from cjasync.models._model import Model

T = TypeVar("T")


class Arrival(Struct):
    """An entry, and its rows as they are in memory."""

    entry: Entry
    rows: Sequence[Model] = ()


class Staging:
    """The checkpoint, from the event loop's side: everything happens in one thread, in the order it was asked for.

    models: what the rows of each kind of part are.
    """

    def __init__(
        self, open_checkpoint: Callable[[], Checkpoint], clock: Clock, models: Mapping[Kind, type[Model]]
    ) -> None:
        self._thread = ThreadPoolExecutor(1, "cjasync-checkpoint")
        self._open_checkpoint = open_checkpoint
        self._clock = clock
        self._models = models
        self._queue: asyncio.Queue[Arrival | None] = asyncio.Queue()
        self._stored: deque[int] = deque()
        self._waiting: deque[int] = deque()
        self._room = asyncio.Event()
        self._seq = 0
        self._ended = False
        self._checkpoint: Checkpoint | None = None
        self._since = 0.0
        self.name = ""  # of the walk, once it is resumed
        self.taken = 0
        self.tally = Tally()

    async def run(self, work: Callable[[], T]) -> T:
        """Do something with the checkpoint. A caller that is cancelled leaves it undone or done, never half done."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def open(self) -> Standing:
        """Open the file, and see where it stands. Cancelled, it is closed again: the caller has nothing to close."""
        try:
            await self.run(self._open)
            return await self.run(self.checkpoint.standing)
        except asyncio.CancelledError:
            await to_the_end(self.run(self._close))  # the caller may open it again at once
            raise

    def _open(self) -> None:
        if self._checkpoint is None:
            self._checkpoint = self._open_checkpoint()

    def _close(self) -> None:
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is not None:
            checkpoint.close()

    @property
    def checkpoint(self) -> Checkpoint:
        """The open file, for what is done in `run`."""
        assert self._checkpoint is not None, "open comes first"
        return self._checkpoint

    async def resume(self) -> None:
        """Go on where the file ends: what waits in it is handed on first."""
        standing = await self.run(self.checkpoint.standing)
        self.name, self.taken, self._seq = standing.name or "", standing.taken, standing.last
        self.tally = standing.tally
        self.tally.runs += 1
        self._stored.extend(await self.run(lambda: self.checkpoint.staged(standing.taken)))
        self._waiting.extend(self._stored)
        self._since = self._clock.monotonic()

    def number(self) -> int:
        """For the next entry."""
        self._seq += 1
        return self._seq

    async def save(self, arrivals: Sequence[Arrival], snapshot: tuple[int, bytes] | None = None) -> None:
        """Write entries down, and `snapshot`, the planner's state after one of them; then hand them on.

        A caller that is cancelled has them written all the same: the tally counts them already.
        """
        now = self._clock.monotonic()
        self.tally.seconds += now - self._since
        self._since = now
        entries, tally, taken = [each.entry for each in arrivals], copy(self.tally), self.taken
        checkpoint = self.checkpoint
        await to_the_end(self.run(lambda: checkpoint.save(entries, tally, taken, snapshot)))
        for arrival in arrivals:
            part = arrival.entry.part
            if part is not None:
                self._waiting.append(arrival.entry.seq)
                # The file has the rest; many of these may wait here.
                light = Entry(arrival.entry.seq, part=replace(part, rows=b""))
                self._queue.put_nowait(Arrival(light, arrival.rows))

    async def next(self) -> Arrival | None:
        """What is to be taken next; None when there will be no more."""
        if self._stored:
            seq = self._stored.popleft()
            part = await self.run(lambda: self.checkpoint.part(seq))
            return Arrival(Entry(seq, part=part), decode_rows(part.rows, self._models[part.kind]))
        if self._ended and self._queue.empty():
            return None
        return await self._queue.get()

    def end(self) -> None:
        """There will be no more."""
        self._ended = True
        self._queue.put_nowait(None)

    def take(self, seq: int) -> None:
        """All parts up to this one are safe where they went. The file learns of it with what is saved next."""
        self.taken = max(self.taken, seq)
        while self._waiting and self._waiting[0] <= seq:
            self._waiting.popleft()
        self._room.set()

    def token_of(self, seq: int) -> bytes:
        """Stands for all parts up to this one."""
        return token_of(self.name, seq)

    def seq_of(self, token: bytes) -> int:
        """The part that a token of this walk was made of."""
        return seq_of(token, self.name, "this token")

    @property
    def last_token(self) -> bytes:
        """Stands for everything so far."""
        return token_of(self.name, self._seq)

    async def known(self) -> Delivered:
        """The products that earlier walks brought into a database."""
        packed = await self.run(self.checkpoint.known)
        return await asyncio.to_thread(Delivered.of, packed)

    @property
    def all_taken(self) -> bool:
        """Does nothing wait any more?"""
        return not self._waiting

    def has_room(self, parts: int) -> bool:
        """Do at most so many parts wait to be taken?"""
        return len(self._waiting) <= parts

    async def room(self, parts: int) -> None:
        """Return when at most so many parts wait to be taken."""
        while not self.has_room(parts):
            self._room.clear()
            await self._room.wait()

    async def aclose(self) -> None:
        """Write down what was taken, and let go of the file."""
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None:
            return
        try:
            if self.name:
                tally, taken = copy(self.tally), self.taken
                await self.run(lambda: checkpoint.save([], tally, taken, None))
        finally:
            await to_the_end(self.run(checkpoint.close))
            self._thread.shutdown(wait=False)

    async def closing(self) -> None:
        """Everything is taken; only the sink's own end is left. From here on the file knows."""
        tally, taken = copy(self.tally), self.taken
        await self.run(lambda: self.checkpoint.save([], tally, taken, None))
        await self.run(self.checkpoint.closing)

    async def finish(self, earlier: Earlier, *, know: bool, proved: bool) -> None:
        """The walk is over: nothing waits any more, and the next one begins with what it leaves."""
        tally = copy(self.tally)
        await self.run(lambda: self.checkpoint.finish(earlier, tally, know=know, proved=proved))
        self.name = ""
