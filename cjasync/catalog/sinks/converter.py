"""A page of rows as columns of what one format stores.

Rows are turned into columns first and converted a column at a time: a few steps of C for each, and a look-up for the
prices, because a catalogue has millions of values and few different ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import astuple

from cjasync.catalog.sinks.cells import CellKind, Convert, utc
from cjasync.catalog.sinks.columns import Layout, columns_of, is_span, plain
from cjasync.catalog.sinks.texts import text_lists
from cjasync.models._model import Field, Model
from cjasync.models._values import Span, read_bounds, read_time

Raw = Sequence[Sequence[Any]]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MEMO_SIZE = 8_192  # values, some 2 MB
_PLAIN = 15  # digits at most, which a float keeps exactly


class PageConverter:
    """Turns a page of rows into columns.

    number: how one exact number is converted. columns: how a column of each other kind is; not at all where it is
    missing. raw: how a column of a kind is converted as it came, which spares its exact values. None stays None.
    """

    def __init__(
        self,
        layout: Layout,
        number: Callable[[Decimal], Any],
        columns: Mapping[CellKind, Convert],
        raw: Mapping[CellKind, Convert] | None = None,
    ) -> None:
        self._model = layout.model
        fields = layout.model.__model_fields__.values()
        self._sources = [_source(field, layout.model, number, columns, raw or {}) for field in fields]

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


class _Memo(dict[Any, Any]):
    """Remembers conversions: `map(memo.__getitem__, column)` costs one look-up a value."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert

    def __missing__(self, raw: Any) -> Any:
        if len(self) >= _MEMO_SIZE:
            self.clear()
        converted = self[raw] = self._convert(raw)
        return converted


class _Spans(dict[Any, tuple[Any, Any]]):
    """Remembers the two cells of raw prices, or weights. Of CJ's ranges few come twice, but their ends do."""

    def __init__(self, number: Callable[[Decimal], Any]) -> None:
        self._number = number
        self._ends = _Memo(self._end)

    def __missing__(self, raw: Any) -> tuple[Any, Any]:
        text = raw if isinstance(raw, str) else repr(raw).removesuffix(".0") if type(raw) in (int, float) else ""
        low, dash, high = text.partition(" -- ")
        least, most = self._ends[low], self._ends[high if dash else low]
        if least is None or most is None:
            bounds = (raw.low, raw.high) if isinstance(raw, Span) else read_bounds(raw)
            cells = (None, None) if bounds is None else (self._number(bounds[0]), self._number(bounds[1]))
        elif dash:
            return (least[1], most[1]) if least[0] <= most[0] else (most[1], least[1])
        else:
            cells = least[1], least[1]
        if len(self) >= _MEMO_SIZE:
            self.clear()
        self[raw] = cells
        return cells

    def _end(self, text: str) -> tuple[Decimal, Any] | None:
        """One number and its cell; None where it is not written in the plainest way, as nearly all are."""
        if len(text) > _PLAIN or not text.replace(".", "", 1).isdecimal() or "." in (text[0], text[-1]):
            return None
        exact = Decimal(text)
        return exact, self._number(exact)


def _source(
    field: Field,
    model: type[Model],
    number: Callable[[Decimal], Any],
    columns: Mapping[CellKind, Convert],
    from_raw: Mapping[CellKind, Convert],
) -> Callable[[Raw], Iterable[Sequence[Any]]]:
    """How the columns of one field come out of the page's raw columns."""
    places = [model.__struct_fields__.index(name) for name in (field.name, *field.slots[1:])]
    kind = columns_of(field)[0].kind
    read = field.kind.read

    if is_span(field):
        spans = _Spans(number)
        return lambda raw: zip(*map(spans.__getitem__, _told(raw, places)), strict=True)
    if kind == "decimal":
        numbers = _Memo(lambda raw: None if (value := read(raw)) is None else number(value))
        return lambda raw: (list(map(numbers.__getitem__, _told(raw, places))),)
    steps = [from_raw[kind]] if kind in from_raw else [_reader(field), columns.get(kind)]
    needed = [step for step in steps if step is not None]

    def one_column(raw: Raw) -> Iterable[Sequence[Any]]:
        column = _told(raw, places)
        for step in needed:
            column = step(column)
        return (column,)

    return one_column


def _told(raw: Raw, places: Sequence[int]) -> Sequence[Any]:
    """A field's raw column; where CJ has two names for it, the second counts only where the first says nothing."""
    first = raw[places[0]]
    for place in places[1:]:
        other = raw[place]
        if other.count(None) < len(other):
            first = [b if a in (None, "") and b not in (None, "") else a for a, b in zip(first, other, strict=True)]
    return first


def _reader(field: Field) -> Convert | None:
    """How a raw column becomes exact values; None where they are the same."""
    read = field.kind.read
    match field.kind.name:
        case "time":
            return exact_times
        case "texts":
            return text_lists
        case "model":
            return lambda column: list(map(plain, column))
        case "models":
            return lambda column: [plain(tuple(items or ())) for items in column]
        case _:
            return (lambda column: list(map(read, column))) if field.kind.lazy else None


def exact_times(column: Sequence[Any]) -> Sequence[datetime | None]:
    """A raw column of times as datetimes in UTC."""
    if set(map(type, column)) == {int}:
        seconds = [raw // 1000 for raw in column]
        if 1000 * sum(seconds) == sum(column):
            # Milliseconds of whole seconds, as nearly all are: one step of C.
            return msgspec.convert(seconds, list[datetime], strict=False)
    return list(map(_time, column))


def _time(raw: Any) -> datetime | None:
    if type(raw) is int:
        return _EPOCH + raw * _MILLISECOND
    time = read_time(raw)
    return None if time is None else utc(time)
