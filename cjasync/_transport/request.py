"""Requests of our own session, made and written with little work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.http import StreamWriter
from yarl import URL

if TYPE_CHECKING:
    from cjasync._transport.exchange import Exchange


class OwnRequest(aiohttp.ClientRequest):
    """A request of our own session. It tells its exchange when it leaves, and writes itself if it only reads."""

    exchange: Exchange | None = None
    target = ""
    _key: Any = None

    @property
    def connection_key(self) -> Any:
        """Where the connector looks for a connection."""
        return self._key or super().connection_key

    def work_out(self) -> None:
        """Do once what copies need not do again."""
        self._key = super().connection_key

    def send(self, conn: Any) -> Any:
        """Write the request."""
        if self.exchange is not None:
            self.exchange.leaves()
        return self._write(conn) if self.method == "GET" else super().send(conn)

    async def _write(self, conn: Any) -> aiohttp.ClientResponse:
        writer = StreamWriter(conn.protocol, self.loop)
        await writer.write_headers(f"GET {self.target} HTTP/1.1", self.headers)
        writer.set_eof()
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self._session,
            stream_writer=writer,
        )


class OwnRequests:
    """Makes the requests of one session, in place of `aiohttp.ClientRequest`.

    What is read from one path differs in nothing but the query. So aiohttp works out the first request, and those that
    follow begin as copies of it, which is a tenth of what a small call costs.
    """

    def __init__(self) -> None:
        self._first: dict[URL, dict[str, Any]] = {}

    def __call__(self, method: str, url: URL, /, **given: Any) -> OwnRequest:
        query = given.pop("params")
        known = self._first.get(url) if method == "GET" else None
        if known is not None:
            request = OwnRequest.__new__(OwnRequest)
            request.__dict__ = known.copy()
            request.headers = request.headers.copy()
        else:
            request = OwnRequest(method, url, **given)
            request.work_out()
            if method == "GET":
                self._first[url] = request.__dict__ | {"headers": request.headers.copy()}
        request.target = f"{url.raw_path}?{query}" if query else url.raw_path
        return request
