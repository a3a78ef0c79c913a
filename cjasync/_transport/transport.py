"""Sends requests and reads answers, over our own session or the user's."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import aiohttp
from yarl import URL

from cjasync._clock import Clock
from cjasync._protocol import Request
from cjasync._transport.exchange import Admission, Exchange
from cjasync._transport.failures import translated
from cjasync._transport.response import Response
from cjasync._transport.wire import Answer, Wire
from cjasync._version import __version__
from cjasync._watchdog import Watchdog
from cjasync.errors import BadResponseError, CJError
from cjasync.errors import TimeoutError as LateError

CONNECT_SECONDS = 15.0
SMALL = 1024 * 1024  # bytes that do no harm, whatever they were on the wire
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
_JSON = {"Content-Type": "application/json"}


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
            timeout=_TIMEOUT,  # none in all: that would be a timer made and cancelled for every request
        )
        self._wire = Wire(self._session, _TIMEOUT, max_body) if self._own else None
        self._request = partial(self._session.request, allow_redirects=False)
        if session is not None:
            self._request = partial(self._request, raise_for_status=False, auto_decompress=True, timeout=_TIMEOUT)
        # A user's session may have middlewares of its own; ours must be the innermost, next to the socket.
        self._outer = () if self._own else tuple(getattr(session, "_middlewares", ()))

    def exchange(self, request: Request, token: str | None, admission: Admission, task: asyncio.Task[Any]) -> Exchange:
        """An attempt to be sent by this transport, for a call that runs in that task."""
        return Exchange(request, token, admission, task, self._clock, self.watchdog)

    async def send(self, exchange: Exchange) -> Response:
        """One attempt: the whole answer, which is to be released, or a TransportError."""
        response: Answer | aiohttp.ClientResponse | None = None
        try:
            wire = self._wire
            if wire is not None and wire.usable:
                response = await wire.send(exchange)
            else:
                response = await self._ask_session(exchange)
            if self._outer:
                exchange.settle_unsent()  # one of the user's middlewares may have answered in CJ's place
            body: bytes | memoryview | None = response.body if isinstance(response, Answer) else None
            if body is None:
                # A small one may have come with its head, and there is nothing to wait for. (aiohttp stops inflating a
                # large one long before it grows to SMALL.)
                content = response.content
                body = content.read_nowait() if content.is_eof() else await self._read(response)
            self._check_size(len(body), response)
            seconds = self._clock.monotonic() - exchange.sent_at
            return Response(response.status, response.headers, body, seconds, response.release)
        except BaseException as error:
            exchange.settle_unsent()
            if response is not None:
                response.close()  # a connection with half an answer in it must not go back into the pool
            if isinstance(error, asyncio.CancelledError) and exchange.timed_out():
                raise LateError("no whole answer within the time allowed") from None
            if isinstance(error, CJError) or not isinstance(error, Exception):
                raise
            raise translated(error, exchange.sent) from error
        finally:
            self.watchdog.stop(exchange)

    async def _ask_session(self, exchange: Exchange) -> aiohttp.ClientResponse:
        request = exchange.request
        return await self._request(
            request.method,
            URL(request.url, encoded=True),
            data=request.body,
            headers=_JSON if request.body is not None else None,
            skip_auto_headers=("Content-Type",),  # a request without a body has none, as in CJ's examples
            middlewares=(*self._outer, exchange),
        )

    async def _read(self, response: Answer | aiohttp.ClientResponse) -> bytes:
        self._check_size(int(response.headers.get("Content-Length", 0)), response)
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            self._check_size(size, response)
            if size > SMALL and size > self._max_ratio * response.content.total_raw_bytes:
                text = f"the answer inflates to more than max_ratio, {self._max_ratio} times its bytes on the wire"
                raise BadResponseError(text, http_status=response.status)
            chunks.append(chunk)
        return b"".join(chunks)

    def _check_size(self, size: int, response: Answer | aiohttp.ClientResponse) -> None:
        if size > self._max_body:
            text = f"the answer is larger than max_body, {self._max_body} bytes"
            raise BadResponseError(text, http_status=response.status)

    async def aclose(self) -> None:
        """Close the session if it is ours."""
        self.watchdog.close()
        if self._own:
            await self._session.close()
