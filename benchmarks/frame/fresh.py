"""Functions run in a process of their own: pinned to a core, with nothing in memory that it did not put there.

    in_fresh_process(measure, "tiny", rounds=100)     # the function's result, by way of JSON

The function lives in a module of `benchmarks`; its arguments and its result are what JSON can hold.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.frame.machine import cores

ROOT = Path(__file__).parent.parent.parent


def in_fresh_process(
    function: Callable[..., Any],
    /,
    *arguments: Any,
    environment: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
    core: int | None = 0,
    **named: Any,
) -> Any:
    """What the function returns. under: a command to run it with. core: which of ours, None for any."""
    place = f"{function.__module__}:{function.__qualname__}"
    told = json.dumps([arguments, named, None if core is None else pinned(core)])
    with subprocess.Popen(
        [*under, sys.executable, "-m", "benchmarks.frame.fresh", place, told],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0", **(environment or {})},
        stdin=subprocess.PIPE,  # open for as long as we live
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        result = process.stdout.read()
        if process.wait():
            # What went wrong stands on standard error by now.
            raise RuntimeError(f"{place} ended with status {process.returncode}")
    return json.loads(result)


def pinned(core: int) -> int:
    """That core of ours, counted from the end if negative."""
    return cores()[core]


def pin(core: int) -> None:
    """Stay on one core, where the system lets us."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def _end_with_parent() -> None:
    os.read(0, 1)  # returns when the other end is closed
    os._exit(1)


def _main(place: str, told: str) -> None:
    arguments, named, core = json.loads(told)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if core is not None:
        pin(core)
    # Whatever else is printed must not end up in the result.
    results, sys.stdout = sys.stdout, sys.stderr
    module, _, name = place.partition(":")
    result = getattr(importlib.import_module(module), name)(*arguments, **named)
    json.dump(result, results)


if __name__ == "__main__":
    _main(*sys.argv[1:])
