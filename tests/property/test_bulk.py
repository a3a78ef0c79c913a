"""Bulk: every key once, bounded, in order or as they are answered, whatever fails, stops early or is cancelled."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync import bulk
from cjasync.bulk import Done

quick = settings(deadline=None, max_examples=60)


class Calls:
    """A method that takes `turns` of the loop for a key, fails for some, and counts."""

    def __init__(self, turns: dict[int, int] | None = None, fails: set[int] | None = None) -> None:
        self.turns = turns or {}
        self.fails = fails or set()
        self.asked: list[int] = []
        self.in_flight = self.most = 0

    async def __call__(self, key: int, *, times: int = 10) -> int:
        self.asked.append(key)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            for _ in range(self.turns.get(key, 1)):
                await asyncio.sleep(0)
        finally:
            self.in_flight -= 1
        if key in self.fails:
            raise LookupError(key)
        return key * times

    def run(self, keys: Any, *, ordered: bool = False, limit: int = 3, key: str | None = None, **more: Any) -> Any:
        return bulk.run(self, keys, key=key, concurrency=lambda: limit, ordered=ordered, arguments=more)


async def slowly(keys: list[int]) -> AsyncIterator[int]:
    for key in keys:
        await asyncio.sleep(0)
        yield key


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run it, and let no task behind."""

    async def alone() -> Any:
        async with asyncio.timeout(10):
            result = await main
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(alone())


async def every(outcomes: AsyncIterator[Any]) -> list[Any]:
    return [done async for done in outcomes]


keys = st.lists(st.integers(0, 12), max_size=40)
turns = st.dictionaries(st.integers(0, 12), st.integers(0, 8))
failing = st.sets(st.integers(0, 12), max_size=4)


@given(keys, turns, failing, st.integers(1, 5), st.booleans(), st.booleans())
@quick
def test_every_key_has_one_outcome(
    asked: list[int], wait: dict[int, int], fails: set[int], limit: int, ordered: bool, async_source: bool
) -> None:
    calls = Calls(wait, fails)
    outcomes = run(every(calls.run(slowly(asked) if async_source else asked, ordered=ordered, limit=limit)))
    once = list(dict.fromkeys(asked))
    assert calls.asked == once  # each key once, in their order
    assert calls.most <= limit
    got = [done.key for done in outcomes]
    assert (got if ordered else sorted(got)) == (once if ordered else sorted(once))
    for done in outcomes:
        if done.key in fails:
            assert isinstance(done.error, LookupError)
            with pytest.raises(LookupError):
                done.result()
        else:
            assert (done.value, done.error, done.result()) == (done.key * 10, None, done.key * 10)


@given(turns, st.integers(1, 4))
@quick
def test_in_order_no_more_than_twice_the_window_waits(wait: dict[int, int], limit: int) -> None:
    calls = Calls({**wait, 0: 30})
    had = 0

    async def main() -> None:
        nonlocal had
        async for _ in calls.run(range(13), ordered=True, limit=limit):
            had += 1
            assert len(calls.asked) - had <= 2 * limit

    run(main())
    assert had == 13


@given(st.integers(0, 13), turns, st.booleans(), st.booleans(), st.integers(1, 4))
@quick
def test_who_stops_early_leaves_nothing_behind(
    take: int, wait: dict[int, int], ordered: bool, async_source: bool, limit: int
) -> None:
    calls = Calls(wait)

    async def main() -> None:
        source = slowly([*range(13)]) if async_source else range(13)
        outcomes = calls.run(source, ordered=ordered, limit=limit)
        had = 0
        while had < take:
            await anext(outcomes)
            had += 1
        await outcomes.aclose()
        assert calls.in_flight == 0
        assert len(calls.asked) <= had + 2 * limit

    run(main())


@given(st.integers(0, 40), turns, st.booleans(), st.booleans())
@quick
def test_cancelling_at_any_moment_leaves_nothing_behind(
    after: int, wait: dict[int, int], ordered: bool, async_source: bool
) -> None:
    calls = Calls(wait)

    async def main() -> None:
        source = slowly([*range(13)]) if async_source else range(13)
        task = asyncio.ensure_future(every(calls.run(source, ordered=ordered)))
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError) or len(outcome) == 13
        assert calls.in_flight == 0

    run(main())


@given(st.integers(0, 12), st.integers(1, 4))
@quick
def test_cancelled_again_while_it_ends_it_still_closes_where_the_keys_come_from(after: int, again: int) -> None:
    told: list[str] = []

    async def source() -> AsyncIterator[int]:
        told.append("begun")
        try:
            for key in range(13):
                yield key
        finally:
            told.append("closed")

    async def main() -> None:
        task = asyncio.ensure_future(every(Calls(dict.fromkeys(range(13), 3)).run(source())))
        for turns in (after, again):
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait((task,))
        assert told in ([], ["begun", "closed"])

    run(main())


def test_an_outcome_does_not_wait_for_the_next_key() -> None:
    """The keys may come from a queue that stays empty for hours."""
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def arriving() -> AsyncIterator[int]:
        while True:
            yield await queue.get()

    async def main() -> None:
        outcomes = Calls().run(arriving())
        for key in (5, 3):
            queue.put_nowait(key)
            assert (await anext(outcomes)).key == key
        await outcomes.aclose()

    run(main())


def test_endless_keys_are_taken_as_they_are_needed() -> None:
    calls = Calls()

    async def main() -> list[int]:
        had = []
        async for done in calls.run(itertools.count(), ordered=True, limit=2):
            had.append(done.key)
            if len(had) == 5:
                break
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return had

    assert run(main()) == [0, 1, 2, 3, 4]
    assert len(calls.asked) <= 9


def test_the_key_may_be_a_named_parameter_beside_others() -> None:
    async def method(*, pid: int, times: int) -> int:
        return pid * times

    outcomes = bulk.run(method, [1, 2], key="pid", concurrency=lambda: 2, ordered=True, arguments={"times": 7})
    assert run(every(outcomes)) == [Done(1, 7), Done(2, 14)]


def test_a_parameter_that_the_method_does_not_take_is_told_at_once() -> None:
    calls = Calls()
    with pytest.raises(TypeError, match="colour"):
        run(every(calls.run([1, 2, 3], colour="red")))
    assert calls.asked == []


@pytest.mark.parametrize("async_source", [False, True])
def test_a_source_that_fails_ends_the_calls_and_says_so(async_source: bool) -> None:
    def broken() -> Any:
        yield 1
        raise OSError("the file ended")

    async def broken_too() -> AsyncIterator[int]:
        yield 1
        raise OSError("the file ended")

    calls = Calls({1: 50})
    with pytest.raises(OSError, match="the file ended"):
        run(every(calls.run(broken_too() if async_source else broken())))
    assert calls.in_flight == 0


def test_no_keys_no_outcomes() -> None:
    assert run(every(Calls().run([]))) == []
    assert run(every(Calls().run(slowly([])))) == []
