"""One exact value as text, and back: what the formats without types of their own share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    return format(number, "f")


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


TO_JSON: Mapping[CellKind, Callable[[Any], Any]] = {"decimal": digits, "numbers": _number_texts}
"""Exact values to what a JSON line holds; a kind that is missing is written as it is."""

FROM_JSON: Mapping[CellKind, Callable[[Any], Any]] = {
    "decimal": Decimal,
    "time": moment,
    "texts": tuple,
    "numbers": read_number_texts,
}

TO_TEXT: Mapping[CellKind, Callable[[Any], str]] = {
    "texts": json_text,
    "numbers": lambda numbers: json_text(_number_texts(numbers)),
    "json": json_text,
}
"""Exact values to text, for the formats that have nothing better."""

FROM_TEXT: Mapping[CellKind, Callable[[str], Any]] = {
    "int": int,
    "bool": {"false": False, "true": True}.__getitem__,
    "decimal": Decimal,
    "time": moment,
    "texts": lambda text: tuple(from_json(text)),
    "numbers": lambda text: read_number_texts(from_json(text)),
    "json": from_json,
}
