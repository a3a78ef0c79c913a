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
from cjasync.models._model import Field, Model
from cjasync.models._values import DIGITS, Span, read_bounds, read_texts

Raw = Sequence[Sequence[Any]]
Times = Callable[[Callable[[Any], datetime | None], Sequence[Any]], Sequence[Any]]
"""Turns a raw column of times, which the first argument reads one by one, into what a format stores."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MEMO_SIZE = 8_192  # values, some 2 MB
_TEXT_LISTS = msgspec.json.Decoder(list[str])


class PageConverter:
    """Turns a page of rows into columns.

    number: how one exact number is converted. columns: how a column of each other kind is; not at all where it is
    missing. times: how raw times are read, where not as datetimes. None stays None.
    """

    def __init__(
        self,
        layout: Layout,
        number: Callable[[Decimal], Any],
        columns: Mapping[CellKind, Convert],
        times: Times | None = None,
    ) -> None:
        self._model = layout.model
        fields = layout.model.__model_fields__.values()
        self._sources = [_source(field, layout.model, number, columns, times or exact_times) for field in fields]

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


def _source(
    field: Field,
    model: type[Model],
    number: Callable[[Decimal], Any],
    columns: Mapping[CellKind, Convert],
    times: Times,
) -> Callable[[Raw], Iterable[Sequence[Any]]]:
    """How the columns of one field come out of the page's raw columns."""
    places = [model.__struct_fields__.index(name) for name in (field.name, *field.slots[1:])]
    kind = columns_of(field)[0].kind
    read = field.kind.read

    if is_span(field):
        spans = _Memo(_span_reader(number))
        return lambda raw: zip(*map(spans.__getitem__, _told(raw, places)), strict=True)
    if kind == "decimal":
        numbers = _Memo(lambda raw: None if (value := read(raw)) is None else number(value))
        return lambda raw: (list(map(numbers.__getitem__, _told(raw, places))),)
    steps = [step for step in (_reader(field, times), columns.get(kind)) if step is not None]

    def one_column(raw: Raw) -> Iterable[Sequence[Any]]:
        column = _told(raw, places)
        for step in steps:
            column = step(column)
        return (column,)

    return one_column


def _span_reader(number: Callable[[Decimal], Any]) -> Callable[[Any], tuple[Any, Any]]:
    """How a raw price or weight becomes its two cells."""
    ends = _Memo(lambda text: ((exact := Decimal(text)), number(exact)) if DIGITS.fullmatch(text) else None)

    def cells(raw: Any) -> tuple[Any, Any]:
        if isinstance(raw, str):
            # CJ's way to write a range: many are new, but few of their ends are.
            low, _, high = raw.partition(" -- ")
            least, most = ends[low], ends[high or low]
            if least is not None and most is not None:
                return (least[1], most[1]) if least[0] <= most[0] else (most[1], least[1])
        bounds = (raw.low, raw.high) if isinstance(raw, Span) else read_bounds(raw)
        return (None, None) if bounds is None else (number(bounds[0]), number(bounds[1]))

    return cells


def _told(raw: Raw, places: Sequence[int]) -> Sequence[Any]:
    """A field's raw column; where CJ has two names for it, the second counts only where the first says nothing."""
    first = raw[places[0]]
    for place in places[1:]:
        other = raw[place]
        if other.count(None) < len(other):
            first = [b if a in (None, "") and b not in (None, "") else a for a, b in zip(first, other, strict=True)]
    return first


def _reader(field: Field, times: Times) -> Convert | None:
    """How a raw column becomes exact values; None where they are the same."""
    read = field.kind.read
    match field.kind.name:
        case "time":
            return lambda column: times(read, column)
        case "texts":
            return _text_lists
        case "model":
            return lambda column: list(map(plain, column))
        case "models":
            return lambda column: [plain(tuple(items or ())) for items in column]
        case _:
            return (lambda column: list(map(read, column))) if field.kind.lazy else None


def exact_times(read: Callable[[Any], datetime | None], column: Sequence[Any]) -> Sequence[datetime | None]:
    """A raw column of times as datetimes in UTC."""
    if set(map(type, column)) == {int} and not any(map((1000).__rmod__, column)):
        # Milliseconds of whole seconds, as nearly all are: one step of C.
        return msgspec.convert([raw // 1000 for raw in column], list[datetime], strict=False)
    return [_time(read, raw) for raw in column]


def _time(read: Callable[[Any], datetime | None], raw: Any) -> datetime | None:
    if type(raw) is int:
        return _EPOCH + raw * _MILLISECOND
    time = read(raw)
    return None if time is None else utc(time)


def _text_lists(column: Sequence[Any]) -> Sequence[Sequence[str]]:
    """Lists of texts, of lists and of texts that hold one as JSON."""
    kinds = set(map(type, column))
    if kinds == {list}:
        return column
    packed = [raw for raw in column if raw and raw[0] == "[" and type(raw) is str] if str in kinds else []
    try:
        # Each of these begins a line with a bracket: there are as many lists as texts only if each text holds one.
        unpacked = _TEXT_LISTS.decode_lines("\n".join(packed))
    except msgspec.DecodeError:
        unpacked = []
    if len(unpacked) != len(packed):
        return list(map(read_texts, column))
    following = iter(unpacked)
    return [next(following) if raw and raw[0] == "[" and type(raw) is str else read_texts(raw) for raw in column]
