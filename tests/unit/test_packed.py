"""Bodies in chunks and by gzip, found in memory that fills in pieces of any size."""

from __future__ import annotations

import gzip
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cjasync._transport.packed import Chunks, OddError, inflated

CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


@given(CHUNKS, st.binary(max_size=9), st.lists(st.integers(1, 50)))
def test_chunks_are_found_as_they_come(chunks: list[bytes], before: bytes, pieces: list[int]) -> None:
    whole = before + b"".join(b"%X\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    memory, found, filled = bytearray(whole + b"more"), Chunks(len(before)), len(before)
    while (end := found.seek(memory, filled)) > filled:
        assert end <= len(whole)  # nothing is waited for that will not come
        filled = min(len(whole), max(end, filled + (pieces.pop() if pieces else 0)))
    assert end == len(whole)
    start, stop = found.join(memory)
    assert memory[start:stop] == b"".join(chunks)


NO_LENGTHS = [b"\r\n", b"+1\r\n", b"0x1\r\n", b" 1\r\n", b"1_0\r\n", b"1;a\r\n", b"1\n", b"\rx", b"f" * 8]


@pytest.mark.parametrize("line", NO_LENGTHS)
def test_what_says_no_length_is_odd(line: bytes) -> None:
    with pytest.raises(OddError):
        Chunks(0).seek(bytearray(line + b"a\r\n0\r\n\r\n"), len(line) + 8)


@given(st.integers(0, 9000), st.integers(1, 5000))
def test_gzip_is_inflated_whole_and_alone_or_not_at_all(length: int, size: int) -> None:
    body = Random(length).randbytes(length)
    packed = gzip.compress(body)
    pieces = [(at, min(at + size, len(packed))) for at in range(0, len(packed), size)]
    assert b"".join(inflated(bytearray(packed), pieces, len(body))) == body
    other_sum = packed[:-8] + bytes(byte ^ 1 for byte in packed[-8:-4]) + packed[-4:]
    for spoilt in (packed[:-1], packed + b"\0", packed + packed, other_sum, body):
        with pytest.raises(OddError):
            list(inflated(bytearray(spoilt), [(0, len(spoilt))], len(body)))
    if body:
        with pytest.raises(OddError):
            list(inflated(bytearray(packed), pieces, len(body) - 1))
