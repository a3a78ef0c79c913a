"""Whatever the order in which callers, clients, CJ and cancellations come: one refresh per refused token."""

import asyncio
import itertools
from contextlib import asynccontextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync.auth import MemoryTokenStore
from tests.auth_cj import World

WORKERS = 6
CALLS = 3


class Delays:
    """How many rounds of the event loop each next step takes."""

    def __init__(self, rounds):
        self._rounds = itertools.cycle(rounds)

    async def __call__(self):
        for _ in range(next(self._rounds)):
            await asyncio.sleep(0)


class DelayedStore(MemoryTokenStore):
    def __init__(self, delay):
        super().__init__()
        self._delay = delay

    async def load(self, account):
        await self._delay()
        return await super().load(account)

    async def save(self, account, record):
        await self._delay()
        await super().save(account, record)

    @asynccontextmanager
    async def lock(self, account):
        await self._delay()
        async with super().lock(account):
            yield


async def play(rounds, disturbances, clients):
    """Workers call CJ, which forgets its access tokens (-1) meanwhile; single workers are cancelled (their number)."""
    delay = Delays(rounds)
    world = World()
    world.store = DelayedStore(delay)
    world.cj._travel = delay
    killed, reported = set(), set()
    managers = [world.manager() for _ in range(clients)]

    async def call(tokens):
        token = tokens.current() or await tokens.get()
        await delay()
        for _ in range(2):
            if world.cj.accepts(token):
                return
            reported.add(token)
            token = await tokens.rejected(token)
            await delay()

    async def work(number):
        for _ in range(CALLS):
            await call(managers[number % clients])

    async def disturb():
        for pause, kill in disturbances:
            for _ in range(pause):
                await asyncio.sleep(0)
            if kill < 0:
                killed.update(world.cj.access)
                world.cj.kill_access()
            else:
                workers[kill].cancel()

    workers = [asyncio.create_task(work(number)) for number in range(WORKERS)]
    async with asyncio.timeout(20):
        outcomes, _ = await asyncio.gather(asyncio.gather(*workers, return_exceptions=True), disturb())
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    for tokens in managers:
        token = await tokens.get()
        for _ in range(2):  # the pair it has, and the one in the store, may both be dead without anybody knowing yet
            if not world.cj.accepts(token):
                reported.add(token)
                token = await tokens.rejected(token)
        assert world.cj.accepts(token)
        await tokens.aclose()
    return world, killed, reported


delays = st.lists(st.integers(0, 4), min_size=1, max_size=12)


@settings(deadline=None, max_examples=120)
@given(delays, st.lists(st.tuples(st.integers(0, 30), st.just(-1)), max_size=4), st.integers(1, 3))
def test_one_refresh_per_refused_token(rounds, killings, clients):
    world, killed, reported = asyncio.run(play(rounds, killings, clients))
    assert world.cj.logins == 1
    assert len(set(world.cj.refreshed_with)) == len(world.cj.refreshed_with) == len(killed & reported)


@settings(deadline=None, max_examples=120)
@given(
    delays,
    st.lists(st.tuples(st.integers(0, 20), st.integers(-1, WORKERS - 1)), max_size=8),
    st.integers(1, 3),
)
def test_and_no_more_when_callers_are_cancelled(rounds, disturbances, clients):
    world, killed, reported = asyncio.run(play(rounds, disturbances, clients))
    assert world.cj.logins == 1
    assert len(set(world.cj.refreshed_with)) == len(world.cj.refreshed_with) <= len(killed & reported)
