"""A sandbox, a clock that the test moves, and a client that believes nothing."""

import asyncio
import json
from contextlib import asynccontextmanager
from decimal import Decimal

import aiohttp

from cjasync.config import Plan
from cjasync.sandbox import Sandbox

FREE_OF_LIMITS = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
START = 1_750_000_000.0


class Clock:
    """Stands still until a test moves it; sleeping is only noted."""

    def __init__(self, now=START):
        self.now = now
        self.slept = []

    def time(self):
        return self.now

    def monotonic(self):
        return self.now - START

    async def sleep(self, seconds):
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Caller:
    """Asks the sandbox with the first account's token, unless told otherwise."""

    def __init__(self, sandbox, session):
        self.sandbox = sandbox
        self.session = session

    async def ask(self, path, *, method="GET", token=..., ip=None, **options):
        """HTTP status and envelope."""
        headers = {}
        if token is not None:
            headers["CJ-Access-Token"] = self.sandbox.access_token if token is ... else token
        if ip:
            headers["X-Sandbox-IP"] = ip
        url = f"{self.sandbox.base_url}/{path}"
        async with self.session.request(method, url, headers=headers, **options) as answer:
            return answer.status, json.loads(await answer.read())

    async def code(self, path, **options):
        return (await self.ask(path, **options))[1]["code"]

    async def data(self, path, **options):
        status, body = await self.ask(path, **options)
        assert (status, body["code"]) == (200, 200), body
        return body["data"]


@asynccontextmanager
async def embedded(**settings):
    """A sandbox of 400 products without limits, unless told otherwise, and a caller."""
    settings = {"products": 400, "plan": FREE_OF_LIMITS} | settings
    async with Sandbox(**settings) as sandbox, aiohttp.ClientSession() as session:
        yield Caller(sandbox, session)


def price_of(text):
    low, _, high = str(text).partition(" -- ")
    return Decimal(low), Decimal(high or low)
