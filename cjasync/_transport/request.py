"""Requests of our own session, made and written with little work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.http import StreamWriter
from yarl import URL

if TYPE_CHECKING:
    from cjasync._transport.exchange import Exchange


class OwnRequest(aiohttp.ClientRequest):
    """A request of our own session, which tells its exchange when it leaves.

    What is read from one path differs in nothing but the query. So aiohttp works out the first request; those that
    follow begin as copies of it and write themselves, which is a tenth of what a small call costs.
    """

    exchange: Exchange | None = None

    def __init__(
        self, first: dict[URL, dict[str, Any]], method: str, url: URL, *, params: str | None = None, **rest: Any
    ) -> None:
        self._target = f"{url.raw_path}?{params}" if params else url.raw_path
        known = first.get(url)
        if known is None or method != "GET":
            super().__init__(method, url, **rest)
            self._key = super().connection_key
            if method == "GET":
                first[url] = self.__dict__ | {"headers": self.headers.copy()}
        else:
            target = self._target
            self.__dict__.update(known)
            self.headers = known["headers"].copy()
            self._target = target

    @property
    def connection_key(self) -> Any:
        """Where the connector looks for a connection: worked out once."""
        return self._key

    def send(self, conn: Any) -> Any:
        """Write the request."""
        if self.exchange is not None:
            self.exchange.leaves()
        return self._write(conn) if self.method == "GET" else super().send(conn)

    async def _write(self, conn: Any) -> aiohttp.ClientResponse:
        writer = StreamWriter(conn.protocol, self.loop)
        await writer.write_headers(f"GET {self._target} HTTP/1.1", self.headers)
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
