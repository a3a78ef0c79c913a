"""Keeps a pull's tally up to date while it runs: how far it is, and what the limits have left for the rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from cjasync.catalog.bursts import shortage
from cjasync.cli.tally import Tally
from cjasync.client import CJClient
from cjasync.errors import CJError

_LOOK = 0.25  # seconds between two looks at how far it is
_ASK = 1.0  # seconds between two looks into the ledger


@asynccontextmanager
async def watched(
    cj: CJClient, path: str, tally: Tally, tell: Callable[[], None], look: Callable[[], None] = lambda: None
) -> AsyncGenerator[None, None]:
    """Watch while the block runs. look: updates the tally; it is called once more at the end. tell: shows it."""

    async def watching() -> None:
        asked = float("-inf")
        while True:
            look()
            if (now := time.monotonic()) - asked >= _ASK:
                asked = now
                with suppress(CJError):  # whoever pulls meets it too, and says so
                    await _ask(cj, path, tally)
            tell()
            await asyncio.sleep(_LOOK)

    task = asyncio.ensure_future(watching())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        look()


async def _ask(cj: CJClient, path: str, tally: Tally) -> None:
    """What the ledger says: of CJ's limit and the user's own that which has less left, and until when it is empty."""
    usage = await cj.usage()
    tally.points_left = usage["points"].remaining
    prices = {f"calls {path}": 1, "points": tally.price(path)}
    short = shortage(usage, prices, 1, 1, kept=0, now=datetime.now(UTC))
    tally.empty_until = None if short is None else short[1]
    if (requests := tally.requests_left) is not None:
        tally.limits_need = (await cj.estimate(path, requests)).seconds
