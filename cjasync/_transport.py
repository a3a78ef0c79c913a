"""The wire: the only module that knows aiohttp's client.

aiohttp silently sends a GET again when a kept-alive connection turns out to be dead. Admission therefore happens in its
client middleware, once per real send, and the turn is stamped when the connection is there and the request leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
from msgspec import Struct
from yarl import URL

from cjasync import __version__, errors
from cjasync._clock import Clock
from cjasync._protocol import TOKEN_HEADER, Request
from cjasync._watchdog import Watch, Watchdog
from cjasync.errors import BadResponseError, CJError, ClosedError, ConnectError, TransportError
from cjasync.quota import Ticket

CONNECT_SECONDS = 15.0
_HEADERS_KEPT = ("content-type", "content-encoding", "content-length", "date", "retry-after", "server", "x-request-id")


class Response(Struct, frozen=True):
    """An answer as bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Exchange:
    """One attempt. aiohttp calls it as the middleware of each real send."""

    __slots__ = (
        "_admit",
        "_clock",
        "_seconds",
        "_token",
        "_watch",
        "_watchdog",
        "request",
        "sent",
        "sent_at",
        "ticket",
    )

    def __init__(
        self, request: Request, token: str | None, admit: Callable[[], Awaitable[Ticket]], seconds: float, clock: Clock
    ) -> None:
        self.request = request
        self.sent = False
        self.sent_at = 0.0
        self.ticket: Ticket | None = None
        self._token = token
        self._admit = admit
        self._seconds = seconds
        self._clock = clock
        self._watch: Watch | None = None
        self._watchdog: Watchdog | None = None

    async def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        if self.ticket is not None:
            self.ticket.lost()  # this is aiohttp's own resend: the first one was charged and its answer will not come
        self.stop_watch()  # waiting for a turn is not the server's time
        ticket = self.ticket = await self._admit()
        assert self._watchdog is not None, "an exchange is run by its transport"
        self._watch = self._watchdog.start(self._seconds)
        if self._token is not None:
            request.headers[TOKEN_HEADER] = self._token
        send, left = request.send, False

        async def stamped(connection: Any) -> Any:
            nonlocal left
            left = self.sent = True
            self.sent_at = self._clock.monotonic()
            ticket.sent()
            return await send(connection)

        request.send = stamped
        try:
            return await handler(request)
        except BaseException:
            if not left:
                self.ticket = None
                ticket.unsent()
            raise

    def watched_by(self, watchdog: Watchdog) -> None:
        """Who keeps the time."""
        self._watchdog = watchdog

    def stop_watch(self) -> None:
        """No deadline runs from here on."""
        if self._watch is not None:
            self._watch.stop()

    def timed_out(self) -> bool:
        """Whether the CancelledError just caught means that the deadline passed."""
        return self._watch is not None and self._watch.timed_out()


class Transport:
    """Sends requests over a session of its own, or over the user's, which it never closes."""

    def __init__(
        self, *, clock: Clock, session: aiohttp.ClientSession | None = None, connections: int = 100, max_body: int
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._watchdog = Watchdog(clock)
        self._max_body = max_body
        self._own = session is None
        self._session = session or aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": f"cjasync/{__version__}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        # A user's session may have middlewares of its own; ours must be the innermost, next to the socket.
        self._outer = () if self._own else tuple(getattr(session, "_middlewares", ()))

    async def send(self, exchange: Exchange) -> Response:
        """One attempt: the whole answer, or a TransportError. The connection is free when this returns."""
        if asyncio.get_running_loop() is not self._loop:
            raise ClosedError("this client belongs to another event loop; make one client per loop")
        exchange.watched_by(self._watchdog)
        request = exchange.request
        try:
            response = await self._session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=_JSON if request.body is not None else None,
                allow_redirects=False,
                middlewares=(*self._outer, exchange),
            )
            async with contextlib.aclosing(_Body(response)) as body:
                content = await body.read(self._max_body)
            seconds = self._clock.monotonic() - exchange.sent_at
            return Response(response.status, response.headers, content, seconds)
        except asyncio.CancelledError:
            if exchange.timed_out():
                raise errors.TimeoutError("no whole answer within the time allowed") from None
            raise
        except CJError:
            raise
        except Exception as error:
            raise _translated(error, exchange.sent) from error
        finally:
            exchange.stop_watch()

    async def aclose(self) -> None:
        """Close the session if it is ours."""
        self._watchdog.close()
        if self._own:
            await self._session.close()


_JSON = {"Content-Type": "application/json"}


class _Body:
    """Reads a body with a bound on its size, also while it is inflated."""

    __slots__ = ("_response",)

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def read(self, most: int) -> bytes:
        response = self._response
        length = response.content_length
        if length is not None and length > most:
            raise self._too_large(most)
        if length is not None and "Content-Encoding" not in response.headers:
            return await response.read()
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > most:
                raise self._too_large(most)
            chunks.append(chunk)
        return b"".join(chunks)

    def _too_large(self, most: int) -> BadResponseError:
        text = f"the answer is larger than max_body, {most} bytes"
        return BadResponseError(text, http_status=self._response.status)

    async def aclose(self) -> None:
        # After a whole body the connection is back in the pool already; after anything else it must not go there.
        if not self._response.closed and not self._response.content.is_eof():
            self._response.close()
        self._response.release()


def _translated(error: Exception, sent: bool) -> CJError:
    """aiohttp's exceptions in the library's own words. They may quote URLs, which hold no secret of ours."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ConnectError(f"no connection: {error}")
    if isinstance(error, asyncio.TimeoutError):
        return errors.TimeoutError("no answer within the time allowed")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return BadResponseError(f"the answer broke off or is no HTTP: {error}")
    if isinstance(error, RuntimeError) and "closed" in str(error).lower():
        return ClosedError("the session was closed")
    if isinstance(error, aiohttp.ClientError | OSError):
        words = "the connection was lost" if sent else "no connection"
        return (TransportError if sent else ConnectError)(f"{words}: {str(error) or type(error).__name__}")
    return TransportError(f"{type(error).__name__}: {error}")


def headers_of_interest(headers: Mapping[str, str]) -> dict[str, str]:
    """What a user may want of an answer's headers; nothing secret among it."""
    return {name: headers[name] for name in _HEADERS_KEPT if name in headers}
