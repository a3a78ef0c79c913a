"""A whole catalogue into a file: time, memory, requests, what being killed costs, and a free plan's days.

By hand, because each takes minutes and is shown, not judged:

    python benchmarks/walk_by_hand.py pull [--products N] [--out FILE] [--shape NAME]
    python benchmarks/walk_by_hand.py kill [--products N] [--kills K] [--format .parquet]
    python benchmarks/walk_by_hand.py days [--products N] [--churn FACTOR]

`pull` reads a sandbox of 1,495,292 products without a rate limit, in a process of its own, and once more with the
borders that the first walk left. `kill` ends the pulling process with SIGKILL at random moments, and looks at the file.
`days` walks a catalogue that changes on a free plan, in virtual time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cjasync import CJClient, hooks
from cjasync.catalog import walk
from cjasync.catalog.sinks import SUFFIXES, open_sink, read_rows
from cjasync.config import Plan
from cjasync.models import ListedProduct
from cjasync.sandbox import Churn, Sandbox, SandboxProcess
from cjasync.testing.clock import VirtualClock, run
from cjasync.testing.plugin import sandbox_client

CATALOGUE = 1_495_292
NO_LIMITS = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


async def bring(base_url: str, token: str, out: Path) -> dict[str, Any]:
    """Pull everything into a file, in this process."""
    began = time.perf_counter()
    client = CJClient(access_token=token, base_url=base_url, plan=NO_LIMITS, quota="memory", token_store="memory")
    async with (
        client as cj,
        walk(cj, checkpoint=out.with_name(out.name + ".checkpoint")) as catalogue,
        await open_sink(out, ListedProduct, question=catalogue.question) as sink,
    ):
        opened = time.perf_counter() - began
        report = await catalogue.into(sink)
    return {
        "products": report.delivered,
        "requests": report.requests,
        "overhead": round(report.overhead, 5),
        "repaired_windows": report.repaired,
        "proved": report.proved,
        "reasons": report.reasons,
        "runs": report.runs,
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_until_begun": round(opened, 3),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


async def in_a_process(base_url: str, token: str, out: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "bring",
        base_url,
        token,
        str(out),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},  # as the command line has it
    )


async def pull(options: argparse.Namespace) -> None:
    """The whole catalogue, twice: the second walk knows where its windows end."""
    settings = {"products": options.products, "shape": options.shape, "null_times": options.null_times}
    async with SandboxProcess(**settings, plan=NO_LIMITS) as sandbox:
        with tempfile.TemporaryDirectory() as folder:
            out = options.out or Path(folder) / "products.parquet"
            for which in ("first walk", "second walk"):
                process = await in_a_process(sandbox.base_url, sandbox.access_token, out)
                told, _ = await process.communicate()
                print(which, json.dumps(json.loads(told), indent=2))


async def kill(options: argparse.Namespace) -> None:
    """Killed again and again: what is repeated, and whether anything is missing or double."""
    for suffix in [options.format] if options.format else SUFFIXES:
        async with Sandbox(products=options.products, shape=options.shape, plan=NO_LIMITS, latency=0.005) as sandbox:
            with tempfile.TemporaryDirectory() as folder:
                print(suffix, json.dumps(await _killed(sandbox, Path(folder) / f"products{suffix}", options.kills)))


async def _killed(sandbox: Sandbox, out: Path, kills: int) -> dict[str, Any]:
    dice = random.Random(f"{out.name} {kills}")
    pages, killed, told, began = len(sandbox.catalogue) // 200, 0, b"", time.perf_counter()
    while not told:
        process = await in_a_process(sandbox.base_url, sandbox.access_token, out)
        assert process.stdout is not None
        if killed < kills:
            moment = sandbox.stats()["requests"] + dice.randrange(1, 2 * pages // (kills + 2))
            while sandbox.stats()["requests"] < moment and process.returncode is None:  # noqa: ASYNC110 - it is not ours
                await asyncio.sleep(0.001)
            if process.returncode is None:
                process.kill()
                killed += 1
        told = await process.stdout.read()
        await process.wait()
    report = json.loads(told)
    pids = [row["pid"] for row in read_rows(out, ListedProduct)]
    return {
        "kills": killed,
        "missing": len(sandbox.catalogue.pids_now() - set(pids)),
        "doubled": len(pids) - len(set(pids)),
        "requests": sandbox.stats()["requests"],
        "repeated": sandbox.stats()["requests"] - report["requests"],
        "proved": report["proved"],
        "seconds": round(time.perf_counter() - began, 1),
    }


async def days(options: argparse.Namespace, clock: VirtualClock) -> None:
    """A free plan: a request a second, a thousand a day, 50,000 points; the catalogue changes meanwhile."""
    calls: Counter[str] = Counter()

    def count(event: hooks.Event) -> None:
        if isinstance(event, hooks.Attempt) and event.endpoint == "product/list":
            calls[f"{datetime.fromtimestamp(clock.time(), UTC):%Y-%m-%d}"] += 1

    churn = Churn().times(options.churn) if options.churn else None
    settings = {"products": options.products, "shape": options.shape, "clock": clock, "churn": churn}
    async with Sandbox(plan=Plan.free(), latency=0.3, jitter=0.25, **settings) as sandbox:
        began = sandbox.catalogue.mark()
        seen: set[str] = set()
        async with sandbox_client(sandbox, clock=clock, hooks=[count]) as cj:
            walked = walk(cj, wait=True)
            async for product in walked:
                seen.add(product.pid)
        report = walked.report
        told = {
            "products": report.delivered,
            "missed": len(sandbox.catalogue.held_throughout(began) - seen),
            "requests": report.requests,
            "overhead": round(report.overhead, 5),
            "repaired_windows": report.repaired,
            "proved": report.proved,
            "reasons": report.reasons,
            "refused": sandbox.stats()["refused"],
            "calls_by_day": dict(calls),
        }
    print(json.dumps(told, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("pull")
    one.add_argument("--products", type=int, default=CATALOGUE)
    one.add_argument("--shape", default="market")
    one.add_argument("--null-times", type=float, default=0.0)
    one.add_argument("--out", type=Path)
    other = commands.add_parser("kill")
    other.add_argument("--products", type=int, default=300_000)
    other.add_argument("--shape", default="market")
    other.add_argument("--kills", type=int, default=30)
    other.add_argument("--format", choices=SUFFIXES)
    third = commands.add_parser("days")
    third.add_argument("--products", type=int, default=100_000)
    third.add_argument("--shape", default="growth")
    third.add_argument("--churn", type=float, default=1.0)
    inner = commands.add_parser("bring")
    inner.add_argument("base_url")
    inner.add_argument("token")
    inner.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.command == "bring":
        print(json.dumps(asyncio.run(bring(options.base_url, options.token, options.out))))
    elif options.command == "days":
        run(days(options, clock := VirtualClock()), clock=clock)
    else:
        asyncio.run(pull(options) if options.command == "pull" else kill(options))


if __name__ == "__main__":
    main()
