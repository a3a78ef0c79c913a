"""The place where a mishap happens: a request, the answer to it, and the socket between."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from cjasync._clock import Clock

REQUEST_ID = "0f" * 16
STAND_IN = b'{"code":200,"result":true,"message":"Success","data":null,"requestId":"' + REQUEST_ID.encode() + b'"}'


class Said(web.StreamResponse):
    """Bytes that go past aiohttp to the socket: it adds nothing, and then keeps the connection or closes it."""

    def __init__(self, data: bytes = b"", *, keep: bool = False) -> None:
        super().__init__()
        self._data = data
        self._kept = keep

    @property
    def keep_alive(self) -> bool:
        """Whether the connection serves another request."""
        return self._kept

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write what there is; a head only if the bytes hold one."""
        _write(request, self._data)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write no end."""


class Scene:
    """A request, the answer CJ would have given (a stand-in where it was not carried out), and the socket between."""

    def __init__(self, request: web.Request, answer: web.StreamResponse | None, clock: Clock) -> None:
        self.request = request
        self.clock = clock
        self.answer = answer if answer is not None else web.Response(body=STAND_IN, content_type="application/json")
        body = self.answer.body if isinstance(self.answer, web.Response) else b""
        self.body = bytes(body) if isinstance(body, (bytes, bytearray)) else b""

    def head(self, *headers: str, length: int | None = None) -> bytes:
        """The head of the answer; without a length the end is what the other headers or the close make it."""
        lines = [f"HTTP/1.1 {self.answer.status} OK", "Content-Type: application/json;charset=UTF-8", *headers]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def hold(self, data: bytes = b"") -> Said:
        """Say no more than this and leave the connection open until the other side gives up."""
        _write(self.request, data)
        # aiohttp tells a handler nothing about a lost connection: one has to look.
        while self.request.transport is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return Said()


def _write(request: web.BaseRequest, data: bytes) -> None:
    transport = request.transport
    if data and transport is not None and not transport.is_closing():
        transport.write(data)
