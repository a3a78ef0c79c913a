"""Answers as a network delivers them: in pieces, of any size, with bytes too many; and what is kept of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
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
    )


def padded(data: bytes, size: int) -> bytes:
    """An answer whose body has that many bytes."""
    body = b'{"code":200,"data":%s}' % data
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, body.ljust(size))


@pytest.mark.parametrize("coding", ["length", "chunks"])
async def test_an_answer_may_come_in_any_pieces(coding: str) -> None:
    body = said(TOYS).partition(b"\r\n\r\n")[2]
    whole = (
        EARLY
        + {
            "length": said(TOYS),
            "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        }[coding]
    )
    cuts = [[whole[:at], whole[at:]] for at in range(1, len(whole))] + [[bytes([byte]) for byte in whole]]
    async with InPieces(cuts) as server, client(server.base_url) as cj:
        for _ in cuts:
            (category,) = await cj.categories.get()
            assert category.category_first_name == "Toys"
        assert len(server.writers) == 1  # one connection brought them all


async def test_what_was_read_stays_when_its_connection_brings_something_else() -> None:
    """Bodies lie in the connection's memory, which grows with them up to a megabyte."""
    odd = b'{"categoryFirstName":["Toys"]}'
    sizes = [100, MEMORY - 44, MEMORY - 43, MEMORY - 41, MEMORY, 200_000, 1 << 20, 3 << 20, 100]
    answers = [padded(data, size) for size in sizes for data in (TOYS, b"[%s,%s]" % (odd, TOYS[1:-1]), PETS)]
    async with Speaking(*answers) as server, client(server.base_url) as cj:
        for size in sizes:
            raw = await cj.with_raw(cj.categories.get)
            spoilt = await cj.categories.get()
            (pets,) = await cj.categories.get()
            assert raw.body == padded(TOYS, size).partition(b"\r\n\r\n")[2]
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
