"""What a connection brings. The body of an answer is read where it arrived, past aiohttp's parser and streams.

Those make new bytes of each piece, a copy for the stream and another of the whole, each in memory that the system has
to hand out anew, and wake a task for each piece: half of what it takes to read a page of products. Here a connection
has memory of its own, which it keeps. Heads go through aiohttp's parser all the same, and so do bodies of which it is
not known where they end, that are packed by anything but gzip, or odd.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp

from cjasync._transport.packed import Chunks, OddError, inflated

_SMALLEST, _LARGEST = 64 * 1024, 1024 * 1024  # bytes of memory that a connection keeps
_END_OF_HEAD = re.compile(rb"\n\r?\n")  # aiohttp takes a line feed by itself for the end of a line too


class Arrival:
    """The head of an answer, and its body: whole in `body`, or, where it has to be parsed, to be read from `stream`.

    The body lies in the connection's memory until something else is asked there.
    """

    __slots__ = ("body", "message", "stream")

    def __init__(self, message: Any, stream: aiohttp.StreamReader) -> None:
        self.message = message
        self.stream = stream
        self.body: memoryview | None = None

    @property
    def gzipped(self) -> bool:
        """Whether the body has to be inflated."""
        return bool(self.message.compression == "gzip")

    def size(self) -> int | None:
        """How many bytes of body are on the wire; 0: that is not known yet. None: it is for the parser, or empty."""
        message = self.message
        if self.stream.is_eof() or message.compression not in (None, "gzip"):
            return None
        if message.chunked:
            return 0
        return int(message.headers.get("Content-Length", 0)) or None


class Inlet(asyncio.BufferedProtocol):
    """Takes in what a connection brings, in place of aiohttp's handler of it, which learns of all but the bodies."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._memory = bytearray(_SMALLEST)
        self._asked: asyncio.Future[Arrival] | None = None
        self._arrival: Arrival | None = None
        self._most = 0
        # Of the body that is under way: where it begins and ends in the memory, as far as is known, and its chunks if
        # it comes in such; and how far the memory is filled.
        self._begin = self._end = self._filled = 0
        self._chunks: Chunks | None = None
        self._head_begins = True  # with the next byte that is parsed

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
        self._head_begins = True
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
                self._reached()
        elif self._asked is None or (arrival is not None and arrival.stream.is_eof()):
            self._handler.close()  # nobody has asked for that, nor will the next who does be told it
        else:
            self._parse(nbytes)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is over, in the middle of an answer or not."""
        if self._end and self._is_packed():
            self._hand_over()
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
            found = _END_OF_HEAD.search(self._memory, fed, filled) if self._head_begins else None
            begin, fed, self._head_begins = fed, found.end() if found else filled, found is not None
            arrival = self._feed(begin, fed)
            if found and arrival is not None and self._expects(arrival, fed, filled):
                return
        if fed < filled:
            self._feed(fed, filled)
        self._tell_or_fail()

    def _feed(self, begin: int, end: int) -> Arrival | None:
        """Have those bytes parsed."""
        handler = self._handler
        handler.data_received(bytes(memoryview(self._memory)[begin:end]))
        while self._arrival is None and len(handler):
            message, stream = _next_of(handler)
            if message.code >= 200 or message.code == 101:  # what comes before says only that there will be an answer
                self._arrival = Arrival(message, stream)
        return self._arrival

    def _expects(self, arrival: Arrival, begin: int, filled: int) -> bool:
        """Whether the body that begins there is read here."""
        size = arrival.size()
        if size is None:
            return False
        self._chunks = None if size else Chunks(begin)
        if self._is_packed():
            self._most = min(self._most, _LARGEST // 2 if arrival.gzipped else _LARGEST)
        if size > self._most:
            return False
        self._begin, self._filled = begin, filled
        self._await(begin + size)
        return True

    def _await(self, end: int) -> None:
        """Go on when the memory is filled up to there."""
        self._end = end
        if self._filled >= end:
            self._reached()
        else:
            self._make_room(end, self._filled)

    def _make_room(self, end: int, filled: int) -> None:
        if end >= len(self._memory):  # room for one byte more, which would be one too many
            old = self._memory
            self._memory = bytearray(1 << end.bit_length() if end < _LARGEST else end + 1)
            self._memory[:filled] = memoryview(old)[:filled]

    def _is_packed(self) -> bool:
        assert self._arrival is not None, "there is no body without a head"
        return self._chunks is not None or self._arrival.gzipped

    def _reached(self) -> None:
        try:
            if self._chunks is not None:
                end = self._chunks.seek(self._memory, self._filled)
                if end - self._begin > self._most:
                    raise OddError
                if end > self._filled:
                    self._await(end)
                    return
                self._end = end
            self._finish()
        except OddError:
            self._hand_over()

    def _hand_over(self) -> None:
        """Let the parser have this body, from its beginning, and what follows."""
        filled, self._end, self._filled, self._chunks = self._filled, 0, 0, None
        self._feed(self._begin, filled)
        self._tell_or_fail()

    def _finish(self) -> None:
        arrival = self._arrival
        assert arrival is not None, "there is no body without a head"
        full = self._filled > self._end or self._filled == len(self._memory)
        begin, end = self._unpack(arrival)
        arrival.body = memoryview(self._memory)[begin:end]
        arrival.stream.feed_eof()
        if full:
            self._handler.force_close()  # more came than was promised, or may be about to, even before this is read
            self._memory, self._filled = bytearray(_SMALLEST), 0
        self._end = 0
        self._chunks = None
        self._tell(arrival)

    def _unpack(self, arrival: Arrival) -> tuple[int, int]:
        """Where the body lies as it was before it was packed."""
        if not arrival.gzipped:
            return self._chunks.join(self._memory) if self._chunks is not None else (self._begin, self._end)
        packed = self._chunks.found if self._chunks is not None else [(self._begin, self._end)]
        begin = at = self._filled
        for piece in inflated(self._memory, packed, _LARGEST - begin):
            end = at + len(piece)
            self._make_room(end, at)
            self._memory[at:end] = piece
            at = end
        self._filled = at
        return begin, at

    def _tell_or_fail(self) -> None:
        arrival, error = self._arrival, self._handler.exception()
        if arrival is not None and (error is None or arrival.stream.is_eof()):  # what is wrong comes after it
            self._tell(arrival)
        elif error is not None:
            self._fail(error)
            if arrival is not None:
                arrival.stream.set_exception(error)  # aiohttp leaves who reads it waiting

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
