"""A pull that is killed again and again, in the middle of whatever it does, and goes on each time."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

import pytest

from cjasync.catalog.sinks import read_rows
from cjasync.config import Plan
from cjasync.models import ListedProduct
from cjasync.sandbox import Sandbox

PRODUCTS = 5_000
IN_FLIGHT = 16  # without a rate limit
FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
PROCESS = Path(__file__).with_name("walk_process.py")


async def pull(sandbox: Sandbox, file: Path, kill_at: int | None, delay: float) -> dict | None:
    """Run the pull; its report, or None when it was killed, `delay` seconds after the sandbox saw request `kill_at`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROCESS),
        sandbox.base_url,
        sandbox.access_token,
        str(file),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    if kill_at is not None:
        while sandbox.stats()["requests"] < kill_at and process.returncode is None:  # noqa: ASYNC110 - it is not ours
            await asyncio.sleep(0.001)
        await asyncio.sleep(delay)
        if process.returncode is None:
            process.kill()
    told = await process.stdout.read()
    code = await process.wait()
    assert code in (0, -9)
    return json.loads(told) if code == 0 else None


@pytest.mark.parametrize(
    ("suffix", "kills"), [(".jsonl", 4), (".csv", 2), (".parquet", 3), (".sqlite", 2), (".duckdb", 2), (".jsonl.gz", 1)]
)
async def test_a_killed_pull_goes_on_and_loses_and_doubles_nothing(tmp_path, suffix, kills):
    file = tmp_path / f"products{suffix}"
    dice = random.Random(f"kill {suffix}")
    async with Sandbox(
        products=PRODUCTS, shape="bursty", plan=FREE, list_window=1000, latency=0.004, seed=3
    ) as sandbox:
        died = 0
        report = None
        while report is None:
            moment = sandbox.stats()["requests"] + dice.randrange(2, 60 // kills) if died < kills else None
            report = await pull(sandbox, file, moment, dice.uniform(0, 0.02))
            died += report is None
        asked = sandbox.stats()["requests"]
    assert died
    assert 2 <= report["runs"] <= died + 1  # one that is killed before its first answer leaves no trace
    assert report["proved"], report["reasons"]
    assert report["delivered"] == PRODUCTS
    pids = [row["pid"] for row in read_rows(file, ListedProduct)]
    assert len(pids) == len(set(pids))
    assert set(pids) == sandbox.catalogue.pids_now()
    # What was in flight when the process died is asked again, and nothing else; and once each time, the categories.
    repeated = asked - report["requests"]
    assert repeated <= died * IN_FLIGHT + 1
