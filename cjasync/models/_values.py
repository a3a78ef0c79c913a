"""Reads one JSON scalar, however CJ chose to send it, as one exact value.

CJ sends the same thing as a number, a numeric string, an empty string, a bool or null. Each reader takes whatever
arrived and returns one type, None for "nothing there", or raises `Unreadable`: nothing is ever guessed.
Readers are also given values that are read already (a Price, a datetime) and return them as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from cjasync.config import CHINA_TIME

_EXACT_DIGITS = 15
_NUMBERS = (int, float, Decimal)
_AS_TEXT = (str, int, Decimal)
_AS_SENT = (str, int, float, type(None))
_EMPTY = frozenset(("", "null", "NULL", "Null"))
_MAX_MAGNITUDE = 140  # 40 digits and an exponent of two; a 400-digit number is damage or an attack
_DIGITS = r"\d{1,40}+(?:\.\d{1,40}+)?+"  # "+": none is given back, since nothing that follows could be one of them
_SIGNED = rf"[+-]?{_DIGITS}(?:[eE][+-]?\d{{1,2}})?"  # Java writes 0.00000000 as 0E-8
_NUMBER = re.compile(rf"\s*({_SIGNED})\s*")
_SPAN = re.compile(rf"\s*(?:({_SIGNED})|({_DIGITS})\s*(?:--?|[\u2013\u2014~])\s*({_DIGITS}))\s*")
NUMBER_OR_NOTHING = rf"^\s*(?:{_SIGNED})?\s*$"
SPAN_OR_NOTHING = rf"^\s*(?:{_SIGNED}|{_DIGITS}\s*(?:--?|[\u2013\u2014~])\s*{_DIGITS})?\s*$"
_JSON = msgspec.json.Decoder(float_hook=Decimal)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_MILLIS = 9_999_999_999_999  # in the year 2286; 20260101120000 is no time in milliseconds
_COMPACT_DATE = 8  # digits of a date without hyphens, which would be a moment of 1970


class Fault(Struct, frozen=True):
    """What is wrong with a row; `path` leads there from the row."""

    path: str
    reason: str


class Unreadable(ValueError):
    """A value that means nothing we know; `path` leads to it from the row that holds it."""

    path = ""

    @property
    def reason(self) -> str:
        """What is wrong."""
        return str(self)

    @property
    def fault(self) -> Fault:
        """The same without the stack that an exception holds on to."""
        return Fault(self.path, str(self))

    def under(self, parent: str) -> Unreadable:
        """Seen from one level further out."""
        self.path = f"{parent}{'.' if self.path and self.path[0] != '[' else ''}{self.path}"
        return self


class Span(Struct, frozen=True, gc=False):
    """A number, or a range of numbers, as CJ writes both in the same field. `low == high` when it is one number."""

    low: Decimal
    high: Decimal

    @property
    def is_range(self) -> bool:
        """Whether low and high differ."""
        return self.low != self.high

    def __str__(self) -> str:
        return f"{self.low}-{self.high}" if self.is_range else str(self.low)


S = TypeVar("S", bound=Span)


class Price(Span, frozen=True, gc=False):
    """An amount of money (USD unless the row says otherwise), exact. Products with several variants have a range."""


class Weight(Span, frozen=True, gc=False):
    """A weight in grams, exact. Products with several variants have a range."""


def show(value: object) -> str:
    """A value as an error message can carry it."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"  # which Python refuses to write out
    return text if len(text) <= 60 else text[:57] + "..."


def text_fault(value: Any) -> str | None:
    """What is wrong with a value that should be a text; None if it can be read."""
    return None if value is None or isinstance(value, _AS_TEXT) else f"expected text, got {show(value)}"


def read_text(value: Any) -> str | None:
    """Text as it is; numbers and bools as CJ wrote them. An empty string stays one."""
    if value is None or isinstance(value, str):
        return value
    if (fault := text_fault(value)) is not None:
        raise Unreadable(fault)
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_id(value: Any) -> str | None:
    """An identifier as text; 7.0 names the same thing as 7."""
    if isinstance(value, Decimal) and value.adjusted() < _MAX_MAGNITUDE and value == value.to_integral_value():
        value = int(value)
    return read_text(value)


def read_bool(value: Any) -> bool | None:
    """true, 1, "1", "true" and their opposites."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _EMPTY:
            return None
        value = {"1": 1, "true": 1, "0": 0, "false": 0}.get(text, value)
    if not isinstance(value, str) and value in (0, 1):
        return bool(value)
    raise Unreadable(f"expected a yes or no, got {show(value)}")


def read_decimal(value: Any) -> Decimal | None:
    """An exact number from a JSON number or a numeric string."""
    if isinstance(value, str):
        if value.strip() in _EMPTY:
            return None
        if (match := _NUMBER.fullmatch(value)) is not None:
            value = Decimal(match[1])
    if value is None:
        return None
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        # 3.0 is read as 3: the two are one key to whoever remembers what was read.
        shown = repr(value).removesuffix(".0") if isinstance(value, float) else value
        number = Decimal(shown)
        # What is written with as few signs has no more digits, which are slow to count.
        if isinstance(shown, str) and len(shown) > _EXACT_DIGITS and len(number.as_tuple().digits) > _EXACT_DIGITS:
            raise Unreadable(f"more digits than a float keeps exactly: {show(value)}")
        if number.is_finite() and abs(number.adjusted()) <= _MAX_MAGNITUDE:
            return number
    raise Unreadable(f"expected a number, got {show(value)}")


def read_int(value: Any) -> int | None:
    """A whole number; true and false count as 1 and 0."""
    if isinstance(value, bool):
        return int(value)
    number = read_decimal(value)
    if number is None:
        return None
    whole = int(number)
    if whole != number or not -(2**63) <= whole < 2**63:
        raise Unreadable(f"expected a whole number, got {show(value)}")
    return whole


def span_fault(value: Any) -> str | None:
    """What is wrong with a value that should be a price or a weight; None if it can be read."""
    if isinstance(value, str):
        if _SPAN.fullmatch(value) or value.strip() in _EMPTY:
            return None
        return f"expected a number or a range, got {show(value)}"
    try:
        read_decimal(value)
    except Unreadable as error:
        return error.reason
    return None


def read_bounds(value: Any) -> tuple[Decimal, Decimal] | None:
    """The ends of a price or a weight, which are one where it is one number."""
    if isinstance(value, str):
        match = _SPAN.fullmatch(value)
        if match is None:
            if (fault := span_fault(value)) is not None:
                raise Unreadable(fault)
            return None
        one, low, high = match.groups()
        if one is None:
            ends = Decimal(low), Decimal(high)
            return ends if ends[0] <= ends[1] else ends[::-1]
        number: Decimal | None = Decimal(one)
    else:
        number = read_decimal(value)
    return None if number is None else (number, number)


def _read_span(value: Any, cls: type[S]) -> S | None:
    if isinstance(value, cls):
        return value
    bounds = read_bounds(value)
    return None if bounds is None else cls(*bounds)


_MOST_SPANS = 4_096  # that are remembered of each kind, 2 MB
_MOST_KNOWN = 16_384  # values, 2 MB


class SpanReader(Generic[S]):
    """Reads prices, or weights, and remembers them: a catalogue repeats them a lot.

    known: what can surely be read. A set compares itself with a whole column at once.
    """

    def __init__(self, cls: type[S]) -> None:
        self._cls = cls
        self._spans: dict[Any, S | None] = {}
        self.known: set[Any] = set()

    def __call__(self, value: Any) -> S | None:
        """The span; `Unreadable` if there is none."""
        if type(value) not in _AS_SENT:
            return _read_span(value, self._cls)  # True is 1 as a key, and what is read already needs no keeping
        if value in self._spans:
            return self._spans[value]
        span = _read_span(value, self._cls)
        if len(self._spans) >= _MOST_SPANS:
            self._spans.clear()
        self._spans[value] = span
        return span

    def check(self, column: Iterable[Any]) -> bool:
        """Whether every value can be read, without reading those that nobody may ask for."""
        for value in set(column).difference(self.known):
            if span_fault(value) is not None:
                return False
            if type(value) is int and abs(value) >= 10**_EXACT_DIGITS:
                continue  # the float that equals it cannot be read
            if len(self.known) >= _MOST_KNOWN:
                self.known.clear()
            self.known.add(value)
        return True


read_price = SpanReader(Price)
read_weight = SpanReader(Weight)


def read_time(value: Any) -> datetime | None:
    """Epoch milliseconds (number or text) or ISO text. Text without an offset is China time, as CJ's clock is."""
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, str):
        text = value.strip()
        if text in _EMPTY:
            return None
        if not text.isdecimal() or len(text) == _COMPACT_DATE:
            try:
                time = datetime.fromisoformat(text)
                time = time if time.tzinfo is not None else time.replace(tzinfo=CHINA_TIME)
                time.astimezone(UTC)  # a moment at the calendar's very end exists in some zones only
            except (ValueError, OverflowError):
                raise Unreadable(f"expected a time, got {show(value)}") from None
            return time
    millis = None if isinstance(value, bool) else read_int(value)
    if millis is None or not 0 <= millis <= MAX_MILLIS:
        raise Unreadable(f"expected a time, got {show(value)}")
    return _EPOCH + timedelta(milliseconds=millis)


def read_texts(value: Any) -> tuple[str, ...]:
    """A list of texts: a JSON array, a JSON array inside a string, or a single text."""
    if value is None:
        return ()
    if isinstance(value, str):
        text = value.strip()
        if text in _EMPTY:
            return ()
        parsed = _parsed(value) if text[0] == "[" else text
        if not isinstance(parsed, list) or any(isinstance(item, list | dict) for item in parsed):
            return (value,)  # plain text, whatever it looks like
        value = parsed
    if isinstance(value, list | tuple | set | frozenset):
        texts = (read_text(item) for item in value)
        return tuple(text for text in texts if text is not None)
    raise Unreadable(f"expected a list of texts, got {show(value)}")


def read_numbers(value: Any) -> tuple[Decimal, ...]:
    """A list of exact numbers, in the same shapes as `read_texts`."""
    if isinstance(value, int | Decimal):
        value = (value,)
    try:
        numbers = [read_decimal(item) for item in (value if isinstance(value, list | tuple) else read_texts(value))]
    except Unreadable as error:
        raise Unreadable(f"expected a list of numbers: {error.reason}") from None
    return tuple(number for number in numbers if number is not None)


def read_json(value: Any) -> Any:
    """Any JSON value; JSON inside a string is unpacked, other text stays text, an empty string is None."""
    if not isinstance(value, str):
        return value
    if value.strip() in _EMPTY:
        return None
    return _parsed(value)


def _parsed(text: str) -> Any:
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return _JSON.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text  # a name that happens to begin with a bracket, or an array that CJ's column cut short
