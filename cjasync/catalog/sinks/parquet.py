"""Parquet: row groups of some ten thousand rows, zstd; the parts become the row groups, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.arrow import exact_row
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout
from cjasync.catalog.sinks.newest import superseded
from cjasync.catalog.sinks.parts import PartsSink
from cjasync.catalog.sinks.sink import Written


class ParquetSink(PartsSink):
    """`.parquet`."""

    def _finish(self) -> Written:
        if self._waiting:
            self._seal()
        dropped = superseded(self._heads)
        new = self.partial / "final"
        with pq.ParquetWriter(new, self._batch.schema, compression="zstd") as out:
            first = 0
            for part in self._all_parts():
                table = pq.ParquetFile(part).read()
                gone = None if dropped is None else dropped[first : first + len(table)]
                first += len(table)
                if gone is not None and any(gone):
                    table = table.filter(pa.array([not byte for byte in gone]))
                if len(table):
                    out.write_table(table, row_group_size=len(table))
                pa.default_memory_pool().release_unused()
        durable.publish(new, self.path)
        self._close()
        self._remove()
        repeated = 0 if dropped is None else dropped.count(1)
        return Written(path=self.path, rows=self.rows - repeated, repeated=repeated)

    def _heads(self) -> Iterator[tuple[str, Any]]:
        for part in self._all_parts():
            table = pq.ParquetFile(part).read([self._layout.key, FETCHED_AT.name])
            times = table.column(FETCHED_AT.name).cast(pa.int64())
            yield from zip(table.column(self._layout.key).to_pylist(), times.to_pylist(), strict=True)


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(10_000):
            for row in batch.to_pylist():
                yield exact_row(row, layout)
