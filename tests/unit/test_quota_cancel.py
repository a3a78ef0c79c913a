"""Cancelled wherever the limits wait: the error passes, nobody hangs, no charge is lost. Redis has its own test."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from itertools import count, repeat

import pytest
from msgspec.structs import replace

from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.quota import Limiter, SQLiteStore
from tests.integration import cancelling
from tests.integration.loops import run_clean

LIST = Endpoint(method="GET", path="product/list", answer=object, points=50)
FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=10_000, daily_points=None)


class Scene:
    """A limiter on a file that another process uses too. got: the tickets that its callers hold; told: given back."""

    def __init__(self, path, number, qps):
        self.lim = Limiter(replace(FREE, qps=qps), SQLiteStore(path), account=f"{number}")
        self.got, self.told = [], 0
        self.other = sqlite3.connect(path, isolation_level=None)
        self.timer = None

    def hold(self):
        """The other process has the file for a moment."""
        self.let_go()
        self.other.execute("BEGIN IMMEDIATE")
        self.timer = asyncio.get_running_loop().call_later(0.01, self.let_go)

    def let_go(self):
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
            self.other.rollback()

    async def play(self, act):
        try:
            await act(self)
        finally:
            await self.lim.aclose()

    async def take(self):
        ticket = await self.lim.admit(LIST, max_wait=5)
        self.got.append(ticket)
        ticket.answered()

    async def crowd(self):
        await self.take()
        self.hold()
        await asyncio.gather(*(self.take() for _ in range(5)))

    async def look(self):
        await asyncio.gather(self.lim.usage(), self.lim.usage())
        ticket = await self.lim.admit(LIST)
        self.got.append(ticket)
        self.hold()
        ticket.answered()
        await self.lim.usage()
        read = self.lim.store.read

        def while_held(*asked):
            self.hold()
            return read(*asked)

        self.lim.store.read = while_held
        await self.lim.estimate(LIST, 1)

    async def tell(self):
        ticket = await self.lim.admit(LIST)
        self.hold()
        ticket.unsent()
        self.told += 1
        for _ in range(4):
            await asyncio.sleep(0)
        await asyncio.gather(self.lim.aclose(), self.lim.aclose())

    async def open_again(self):
        """The file was replaced by another, which is noticed while it is used."""
        await self.take()
        self.lim.store._file.close()
        await self.take()

    async def close(self):
        """Upon somebody else, who opens the file."""
        opening = asyncio.ensure_future(self.lim.usage())
        await asyncio.sleep(0)
        try:
            await self.lim.aclose()
        finally:
            opening.cancel()
            await asyncio.wait([opening])


def everybody(begun):
    """As at the end of a loop."""
    return begun


def helpers(begun):
    """Those that no caller has begun."""
    return {task for task in begun if task.get_coro().__qualname__.startswith(("Limiter._serve", "Desk._write"))}


async def used(path, account):
    there = Limiter(FREE, SQLiteStore(path), account=f"{account}")
    usage = await there.usage()
    await there.aclose()
    return usage["calls product/list"].used


@pytest.mark.parametrize("whom", [None, everybody, helpers])
def test_cancelled_at_every_await(tmp_path, monkeypatch, whom):
    cancelling.without_threads(monkeypatch)
    monkeypatch.setattr(cancelling, "covered", set())
    monkeypatch.setattr("cjasync.quota.limiter.AT_ONCE", 2)
    monkeypatch.setattr("cjasync.quota.limiter.ASKS", 0.4)
    monkeypatch.setattr("cjasync.quota.sqlite.EAGER", 3)
    path = tmp_path / "quota.db"

    async def main():
        number = count()
        acts = [Scene.crowd, Scene.look, Scene.tell, Scene.open_again, Scene.close]
        for act, qps in [(Scene.crowd, 33.3), *zip(acts, repeat(None))]:
            through = False
            while not through:
                here = Scene(path, account := next(number), qps)
                task = await cancelling.cancelled_at_new_places(partial(here.play, act), cancelling.QUOTA, whom=whom)
                through = not task.cancelled()
                assert through or whom is not helpers, "callers do not notice"
                if through:
                    task.result()
                here.let_go()
                await here.take()
                await here.lim.aclose()
                here.other.close()
                assert not here.lim.store._file.is_open
                assert 0 <= await used(path, account) - len(here.got) <= here.told

    run_clean(main(), "asyncio")
    if whom is not helpers:
        assert cancelling.missed(cancelling.QUOTA, apart=(cancelling.REDIS,)) == []
