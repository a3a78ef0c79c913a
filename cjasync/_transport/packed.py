"""Bodies that come in chunks or by gzip, read where they lie. Pure, and only for such as are as they should be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from aiohttp.compression_utils import ZLibBackend  # zlib, or what a program has put in its place

_LINE = re.compile(rb"([0-9a-fA-F]{0,7})(?:\r(\n?))?")  # that says how long a chunk is: it may not be whole yet
_AT_ONCE = 4 * 1024  # bytes, which inflate to what the allocator has ready


class OddError(Exception):
    """That body is for a parser that knows everything."""


class Chunks:
    """Where the chunks of a body lie, in memory that fills."""

    def __init__(self, begin: int) -> None:
        self.found: list[tuple[int, int]] = []
        self._at = begin

    def seek(self, memory: bytearray, filled: int) -> int:
        """How far the memory has to be filled until there is more to see, or, if it is, where the body has ended."""
        while True:
            line = _LINE.match(memory, self._at, filled)
            assert line is not None, "it matches nothing too"
            if line.end() == filled and not line[2]:
                return filled + 1
            if not line[1] or not line[2]:
                raise OddError
            begin, size = line.end(), int(line[1], 16)
            end = begin + size + 2
            if end > filled:
                return end
            if memory[end - 2 : end] != b"\r\n":
                raise OddError
            if size == 0:
                return end
            self.found.append((begin, end - 2))
            self._at = end

    def join(self, memory: bytearray) -> tuple[int, int]:
        """Move them next to each other: from where to where they lie then."""
        begin = at = self.found[0][0] if self.found else 0
        view = memoryview(memory)
        for start, end in self.found:
            view[at : at + end - start] = view[start:end]
            at += end - start
        return begin, at


def inflated(memory: bytearray, pieces: Iterable[tuple[int, int]], most: int) -> Iterator[bytes]:
    """What those pieces of one gzip inflate to, up to `most` bytes. OddError where it is not one, whole and alone."""
    view, size = memoryview(memory), 0
    unpacker = ZLibBackend.decompressobj(wbits=16 + ZLibBackend.MAX_WBITS)
    for start, end in pieces:
        for at in range(start, end, _AT_ONCE):
            try:
                more = unpacker.decompress(view[at : min(at + _AT_ONCE, end)], most - size + 1)
            except Exception as error:  # each library has its own
                raise OddError from error
            size += len(more)
            if size > most:
                raise OddError
            yield more
    if not unpacker.eof or unpacker.unused_data:
        raise OddError
