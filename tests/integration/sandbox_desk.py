"""A sandbox without limits, a clock with hands, and a client without any manners of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from cjasync.config import Plan
from cjasync.sandbox import Sandbox
from cjasync.sandbox.product import Product

UNLIMITED = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


class Hands:
    """A clock that stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 1_750_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Desk:
    """Where tests ask the sandbox and look behind it."""

    def __init__(self, sandbox: Sandbox, clock: Hands, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.catalogue = sandbox.catalogue
        self.shelf = sandbox.shelf
        self.clock = clock
        self._session = session

    def find(self, wanted: Callable[[Product], Any]) -> Product:
        """The first product on sale that is as wanted."""
        return next(product for product in self.catalogue.truth(delisted=False) if wanted(product))

    async def text(self, method: str, path: str, *, account: Any = None, **options: Any) -> str:
        """The body of an answer as it came."""
        headers = {"CJ-Access-Token": self.sandbox.token_of(account or self.sandbox.account)}
        headers |= options.pop("headers", {})
        url = f"{self.sandbox.base_url}/{path}"
        async with self._session.request(method, url, headers=headers, **options) as answer:
            return await answer.text()

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """The envelope of an answer."""
        return json.loads(await self.text(method, path, **options))

    async def get(self, path: str, **params: Any) -> Any:
        return await self.ask("GET", path, params=params)

    async def data(self, path: str, **params: Any) -> Any:
        """The data of a success."""
        answer = await self.get(path, **params)
        assert answer["code"] in (0, 200), answer
        return answer["data"]

    async def post(self, path: str, body: Any, *, account: Any = None) -> Any:
        return await self.ask("POST", path, json=body, account=account)


@asynccontextmanager
async def desk(products: int = 600, **settings: Any) -> AsyncIterator[Desk]:
    clock = Hands()
    async with (
        Sandbox(products=products, clock=clock, plan=UNLIMITED, delisted=0.05, **settings) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        yield Desk(sandbox, clock, session)
