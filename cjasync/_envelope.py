"""What surrounds every answer of CJ's, read whatever its data may be. Pure."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from cjasync.models._values import Unreadable, read_bool, read_int, read_text
from cjasync.quota.facts import PointsInfo

D = TypeVar("D")
V = TypeVar("V")

BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON, or not of the shape that was asked for."""

_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_PLAIN = msgspec.json.Decoder(float_hook=Decimal)


class Malformed(ValueError):
    """The bytes are no JSON object, or its data has a shape that nobody can read; `path` says where."""

    def __init__(self, reason: str, path: str = "$") -> None:
        super().__init__(reason)
        self.path = path


class Envelope(Struct, Generic[D], frozen=True, rename="camel"):
    """What surrounds every answer."""

    code: int | None = None
    result: bool | None = None
    success: bool | None = None
    message: str | None = None
    data: D | None = None
    request_id: str | None = None
    points_info: PointsInfo | None = None

    @property
    def succeeded(self) -> bool | None:
        """Success has four shapes. None: this is no envelope of CJ's."""
        if self.code == 200:
            return True
        told = self.result if self.result is not None else self.success
        return told if self.code in (0, None) else False


def decode_envelope(body: bytes) -> Envelope[Raw]:
    """Only the envelope; its data stays bytes. `Malformed` if the body is no JSON object."""
    try:
        fields = _FIELDS.decode(body.removeprefix(BOM_UTF8))
    except BROKEN as error:
        raise Malformed(f"is not a JSON object: {error}") from None
    points = fields.get("pointsInfo")
    return Envelope(
        code=loosely(read_int, fields.get("code")),
        result=loosely(read_bool, fields.get("result")),
        success=loosely(read_bool, fields.get("success")),
        message=loosely(read_text, fields.get("message")),
        data=fields.get("data"),
        request_id=loosely(read_text, fields.get("requestId")),
        points_info=_points(points) if points is not None else None,
    )


def plain(raw: Raw) -> Any:
    """The bytes as dicts, lists and scalars, every number exact."""
    return _PLAIN.decode(raw)


def loosely(read: Callable[[Any], V | None], raw: Raw | None) -> V | None:
    """A fact beside the rows, or None where it says nothing that can be read."""
    try:
        return read(plain(raw)) if raw is not None else None
    except (Unreadable, *BROKEN):
        return None


def _points(raw: Raw) -> PointsInfo | None:
    try:
        return msgspec.json.decode(raw, type=PointsInfo | None, strict=False)
    except BROKEN:
        return None  # a courtesy of CJ's; without it the local count goes on
