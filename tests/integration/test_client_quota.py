"""The limits as a user meets them, against the sandbox's own counting."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from cjasync import AuthError, CJClient, Plan, StoreError, TooManyAccountsError
from cjasync.hooks import Attempt, Event, Hook
from cjasync.quota import MemoryStore, SQLiteStore
from cjasync.sandbox import Sandbox
from cjasync.testing.clock import VirtualClock, run
from cjasync.testing.plugin import sandbox_client

ONLY_SEATS = Plan(qps=None, ip_qps=None, daily_calls=None, daily_points=None, login_interval=None)


def client_of(sandbox: Sandbox, quota: str, **settings: object) -> CJClient:
    return sandbox_client(sandbox, quota=quota, **settings)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_store_that_a_loop_in_another_thread_uses_is_an_error(tmp_path, kind):
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "quota.db")
    async with Sandbox(products=1, plan=ONLY_SEATS) as sandbox:

        async def ask() -> None:
            async with sandbox_client(sandbox, quota=store) as cj:
                await cj.settings.get()

        async with sandbox_client(sandbox, quota=store) as cj:
            await cj.settings.get()
            asked = sandbox.stats()["requests"]
            with pytest.raises(StoreError, match="another thread"):
                await asyncio.to_thread(asyncio.run, ask())
            assert sandbox.stats()["requests"] == asked
            await cj.settings.get()


async def test_a_mistyped_key_keeps_no_seat(tmp_path):
    quota = f"sqlite://{tmp_path}/quota.db"
    async with Sandbox(products=1, plan=ONLY_SEATS) as sandbox:
        for n in range(4):
            async with client_of(sandbox, quota, api_key=f"CJ77{n}@api@{n:032x}") as cj:
                with pytest.raises(AuthError):
                    await cj.settings.get()
        keys = [sandbox.api_key, *(sandbox.add_account().api_key for _ in range(3))]
        for key in keys[:3]:
            async with client_of(sandbox, quota, api_key=key) as cj:
                await cj.settings.get()
        asked = sandbox.stats()["requests"]
        async with client_of(sandbox, quota, api_key=keys[3]) as cj:
            with pytest.raises(TooManyAccountsError) as caught:
                await cj.settings.get()
        assert (caught.value.limit, sandbox.stats()["requests"]) == (3, asked), "told before anything was sent"
        assert caught.value.frees_at is not None


async def test_a_fourth_account_that_cj_itself_turns_away_is_told_at_once():
    async with Sandbox(products=1, plan=ONLY_SEATS) as sandbox:
        tokens = [sandbox.token_of(sandbox.add_account()) for _ in range(4)]
        for token in tokens[:3]:
            async with client_of(sandbox, "memory", access_token=token) as cj:
                await cj.settings.get()
        asked = sandbox.stats()["requests"]
        unlimited = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
        async with client_of(sandbox, "memory", access_token=tokens[3], plan=unlimited) as cj:
            with pytest.raises(TooManyAccountsError) as caught:
                await cj.settings.get()
        assert sandbox.stats()["requests"] == asked + 1
        assert (caught.value.limit, caught.value.frees_at) == (3, None)


@pytest.mark.parametrize("quota", ["memory", "sqlite"])
def test_no_day_costs_more_than_the_user_allows_however_much_cj_says_is_left(tmp_path, quota):
    """A nightly job and a service on one account, each with a limit of its own, for days."""
    clock = VirtualClock(datetime(2026, 3, 1, 20, tzinfo=UTC))
    store = MemoryStore() if quota == "memory" else SQLiteStore(tmp_path / "quota.db")
    sent: dict[str, Counter[int]] = {"job": Counter(), "service": Counter()}

    def count(name: str) -> Hook:
        def hook(event: Event) -> None:
            if isinstance(event, Attempt):
                sent[name][int(clock.time() // 86_400)] += 1

        return hook

    async def asks(sandbox: Sandbox, name: str, calls: int, points: int) -> None:
        plan = Plan(qps=6, daily_points=points)
        settings = {"quota": store, "clock": clock, "hooks": [count(name)], "on_exhausted": "wait"}
        async with sandbox_client(sandbox, plan=plan, **settings) as cj:
            for page in range(1, calls + 1):
                await cj.products.list(page_num=page, page_size=10)

    async def main() -> None:
        async with Sandbox(products=200, plan=Plan.advanced(), clock=clock) as sandbox:
            await asyncio.gather(asks(sandbox, "job", 6, 300), asks(sandbox, "service", 14, 500))
            assert sandbox.stats()["refused"] == 0

    run(main(), clock=clock)
    days = sent["job"].keys() | sent["service"].keys()
    assert [sum(sent[name].values()) for name in ("job", "service")] == [6, 14]
    assert all((sent["job"][day] + sent["service"][day]) * 50 <= 500 for day in days)
    assert all(sent["job"][day] * 50 <= 300 for day in days)
