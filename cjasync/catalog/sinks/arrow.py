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
from cjasync.catalog.sinks.converter import PageConverter
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


class BatchMaker:
    """Makes record batches of a model's rows."""

    def __init__(self, layout: Layout) -> None:
        self.schema = schema_of(layout)
        self._names = layout.names
        self._convert = PageConverter(layout, _units, {"numbers": NUMBER_TEXTS, "json": json_texts})

    def __call__(self, rows: Sequence[Model], fetched_at: datetime) -> Any:
        """One batch."""
        odd: list[dict[str, str] | None] = [None] * len(rows)
        arrays = [self._array(name, column, odd) for name, column in zip(self._names, self._convert(rows), strict=True)]
        arrays.append(pa.repeat(pa.scalar(fetched_at, _TYPES["time"]), len(rows)))
        arrays.append(pa.array([None if numbers is None else json_text(numbers) for numbers in odd], pa.string()))
        return pa.record_batch(arrays, schema=self.schema)

    def _array(self, name: str, column: Sequence[Any], odd: list[dict[str, str] | None]) -> Any:
        kind = self.schema.field(name).type
        if kind != _TYPES["decimal"]:
            return pa.array(column, kind)
        if str in set(map(type, column)):
            for index, value in enumerate(column):
                if isinstance(value, str):
                    odd[index] = {**(odd[index] or {}), name: value}
            column = [_rounded(value) if isinstance(value, str) else value for value in column]
        # Arrow takes five times as long to read a Decimal.
        units = pa.array(column, pa.int64()).cast(pa.decimal128(19, 0))
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
