"""CSV: a header, texts in quotes, numbers and booleans bare, nothing at all for None (so "" is an empty text).

UTF-8, lines end with a line feed; booleans are true and false, times ISO UTC, lists and objects JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any

from cjasync.catalog.sinks.cells import FROM_TEXT, TO_TEXT, CellKind, digits, iso, moment
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout, PageConverter
from cjasync.catalog.sinks.lines import LineSink
from cjasync.models._model import Model

_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^,]*))(?:,|\Z)')


class CsvSink(LineSink):
    """`.csv`."""

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._convert = PageConverter(layout, _CELLS)

    def _header(self) -> bytes:
        return (",".join([*self._layout.names, FETCHED_AT.name]) + "\n").encode()

    def _encode(self, rows: Sequence[Model], fetched_at: datetime) -> bytes:
        columns = [
            _quoted(cells) if column.kind in _QUOTED else ["" if cell is None else cell for cell in cells]
            for column, cells in zip(self._layout.columns, self._convert(rows), strict=True)
        ]
        lines = map(",".join, zip(*columns, repeat(iso(fetched_at), len(rows)), strict=True))
        return ("\n".join(lines) + "\n").encode()

    def _lines(self, file: Iterable[bytes]) -> Iterator[bytes]:
        return _rows(file)

    def _head(self, line: bytes) -> tuple[str, datetime]:
        text = line.decode()
        key = _CELL.match(text)
        assert key is not None
        return key[1], moment(text.rpartition(",")[2].rstrip("\n"))


def _rows(file: Iterable[bytes]) -> Iterator[bytes]:
    started = b""
    for line in file:
        started += line
        # A line feed inside quotes belongs to the text: the row ends where the quotes are even.
        if started.count(b'"') % 2 == 0:
            yield started
            started = b""


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


def _quoted(cells: Sequence[str | None]) -> Sequence[str]:
    """Texts in quotes, None as nothing: a whole column in a few steps of C, which is what CSV costs."""
    holes = None in cells
    texts: Any = [cell or "" for cell in cells] if holes else cells
    joined = _SEPARATOR.join(texts)
    if joined.count(_SEPARATOR) >= len(texts):  # a text holds the separator
        return ["" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in cells]
    quoted = ('"' + joined.replace('"', '""').replace(_SEPARATOR, f'"{_SEPARATOR}"') + '"').split(_SEPARATOR)
    if not holes:
        return quoted
    return ["" if cell is None else shown for cell, shown in zip(cells, quoted, strict=True)]


_SEPARATOR = "\0"
_QUOTED = {"text", "texts", "numbers", "json"}
_CELLS: Mapping[CellKind, Callable[[Any], str]] = {
    **TO_TEXT,
    "int": str,
    "bool": {False: "false", True: "true"}.__getitem__,
    "decimal": digits,
    "time": iso,
}
