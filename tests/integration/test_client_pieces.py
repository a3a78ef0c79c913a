"""Answers as a network delivers them: in pieces, of any size, with bytes too many; and what is kept of them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterable

import pytest
from aiohttp.http_parser import HttpResponseParser
from loops import Kind, run_clean
from speaking import Impatient, Speaking, said

from cjasync import BadResponseError, CJClient, Plan

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
TOYS, PETS = b'[{"categoryFirstName":"Toys"}]', b'[{"categoryFirstName":"Pets"}]'
MEMORY = 64 * 1024  # that a connection begins with


class InPieces(Speaking):
    """Writes each answer in the pieces that it is given as."""

    def __init__(self, answers: Iterable[list[bytes]]) -> None:
        super().__init__()
        self._pieces = iter(answers)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            for piece in next(self._pieces):
                writer.write(piece)
                for _ in range(3):  # turns of the loop, in which the other end reads it
                    await asyncio.sleep(0)
        writer.close()


UNLIMITED = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


def client(base_url: str) -> CJClient:
    return CJClient(
        access_token="t",
        base_url=base_url,
        plan=UNLIMITED,
        quota="memory",
        token_store="memory",
        clock=Impatient(),
        max_ratio=10_000,
    )


def padded(data: bytes, size: int) -> bytes:
    """An answer whose body has that many bytes."""
    body = b'{"code":200,"data":%s}' % data
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, body.ljust(size))


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def in_chunks(body: bytes, size: int, end: bytes = b"0\r\n\r\n") -> bytes:
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


PLAIN = body_of(said(TOYS))
GZIP = gzip.compress(PLAIN, mtime=0)
BLANK = PLAIN.replace(b",", b",\r\n\r\n", 1)
LENGTH, CHUNKED = b"Content-Length: %d", b"Transfer-Encoding: chunked"
GZIPPED = b"Content-Encoding: gzip\r\n"


def headed(head: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (head.replace(b"%d", b"%d" % len(body)), body)


@pytest.mark.parametrize(
    "answer",
    [
        said(TOYS),
        headed(CHUNKED, in_chunks(PLAIN, 20)),
        headed(GZIPPED + LENGTH, GZIP),
        headed(GZIPPED + CHUNKED, in_chunks(GZIP, 20)),
    ],
    ids=["length", "chunks", "gzip", "chunks of gzip"],
)
async def test_an_answer_may_come_in_any_pieces(answer: bytes) -> None:
    whole = EARLY + answer
    cuts = [[whole[:at], whole[at:]] for at in range(1, len(whole))] + [[bytes([byte]) for byte in whole]]
    async with InPieces(cuts) as server, client(server.base_url) as cj:
        for _ in cuts:
            (category,) = await cj.categories.get()
            assert category.category_first_name == "Toys"
        assert len(server.writers) == 1  # one connection brought them all


ODD = {
    "deflate": headed(b"Content-Encoding: deflate\r\n" + LENGTH, zlib.compress(PLAIN)),
    "gzip of many members": headed(GZIPPED + LENGTH, gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:])),
    "gzip that inflates to much": headed(GZIPPED + LENGTH, gzip.compress(PLAIN.ljust(3 << 20), 1)),
    "much gzip": headed(GZIPPED + LENGTH, gzip.compress(PLAIN.ljust(1 << 20), 0)),
    "no gzip, and of unknown kind": headed(b"Content-Encoding: plain\r\n" + LENGTH, PLAIN),
    "chunks with words": headed(CHUNKED, in_chunks(PLAIN, 20, b"0;last=yes\r\n\r\n")),
    "chunks with a trailer": headed(CHUNKED, in_chunks(PLAIN, 20, b"0\r\nX-Sum: 1\r\n\r\n")),
    "many chunks": headed(CHUNKED, in_chunks(PLAIN.ljust(3 << 20), 70_000)),
    "lines that end by line feeds": b"HTTP/1.1 200 OK\nContent-Length: %d\n\n%s" % (len(BLANK), BLANK),
    "a head that ends by a line feed": headed(LENGTH, BLANK).replace(b"\r\n\r\n", b"\r\n\n", 1),
}
BROKEN = {
    "gzip cut short": headed(GZIPPED + LENGTH, GZIP[:-20]),
    "gzip with a wrong sum": headed(GZIPPED + LENGTH, GZIP[:-8] + b"oddsum" + GZIP[-2:]),
    "gzip and a wrong member": headed(GZIPPED + LENGTH, GZIP + b"more"),
    "nothing as gzip": headed(GZIPPED + CHUNKED, in_chunks(b"", 20)),
    "a chunk that is no number": headed(CHUNKED, in_chunks(PLAIN, 20, b"+0\r\n\r\n")),
    "a chunk without a number": headed(CHUNKED, in_chunks(PLAIN, 20, b"\r\n")),
    "a chunk that is longer": headed(CHUNKED, in_chunks(PLAIN, 20, b"2\r\n   \r\n")),
    "a wrong chunk after many": headed(CHUNKED, in_chunks(PLAIN.ljust(3 << 20), 70_000, b"+0\r\n\r\n")),
}


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer_is_read_all_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Imported where asyncio is in debug mode, aiohttp's parser is strict, and wants a carriage return in each line.
    monkeypatch.setattr(f"{HttpResponseParser.__module__}.DEBUG", False)
    async with Speaking(ODD[name]) as server, client(server.base_url) as cj:
        for _ in range(3):
            (category,) = await cj.with_options(retries=0).categories.get()
            assert category.category_first_name == "Toys"


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_none(name: str) -> None:
    """And says so at once, not when time is up."""
    async with Speaking(BROKEN[name], said(PETS)) as server, client(server.base_url) as cj:
        with pytest.raises(BadResponseError):
            await cj.with_options(retries=0).categories.get()
        (category,) = await cj.categories.get()
        assert category.category_first_name == "Pets"


CODED: dict[str, Callable[[bytes], bytes]] = {
    "length": lambda answer: answer,
    "chunks": lambda answer: headed(CHUNKED, in_chunks(body_of(answer), 8192)),
    "gzip": lambda answer: headed(GZIPPED + LENGTH, gzip.compress(body_of(answer), 1)),
    "chunks of gzip": lambda answer: headed(GZIPPED + CHUNKED, in_chunks(gzip.compress(body_of(answer), 1), 100)),
}


@pytest.mark.parametrize("coded", CODED.values(), ids=CODED)
async def test_what_was_read_stays_when_its_connection_brings_something_else(coded: Callable[[bytes], bytes]) -> None:
    """Bodies lie in the connection's memory, which grows with them up to a megabyte."""
    odd = b'{"categoryFirstName":["Toys"]}'
    sizes = [100, MEMORY - 44, MEMORY - 43, MEMORY - 41, MEMORY, 200_000, 1 << 20, 3 << 20, 100]
    answers = [coded(padded(data, size)) for size in sizes for data in (TOYS, b"[%s,%s]" % (odd, TOYS[1:-1]), PETS)]
    async with Speaking(*answers) as server, client(server.base_url) as cj:
        for size in sizes:
            raw = await cj.with_raw(cj.categories.get)
            spoilt = await cj.categories.get()
            (pets,) = await cj.categories.get()
            assert raw.body == body_of(padded(TOYS, size))
            assert [row.raw for row in spoilt.skipped] == [odd]
            assert [row.category_first_name for row in (*raw.value, *spoilt, pets)] == ["Toys", "Toys", "Pets"]
        assert len(server.writers) == 1


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("size", [100, MEMORY - 100, MEMORY - 42, MEMORY, 200_000])
async def test_bytes_beyond_the_promised_ones_are_no_part_of_the_next_answer(size: int) -> None:
    longer = [padded(TOYS, size) + more for more in (b" ", b"HTTP/1.1", said(PETS), said(PETS) * 2)]
    async with Speaking(*longer) as server, client(server.base_url) as cj:
        for _ in range(8):
            (category,) = await cj.categories.get()
            assert category.category_first_name == "Toys"


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
@pytest.mark.parametrize("size", [MEMORY - 42, 70_000, 200_000])
def test_bytes_beyond_the_promised_ones_spoil_no_answer_that_waits_to_be_read(kind: Kind, size: int) -> None:
    """uvloop reads on at once where a whole memory was filled, before anybody has looked at what is there."""

    async def main() -> None:
        async with (
            Speaking(padded(TOYS, size) + padded(PETS, 400_000)) as server,
            client(server.base_url) as cj,
        ):
            for _ in range(8):
                (category,) = await cj.categories.get()
                assert category.category_first_name == "Toys"

    run_clean(main(), kind)


@pytest.mark.usefixtures("either_way")
async def test_an_answer_that_ends_before_its_length_says_how_much_came() -> None:
    async with Speaking(padded(TOYS, 200_000)[:100_000]) as server, client(server.base_url) as cj:
        asyncio.get_running_loop().call_later(0.05, lambda: server.writers[-1].close())
        with pytest.raises(BadResponseError, match=r"broke off: .*99957 of 200000 bytes"):
            await cj.with_options(retries=0).categories.get()
