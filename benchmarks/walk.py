"""A whole catalogue into a file: time, memory, requests, and what being killed costs. Run by hand; it takes minutes.

    python benchmarks/walk.py pull [--products N] [--out FILE] [--shape NAME]
    python benchmarks/walk.py kill [--products N] [--kills K] [--format .parquet]

`pull` reads a sandbox of 1,495,292 products without a rate limit, in a process of its own, and once more with the
borders that the first walk left. `kill` ends the pulling process with SIGKILL at random moments, and looks at the file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cjasync import CJClient
from cjasync.catalog import walk
from cjasync.catalog.sinks import SUFFIXES, open_sink, read_rows
from cjasync.config import Plan
from cjasync.models import ListedProduct
from cjasync.sandbox import Sandbox, SandboxProcess

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
        sys.executable, __file__, "bring", base_url, token, str(out), stdout=asyncio.subprocess.PIPE
    )


async def pull(options: argparse.Namespace) -> None:
    """The whole catalogue, twice: the second walk knows where its windows end."""
    async with SandboxProcess(products=options.products, shape=options.shape, plan=NO_LIMITS) as sandbox:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("pull")
    one.add_argument("--products", type=int, default=CATALOGUE)
    one.add_argument("--shape", default="market")
    one.add_argument("--out", type=Path)
    other = commands.add_parser("kill")
    other.add_argument("--products", type=int, default=300_000)
    other.add_argument("--shape", default="market")
    other.add_argument("--kills", type=int, default=30)
    other.add_argument("--format", choices=SUFFIXES)
    inner = commands.add_parser("bring")
    inner.add_argument("base_url")
    inner.add_argument("token")
    inner.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.command == "bring":
        print(json.dumps(asyncio.run(bring(options.base_url, options.token, options.out))))
    else:
        asyncio.run(pull(options) if options.command == "pull" else kill(options))


if __name__ == "__main__":
    main()
