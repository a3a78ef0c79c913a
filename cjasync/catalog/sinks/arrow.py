"""Rows as Arrow record batches, and back: what Parquet and DuckDB share.

Text string, int int64, bool bool, times timestamps in UTC, lists of texts lists, JSON text, lists of numbers lists of
texts, and exact numbers DECIMAL(18, 6). The few numbers that do not fit there exactly (CJ's JSON has had
`12.290000000000001`) are rounded in their column, or null where they are too large, and `exact_numbers` holds their
digits by column as JSON; it is null in other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from types import NoneType
from typing import Any

import pyarrow as pa

from cjasync.catalog.sinks.cells import (
    NUMBER_TEXTS,
    CellKind,
    digits,
    from_json,
    json_text,
    json_texts,
    read_number_texts,
)
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout
from cjasync.catalog.sinks.converter import PageConverter, exact_times
from cjasync.models._model import Model

_PLACES = 6  # of an exact number
_TYPES: Mapping[CellKind, Any] = {
    "text": pa.string(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "decimal": pa.decimal128(18, _PLACES),
    "time": pa.timestamp("us", "UTC"),
    "texts": pa.list_(pa.string()),
    "numbers": pa.list_(pa.string()),
    "json": pa.string(),
}
EXACT_NUMBERS = "exact_numbers"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT = 10**18  # in units of the last place
_WIDE = Context(prec=120)


def schema_of(layout: Layout) -> Any:
    """The Arrow schema of a model's files."""
    fields = [(column.name, _TYPES[column.kind]) for column in (*layout.columns, FETCHED_AT)]
    return pa.schema([*fields, (EXACT_NUMBERS, pa.string())])


class Gathering:
    """Rows on their way into a table: its columns, of which each page has a piece."""

    def __init__(self, layout: Layout) -> None:
        self.schema = schema_of(layout)
        self.rows = 0
        self._convert = PageConverter(layout, _units, {"numbers": NUMBER_TEXTS, "json": json_texts}, {"time": _times})
        # All that Arrow is asked for a page costs as much as some ten values: numbers are made decimals all at once.
        held = {**_TYPES, "decimal": pa.int64()}
        self._held = [(column, held[column.kind]) for column in layout.columns]
        self._pieces: list[list[Any]] = [[] for _ in self.schema]
        self._tables: list[Any] = []

    def add(self, rows: Sequence[Model], fetched_at: datetime) -> Sequence[str]:
        """Take rows; the answer is their keys."""
        columns = self._convert(rows)
        odd: dict[int, dict[str, str]] = {}
        arrays = [
            pa.array(_fitting(values, column.name, odd) if column.kind == "decimal" else values, kind)
            for values, (column, kind) in zip(columns, self._held, strict=True)
        ]
        arrays.append(pa.repeat(pa.scalar(fetched_at, _TYPES["time"]), len(rows)))
        exact = pa.nulls(len(rows), pa.string())
        if odd:
            exact = pa.array([json_text(odd[n]) if n in odd else None for n in range(len(rows))], pa.string())
        arrays.append(exact)
        for pieces, array in zip(self._pieces, arrays, strict=True):
            pieces.append(array)
        self.rows += len(rows)
        return columns[0]

    def add_table(self, table: Any) -> None:
        """Take rows that were in a table before."""
        self._tables.append(table)
        self.rows += len(table)

    def table(self) -> Any:
        """All rows."""
        if self._pieces[0]:
            joined = map(_joined, self._pieces, self.schema.types)
            self._tables.append(pa.table(list(joined), schema=self.schema))
        return pa.concat_tables(self._tables) if self._tables else self.schema.empty_table()

    def clear(self) -> None:
        """Forget the rows that `table` has shown."""
        self._tables.clear()
        self.rows = 0


def _times(column: Sequence[Any]) -> Sequence[int | datetime | None]:
    """As microseconds, where CJ sent milliseconds: Arrow takes ten times as long to read a datetime."""
    if set(map(type, column)) <= {int, NoneType}:
        return [None if millis is None else 1_000 * millis for millis in column]
    return exact_times(column)


def _fitting(column: Sequence[Any], name: str, odd: dict[int, dict[str, str]]) -> Sequence[int | None]:
    """A column's numbers in units; those that do not fit are noted by row and column."""
    if str not in set(map(type, column)):
        return column
    for place, value in enumerate(column):
        if isinstance(value, str):
            odd.setdefault(place, {})[name] = value
    return [_rounded(value) if isinstance(value, str) else value for value in column]


def _joined(pieces: list[Any], kind: Any) -> Any:
    """A column of its pieces, which are gone then."""
    column = pa.chunked_array(pieces)
    pieces.clear()
    if kind != _TYPES["decimal"]:
        return column
    # Arrow takes five times as long to read a Decimal.
    units = column.combine_chunks().cast(pa.decimal128(19, 0))
    return pa.Array.from_buffers(kind, len(units), units.buffers())


def exact_row(row: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """A row as Arrow or DuckDB shows it in Python, as exact values."""
    odd = row.pop(EXACT_NUMBERS)
    for column in layout.columns:
        convert = _FROM_ARROW.get(column.kind)
        if convert is not None and row[column.name] is not None:
            row[column.name] = convert(row[column.name])
    if odd is not None:
        row |= {name: Decimal(number) for name, number in from_json(odd).items()}
    return row


def _units(number: Decimal) -> int | str:
    """An exact number in units of the last place, or its digits where it does not fit."""
    units = number.scaleb(_PLACES, _WIDE)
    whole = int(units)
    return whole if whole == units and abs(whole) < _LIMIT else digits(number)


def _rounded(number: str) -> int | None:
    units = int(Decimal(number).scaleb(_PLACES, _WIDE).to_integral_value(context=_WIDE))
    return units if abs(units) < _LIMIT else None


_FROM_ARROW: Mapping[CellKind, Callable[[Any], Any]] = {
    "texts": tuple,
    "numbers": read_number_texts,
    "json": from_json,
}
