"""Instructions instead of seconds: a second opinion that neighbours hardly touch. Needs valgrind.

Each contestant has a process of its own under callgrind, because CPython adapts its bytecode to whoever ran last, which
alone would move the counts by some percent. Counting is switched on from inside, once the contestant has warmed up.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.machine import cores

WARM_UP = 200  # calls
SETTLE = 0.1  # seconds for what a call puts off, which is its cost all the same


def can_count() -> bool:
    """Whether valgrind is here, with the part that switches it."""
    return shutil.which("valgrind") is not None and shutil.which("vgdb") is not None


def counted(measure: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> list[float]:
    """The results of a function of `benchmarks` that calls `count`, one process for each tuple of arguments."""
    with tempfile.TemporaryDirectory(prefix="cjasync-bench-") as folder, ThreadPoolExecutor(len(cores())) as pool:

        def one(n: int) -> float:
            file = f"{folder}/{n}"
            tool = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={file}")
            return in_fresh_process(measure, *arguments[n], under=tool, environment={_FILE: file}, core=None)

        # As many at once as there are cores: a count does not care who else is busy.
        return list(pool.map(one, range(len(arguments))))


async def count(opened: AbstractAsyncContextManager[Callable[[], Awaitable[object]]], calls: int) -> float:
    """Instructions of one call, over that many. For processes started by `counted`."""
    gc.disable()
    async with opened as one:
        for _ in range(WARM_UP):
            await one()
        _monitor("instrumentation", "on")
        await one()
        _monitor("zero")
        await asyncio.sleep(SETTLE)
        nothing = _collected()  # switching and settling are not the contestant's
        _monitor("zero")
        for _ in range(calls):
            await one()
        await asyncio.sleep(SETTLE)
        return (_collected() - nothing) / calls


_FILE = "BENCHMARKS_COUNTS"


def _collected() -> int:
    """Instructions since the last "zero"."""
    _monitor("dump")
    file = Path(os.environ[_FILE])
    latest = max(file.parent.glob(f"{file.name}.*"), key=lambda dump: int(dump.suffix[1:]))
    told = re.search(r"^(?:totals|summary): (\d+)", latest.read_text(), re.MULTILINE)
    assert told is not None, f"{latest.name} tells no total"
    return int(told[1])


def _monitor(*command: str) -> None:
    subprocess.run(["vgdb", f"--pid={os.getpid()}", *command], check=True, capture_output=True)
