"""Import and start: how long until a program, or the command line, can begin."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.frame import Bar, Chart, Findings, Table, question
from benchmarks.frame.compare import CALM, COPY, Comparison
from benchmarks.frame.fresh import ROOT, pin, pinned

AIOHTTP, OURS = 'python -c "import aiohttp"', 'python -c "from cjasync import CJClient"'
HELP, NAME = "cjasync --help", 'python -c "import cjasync"'
READY = "cjasync: a client, ready for its first call"
CODE = {
    AIOHTTP: "import aiohttp",
    OURS: "from cjasync import CJClient",
    NAME: "import cjasync",
    READY: (
        "import asyncio; from cjasync import CJClient\n"
        "async def main():\n"
        "    async with CJClient(access_token='x', quota='memory', token_store='memory') as cj:\n"
        "        cj._open_transport()\n"
        "asyncio.run(main())"
    ),
    "python -c pass": "pass",
    "httpx": "import httpx",
    "pydantic": "import pydantic; pydantic.BaseModel",
}


@question("How long until a program that imports cjasync, or its command line, can begin?")
def run(rounds: int = 12, seconds: float = 20.0) -> Findings:
    """rounds: how often each is started, in random order, and more until A/A is calm or the seconds are over."""
    commands = {name: [sys.executable, "-c", code] for name, code in CODE.items()}
    script = shutil.which("cjasync", path=str(Path(sys.executable).parent))
    if script is not None:
        commands[HELP] = [script, "--help"]
    comparison = Comparison(AIOHTTP, {name: [] for name in (*commands, AIOHTTP + COPY)})
    names = list(comparison.samples)
    order = random.Random(1)
    failing = {name for name, command in commands.items() if _cpu_seconds(command) is None}
    names = [name for name in names if name not in failing]
    ends = time.perf_counter() + seconds
    done = 0
    while done < rounds or (abs(comparison.copy - 1) > CALM and time.perf_counter() < ends):
        done += 1
        order.shuffle(names)
        for name in names:
            seconds = _cpu_seconds(commands[name.removesuffix(COPY)])
            assert seconds is not None, f"{name} failed"
            comparison.samples[name].append(seconds)
    for name in failing:
        del comparison.samples[name]
    return _report(comparison, failing)


def _cpu_seconds(command: list[str]) -> float | None:
    """Processor time of a command from its start to its end; None if it failed."""
    core = pinned(0)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0", "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: pin(core),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return None if process.returncode else used.ru_utime + used.ru_stime


def _report(comparison: Comparison, failing: set[str]) -> Findings:
    found = Findings()
    times = {name: 1 / comparison.ratio(name) for name in comparison.samples}
    rows: list[list[Any]] = [
        [name, round(comparison.cpu(name) * 1e3, 1), round(time, 3)]
        for name, time in sorted(times.items(), key=lambda item: item[1])
    ]
    found.tables.append(Table("Processor time from start to end", ["what", "ms", "x import aiohttp"], rows))
    for figure, name in (("import_vs_aiohttp", OURS), ("ready_vs_aiohttp", READY), ("help_vs_aiohttp", HELP)):
        if name in times:
            found.figures[figure] = comparison.figure(name, inverse=True)
    bars = [Bar(row[0], row[1], "cjasync" in row[0]) for row in rows if COPY not in row[0]]
    found.charts.append(Chart("Processor time from start to end", "ms", bars, less=True))
    found.notes += [f"{name} could not be started." for name in sorted(failing)]
    return found
