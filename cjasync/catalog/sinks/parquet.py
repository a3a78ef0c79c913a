"""Parquet: row groups of some ten thousand rows, zstd.

`FILE.partial` is a folder of complete Parquet files and nothing else, which the usual tools read as one table. The last
of them grows: a commit writes it anew, and gives it its name in one step.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

import cjasync.catalog.sinks.durable as durable
from cjasync.catalog.sinks.arrow import Gathering, exact_row
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout
from cjasync.catalog.sinks.durable import CommitLog
from cjasync.catalog.sinks.joining import join
from cjasync.catalog.sinks.newest import WrittenKeys
from cjasync.catalog.sinks.sink import FileSink, Written
from cjasync.errors import CheckpointError
from cjasync.models._model import Model

PART_ROWS = 16_384  # about 10 MB in memory
_ENOUGH = 2  # a commit leaves a part of so many of these as it is, instead of letting it grow


class ParquetSink(FileSink):
    """`.parquet`."""

    errors: ClassVar[tuple[type[Exception], ...]] = (OSError, pa.ArrowException)

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._commits = CommitLog(self.partial)
        self._new = self.partial.with_name(self.partial.name + ".new")
        self._rest = self.partial.with_name(self.partial.name + ".rest")
        self._lock: int | None = None
        self._full = 0  # parts that are left as they are
        self._waiting = Gathering(layout)  # for the part after them
        self._keys = WrittenKeys()

    def _open(self, fresh: bool) -> None:
        commit = self._commits.last() if self.partial.exists() and not fresh else None
        self.partial.mkdir(exist_ok=True)
        self._lock = durable.locked_folder(self.partial)
        if commit is None:
            self._commits.remove()
        else:
            self._go_on(commit)
        self._cut_back()
        parts = self._parts()
        if parts and pq.read_metadata(parts[-1]).num_rows < PART_ROWS // _ENOUGH:
            self._waiting.add_table(self._read(parts.pop()))
        self._full = len(parts)

    def _cut_back(self) -> None:
        left = self.committed
        for part in self._parts():
            held = pq.read_metadata(part).num_rows
            if left <= 0:
                part.unlink()
            elif held > left:
                self._save(self._read(part).slice(0, left), part)
            left -= held
        if left > 0:
            raise CheckpointError(f"{self.partial} has lost a part; start anew with `fresh=True`")

    def _is_long(self, count: int) -> bool:
        return super()._is_long(count) or self._waiting.rows + count >= PART_ROWS

    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        self._keys.add(self._waiting.add(rows, fetched_at))
        if self._waiting.rows >= PART_ROWS:
            self._save_waiting(PART_ROWS)

    def _commit(self, token: bytes) -> None:
        if self._dirty:
            self._save_waiting(PART_ROWS // _ENOUGH)
        self._commits.append(self._state(token))

    def _save_waiting(self, enough: int) -> None:
        """Write the growing part; with enough rows it is full."""
        if not self._waiting.rows:
            return
        self._save(self._waiting.table(), self.partial / f"part-{self._full + 1:06d}.parquet")
        if self._waiting.rows >= enough:
            self._full += 1
            self._waiting.clear()

    def _save(self, table: Any, part: Path) -> None:
        # Written outside the folder, where a part that a crash cut short bothers nobody.
        _write(table, self._new)
        durable.publish(self._new, part)

    def _finish(self) -> Written:
        self._save_waiting(1)
        dropped = self._keys.superseded(self.rows, self._heads)
        with self._new.open("wb") as out:
            join(self._final_parts(dropped), out)
        durable.publish(self._new, self.path)
        self._close()
        self._remove()
        repeated = 0 if dropped is None else dropped.count(1)
        return Written(path=self.path, rows=self.rows - repeated, repeated=repeated)

    def _final_parts(self, dropped: bytearray | None) -> Iterator[Path]:
        """The parts, and what stays of those that have rows to drop."""
        parts = self._parts()
        first = 0
        for part in parts:
            count = pq.read_metadata(part).num_rows
            gone = dropped[first : first + count] if dropped is not None else b""
            first += count
            if any(gone):
                # The parts themselves stay as they are: this may be cut short.
                part = self._left_over(self._read(part).take(list(compress(range(count), map(not_, gone)))))
            yield part
        if not parts:
            yield self._left_over(self._waiting.schema.empty_table())

    def _left_over(self, table: Any) -> Path:
        _write(table, self._rest)
        return self._rest

    def _heads(self) -> Iterator[tuple[str, Any]]:
        for part in self._parts():
            table = self._read(part, [self._layout.key, FETCHED_AT.name])
            times = table.column(FETCHED_AT.name).cast(pa.int64())
            yield from zip(table.column(self._layout.key).to_pylist(), times.to_pylist(), strict=True)

    def _read(self, part: Path, columns: list[str] | None = None) -> Any:
        with pq.ParquetFile(part) as file:
            return file.read(columns)

    def _parts(self) -> list[Path]:
        return sorted(self.partial.glob("part-*.parquet"))

    def _close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._commits.close)
            if self._lock is not None:
                stack.callback(os.close, self._lock)
                self._lock = None

    def _remove(self) -> None:
        self._commits.remove()  # first: without it, what a crash leaves of the folder counts for nothing
        self._new.unlink(missing_ok=True)
        self._rest.unlink(missing_ok=True)
        shutil.rmtree(self.partial, ignore_errors=True)


def _write(table: Any, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", row_group_size=len(table) or None)


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(10_000):
            for row in batch.to_pylist():
                yield exact_row(row, layout)
