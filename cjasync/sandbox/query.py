"""Reading query strings as CJ does: lenient about what it does not know, brief about what it cannot read."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from aiohttp import web
from multidict import MultiMapping

from cjasync.sandbox.refusal import Refusal


def param_error(detail: str) -> Refusal:
    """The answer to a parameter that cannot be read."""
    return Refusal(1600300, f"Param error: {detail}", kind="param")


class Query:
    """The parameters of a request; empty ones and those in `ignored` are as good as absent."""

    def __init__(self, parameters: MultiMapping[str], ignored: Collection[str] = ()) -> None:
        self._parameters = parameters
        self._ignored = ignored

    def text(self, name: str) -> str | None:
        """A text without spaces around it."""
        value = None if name in self._ignored else self._parameters.get(name)
        return value.strip() or None if value is not None else None

    def integer(self, name: str, default: int | None = None, *, low: int | None = None, high: int | None = None) -> Any:
        """A whole number within its bounds."""
        value = self.text(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            raise param_error(f"{name} must be a whole number") from None
        if (low is not None and number < low) or (high is not None and number > high):
            raise param_error(f"{name} must be between {low} and {high}")
        return number

    def number(self, name: str) -> float | None:
        """A decimal number."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise param_error(f"{name} must be a number")
        return number

    def texts(self, name: str) -> tuple[str, ...]:
        """A list: the key repeated (also with `[]`), or its values joined by commas."""
        if name in self._ignored:
            return ()
        values = [*self._parameters.getall(name, []), *self._parameters.getall(f"{name}[]", [])]
        return tuple(sorted({part.strip() for value in values for part in value.split(",") if part.strip()}))

    def moment(self, name: str, zone_hours: float, *, twelve_hours: bool) -> float | None:
        """A time given as yyyy-MM-dd hh:mm:ss, in seconds since 1970.

        With `twelve_hours` as Java reads `hh`: 12:30 is half past midnight, 13:30 is taken for what was meant.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            moment = datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone(timedelta(hours=zone_hours)))
        except ValueError:
            raise param_error(f"{name} must be yyyy-MM-dd hh:mm:ss") from None
        if twelve_hours and moment.hour == 12:
            moment = moment.replace(hour=0)
        return moment.timestamp()


async def json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object that a POST request carries."""
    body = await request.read()
    if not body:
        raise Refusal(16900204, "Required request body is missing", kind="param")
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Refusal(16900205, "JSON parse error", kind="param") from None
    if not isinstance(value, dict):
        raise Refusal(16900205, "JSON parse error: not an object", kind="param")
    return value
