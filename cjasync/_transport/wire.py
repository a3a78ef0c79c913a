"""The short way of a request: over connections of aiohttp's connector, past its session and its class for requests.

Those work out for every request what differs in nothing here, and that is a third of what a small call costs. A request
is the line that asks and a head that stays the same. Connections, TLS and the parser are aiohttp's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from types import FunctionType
from typing import Any

import aiohttp
from yarl import URL

from cjasync._protocol import TOKEN_HEADER
from cjasync._transport.exchange import Exchange, check_header
from cjasync._transport.inlet import Arrival, Inlet

# This speaks with aiohttp's connections as 3.14 does; under another version all goes through its session.
_KNOWN_VERSION = aiohttp.__version__.startswith("3.14.")
# What says that a connection kept alive was dead. aiohttp's session sends a GET again then, whatever was the cause.
_DEAD = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)


class Answer:
    """An answer that holds on to its connection. Its body is whole, or None and to be read from `content`."""

    __slots__ = ("_connection", "body", "content", "headers", "status")

    def __init__(self, arrival: Arrival, connection: Any) -> None:
        self.status: int = arrival.message.code
        self.headers: Mapping[str, str] = arrival.message.headers
        self.body = arrival.body
        self.content = arrival.stream
        self._connection = connection

    def release(self) -> None:
        """Let others have the connection. Its memory will hold what they are answered."""
        self._connection.release()

    def close(self) -> None:
        """Let go of a connection that has not brought everything."""
        self._connection.close()


class _Standing(aiohttp.ClientRequest):
    """A request that stands for all of its path, by which the connector finds a connection."""

    @cached_property
    def connection_key(self) -> Any:
        """Where the connector looks, which stays the same."""
        return super().connection_key


class Wire:
    """Sends requests over the connections of one session of ours, which gives all the same headers."""

    def __init__(self, session: aiohttp.ClientSession, timeout: aiohttp.ClientTimeout, most: int) -> None:
        assert session.connector is not None, "it was made a moment ago"
        self._session = session
        self._traced = bool(session.trace_configs)
        self._connect = session.connector.connect
        self._timeout = timeout
        self._most = most  # bytes of a body
        self._paths: dict[str, tuple[aiohttp.ClientRequest, str]] = {}
        self._heads: tuple[str | None, bytes] | None = None  # a token, and what follows the first line with it

    @property
    def usable(self) -> bool:
        """Whether nobody counts on seeing what aiohttp's session does: a tool that stands in for it, or traces it."""
        replaced = aiohttp.ClientSession._request  # noqa: SLF001 - that is what the tools replace
        return _KNOWN_VERSION and not self._traced and _is_aiohttps(replaced)

    async def send(self, exchange: Exchange) -> Answer:
        """Send a request; a GET once more, with a turn of its own, if the connection dies before an answer has come."""
        asked = exchange.request
        path, _, query = asked.url.partition("?")
        request, target = self._paths.get(path) or self._learn(path)
        line = f"{asked.method} {target}?{query} HTTP/1.1\r\n" if query else f"{asked.method} {target} HTTP/1.1\r\n"
        end = b"\r\n" if asked.method == "GET" else _end_with(asked.body)
        may_resend = asked.method == "GET"
        while True:
            if not exchange.try_begin():  # a turn that is free is taken without awaiting, which spares a coroutine
                await exchange.begin()
            connection = await self._connection_for(request)
            try:
                written = line.encode() + self._head_with(exchange.token, request) + end
                exchange.leaves()
                return await self._ask(connection, written)
            except BaseException as error:
                connection.close()
                if not may_resend or not isinstance(error, _DEAD):
                    raise
            may_resend = False

    async def _connection_for(self, request: aiohttp.ClientRequest) -> Any:
        try:
            return await self._connect(request, traces=[], timeout=self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error

    async def _ask(self, connection: Any, written: bytes) -> Answer:
        handler = connection.protocol
        if not handler.is_connected():
            raise aiohttp.ClientConnectionResetError("the connection is closing")
        return Answer(await Inlet.of(handler).ask(written, self._most), connection)

    def _learn(self, path: str) -> tuple[aiohttp.ClientRequest, str]:
        """What stands for this path, and how it is written."""
        url = URL(path, encoded=True)
        request = _Standing("GET", url, headers=self._session.headers, session=self._session)
        known = self._paths[path] = request, url.raw_path
        return known

    def _head_with(self, token: str | None, request: aiohttp.ClientRequest) -> bytes:
        if self._heads is None or self._heads[0] != token:
            headers = request.headers.copy()
            if token is not None:
                headers[TOKEN_HEADER] = token
            for value in headers.values():
                check_header(value)
            self._heads = token, "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        return self._heads[1]


def _end_with(body: bytes | None) -> bytes:
    """What a POST has beyond the headers of all."""
    if body is None:
        return b"Content-Length: 0\r\n\r\n"
    return b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@lru_cache(maxsize=8)
def _is_aiohttps(function: Any) -> bool:
    return type(function) is FunctionType and function.__code__.co_filename == aiohttp.client.__file__
