"""Parquet: row groups of some ten thousand rows, zstd.

While it grows it is a folder, `FILE.partial`: complete Parquet files of one row group each, and a tail with the rows
since the last of them, as an Arrow stream, which can be cut where the last commit was. Ctrl-C makes a Parquet file of
the tail too. In the end the parts become the row groups of the final file, one at a time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.arrow import BatchMaker, exact_row
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout
from cjasync.catalog.sinks.durable import CommitLog
from cjasync.catalog.sinks.newest import superseded
from cjasync.catalog.sinks.sink import FileSink, Written
from cjasync.errors import CheckpointError
from cjasync.models._model import Model

PART_ROWS = 32_768


class ParquetSink(FileSink):
    """`.parquet`."""

    errors = (OSError, pa.ArrowException)

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
        if commit is not None:
            self._check(commit)
            self._parts = commit.part
            self.token, self.rows = commit.token, commit.rows
        else:
            self._commits.remove()
        kept = {self.partial / "commits", self.partial / "lock", self._tail_path(), *self._part_paths()}
        for stale in set(self.partial.iterdir()) - kept:
            stale.unlink()
        self._start_tail(0 if commit is None else commit.offset)

    def _start_tail(self, offset: int) -> None:
        """Begin a tail, or go on with one whose first `offset` bytes count."""
        self._waiting, self._waiting_rows = [], 0
        tail = os.fdopen(os.open(self._tail_path(), os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        if self._tail is not None:
            self._tail.close()
        self._tail = tail
        if tail.seek(0, os.SEEK_END) < offset or not all(part.exists() for part in self._part_paths()):
            raise CheckpointError(f"{self.partial} has lost rows; start anew with fresh=True (--fresh)")
        tail.truncate(offset)
        if offset == 0:
            tail.seek(0)
            tail.write(self._batch.schema.serialize())
            return
        with pa.OSFile(str(self._tail_path())) as stream:
            self._waiting = list(pa.ipc.open_stream(stream))
        self._waiting_rows = sum(batch.num_rows for batch in self._waiting)
        tail.seek(offset)

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
        table = pa.Table.from_batches(self._waiting, self._batch.schema).combine_chunks()
        pq.write_table(table, new, compression="zstd", row_group_size=len(table))
        durable.publish(new, self._part_path(self._parts))
        self._start_tail(0)

    def _commit(self, token: bytes) -> None:
        assert self._tail is not None
        durable.sync_file(self._tail)
        self._commits.append(self._state(token, offset=self._tail.tell(), part=self._parts))
        for stale in set(self.partial.glob("tail-*")) - {self._tail_path()}:
            stale.unlink()

    def _abandon(self) -> None:
        if self._waiting and self.token is not None and self._settled:
            self._seal()
            self._commit(self.token)
        super()._abandon()

    def _finish(self) -> Written:
        if self._waiting:
            self._seal()
        dropped = superseded(self._heads)
        new = self.partial / "final"
        with pq.ParquetWriter(new, self._batch.schema, compression="zstd") as out:
            first = 0
            for part in self._part_paths():
                table = pq.ParquetFile(part).read()
                gone = None if dropped is None else dropped[first : first + len(table)]
                first += len(table)
                if gone is not None and any(gone):
                    table = table.filter(pa.array([not byte for byte in gone]))
                if len(table):
                    out.write_table(table, row_group_size=len(table))
        durable.publish(new, self.path)
        self._close()
        self._remove()
        repeated = 0 if dropped is None else dropped.count(1)
        return Written(path=self.path, rows=self.rows - repeated, repeated=repeated)

    def _heads(self) -> Iterator[tuple[str, Any]]:
        for part in self._part_paths():
            table = pq.ParquetFile(part).read([self._layout.key, FETCHED_AT.name])
            times = table.column(FETCHED_AT.name).cast(pa.int64())
            yield from zip(table.column(self._layout.key).to_pylist(), times.to_pylist(), strict=True)

    def _part_paths(self) -> list[Path]:
        return [self._part_path(number) for number in range(1, self._parts + 1)]

    def _part_path(self, number: int) -> Path:
        return self.partial / f"part-{number:06d}.parquet"

    def _tail_path(self) -> Path:
        return self.partial / f"tail-{self._parts:06d}.arrows"

    def _close(self) -> None:
        self._commits.close()
        for file in (self._tail, self._lock):
            if file is not None:
                file.close()

    def _remove(self) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(10_000):
            for row in batch.to_pylist():
                yield exact_row(row, layout)
