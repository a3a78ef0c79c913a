"""The other end of the line: a pinned process that serves canned bodies faster than any client can read them.

with Origin(folder) as origin:
    origin.url          # http://127.0.0.1:PORT; GET /any/prefix/product/list?... answers with folder/product.list
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.frame.fresh import ROOT, pin, pinned

PREFIX = "/api2.0/v1/"
GZIPPED = "/gzip"  # before the prefix: the same bodies, compressed
_BUFFER = 1 << 20


class Origin:
    """Serves the files of a folder; see the module."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = ""

    @property
    def base_url(self) -> str:
        """What a CJClient takes."""
        return self.url + PREFIX.rstrip("/")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.frame.origin", str(self._folder), str(pinned(-1))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{json.loads(self._process.stdout.readline())}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closing its standard input ends it


class _Connection(asyncio.Protocol):
    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        *requests, self._rest = data.split(b"\r\n\r\n")
        for request in requests:
            path = request[4 : request.index(b" ", 4)].partition(b"?")[0]
            self._transport.write(self._answers[path])


def _answers(folder: Path) -> dict[bytes, bytes]:
    import gzip

    answers = {}
    for file in folder.iterdir():
        path, body = PREFIX + file.name.replace(".", "/"), file.read_bytes()
        for full, content, encoding in (
            (path, body, ""),
            (GZIPPED + path, gzip.compress(body, 6), "Content-Encoding: gzip\r\n"),
        ):
            head = (
                f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{encoding}Content-Length: {len(content)}\r\n\r\n"
            )
            answers[full.encode()] = head.encode() + content
    return answers


async def _serve(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    answers = _answers(folder)
    server = await loop.create_server(lambda: _Connection(answers), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()


def _main(folder: str, core: str) -> None:
    pin(int(core))
    factory = None
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:
        pass
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(Path(folder)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
