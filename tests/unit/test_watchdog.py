"""One timer for many deadlines: each task ends at its own, and no cancellation is mistaken for another."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync._watchdog import Watchdog, Watched, this_task
from cjasync.testing.clock import VirtualLoop


def run(main: Any) -> Any:
    """Run `main(dog, loop)` in virtual time."""

    async def started() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return await main(Watchdog(loop.clock), loop)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(started())


async def watched_sleep(dog: Watchdog, limit: float, seconds: float) -> str:
    watched = Watched(this_task())
    dog.start(watched, limit)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if watched.timed_out():
            return "late"
        raise
    finally:
        dog.stop(watched)
    return "done"


spans = st.integers(1, 50).map(lambda tenths: tenths / 10)


@given(st.lists(st.tuples(spans, spans, spans), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_each_ends_at_its_own_deadline(plans: list[tuple[float, float, float]]) -> None:
    async def one(dog: Watchdog, loop: Any, start: float, limit: float, seconds: float) -> tuple[str, float]:
        await asyncio.sleep(start)
        began = loop.time()
        return await watched_sleep(dog, limit, seconds), loop.time() - began

    async def main(dog: Watchdog, loop: Any) -> None:
        outcomes = await asyncio.gather(*(one(dog, loop, *plan) for plan in plans))
        for (_, limit, seconds), (outcome, took) in zip(plans, outcomes, strict=True):
            if limit != seconds:
                assert outcome == ("late" if limit < seconds else "done")
            assert took == pytest.approx(min(limit, seconds), abs=0.01)
        dog.close()

    run(main)


def test_a_task_is_whole_again_after_its_timeout() -> None:
    async def main(dog: Watchdog, loop: Any) -> None:
        assert await watched_sleep(dog, 1, 5) == "late"
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        async with asyncio.timeout(3):  # which trusts the count of cancellations
            assert await watched_sleep(dog, 1, 5) == "late"
        assert await watched_sleep(dog, 5, 1) == "done"

    run(main)


@pytest.mark.parametrize("when", [0.5, 1.0, 1.5])
def test_somebody_else_s_cancellation_is_never_swallowed(when: float) -> None:
    """Before the deadline, at the very moment, and after it."""

    async def main(dog: Watchdog, loop: Any) -> None:
        async def twice() -> None:
            assert await watched_sleep(dog, 1, 5) == "late"
            await asyncio.sleep(5)

        task = asyncio.ensure_future(twice())
        await asyncio.sleep(when)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    run(main)


def test_cancelled_by_both_in_one_step_is_cancelled() -> None:
    async def main(dog: Watchdog, loop: Any) -> None:
        task = asyncio.ensure_future(watched_sleep(dog, 1, 5))
        await asyncio.sleep(0)
        loop.call_at(loop.time() + 1, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)


def test_a_task_cancelled_before_still_times_out() -> None:
    """Somebody who survived a cancellation without `uncancel` has a count above zero."""

    async def main(dog: Watchdog, loop: Any) -> None:
        async def stubborn() -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(5)
            return await watched_sleep(dog, 1, 5)

        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "late"

    run(main)


def test_one_timer_serves_all_and_none_is_left() -> None:
    async def main(dog: Watchdog, loop: Any) -> None:
        tasks = [asyncio.ensure_future(watched_sleep(dog, 10 + n, 1)) for n in range(20)]
        await asyncio.sleep(0)
        assert len(loop._scheduled) == 21  # the sleeps, and one timer
        await asyncio.gather(*tasks)
        dog.close()
        assert all(handle.cancelled() for handle in loop._scheduled)

    run(main)


def test_no_time_at_all_ends_at_the_next_wait() -> None:
    async def main(dog: Watchdog, loop: Any) -> None:
        assert await watched_sleep(dog, 0, 5) == "late"

    run(main)
