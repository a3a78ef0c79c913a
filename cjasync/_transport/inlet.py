"""What a connection brings. The body of an answer is read where it arrived, past aiohttp's parser and streams.

Those make new bytes of each piece, a copy for the stream and another of the whole, each in memory that the system has
to hand out anew, and wake a task for each piece: half of what it takes to read a page of products. Here a connection
has memory of its own, which it keeps. Heads go through aiohttp's parser all the same, and so do bodies that come with
them, that are compressed, in chunks, or without a length.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

_SMALLEST, _LARGEST = 64 * 1024, 1024 * 1024  # bytes of memory that a connection keeps
_HEAD = 4 * 1024  # bytes that the parser is given until the head is there; a small answer is among them


class Arrival:
    """The head of an answer, and its body: whole in `body`, or, where it has to be parsed, to be read from `stream`.

    The body lies in the connection's memory until something else is asked there.
    """

    __slots__ = ("body", "message", "stream")

    def __init__(self, message: Any, stream: aiohttp.StreamReader) -> None:
        self.message = message
        self.stream = stream
        self.body: memoryview | None = None

    def size(self) -> int:
        """How long the body is, in bytes; 0 where that is not known, or it has to be parsed, or was."""
        headers = self.message.headers
        if self.stream.is_eof() or self.message.chunked or "Content-Encoding" in headers:
            return 0
        return int(headers.get("Content-Length", 0))


class Inlet(asyncio.BufferedProtocol):
    """Takes in what a connection brings, in place of aiohttp's handler of it, which learns of all but the bodies."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._memory = bytearray(_SMALLEST)
        self._asked: asyncio.Future[Arrival] | None = None
        self._arrival: Arrival | None = None
        self._most = 0
        # Of the body that is under way: where it begins and ends in the memory; and how far that is filled.
        self._begin = self._end = self._filled = 0

    @classmethod
    def of(cls, handler: Any) -> Inlet:
        """The inlet of an open connection, by aiohttp's handler."""
        inlet = handler.transport.get_protocol()
        if not isinstance(inlet, cls):
            inlet = cls(handler)
            handler.transport.set_protocol(inlet)
        return inlet

    def ask(self, request: bytes, most: int) -> asyncio.Future[Arrival]:
        """Send a request. Of a body longer than `most` bytes only the head is waited for."""
        if len(self._memory) > _LARGEST:
            self._memory = bytearray(_SMALLEST)
        self._most = most
        self._arrival = None
        self._filled = 0
        self._asked = asked = self._loop.create_future()
        self._handler.set_response_params(read_until_eof=True)
        self._handler.transport.write(request)
        return asked

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return memoryview(self._memory)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many have come."""
        arrival = self._arrival
        if self._end:
            self._filled += nbytes
            if self._filled >= self._end:
                self._finish()
        elif self._asked is None or (arrival is not None and arrival.stream.is_eof()):
            self._handler.close()  # nobody has asked for that, nor will the next who does be told it
        else:
            self._parse(nbytes)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over, in the middle of an answer or not."""
        self._handler.connection_lost(exc)
        if self._end:
            came, size = self._filled - self._begin, self._end - self._begin
            self._fail(aiohttp.ClientPayloadError(f"{came} of {size} bytes came"))
        else:
            self._fail(self._handler.exception())

    def eof_received(self) -> None:
        """Nothing more will come."""
        self._handler.eof_received()

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """It has been sent."""
        self._handler.resume_writing()

    def _parse(self, filled: int) -> None:
        arrival, fed = self._arrival, 0
        while arrival is None and fed < filled:
            begin, fed = fed, min(fed + _HEAD, filled)
            arrival = self._feed(begin, fed)
            if arrival is not None and 0 < (size := arrival.size()) <= self._most:
                begin = fed - len(arrival.stream.read_nowait())  # that much of the body was among it
                self._expect(begin, begin + size, filled)
                return
        if fed < filled:
            arrival = self._feed(fed, filled)
        if arrival is not None:
            self._tell(arrival)
        else:
            self._fail(self._handler.exception())

    def _feed(self, begin: int, end: int) -> Arrival | None:
        """Have those bytes parsed."""
        handler = self._handler
        handler.data_received(bytes(memoryview(self._memory)[begin:end]))
        while self._arrival is None and len(handler):
            message, stream = _next_of(handler)
            if message.code >= 200 or message.code == 101:  # what comes before says only that there will be an answer
                self._arrival = Arrival(message, stream)
        return self._arrival

    def _expect(self, begin: int, end: int, filled: int) -> None:
        if filled < end and end >= len(self._memory):  # room for one byte more, which would be one too many
            old = self._memory
            self._memory = bytearray(1 << end.bit_length() if end < _LARGEST else end + 1)
            self._memory[:filled] = memoryview(old)[:filled]
        self._begin, self._end, self._filled = begin, end, filled
        if filled >= end:
            self._finish()

    def _finish(self) -> None:
        arrival = self._arrival
        assert arrival is not None, "there is no body without a head"
        arrival.body = memoryview(self._memory)[self._begin : self._end]
        arrival.stream.feed_eof()
        if self._filled > self._end or self._filled == len(self._memory):
            self._handler.force_close()  # more came than was promised, or may be about to, even before this is read
            self._memory, self._filled = bytearray(_SMALLEST), 0
        self._begin = self._end = 0
        self._tell(arrival)

    def _tell(self, arrival: Arrival) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(arrival)

    def _fail(self, error: BaseException | None) -> None:
        if error is not None and self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)


def _next_of(handler: Any) -> Any:
    """What waits in the handler's queue, which has to be awaited, but never waits then."""
    try:
        handler.read().send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a queue that holds something has to be waited for")
