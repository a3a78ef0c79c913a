"""A server that says what it is told to, byte by byte; and a clock that spares a test the pauses between attempts."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from typing import Any


class Speaking:
    """A server that gives these answers in turn. `requests`: first line, headers, body; `writers`: one a connection."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[list[bytes]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self._answers = itertools.cycle(answers)

    async def __aenter__(self) -> Speaking:
        self._connections = await asyncio.TaskGroup().__aenter__()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1")
        self.base_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api"
        return self

    async def __aexit__(self, *error: Any) -> None:
        self._server.close()
        await self._connections.__aexit__(*error)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self._connections.create_task(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # of a client that lets go before it has read everything
            await self._answer(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            head = (await reader.readuntil(b"\r\n\r\n")).splitlines()
            size = sum(int(field.split()[1]) for field in head if field.startswith(b"Content-Length"))
            self.requests.append([line, *sorted(head), await reader.readexactly(size)])
            writer.write(next(self._answers))
        writer.close()


def said(data: bytes) -> bytes:
    body = b'{"code":200,"data":%s}' % data
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Impatient:
    """The machine's clock on which every pause is over at once, and written down."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)
