"""The wire: the only module that knows aiohttp's client.

aiohttp silently sends a GET again when a kept-alive connection turns out to be dead. Admission therefore happens in its
client middleware, once per real send, and the turn is stamped when the connection is there and the request leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import aiohttp
from msgspec import Struct
from yarl import URL

from cjasync import __version__, errors
from cjasync._clock import Clock
from cjasync._protocol import TOKEN_HEADER, Request
from cjasync._watchdog import Watchdog, Watched
from cjasync.errors import BadResponseError, CJError, ClosedError, ConnectError, StoreError, TransportError
from cjasync.quota import Ticket

CONNECT_SECONDS = 15.0
SMALL = 1024 * 1024  # bytes that do no harm, whatever they were on the wire
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_HEADERS_KEPT = ("content-type", "content-encoding", "content-length", "date", "retry-after", "server", "x-request-id")


class Response(Struct, frozen=True):
    """An answer as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Exchange(Watched):
    """One attempt. aiohttp calls it as the middleware of each real send."""

    __slots__ = (
        "_admission",
        "_clock",
        "_left",
        "_watchdog",
        "request",
        "sent",
        "sent_at",
        "ticket",
        "token",
    )

    def __init__(self, request: Request, token: str | None, admission: Admission, clock: Clock) -> None:
        super().__init__()
        self.request = request
        self.token = token
        self.sent = self._left = False  # by any send; by the last one
        self.sent_at = 0.0
        self.ticket: Ticket | None = None
        self._admission = admission
        self._clock = clock
        self._watchdog: Watchdog | None = None

    async def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        watchdog = self._watchdog
        assert watchdog is not None, "an exchange is run by its transport"
        if self.ticket is not None:
            # This is aiohttp's own resend. The first one was charged, its answer will not come, and waiting for a turn
            # is not the server's time.
            self.ticket.lost()
            self.ticket = None
            watchdog.stop(self)
        try:
            self.ticket = self._admission.try_admit() or await self._admission.admit()
        except CJError:
            raise
        except Exception as error:  # of a store that a user brings; it must not pass for one of the network
            raise StoreError(f"the request was not admitted: {error!r}") from error
        self._left = False
        if self.token is not None:
            request.headers[TOKEN_HEADER] = self.token
        if type(request) is _Request:
            request.exchange = self
        else:
            _stamp_when_sent(request, self)
        try:
            watchdog.start(self, self._admission.seconds_left())
            return await handler(request)
        except BaseException:
            if not self._left:
                self.ticket.unsent()
                self.ticket = None
            raise

    def leaves(self) -> None:
        """The connection is there, and the request goes."""
        self._left = self.sent = True
        if self.ticket is not None:
            self.ticket.sent()
        self.sent_at = self._clock.monotonic()

    def __deepcopy__(self, memo: object) -> Exchange:
        return self  # tools that stand in for aiohttp note what it is called with; there is no second exchange

    def watched_by(self, watchdog: Watchdog) -> None:
        """Who keeps the time."""
        self._watchdog = watchdog


class Admission(Protocol):
    """Who lets a request go."""

    def try_admit(self) -> Ticket | None:
        """A turn, if there is one at once."""
        ...

    async def admit(self) -> Ticket:
        """A turn."""
        ...

    def seconds_left(self) -> float:
        """How long it may take from now until the last byte is there; raises if there is no time left."""
        ...


class _Request(aiohttp.ClientRequest):
    """A request of our own session, which tells its exchange when it leaves."""

    exchange: Exchange | None = None

    def send(self, conn: Any) -> Any:
        if self.exchange is not None:
            self.exchange.leaves()
        return super().send(conn)


def _stamp_when_sent(request: Any, exchange: Exchange) -> None:
    """The same for a request of the user's session."""
    send = request.send

    def stamped(connection: Any) -> Any:
        exchange.leaves()
        return send(connection)

    request.send = stamped


class Transport:
    """Sends requests over a session of its own, or over the user's, which it never closes."""

    def __init__(
        self,
        *,
        clock: Clock,
        session: aiohttp.ClientSession | None,
        connections: int,
        max_body: int,
        max_ratio: int,
    ) -> None:
        self.watchdog = Watchdog(clock)
        self._clock = clock
        self._max_body = max_body
        self._max_ratio = max_ratio
        self._own = session is None
        self._session = session or aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": f"cjasync/{__version__}"},
            request_class=_Request,
        )
        # A user's session may have middlewares of its own; ours must be the innermost, next to the socket.
        self._outer = () if self._own else tuple(getattr(session, "_middlewares", ()))

    async def send(self, exchange: Exchange) -> Response:
        """One attempt: the whole answer, or a TransportError. The connection is free when this returns."""
        exchange.watched_by(self.watchdog)
        request = exchange.request
        response = None
        try:
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=_JSON if request.body is not None else None,
                allow_redirects=False,
                raise_for_status=False,
                auto_decompress=True,
                timeout=_TIMEOUT,
                middlewares=(*self._outer, exchange),
            )
            headers = response.headers
            length = headers.get("Content-Length")
            if length is not None and "Content-Encoding" not in headers and int(length) <= self._max_body:
                body = await response.read()
            else:
                body = await self._read_bounded(response)
            return Response(response.status, headers, body, self._clock.monotonic() - exchange.sent_at)
        except BaseException as error:
            if response is not None:
                response.close()  # a connection with half an answer in it must not go back into the pool
            if isinstance(error, asyncio.CancelledError) and exchange.timed_out():
                raise errors.TimeoutError("no whole answer within the time allowed") from None
            if isinstance(error, CJError) or not isinstance(error, Exception):
                raise
            raise _translated(error, exchange.sent) from error
        finally:
            self.watchdog.stop(exchange)

    async def _read_bounded(self, response: aiohttp.ClientResponse) -> bytes:
        """A body whose size is not known beforehand, or grows while it is inflated."""
        content, packed = response.content, "Content-Encoding" in response.headers
        chunks: list[bytes] = []
        size = int(response.headers.get("Content-Length", 0))
        self._check_size(size, response.status)
        size = 0
        async for chunk in content.iter_any():
            size += len(chunk)
            self._check_size(size, response.status)
            if packed and size > SMALL and size > self._max_ratio * content.total_raw_bytes:
                text = f"the answer inflates to more than max_ratio, {self._max_ratio} times its bytes on the wire"
                raise BadResponseError(text, http_status=response.status)
            chunks.append(chunk)
        return b"".join(chunks)

    def _check_size(self, size: int, http_status: int) -> None:
        if size > self._max_body:
            text = f"the answer is larger than max_body, {self._max_body} bytes"
            raise BadResponseError(text, http_status=http_status)

    async def aclose(self) -> None:
        """Close the session if it is ours."""
        self.watchdog.close()
        if self._own:
            await self._session.close()


_JSON = {"Content-Type": "application/json"}


def _translated(error: Exception, sent: bool) -> CJError:
    """aiohttp's exceptions in the library's own words. They may quote URLs, which hold no secret of ours."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ConnectError(f"no connection: {error}")
    if isinstance(error, asyncio.TimeoutError):
        return errors.TimeoutError("no answer within the time allowed")
    if isinstance(error, aiohttp.ClientResponseError):
        _clear(error)
        return BadResponseError("the answer is no HTTP")
    if isinstance(error, aiohttp.ClientPayloadError):
        return BadResponseError(f"the answer broke off: {error}")
    if isinstance(error, RuntimeError) and "closed" in str(error).lower():
        return ClosedError("the session was closed")
    if isinstance(error, aiohttp.ClientError | OSError):
        words = "the connection was lost" if sent else "no connection"
        return (TransportError if sent else ConnectError)(f"{words}: {str(error) or type(error).__name__}")
    return TransportError(f"{type(error).__name__}: {error}")


def _clear(error: aiohttp.ClientResponseError) -> None:
    """Take out what it shows: the token among the headers that were sent, and the bytes that came.

    Those may be the rest of an earlier answer on this connection, such as that of a login.
    """
    asked = error.request_info
    error.request_info = aiohttp.RequestInfo(asked.url, asked.method, {}, asked.real_url)  # type: ignore[arg-type]
    error.args, error.message = (), "no HTTP"
    error.__cause__ = error.__context__ = None


def headers_of_interest(headers: Mapping[str, str]) -> dict[str, str]:
    """What a user may want of an answer's headers; nothing secret among it."""
    return {name: headers[name] for name in _HEADERS_KEPT if name in headers}
