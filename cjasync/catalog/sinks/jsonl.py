"""JSON lines: one object a row, every column in each. Exact numbers are texts, times ISO UTC, lists arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cjasync.catalog.sinks.cells import FROM_JSON, NUMBER_TEXTS, digits, from_json, utc
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout
from cjasync.catalog.sinks.converter import PageConverter
from cjasync.catalog.sinks.lines import LineSink
from cjasync.catalog.sinks.packing import packing_of


class JsonLinesSink(LineSink):
    """`.jsonl`, `.jsonl.gz`, `.jsonl.zst`."""

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question, PageConverter(layout, digits, {"numbers": NUMBER_TEXTS}))
        names = [*layout.names, FETCHED_AT.name]
        # Rows become Structs again, of our names: the encoder writes a list of them in one pass of C.
        self._row: Any = msgspec.defstruct("Row", [(name, object) for name in names], gc=False)
        head = msgspec.defstruct(
            "Head", [("key", str), ("at", datetime)], rename={"key": layout.key, "at": FETCHED_AT.name}
        )
        self._encoder = msgspec.json.Encoder(decimal_format="number")
        self._heads_decoder = msgspec.json.Decoder(head)

    def _encode(self, columns: Sequence[Sequence[Any]], fetched_at: datetime) -> bytes:
        at = Raw(self._encoder.encode(utc(fetched_at)))
        return self._encoder.encode_lines(list(map(self._row, *columns, repeat(at))))

    def _head(self, line: bytes) -> tuple[str, datetime]:
        head: Any = self._heads_decoder.decode(line)
        return head.key, head.at


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    kinds = {column.name: FROM_JSON.get(column.kind) for column in (*layout.columns, FETCHED_AT)}
    with packing_of(path.suffix).opened(path) as file:
        for line in file:
            row = from_json(line)
            for name, convert in kinds.items():
                if convert is not None and row[name] is not None:
                    row[name] = convert(row[name])
            yield row
