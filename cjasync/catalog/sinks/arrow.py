"""Rows as Arrow record batches, and back: what Parquet and DuckDB share.

Text string, int int64, bool bool, times timestamps in UTC, lists of texts lists, JSON text, lists of numbers lists of
texts, and exact numbers DECIMAL(18, 6). The few numbers that do not fit there exactly (CJ's JSON has had
`12.290000000000001`) are rounded in their column, or null where they are too large, and `exact_numbers` holds their
digits by column as JSON; it is null in other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa

from cjasync.catalog.sinks.cells import CellKind, digits, from_json, json_text, read_number_texts
from cjasync.catalog.sinks.columns import FETCHED_AT, Layout, PageConverter
from cjasync.models._model import Model

_TYPES: Mapping[CellKind, Any] = {
    "text": pa.string(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "decimal": pa.decimal128(18, 6),
    "time": pa.timestamp("us", "UTC"),
    "texts": pa.list_(pa.string()),
    "numbers": pa.list_(pa.string()),
    "json": pa.string(),
}
EXACT_NUMBERS = "exact_numbers"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNIT = Decimal("0.000001")
_LIMIT = Decimal(10) ** 12
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
        self._convert = PageConverter(layout, _CELLS)

    def __call__(self, rows: Sequence[Model], fetched_at: datetime) -> Any:
        """One batch."""
        odd: list[dict[str, str] | None] = [None] * len(rows)
        arrays = [self._array(name, column, odd) for name, column in zip(self._names, self._convert(rows), strict=True)]
        arrays.append(pa.repeat(pa.scalar(_micros(fetched_at), _TYPES["time"]), len(rows)))
        arrays.append(pa.array([None if numbers is None else json_text(numbers) for numbers in odd], pa.string()))
        return pa.record_batch(arrays, schema=self.schema)

    def _array(self, name: str, column: Sequence[Any], odd: list[dict[str, str] | None]) -> Any:
        kind = self.schema.field(name).type
        if kind == _TYPES["decimal"] and str in set(map(type, column)):
            for index, value in enumerate(column):
                if isinstance(value, str):
                    odd[index] = {**(odd[index] or {}), name: value}
            column = [_rounded(Decimal(value)) if isinstance(value, str) else value for value in column]
        return pa.array(column, kind)


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


def _rounded(number: Decimal) -> Decimal | None:
    rounded = number.quantize(_UNIT, context=_WIDE)
    return rounded if abs(rounded) < _LIMIT else None


def _fitting(number: Decimal) -> Decimal | str:
    return number if _rounded(number) == number else digits(number)


def _micros(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND


_CELLS: Mapping[CellKind, Callable[[Any], Any]] = {
    "decimal": _fitting,
    "time": _micros,
    "numbers": lambda numbers: list(map(digits, numbers)),
    "json": json_text,
}
_FROM_ARROW: Mapping[CellKind, Callable[[Any], Any]] = {
    "texts": tuple,
    "numbers": read_number_texts,
    "json": from_json,
}
