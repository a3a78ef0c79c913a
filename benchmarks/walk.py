"""A whole catalogue into a file: requests beyond the least possible, and what being killed costs.

A catalogue is walked without a rate limit, in a process of its own, and once more with the borders that the first walk
left. Others are ended with SIGKILL at random moments, again and again, and the file they leave is compared with CJ.

Larger ones by hand, a quarter of an hour each:

    python -c "from benchmarks import walk; print(walk.run(1_495_292, '.parquet', kills=0).tables[0].rows)"
    python -c "from benchmarks import walk; print(walk.run(9_000, '.csv', 300_000, 30, ['.parquet']).tables[1].rows)"
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.frame import Figure, Findings, Table, question
from benchmarks.frame.fresh import ROOT, in_fresh_process
from benchmarks.frame.memory import peak
from cjasync import CJClient
from cjasync.catalog import walk
from cjasync.catalog.sinks import open_sink, read_rows
from cjasync.config import Plan
from cjasync.models import ListedProduct
from cjasync.sandbox import Sandbox, SandboxProcess

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
        "proved": "yes" if report.proved else "no",
        "reasons": report.reasons,
        "runs": report.runs,
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_until_begun": round(opened, 3),
        "peak_memory_mb": peak() >> 20,
    }


async def in_a_process(base_url: str, token: str, out: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.walk", base_url, token, str(out), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


@question("What does a walk need beyond the least possible, and what does being killed cost it?")
def run(
    products: int = 200_000,
    suffix: str = ".jsonl",
    killed_products: int = 60_000,
    kills: int = 10,
    killed_suffixes: Sequence[str] = (".jsonl", ".sqlite"),
) -> Findings:
    """products, suffix: of the catalogue that is walked twice. The others: of the walks that are killed."""
    walks = in_fresh_process(measure, products, suffix, core=None)
    return _report(walks, in_fresh_process(measure_killed, killed_products, kills, killed_suffixes, core=None))


def measure(products: int, suffix: str) -> dict[str, Any]:
    """What two walks, one after the other, have to tell."""
    return asyncio.run(_walked_twice(products, suffix))


def measure_killed(products: int, kills: int, suffixes: Sequence[str]) -> dict[str, Any]:
    """What killed walks have to tell."""
    return asyncio.run(_all_killed(products, kills, suffixes))


async def _walked_twice(products: int, suffix: str) -> dict[str, Any]:
    """The second walk knows where the windows of the first one ended."""
    walks = {}
    async with SandboxProcess(products=products, plan=NO_LIMITS) as sandbox:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / f"products{suffix}"
            for which in ("first walk", "second walk"):
                process = await in_a_process(sandbox.base_url, sandbox.access_token, out)
                told, _ = await process.communicate()
                walks[which] = json.loads(told)
    return walks


async def _all_killed(products: int, kills: int, suffixes: Sequence[str]) -> dict[str, Any]:
    walks = {}
    for suffix in suffixes if kills else ():
        async with Sandbox(products=products, plan=NO_LIMITS, latency=0.005) as sandbox:
            with tempfile.TemporaryDirectory() as folder:
                walks[suffix] = await _killed(sandbox, Path(folder) / f"products{suffix}", kills)
    return walks


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


def _report(walks: dict[str, Any], killed: dict[str, Any]) -> Findings:
    found = Findings()
    for title, told in (("Walks that nothing disturbs", walks), ("Walks killed at random moments", killed)):
        columns = [name for name, value in next(iter(told.values()), {}).items() if not isinstance(value, list)]
        rows: list[list[Any]] = [[which, *(facts[name] for name in columns)] for which, facts in told.items()]
        found.tables.append(Table(title, ["walk", *(name.replace("_", " ") for name in columns)], rows))
    for place, facts in enumerate(walks.values(), 1):
        found.figures[f"overhead_{place}"] = Figure(facts["overhead"])
    found.figures["wrong_after_kills"] = Figure(sum(facts["missing"] + facts["doubled"] for facts in killed.values()))
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(bring(sys.argv[1], sys.argv[2], Path(sys.argv[3])))))
