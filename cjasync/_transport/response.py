"""An answer before anybody has read it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

_HEADERS_KEPT = ("content-type", "content-encoding", "content-length", "date", "retry-after", "server", "x-request-id")


class Response(Struct, frozen=True):
    """An answer as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


def headers_of_interest(headers: Mapping[str, str]) -> dict[str, str]:
    """What a user may want of an answer's headers; nothing secret among it."""
    return {name: headers[name] for name in _HEADERS_KEPT if name in headers}
