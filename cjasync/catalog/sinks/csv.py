"""CSV: a header, texts always in quotes, numbers bare, nothing at all for None (so "" is an empty text).

UTF-8, lines end with a line feed; booleans are true and false, times ISO UTC, lists and objects JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any

from cjasync.catalog.sinks.cells import FROM_TEXT, TO_TEXT, CellKind, iso, moment
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout, PageConverter
from cjasync.catalog.sinks.lines import LineSink
from cjasync.models._model import Model

_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^,]*))(?:,|\Z)')


class CsvSink(LineSink):
    """`.csv`."""

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._convert = PageConverter(layout, _CELLS, none="")

    def _header(self) -> bytes:
        return (",".join([*self._layout.names, FETCHED_AT.name]) + "\n").encode()

    def _encode(self, rows: Sequence[Model], fetched_at: datetime) -> bytes:
        columns = self._convert(rows)
        lines = map(",".join, zip(*columns, repeat(iso(fetched_at)), strict=False))
        return ("\n".join(lines) + "\n").encode()

    def _lines(self, file: Iterable[bytes]) -> Iterator[bytes]:
        return _rows(file)

    def _head(self, line: bytes) -> tuple[str, datetime]:
        text = line.decode()
        key = _CELL.match(text)
        assert key is not None
        return key[1], moment(text.rpartition(",")[2].rstrip("\n"))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _rows(file: Iterable[bytes]) -> Iterator[bytes]:
    started = b""
    for line in file:
        started += line
        # A line feed inside quotes belongs to the text: the row ends where the quotes are even.
        if started.count(b'"') % 2 == 0:
            yield started
            started = b""


def _quoting(convert: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: _quoted(convert(value))


_CELLS: Mapping[CellKind, Callable[[Any], str]] = {
    **TO_TEXT,
    "text": _quoted,
    **{kind: _quoting(TO_TEXT[kind]) for kind in ("texts", "numbers", "json")},
}


def read(path: Path, layout: Layout) -> Iterator[dict[str, Any]]:
    """The rows of a file as exact values."""
    columns = (*layout.columns, FETCHED_AT)
    with path.open("rb") as file:
        next(file)
        for line in _rows(file):
            cells = _CELL.finditer(line.decode().rstrip("\n"))
            row: dict[str, Any] = {}
            for column, cell in zip(columns, cells, strict=False):
                text = cell[2] or None if cell[1] is None else cell[1].replace('""', '"')
                convert = FROM_TEXT.get(column.kind)
                row[column.name] = text if text is None or convert is None else convert(text)
            yield row
