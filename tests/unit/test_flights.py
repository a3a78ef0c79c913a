"""Identical reads in flight are one request: who makes it, who shares it, and what becomes of the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync import NotFoundError, RequestOptions
from cjasync._flights import Flights
from cjasync._protocol import Request
from cjasync.testing.clock import VirtualClock

URL = "https://x.example/product/query?pid=1"


class Reads:
    """Reads that count how often they are really made; each takes `turns` of the loop."""

    def __init__(self, turns: int = 5, error: BaseException | None = None) -> None:
        self.clock = VirtualClock()
        self.flights = Flights(self.clock)
        self.turns = turns
        self.error = error
        self.made = 0
        self.begun = 0

    def one(self, url: str = URL, keep: float = 0, **options: Any) -> Any:
        lane = self.flights.lane(RequestOptions(**options))
        return self.flights.run(_Read(self, url), lane, keep)

    def empty(self) -> bool:
        return not any(self.flights._lanes.values())


class _Read:
    def __init__(self, reads: Reads, url: str) -> None:
        self.reads = reads
        self.request = Request("GET", url)

    def begin(self) -> None:
        self.reads.begun += 1

    async def run(self) -> int:
        self.reads.made += 1
        number = self.reads.made
        for _ in range(self.reads.turns):
            await asyncio.sleep(0)
        if self.reads.error is not None:
            raise self.reads.error
        return number


async def test_identical_reads_are_one_request() -> None:
    reads = Reads()
    assert await asyncio.gather(*(reads.one() for _ in range(10))) == [1] * 10
    assert (reads.made, reads.begun) == (1, 10)
    assert reads.empty()


async def test_a_read_after_the_answer_is_another() -> None:
    reads = Reads()
    assert [await reads.one(), await reads.one()] == [1, 2]


async def test_other_reads_and_other_patience_are_not_shared() -> None:
    reads = Reads()
    outcomes = await asyncio.gather(reads.one(), reads.one(URL + "2"), reads.one(max_wait=0), reads.one(max_wait=0))
    assert outcomes == [1, 2, 3, 3]


async def test_an_error_is_everybody_s_and_each_has_its_own() -> None:
    error = NotFoundError("no such product", code=1602001)
    reads = Reads(error=error)
    outcomes = await asyncio.gather(*(reads.one() for _ in range(3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == [str(error)] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert reads.made == 1
    assert reads.empty()


async def test_an_error_of_the_program_is_everybody_s_too() -> None:
    reads = Reads(error=ZeroDivisionError())
    outcomes = await asyncio.gather(*(reads.one() for _ in range(3)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ZeroDivisionError}


async def test_when_the_first_is_cancelled_one_of_the_others_asks_anew() -> None:
    reads = Reads()
    first, *others = [asyncio.ensure_future(reads.one()) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [2] * 4
    with pytest.raises(asyncio.CancelledError):
        await first
    assert reads.empty()


async def test_cancelling_one_who_waits_hurts_nobody() -> None:
    reads = Reads()
    first, second, third = [asyncio.ensure_future(reads.one()) for _ in range(3)]
    await asyncio.sleep(0)
    second.cancel()
    assert await asyncio.gather(first, third) == [1, 1]
    assert second.cancelled()


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=8), st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_whoever_is_cancelled_whenever_the_others_get_an_answer(plans: list[tuple[int, int]], turns: int) -> None:
    """Each caller comes after some turns of the loop and may be cancelled after some more."""

    async def main() -> None:
        reads = Reads(turns)

        async def caller(start: int) -> Any:
            for _ in range(start):
                await asyncio.sleep(0)
            return await reads.one()

        tasks = [asyncio.ensure_future(caller(start)) for start, _ in plans]
        for turn in range(30):
            for task, (_, end) in zip(tasks, plans, strict=True):
                if end == turn and end % 2:  # every other one is
                    task.cancel()
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for (_, end), outcome in zip(plans, outcomes, strict=True):
            assert isinstance(outcome, int) or (end % 2 and isinstance(outcome, asyncio.CancelledError))
        assert reads.empty()

    asyncio.run(main())


async def test_an_answer_is_kept_as_long_as_it_keeps() -> None:
    reads = Reads()
    assert [await reads.one(keep=10), await reads.one(keep=10, max_wait=1)] == [1, 1]
    reads.clock.advance(9.9)
    assert await reads.one(keep=10) == 1
    reads.clock.advance(0.1)
    assert await reads.one(keep=10) == 2


async def test_an_error_is_not_kept() -> None:
    reads = Reads(error=NotFoundError("not yet"))
    with pytest.raises(NotFoundError):
        await reads.one(keep=10)
    reads.error = None
    assert await reads.one(keep=10) == 2


async def test_a_read_that_is_thrown_away_leaves_the_others_theirs() -> None:
    reads = Reads()
    thrown = reads.one()
    thrown.send(None)
    other = asyncio.ensure_future(reads.one())
    await asyncio.sleep(0)
    thrown.close()
    assert await other == 2


async def test_options_that_are_gone_leave_nothing_behind() -> None:
    """A service may set another deadline for every call of its life."""
    reads = Reads()
    for deadline in range(1, 100):
        await reads.one(deadline=deadline)
    assert len(reads.flights._lanes) <= 1
