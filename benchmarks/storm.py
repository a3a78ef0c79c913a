"""The other side of the soak: a sandbox in a process of its own that spoils one request in twenty in some way."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from benchmarks.frame.bodies import NO_LIMITS
from benchmarks.frame.fresh import ROOT, pin, pinned
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault

PRODUCTS = 2_000
RATE = 700  # requests a second, which the sandbox enforces strictly
PLAN = msgspec.structs.replace(NO_LIMITS, qps=RATE, login_interval=None, sourcing_daily=None)
TOKEN_SECONDS = 20.0  # an access token lives so long: it is refreshed again and again, and a refresh ends the old one
SHARE = 0.05  # of all requests meet a fault
SOURCING = "product/sourcing/create"
FAULTS: dict[str, dict[str, Any]] = {
    "refuse": {},
    "status": {"status": 503},
    "html": {},
    "not_json": {},
    "not_http": {},
    "empty": {},
    "transient_empty": {},
    "close_before": {},
    "execute_then_drop": {"reset": True},
    "drop_kept_alive": {},
    "close_headers": {},
    "close_body": {},
    "close_after": {},
    "truncate": {},
    "wrong_length": {"by": -5},
    "delay": {"seconds": 0.3},
    "slow_drip": {"size": 2_000, "pause": 0.01},
    "stall": {},
    "bad_gzip": {},
    "bad_utf8": {},
    "duplicate_keys": {},
    "deep_json": {},
    "huge_number": {},
}


@asynccontextmanager
async def storm() -> AsyncIterator[dict[str, Any]]:
    """Its address and key, its products, and a function that asks what it saw."""
    command = (sys.executable, "-m", "benchmarks.storm", str(pinned(-1)))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe, limit=1 << 24)
    reader, writer = process.stdout, process.stdin
    assert reader is not None
    assert writer is not None

    async def ask() -> Any:
        writer.write(b"\n")
        return json.loads(await reader.readline())

    try:
        yield {**json.loads(await reader.readline()), "stats": ask}
    finally:
        writer.close()
        await process.wait()


async def _serve() -> None:
    each = SHARE / len(FAULTS)
    faults = [
        Fault(kind, probability=each, seed=n, **parameters) for n, (kind, parameters) in enumerate(FAULTS.items())
    ]
    told: dict[str, Any] = {"products": PRODUCTS, "plan": PLAN, "list_window": None, "access_lifetime": TOKEN_SECONDS}
    async with Sandbox(**told, faults=faults) as sandbox:
        pids = [product.pid for product in sandbox.catalogue.truth()]
        _say({"base_url": sandbox.base_url, "api_key": sandbox.api_key, "pids": pids})
        while await asyncio.to_thread(sys.stdin.readline):
            stats = sandbox.stats()
            _say(
                {
                    "refused": stats["refused_by_kind"],
                    "struck": dict(sandbox.faults.count()),
                    "worst_second": max(stats["worst_second"].values(), default=0),
                    "refreshes": stats["by_path"].get("authentication/refreshAccessToken", 0),
                    "written": {key: n for (path, key), n in sandbox.shelf.counts().items() if path == SOURCING},
                }
            )


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    asyncio.run(_serve())
