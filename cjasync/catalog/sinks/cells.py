"""One exact value as text, and back: what the formats without types of their own share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

CellKind = Literal["text", "int", "bool", "decimal", "time", "texts", "numbers", "json"]
"""What an exact value is in Python: text str, int, bool, decimal Decimal, time aware datetime in UTC, texts tuple of
str, numbers tuple of Decimal, json whatever JSON holds. Each but the two tuples may be None."""

_JSON = msgspec.json.Encoder(decimal_format="number")
_FROM_JSON = msgspec.json.Decoder(float_hook=Decimal)


def utc(time: datetime) -> datetime:
    """The same moment in UTC (the first hours of year 1 have none and stay in their own zone)."""
    if time.tzinfo is UTC:
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return time


def iso(time: datetime) -> str:
    """`2026-01-31T10:00:00Z`."""
    return utc(time).isoformat().replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The reverse of `iso`."""
    return datetime.fromisoformat(text)


def digits(number: Decimal) -> str:
    """An exact number without exponent."""
    text = str(number)  # half the time that `format` takes
    return format(number, "f") if "E" in text else text


def json_text(value: Any) -> str:
    """A value as JSON; exact numbers keep their digits."""
    return _JSON.encode(value).decode()


def from_json(text: str | bytes) -> Any:
    """The reverse of `json_text`; numbers with a fraction become Decimal."""
    return _FROM_JSON.decode(text)


def _number_texts(numbers: tuple[Decimal, ...]) -> list[str]:
    return list(map(digits, numbers))


def read_number_texts(texts: list[str]) -> tuple[Decimal, ...]:
    """The reverse of a list of exact numbers, which every format holds as texts."""
    return tuple(map(Decimal, texts))


Convert = Callable[[Sequence[Any]], Sequence[Any]]
"""Turns a column of exact values into what a format stores. None stays None."""


def each(convert: Callable[[Any], Any]) -> Convert:
    """Value by value."""
    return lambda column: [None if value is None else convert(value) for value in column]


def json_lines(column: Sequence[Any]) -> bytes:
    """A column of anything as JSON, one line a value: JSON holds no line end of its own."""
    return _JSON.encode_lines(column)


def json_texts(column: Sequence[Any]) -> Sequence[str | None]:
    """A column of anything as JSON."""
    texts = json_lines(column).decode().split("\n")
    return [None if value is None else text for value, text in zip(column, texts, strict=False)]


def iso_texts(column: Sequence[datetime | None]) -> Sequence[str | None]:
    """A column of times as `iso` writes them."""
    texts: list[str | None] = msgspec.to_builtins(column)
    return texts


NUMBER_TEXTS: Convert = each(_number_texts)
"""A column of exact numbers' lists as lists of texts."""

FROM_JSON: Mapping[CellKind, Callable[[Any], Any]] = {
    "decimal": Decimal,
    "time": moment,
    "texts": tuple,
    "numbers": read_number_texts,
}

TO_TEXT: Mapping[CellKind, Convert] = {
    "numbers": lambda column: json_texts(NUMBER_TEXTS(column)),
    "json": json_texts,
}
"""Columns of exact values to texts, for the formats that have nothing better."""

FROM_TEXT: Mapping[CellKind, Callable[[str], Any]] = {
    "int": int,
    "bool": {"false": False, "true": True}.__getitem__,
    "decimal": Decimal,
    "time": moment,
    "texts": lambda text: tuple(from_json(text)),
    "numbers": lambda text: read_number_texts(from_json(text)),
    "json": from_json,
}
