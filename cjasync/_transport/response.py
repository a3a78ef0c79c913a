"""An answer before anybody has read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

_HEADERS_KEPT = ("content-type", "content-encoding", "content-length", "date", "retry-after", "server", "x-request-id")


class Response(Struct, frozen=True):
    """An answer as bytes.

    release: frees its connection, in whose memory the body may lie: it is to be read, or copied, before.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | memoryview
    seconds: float
    release: Callable[[], object]

    def headers_of_interest(self) -> dict[str, str]:
        """What a user may want of the headers; nothing secret among it."""
        return {name: self.headers[name] for name in _HEADERS_KEPT if name in self.headers}
