"""What became of requests is written down: whoever ends the loop, whoever closes, whenever."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time

import pytest
import uvloop

from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.quota import Limiter, MemoryStore

LIST = Endpoint(method="GET", path="product/list", answer=object, points=50)
FREE = Plan(qps=None, ip_qps=None, daily_calls=None)


class Elsewhere(MemoryStore):
    """A store that others share: nothing in it is done at once, as in Redis."""

    shared = True
    turns = 5

    def try_book(self, booking, desk, token):
        return None

    async def book(self, booking, desk, token):
        await self.way()
        if told := desk.hand_over():
            MemoryStore.try_settle(self, told, desk)
        return MemoryStore.try_book(self, booking, desk, token)

    def try_settle(self, settlements, desk):
        return False

    async def settle(self, settlements, desk):
        await self.way()
        MemoryStore.try_settle(self, settlements, desk)

    async def way(self):
        await turns(self.turns)


async def turns(number):
    for _ in range(number):
        await asyncio.sleep(0)


def run_to_the_end(main, loop_factory=None):
    """As a program does; what the loop complained of when all that is left of it was thrown away."""
    complaints = []

    async def begin():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["message"]))
        await main()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(begin())
    gc.collect()
    return complaints


async def just_before(lim):
    """The loop cancels its tasks when the desk's timer comes, or has done so: a thread is waited for."""
    (await lim.admit(LIST)).answered()
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)


async def when_it_is_over(lim):
    ticket, loop = await lim.admit(LIST), asyncio.get_running_loop()
    loop.run_in_executor(None, time.sleep, 0.05)
    loop.call_later(0.02, ticket.unsent)


async def while_it_cancels(lim):
    """A task learns of the end, and has something to tell then; another takes its time."""
    ticket, waiting = await lim.admit(LIST), asyncio.Event()

    async def tell():
        try:
            await waiting.wait()
        finally:
            ticket.unsent()

    async def linger():
        try:
            await waiting.wait()
        finally:
            await asyncio.sleep(0.001)

    lim.store.turns = 100
    lim.tasks = [asyncio.create_task(job()) for job in (tell, linger)]
    await asyncio.sleep(0)


async def in_the_last_clause(lim):
    """A caller asks for a turn when all has been cancelled, and does not get it in time."""

    async def ask():
        try:
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0):
                    await lim.admit(LIST)

    lim.store.turns = 500
    lim.tasks = [asyncio.create_task(ask())]
    await asyncio.sleep(0)


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("end", [just_before, when_it_is_over, while_it_cancels, in_the_last_clause])
def test_a_limiter_that_nobody_closes_leaves_no_task_to_a_loop_at_its_end(end, loop_factory):
    store = Elsewhere()

    async def main():
        await end(Limiter(FREE, store, account="me"))

    assert run_to_the_end(main, loop_factory) == []
    if end is while_it_cancels:
        assert store._states["account:me:points"].spent == 0, "what became known is written down"


def test_a_limiter_that_two_loops_use_in_turns_writes_without_another_booking():
    store = Elsewhere()
    lim = Limiter(FREE, store, account="me")

    async def give_back():
        ticket = await lim.admit(LIST, priority="background")
        await turns(50)
        ticket.unsent()
        await turns(50)
        return store._states["account:me:points"].spent

    with asyncio.Runner() as one, asyncio.Runner() as two:
        assert [runner.run(give_back()) for runner in (one, two, one, two, one)] == [0] * 5
        one.run(lim.aclose())


async def test_a_close_that_is_cancelled_ends_although_somebody_has_come_to_wait():
    lim = Limiter(FREE, Elsewhere(), account="me")
    ticket = await lim.admit(LIST)
    lim.store.turns = 500
    ticket.unsent()
    closing = asyncio.create_task(lim.aclose())
    await asyncio.sleep(0)
    late = asyncio.create_task(lim.admit(LIST, priority="background"))
    await asyncio.sleep(0)
    closing.cancel()
    await turns(50)
    assert closing.cancelled()
    (await late).unsent()
    await lim.aclose()
