"""A sandbox and a client of it, for walks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cjasync import CJClient
from cjasync.catalog import Walk, walk
from cjasync.catalog.sinks import Batch
from cjasync.config import Plan
from cjasync.errors import OutputError
from cjasync.sandbox import Sandbox
from cjasync.testing.plugin import sandbox_client


def unlimited(**limits: Any) -> Plan:
    """A plan without limits, but for those given."""
    free = {"qps": None, "ip_qps": None, "accounts_per_ip": None, "daily_calls": None, "daily_points": None}
    return Plan(**{**free, **limits})


@asynccontextmanager
async def shop(
    products: int = 3000, *, window: int | None = 1000, plan: Plan | None = None, client: Any = None, **settings: Any
) -> AsyncIterator[tuple[Sandbox, CJClient]]:
    """A sandbox without limits whose question reaches `window` rows, and a client that knows it."""
    plan = plan or unlimited(list_window=window)
    told = {"shape": "growth", "seed": 2, "list_window": window, **settings}
    async with (
        Sandbox(products=products, plan=plan, **told) as sandbox,
        sandbox_client(sandbox, **(client or {})) as cj,
    ):
        yield sandbox, cj


async def pids(cj: CJClient, **arguments: Any) -> list[str]:
    """Everything that a walk finds, in the order in which it comes."""
    return [product.pid async for product in walk(cj, **arguments)]


async def drain(walked: Walk, found: list[str] | None = None) -> None:
    """Walk to the end; `found` holds what came, also if that is an error."""
    async for product in walked:
        if found is not None:
            found.append(product.pid)


class LeapingClock:
    """Stands a little ahead after each pause, which is a few turns of the loop."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def time(self) -> float:
        return time.time() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.ahead += seconds
        for _ in range(10):
            await asyncio.sleep(0)


class Shelf:
    """A user's own sink: keeps rows, and may fail."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.rows: dict[str, Any] = {}
        self.written = 0
        self.doubled = 0
        self.tokens: list[bytes] = []
        self.fails_at = fails_at

    async def write(self, rows: Batch[Any]) -> None:
        self.written += 1
        if self.written == self.fails_at:
            raise OutputError("the disk is full")
        for row in rows:
            self.doubled += row.pid in self.rows
            self.rows[row.pid] = row

    async def commit(self, token: bytes) -> None:
        self.tokens.append(token)
