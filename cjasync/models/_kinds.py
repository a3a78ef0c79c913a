"""How each type that a model may declare is stored, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct

import cjasync.models._values as values
from cjasync.models._values import Price, Unreadable, Weight

ANY_SCALAR = "any scalar"
Id = Annotated[str, ANY_SCALAR]
"""An opaque identifier. CJ sends the same id as text and as a number; it is always text here."""
Json = Annotated[object, "json"]
"""Any JSON value; JSON that CJ put inside a string is unpacked."""
Millis = Annotated[datetime, "milliseconds"]
"""A time that CJ sends as epoch milliseconds in nearly every row, so that the decoder can check it by itself."""

_Text = Annotated[str, Meta(min_length=1)]
_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Millis = Annotated[int, Meta(ge=0, le=values.MAX_MILLIS)]
_SpanText = Annotated[str, Meta(pattern=values.SPAN_OR_NOTHING)]
_NumberText = Annotated[str, Meta(pattern=values.NUMBER_OR_NOTHING)]
_Number = _Int64 | float | str | None

Check = Callable[[list[Any]], bool]
"""Whether every value of a column can be read."""


class Kind(Struct, frozen=True):
    """How one type is stored (`wire`), read (`read`) and checked a column at a time.

    check: None where the decoder has let nothing through that could not be read.
    known: values that need no look. On a page that holds nothing new, one comparison of sets is all.
    told: what is wrong with a value, without the price of an exception; None where `read` has to tell.
    required: what is stored where the value must be there.
    """

    name: str
    wire: Any
    read: Callable[[Any], Any]
    lazy: bool = True
    check: Check | None = None
    known: set[Any] = set()
    told: Callable[[Any], str | None] | None = None
    required: Any = None

    @property
    def is_plain(self) -> bool:
        """Whether it holds no models."""
        return self.name not in ("model", "models")

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value; None if it can be read. Not for models."""
        if self.told is not None:
            return self.told(value)
        try:
            self.read(value)
        except Unreadable as error:
            return error.reason
        return None


def _can_read(read: Callable[[Any], Any], values: Iterable[Any]) -> bool:
    try:
        for value in values:
            read(value)
    except Unreadable:
        return False
    return True


def _each(read: Callable[[Any], Any]) -> Check:
    return lambda column: _can_read(read, column)


def _unless(known: set[Any], read: Callable[[Any], Any]) -> Check:
    return lambda column: _can_read(read, set(column).difference(known))


def _texts_among(read: Callable[[Any], Any]) -> Check:
    return lambda column: _can_read(read, [value for value in column if type(value) is str])


NATIVE: dict[Any, Kind] = {
    str: Kind("text", str | None, values.read_text, lazy=False, told=values.text_fault, required=_Text),
    int: Kind("int", _Int64 | None, values.read_int, lazy=False, required=_Int64),
    bool: Kind("bool", bool | None, values.read_bool, lazy=False, required=bool),
}
LAZY: dict[Any, Kind] = {
    Decimal: Kind("decimal", _Number, values.read_decimal, check=_unless({None}, values.read_decimal)),
    Price: Kind(
        "price",
        _Number,
        values.read_price,
        check=values.read_price.check,
        known=values.read_price.known,
        told=values.span_fault,
    ),
    Weight: Kind(
        "weight",
        _Number,
        values.read_weight,
        check=values.read_weight.check,
        known=values.read_weight.known,
        told=values.span_fault,
    ),
    datetime: Kind("time", _Millis | str | None, values.read_time, check=_texts_among(values.read_time)),
    tuple[str, ...]: Kind("texts", list[str] | str | None, values.read_texts),
    tuple[Decimal, ...]: Kind("numbers", Any, values.read_numbers, check=_each(values.read_numbers)),
}
OPAQUE = Kind("text", _Int64 | str | None, values.read_id, told=values.text_fault, required=_Int64 | _Text)
MILLIS = Kind("time", _Millis | None, values.read_time)
ANY_JSON = Kind("json", Any, values.read_json)

SPARSE: dict[Any, Kind] = {
    # Matching a pattern costs ten times a look at the column, but nothing at all for null.
    Decimal: Kind("decimal", _Int64 | _NumberText | None, values.read_decimal),
    Price: Kind("price", _Int64 | _SpanText | None, values.read_price),
}
