"""Sink: where rows go. The protocol for users' own, and what all files have in common.

A file grows beside its final name as `FILE.partial`. `commit` makes all that was written so far durable, together with
a token of the caller's; whoever opens the same file again gets that token, and what came after it is gone. `finish`
takes out the rows that newer ones have replaced and gives the file its name in one step.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from msgspec import Struct

from cjasync._to_the_end import to_the_end
from cjasync.catalog.sinks.columns import Layout
from cjasync.catalog.sinks.durable import VERSION, Commit
from cjasync.errors import CheckpointError, OutputError
from cjasync.models._model import Model

M = TypeVar("M", bound=Model)
R = TypeVar("R")

_SHORT = 2_000  # rows that every format takes in a few milliseconds: not worth a thread


class Batch(list[M], Generic[M]):
    """Rows that arrived together; `fetched_at` (aware datetime) is when CJ sent them."""

    def __init__(self, rows: Iterable[M], fetched_at: datetime) -> None:
        super().__init__(rows)
        self.fetched_at = fetched_at


class Sink(Protocol):
    """What a walk needs of the place where rows go: write your own with these two methods."""

    async def write(self, rows: Batch[Any]) -> None:
        """Take rows. The same product may come again: the row with the later `fetched_at` is the one to keep."""
        ...

    async def commit(self, token: bytes) -> None:
        """Return when all rows written so far, and the token with them, will survive a crash."""
        ...


class Written(Struct, frozen=True, kw_only=True):
    """A finished file: `rows` different products, after `repeated` older rows were taken out."""

    path: Path
    rows: int
    repeated: int


class FileSink(ABC):
    """A file being written. Made by `open_sink`; one writer at a time, in this process and among processes.

    token: of the last commit of an earlier run that is being continued; None when this is a new beginning.
    rows: rows written, repeated ones counted each time. committed: those of them that the last commit made safe, which
    is what the partial file holds once the sink is closed.
    """

    errors: ClassVar[tuple[type[Exception], ...]] = (OSError,)
    upserts: ClassVar[bool] = False

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.token: bytes | None = None
        self.rows = 0
        self.committed = 0
        self._layout = layout
        self._question = question
        self._turn = asyncio.Lock()
        self._failure: str | None = None
        self._closed = False
        self._dirty = False  # whether anything was taken since the last commit

    async def write(self, rows: Batch[Any]) -> None:
        """Take rows, all of the model that the file was opened for. `OutputError` if the disk does not."""
        if not rows:
            return
        async with self._turn:
            self._dirty = True
            if self._is_long(len(rows)):
                await self._long(lambda: self._write(rows, rows.fetched_at))
            else:
                self._guarded(lambda: self._write(rows, rows.fetched_at))
            self.rows += len(rows)

    async def commit(self, token: bytes) -> None:
        """Make all rows written so far durable, together with the token."""
        async with self._turn:
            await self._long(lambda: self._commit(token))
            self.token, self.committed = token, self.rows
            self._dirty = False

    async def finish(self) -> Written:
        """Take out replaced rows and give the file its final name. Nothing can be written afterwards."""
        async with self._turn:
            written = await self._long(self._finish)
            self._closed = True
            return written

    async def abort(self) -> None:
        """Stop: the partial file stays, as the last commit left it, if there was one."""
        await to_the_end(self._abort())

    async def _abort(self) -> None:
        async with self._turn:
            if not self._closed:
                self._closed = True
                await _in_thread(self._abandon)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        await self.abort()

    async def open(self, *, fresh: bool) -> None:
        """Go on with an earlier run's partial file, or begin one. Called by `open_sink`."""
        try:
            await self._long(lambda: self._open(fresh))
        except BaseException:
            with contextlib.suppress(*self.errors):
                self._close()
            raise

    async def _long(self, work: Callable[[], R]) -> R:
        return await _in_thread(lambda: self._guarded(work))

    def _state(self, token: bytes, *, offset: int = 0) -> Commit:
        columns = list(self._layout.names)
        return Commit(question=self._question, columns=columns, token=token, rows=self.rows, offset=offset)

    def _go_on(self, commit: Commit) -> None:
        """Take up an earlier run; not what another question, or another version of the columns, has begun."""
        if commit.question != self._question:
            why = f"by another question: {commit.question or 'none'}, not {self._question or 'none'}"
        elif commit.version != VERSION or commit.columns != list(self._layout.names):
            why = "with other columns, perhaps by another version of cjasync"
        else:
            self.token, self.rows, self.committed = commit.token, commit.rows, commit.rows
            return
        raise CheckpointError(
            f"{self.partial} was begun {why}. Ask the same again, choose another file, or start anew with `fresh=True`"
        )

    def _is_long(self, count: int) -> bool:
        """Whether writing so many rows would hold up the event loop."""
        return count > _SHORT

    @abstractmethod
    def _open(self, fresh: bool) -> None: ...

    @abstractmethod
    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None: ...

    @abstractmethod
    def _commit(self, token: bytes) -> None: ...

    @abstractmethod
    def _finish(self) -> Written: ...

    @abstractmethod
    def _cut_back(self) -> None:
        """Leave in the partial file what the last commit counts."""

    @abstractmethod
    def _close(self) -> None:
        """Let go of the partial file, whatever state it is in."""

    @abstractmethod
    def _remove(self) -> None:
        """Delete the partial file and all that belongs to it."""

    def _abandon(self) -> None:
        with contextlib.suppress(*self.errors):
            if self._dirty and self.token is not None:
                self._cut_back()
        with contextlib.suppress(*self.errors):
            self._close()
            if self.token is None:
                self._remove()

    def _guarded(self, work: Callable[[], R]) -> R:
        """Turn what the disk or the format's library says into an OutputError, and stay broken after it."""
        if self._closed:
            raise OutputError(f"{self.path} is closed")
        if self._failure is not None:
            raise OutputError(self._failure)
        try:
            return work()
        except self.errors as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._failure = f"cannot write {self.path}: {reason}"
            if self.token is not None:
                self._failure += f". What was fetched before is safe in {self.partial}"
            raise OutputError(self._failure) from error


async def _in_thread(work: Callable[[], R]) -> R:
    """Run a long step without holding up the event loop. A cancelled caller waits until the file is whole again."""
    return await to_the_end(asyncio.to_thread(work))
