"""CJ's three authentication calls in memory, and a clock that tests wind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from cjasync.auth import MemoryTokenStore, TokenManager, Tokens
from cjasync.errors import AuthError, RateLimitedError

DAY = 86_400.0
START = 1_750_000_000.0


class HandClock:
    """Stands still until it is wound; whoever sleeps winds it."""

    def __init__(self, now: float = START) -> None:
        self.now = now
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now - START

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class FakeCJ:
    """Hands out pairs, refuses what is not good, counts. `turns`: rounds of the event loop that a call takes."""

    def __init__(self, clock: HandClock, *, lifetime: float = 15 * DAY, floor: float = 300.0, turns: int = 1) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.floor = floor
        self.turns = turns
        self.failures: list[BaseException] = []  # raised by the next calls, first come first
        self.logins = self.logouts = 0
        self.refreshed_with: list[str] = []
        self.access: dict[str, float] = {}
        self.refresh: set[str] = set()
        self.last_login = -1e18
        self.issued = 0
        self.key_is_good = True

    def accepts(self, token: str) -> bool:
        return self.clock.time() < self.access.get(token, 0.0)

    async def authenticate(self) -> Tokens:
        self.logins += 1
        await self._travel()
        if self.clock.time() < self.last_login + self.floor:
            raise RateLimitedError("QPS limit is 1 time/300 seconds", code=1600200)
        self.last_login = self.clock.time()
        if not self.key_is_good:
            raise AuthError("APIkey is wrong", code=1600005)
        return self.issue()

    async def renew(self, refresh_token: str) -> Tokens:
        self.refreshed_with.append(refresh_token)
        await self._travel()
        if refresh_token not in self.refresh:
            raise AuthError("Invalid refresh token", code=1600003)
        self.kill_all()
        return self.issue()

    async def revoke(self, access_token: str) -> None:
        self.logouts += 1
        await self._travel()
        if not self.accepts(access_token):
            raise AuthError("Invalid API key or access token", code=1600001)
        self.kill_all()

    def issue(self) -> Tokens:
        self.issued += 1
        now = self.clock.time()
        tokens = Tokens.from_answer(
            access_token=f"SECRET-access-{self.issued}",
            access_expires_at=datetime.fromtimestamp(now + self.lifetime, UTC),
            refresh_token=f"SECRET-refresh-{self.issued}",
            refresh_expires_at=datetime.fromtimestamp(now + 180 * DAY, UTC),
            created_at=datetime.fromtimestamp(now, UTC),
            open_id="SECRET-open-id",
        )
        self.access[tokens.access_token] = now + self.lifetime
        assert tokens.refresh_token is not None
        self.refresh.add(tokens.refresh_token)
        return tokens

    def kill_access(self) -> None:
        self.access.clear()

    def kill_all(self) -> None:
        self.access.clear()
        self.refresh.clear()

    async def _travel(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)


class World:
    """A CJ, a clock, a store, and as many managers of the one account as a test wants."""

    def __init__(self, **cj) -> None:
        self.clock = HandClock()
        self.cj = FakeCJ(self.clock, **cj)
        self.store = MemoryTokenStore()

    def manager(self, **options) -> TokenManager:
        facts = {
            "account": "test",
            "authenticate": self.cj.authenticate,
            "renew": self.cj.renew,
            "revoke": self.cj.revoke,
            "store": self.store,
            "clock": self.clock,
        }
        return TokenManager(**(facts | options))

    async def record(self):
        return await self.store.load("test")


async def settled() -> None:
    """Let everything that can run now run."""
    for _ in range(20):
        await asyncio.sleep(0)
