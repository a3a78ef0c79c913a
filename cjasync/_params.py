"""Parameters of CJ's calls: checked and encoded here, because CJ checks nothing.

CJ ignores a filter that it does not know or cannot read and answers with the whole catalogue, so whatever it would
not understand is a `ParameterError` before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

from msgspec import Struct

from cjasync.config import CHINA_TIME
from cjasync.errors import ParameterError
from cjasync.models._values import show

_COUNTRY = re.compile("[A-Z]{2}")
_LARGEST = 2**63 - 1  # what a number on CJ's side holds
_DIGITS = 20  # of an amount, on either side of the point
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JsonScalar = str | int | bool | list[str]


class Bad(ValueError):
    """Why a value is refused, to be completed with the name of its parameter."""


class Param(Struct, frozen=True):
    """One parameter: CJ's name, how its value is checked and written, and whether it must be given."""

    wire: str
    encode: Callable[[Any, tzinfo], JsonScalar]
    required: bool = False


def _text(value: Any, max_length: int, when_empty: str = "") -> str:
    if not isinstance(value, str):
        raise Bad(f"expected text, got {type(value).__name__}")  # not the value: it may be a key
    if not value.strip():
        raise Bad(f"is empty{when_empty}")
    if len(value) > max_length:
        raise Bad(f"is {len(value)} characters long; CJ takes {max_length}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Bad("cannot be written as UTF-8: it holds half of a surrogate pair") from None
    return value


def text(wire: str, *, max_length: int = 200, required: bool = False) -> Param:
    """Text that is not empty."""
    hint = "" if required else "; leave it out instead"
    return Param(wire, lambda value, zone: _text(value, max_length, hint), required)


def whole(wire: str, minimum: int = 0, maximum: int = _LARGEST, *, required: bool = False) -> Param:
    """A whole number in a range."""

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Bad(f"expected a whole number, got {show(value)}")
        if not minimum <= value <= maximum:
            bound = f"{minimum} or more" if value < minimum and maximum == _LARGEST else f"{minimum} to {maximum}"
            raise Bad(f"must be {bound}; not {show(value)}")
        return value

    return Param(wire, encode, required)


def amount(wire: str, *, required: bool = False) -> Param:
    """An amount of money, 0 or more, written in plain digits."""

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise Bad(f"expected an amount, got {show(value)}")
        try:
            number = Decimal(str(value))
        except (InvalidOperation, ValueError):
            raise Bad(f"expected an amount, got {show(value)}") from None
        if not number.is_finite() or number < 0:
            raise Bad(f"expected an amount of 0 or more, got {show(value)}")
        exponent = number.as_tuple().exponent
        if number.adjusted() >= _DIGITS or not (isinstance(exponent, int) and exponent >= -_DIGITS):
            raise Bad(f"expected an amount of at most {_DIGITS} digits on either side of the point, got {show(value)}")
        return format(abs(number), "f")

    return Param(wire, encode, required)


def one_of(wire: str, *allowed: str | int, required: bool = False) -> Param:
    """One of the values that CJ documents. Its numbers may be given as text, as the documents do in places."""

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        for option in allowed if isinstance(value, str | int) and not isinstance(value, bool) else ():
            if value in (option, str(option)):
                return option
        raise Bad(f"must be one of {', '.join(map(repr, allowed))}; not {show(value)}")

    return Param(wire, encode, required)


def flag(wire: str) -> Param:
    """A yes or no that CJ writes as 1 or 0."""

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        if not isinstance(value, int) or value not in (0, 1):
            raise Bad(f"expected True or False, got {show(value)}")
        return int(value)

    return Param(wire, encode)


def boolean(wire: str) -> Param:
    """A yes or no that CJ writes as true or false."""

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        if not isinstance(value, bool):
            raise Bad(f"expected True or False, got {show(value)}")
        return "true" if value else "false"

    return Param(wire, encode)


def _moment(value: Any, zone: tzinfo) -> datetime:
    """The moment, in that zone."""
    time = value
    if isinstance(value, str):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            raise Bad(f"expected a time such as 2026-01-31 18:00:00, got {show(value)}") from None
        time = time if time.tzinfo else time.replace(tzinfo=zone)
    if not isinstance(time, datetime):
        raise Bad(f"expected a datetime or text, got {show(value)}")
    if time.tzinfo is None:
        raise Bad(f"the datetime has no time zone: {value}; give one, e.g. datetime(..., tzinfo=UTC)")
    try:
        local = time.astimezone(zone)
    except OverflowError:
        raise Bad(f"{value} is beyond what a calendar holds") from None
    if local < _EPOCH:
        raise Bad(f"{value} lies before 1970")
    return local


def time_text(wire: str) -> Param:
    """A time that CJ reads as `yyyy-MM-dd hh:mm:ss` in its own zone."""
    return Param(wire, lambda value, zone: f"{_moment(value, zone):%Y-%m-%d %H:%M:%S}")


def time_millis(wire: str) -> Param:
    """A time that CJ reads as epoch milliseconds."""

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 10**11 <= value < 10**14:
                unit = "seconds" if value < 10**11 else "microseconds"
                raise Bad(f"{show(value)} looks like {unit}; CJ wants milliseconds, or give a datetime")
            return value
        return round(_moment(value, zone).timestamp() * 1000)

    return Param(wire, encode)


def texts(
    wire: str, *, allowed: Iterable[str] = (), required: bool = False, maximum: int = 200, as_list: bool = False
) -> Param:
    """Several texts: joined by commas in a query, a JSON array in a body (`as_list`)."""
    options = frozenset(allowed)

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        several = [value] if isinstance(value, str) else value
        items = list(islice(several, maximum + 1)) if isinstance(several, Iterable) else None
        if not items:
            raise Bad(f"expected one or more texts, got {show(value)}")
        if len(items) > maximum:
            raise Bad(f"takes {maximum} at most")
        for item in items:
            _text(item, 200)
            if options and item not in options:
                raise Bad(f"must be among {', '.join(sorted(options))}; not {show(item)}")
            if "," in item and not as_list:
                raise Bad(f"{show(item)} holds a comma, which separates the values")
        return items if as_list else ",".join(items)

    return Param(wire, encode, required)


def countries(wire: str, *, single: bool = False) -> Param:
    """Country codes, "CN" or "CN,US" or several texts. In another spelling CJ would ignore them."""

    def encode(value: Any, zone: tzinfo) -> JsonScalar:
        codes = value.split(",") if isinstance(value, str) else value
        if not isinstance(codes, list | tuple) or not codes:
            raise Bad(f"expected a country code, got {show(value)}")
        for code in codes:
            if not isinstance(code, str) or _COUNTRY.fullmatch(code) is None:
                raise Bad(f"expected two capital letters such as CN, got {show(code)}")
        if single and len(codes) > 1:
            raise Bad(f"takes one country, got {show(value)}")
        return ",".join(codes)

    return Param(wire, encode)


def encode(
    params: Mapping[str, Param], given: Mapping[str, Any], *, endpoint: str, zone: tzinfo = CHINA_TIME
) -> dict[str, JsonScalar]:
    """CJ's names to what is sent; None means "not given". `ParameterError` says which parameter, and what works."""
    encoded: dict[str, JsonScalar] = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            param = params[name]
            encoded[param.wire] = param.encode(value, zone)
        except Bad as bad:
            raise ParameterError(f"`{name}`: {bad}", endpoint=endpoint) from None
        except KeyError:
            raise ParameterError(f"`{name}`: no such parameter", endpoint=endpoint) from None
    if len(encoded) < len(params):
        missing = [_named(name) for name, param in params.items() if param.required and param.wire not in encoded]
        if missing:
            raise ParameterError(f"{', '.join(missing)}: must be given", endpoint=endpoint)
    return encoded


def _named(name: str) -> str:
    """A parameter as errors speak of it: the command line finds it by the backticks, and says its option."""
    return f"`{name}`"


def exactly_one(names: Sequence[str], given: Mapping[str, Any], *, endpoint: str) -> None:
    """CJ's three-way choices: one of them, and only one."""
    chosen = [name for name in names if given.get(name) is not None]
    if len(chosen) != 1:
        got = f"got {' and '.join(map(_named, chosen))}" if chosen else "got none"
        raise ParameterError(f"give exactly one of {', '.join(map(_named, names))}; {got}", endpoint=endpoint)


def ordered(names: tuple[str, str], low: JsonScalar | None, high: JsonScalar | None, *, endpoint: str) -> None:
    """A range whose low end lies above its high end matches nothing, which is never what was meant.

    Compares what is sent: there numbers are plain digits, and times are texts of one zone.
    """
    if low is None or high is None:
        return
    try:
        wrong = Decimal(str(low)) > Decimal(str(high))
    except InvalidOperation:
        wrong = str(low) > str(high)
    if wrong:
        raise ParameterError(f"`{names[0]}` {low!r} is above `{names[1]}` {high!r}", endpoint=endpoint)
