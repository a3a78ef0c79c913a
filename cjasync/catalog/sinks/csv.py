"""CSV: a header, texts in quotes, numbers and booleans bare, nothing at all for None (so "" is an empty text).

UTF-8, lines end with a line feed; booleans are true and false. Times (ISO UTC), lists and objects (JSON) are texts.

A row is encoded as a JSON array, in C, which differs in its brackets and in how texts are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from cjasync.catalog.sinks.cells import FROM_TEXT, NUMBER_TEXTS, CellKind, Convert, digits, json_lines, moment, utc
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout
from cjasync.catalog.sinks.converter import PageConverter
from cjasync.catalog.sinks.lines import LineSink
from cjasync.catalog.sinks.texts import json_lists

_ENCODER = msgspec.json.Encoder()
_NOTHING = Raw(b"")
_ESCAPE = re.compile(rb"\\(?:u00(..)|(.))")
_ESCAPED = {b'"': b'""', b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^,]*))(?:,|\Z)')


class CsvSink(LineSink):
    """`.csv`."""

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question, PageConverter(layout, _bare, _COLUMNS, {"texts": _lists}))

    def _header(self) -> bytes:
        return (",".join([*self._layout.names, FETCHED_AT.name]) + "\n").encode()

    def _encode(self, columns: Sequence[Sequence[Any]], fetched_at: datetime) -> bytes:
        cells = map(_shown, columns)
        at = Raw(_ENCODER.encode(utc(fetched_at)))
        arrays = _ENCODER.encode_lines(list(zip(*cells, repeat(at), strict=False)))
        # JSON holds no line end of its own: these brackets stand between two rows.
        return _ESCAPE.sub(_escaped, arrays[1:-2].replace(b"]\n[", b"\n")) + b"\n"

    def _lines(self, file: Iterable[bytes]) -> Iterator[bytes]:
        return _rows(file)

    def _head(self, line: bytes) -> tuple[str, datetime]:
        text = line.decode()
        key = _CELL.match(text)
        assert key is not None
        return key[1].replace('""', '"'), moment(text.rpartition(",")[2].strip('"\n'))


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


def _bare(number: Decimal) -> Raw:
    return Raw(digits(number).encode())


def _shown(column: Sequence[Any]) -> Iterable[Any]:
    """None as nothing."""
    holes = 0 if all(column) else column.count(None)  # `all` is the quicker look, and enough for most columns
    if holes == len(column):
        return repeat(_NOTHING, holes)
    return [_NOTHING if cell is None else cell for cell in column] if holes else column


def _json_texts(column: Sequence[Any]) -> Sequence[Raw | None]:
    cells = _quoted(json_lines(column).removesuffix(b"\n"))
    return [None if value is None else cell for value, cell in zip(column, cells, strict=True)]


def _lists(column: Sequence[Any]) -> Sequence[Raw]:
    return _quoted("\n".join(json_lists(column)).encode())


def _quoted(lines: bytes) -> list[Raw]:
    """JSON is full of quotes: they are doubled here, all at once, instead of one by one as escapes of a text."""
    inside = lines.replace(b"\\", b"\\\\").replace(b'"', b'""').split(b"\n")
    return [Raw(b'"%b"' % line) for line in inside]


_COLUMNS: Mapping[CellKind, Convert] = {
    "numbers": lambda column: _json_texts(NUMBER_TEXTS(column)),
    "json": _json_texts,
}


def _escaped(found: re.Match[bytes]) -> bytes:
    """What JSON escapes in a text, as CSV has it: a quote is doubled, everything else stands for itself."""
    code, short = found.groups()
    return _ESCAPED[short] if short else bytes.fromhex(code.decode())
