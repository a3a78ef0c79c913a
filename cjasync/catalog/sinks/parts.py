"""How a columnar file grows: by parts. DuckDB, which is slow at small commits, is made of the same parts.

`FILE.partial` is a folder of complete Parquet files, one row group each, and a tail with the rows since the last of
them: an Arrow stream, which can be cut where the last commit was. Ctrl-C makes a Parquet file of the tail too.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.arrow import BatchMaker
from cjasync.catalog.sinks.columns import Layout
from cjasync.catalog.sinks.durable import Commit, CommitLog
from cjasync.catalog.sinks.sink import FileSink
from cjasync.errors import CheckpointError
from cjasync.models._model import Model

PART_ROWS = 16_384  # about 10 MB in memory
_KEPT = ("lock", "commits", "gone")


class PartsSink(FileSink):
    """A partial file that is a folder of parts."""

    errors: ClassVar[tuple[type[Exception], ...]] = (OSError, pa.ArrowException)

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._batch = BatchMaker(layout)
        self._commits = CommitLog(self.partial / "commits")
        self._lock: BinaryIO | None = None
        self._parts = 0
        self._tail: BinaryIO | None = None
        self._waiting: list[Any] = []  # what the tail holds
        self._waiting_rows = 0

    def _open(self, fresh: bool) -> None:
        self.partial.mkdir(exist_ok=True)
        self._lock = (self.partial / "lock").open("ab")
        durable.lock(self._lock, self.partial)
        commit = None if fresh else self._commits.last()
        if commit is None:
            self._commits.remove()
        else:
            self._check(commit)
        self._restore(commit)

    def _restore(self, commit: Commit | None) -> None:
        """Cut everything back to the last commit."""
        offset = 0
        if commit is not None:
            self.token, self.rows, self._parts, offset = commit.token, commit.rows, commit.part, commit.offset
        kept = {*self._all_parts(), *(self.partial / name for name in (*_KEPT, self._tail_name()))}
        for stale in set(self.partial.iterdir()) - kept:
            stale.unlink()
        if not all(part.exists() for part in self._all_parts()):
            raise CheckpointError(f"{self.partial} has lost a part; start anew with fresh=True (--fresh)")
        self._start_tail(offset)

    def _start_tail(self, offset: int) -> None:
        """Begin a tail, or go on with one whose first `offset` bytes count."""
        self._waiting, self._waiting_rows = [], 0
        if self._tail is not None:
            self._tail.close()
        path = self.partial / self._tail_name()
        self._tail = durable.cut_open(path, offset)
        if offset == 0:
            self._tail.write(self._batch.schema.serialize())
            return
        with pa.OSFile(str(path)) as stream:
            self._waiting = list(pa.ipc.open_stream(stream))
        self._waiting_rows = sum(batch.num_rows for batch in self._waiting)

    def _is_long(self, count: int) -> bool:
        return super()._is_long(count) or self._waiting_rows + count >= PART_ROWS

    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        assert self._tail is not None
        batch = self._batch(rows, fetched_at)
        self._tail.write(batch.serialize())
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        if self._waiting_rows >= PART_ROWS:
            self._seal()

    def _seal(self) -> None:
        """Make a part of the tail. The old tail stays until the next commit no longer needs it."""
        self._parts += 1
        new = self._part_path(self._parts).with_suffix(".new")
        table = pa.Table.from_batches(self._waiting, self._batch.schema)
        pq.write_table(table, new, compression="zstd", row_group_size=len(table))
        durable.publish(new, self._part_path(self._parts))
        self._start_tail(0)

    def _commit(self, token: bytes) -> None:
        assert self._tail is not None
        durable.sync_file(self._tail)
        self._commits.append(self._state(token, offset=self._tail.tell(), part=self._parts))
        for stale in set(self.partial.glob("tail-*")) - {self.partial / self._tail_name()}:
            stale.unlink()

    def _abandon(self) -> None:
        if self._waiting and self.token is not None and not self._dirty:
            self._seal()
            self._commit(self.token)
        super()._abandon()

    def _all_parts(self) -> list[Path]:
        return [self._part_path(number) for number in range(1, self._parts + 1)]

    def _part_path(self, number: int) -> Path:
        return self.partial / f"part-{number:06d}.parquet"

    def _tail_name(self) -> str:
        return f"tail-{self._parts:06d}.arrows"

    def _close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._commits.close)
            for file in (self._lock, self._tail):
                if file is not None:
                    stack.callback(file.close)

    def _remove(self) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
