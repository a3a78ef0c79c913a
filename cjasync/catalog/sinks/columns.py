"""Which columns a model has in a file, and a page of rows as columns of exact values.

A field is a column of its own name; a price or a weight is two, `x_low` and `x_high`. The first column names the row
(`pid`, `id`, `vid`). Rows are turned into columns first and converted a column at a time, because a catalogue has
millions of values and few different prices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from cjasync.catalog.sinks.cells import CellKind, digits, from_json, iso, json_text, utc
from cjasync.models._model import Field, Model
from cjasync.models._values import Span, read_texts

Raw = Sequence[Sequence[Any]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEMO_SIZE = 65_536
_MILLISECOND = timedelta(milliseconds=1)
_TEXT_LIST = msgspec.json.Decoder(list[str])


class Column(Struct, frozen=True):
    """One column: its name and the kind of its values."""

    name: str
    kind: CellKind


FETCHED_AT = Column("fetched_at", "time")
"""The last column of every file: when CJ sent the row. Of two rows of one product the newer one stays."""
DELETED_AT = Column("deleted_at", "time")
"""In databases, which outlive a walk: since when CJ no longer lists the product."""


class Layout:
    """The columns of one model, its key first."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.columns = tuple(column for field in model.__model_fields__.values() for column in _columns_of(field))
        self.key = self.columns[0].name
        self.names = tuple(column.name for column in self.columns)

    def values(self, row: Model) -> dict[str, Any]:
        """One row as a file shows it: column names to exact values."""
        shown: dict[str, Any] = {}
        for field in self.model.__model_fields__.values():
            value = getattr(row, field.name)
            cells = _low_and_high(value) if _is_span(field) else (_exact(field, value),)
            shown.update(zip((column.name for column in _columns_of(field)), cells, strict=True))
        return shown


class PageConverter:
    """Turns a page of rows into columns of what one format stores.

    cells: how an exact value of each kind is converted; not at all where it is missing. None stays None.
    """

    def __init__(self, layout: Layout, cells: Mapping[CellKind, Callable[[Any], Any]]) -> None:
        self._model = layout.model
        self._sources = [_source(field, layout.model, cells) for field in layout.model.__model_fields__.values()]

    def __call__(self, rows: Sequence[Model]) -> list[Sequence[Any]]:
        """The page's columns, in the order of the layout."""
        if not rows:
            return []
        kinds = set(map(type, rows))
        if kinds != {self._model}:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise TypeError(f"this file holds {self._model.__name__} rows, not {names}")
        raw = list(zip(*map(astuple, rows), strict=True))
        return [column for source in self._sources for column in source(raw)]


def plain(value: Any) -> Any:
    """Nested models as JSON can hold them, with the columns that they would have in a file of their own."""
    if isinstance(value, Model):
        shown: dict[str, Any] = {}
        for field in value.__model_fields__.values():
            inner = getattr(value, field.name)
            cells = _low_and_high(inner) if _is_span(field) else (inner,)
            # Only our own numbers become text; those in JSON of CJ's stay the numbers that they are there.
            opaque = field.kind.name == "json"
            pairs = zip(_columns_of(field), cells, strict=True)
            shown |= {column.name: cell if opaque else plain(cell) for column, cell in pairs}
        return shown
    if isinstance(value, Decimal):
        return digits(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _is_span(field: Field) -> bool:
    return field.kind.name in ("price", "weight")


def _columns_of(field: Field) -> tuple[Column, ...]:
    if _is_span(field):
        return Column(f"{field.name}_low", "decimal"), Column(f"{field.name}_high", "decimal")
    kind: Any = "json" if field.kind.name in ("model", "models") else field.kind.name
    return (Column(field.name, kind),)


def _low_and_high(span: Span | None) -> tuple[Decimal | None, Decimal | None]:
    return (None, None) if span is None else (span.low, span.high)


def _exact(field: Field, value: Any) -> Any:
    match field.kind.name:
        case "time":
            return _time(value)
        case "model" | "models" | "json":
            return from_json(json_text(value if field.kind.name == "json" else plain(value)))
        case _:
            return value


class _Memo(dict[Any, Any]):
    """Remembers conversions: `map(memo.__getitem__, column)` costs one look-up a value."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert

    def __missing__(self, raw: Any) -> Any:
        converted = self[raw] = self._convert(raw)
        return converted

    def column(self, raw: Iterable[Any]) -> list[Any]:
        if len(self) > _MEMO_SIZE:
            self.clear()
        return list(map(self.__getitem__, raw))


def _source(
    field: Field, model: type[Model], cells: Mapping[CellKind, Callable[[Any], Any]]
) -> Callable[[Raw], tuple[Sequence[Any], ...]]:
    """How the columns of one field come out of the page's raw columns."""
    places = [model.__struct_fields__.index(name) for name in (field.name, *field.slots[1:])]
    kind = _columns_of(field)[0].kind
    cell = cells.get(kind)

    read = field.kind.read

    def converted(value: Any) -> Any:
        return value if value is None or cell is None else cell(value)

    if _is_span(field):
        spans = _Memo(lambda raw: tuple(map(converted, _low_and_high(read(raw)))))

        def two_columns(raw: Raw) -> tuple[Sequence[Any], ...]:
            pairs = spans.column(_told(raw, places))
            return list(map(itemgetter(0), pairs)), list(map(itemgetter(1), pairs))

        return two_columns
    if kind == "decimal":
        numbers = _Memo(lambda raw: converted(read(raw)))
        return lambda raw: (numbers.column(_told(raw, places)),)
    exact = _reader(field)

    def one_column(raw: Raw) -> tuple[Sequence[Any], ...]:
        column = _told(raw, places)
        if exact is not None:
            column = exact(column)
        return (column if cell is None else [None if each is None else cell(each) for each in column],)

    return one_column


def _told(raw: Raw, places: Sequence[int]) -> Sequence[Any]:
    """A field's raw column; where CJ has two names for it, the second counts only where the first says nothing."""
    first = raw[places[0]]
    for place in places[1:]:
        other = raw[place]
        if other.count(None) < len(other):
            first = [b if a in (None, "") and b not in (None, "") else a for a, b in zip(first, other, strict=True)]
    return first


def _reader(field: Field) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """How a raw column becomes exact values; None where they are the same."""
    read = field.kind.read
    match field.kind.name:
        case "time":
            return lambda column: [
                _EPOCH + raw * _MILLISECOND if type(raw) is int else _time(read(raw)) for raw in column
            ]
        case "texts":
            return _text_lists
        case "model":
            return lambda column: list(map(plain, column))
        case "models":
            return lambda column: [plain(tuple(items or ())) for items in column]
        case _:
            return (lambda column: list(map(read, column))) if field.kind.lazy else None


def _time(time: datetime | None) -> datetime | None:
    return None if time is None else utc(time)


def _text_lists(column: Sequence[Any]) -> Sequence[Sequence[str]]:
    if set(map(type, column)) == {list} and set(map(type, chain.from_iterable(column))) <= {str}:
        return column
    return list(map(_text_list, column))


def _text_list(raw: Any) -> Sequence[str]:
    if type(raw) is str and raw[:1] == "[":
        try:
            return _TEXT_LIST.decode(raw)
        except msgspec.DecodeError:
            return read_texts(raw)
    return read_texts(raw)
