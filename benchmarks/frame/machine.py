"""Where and with what a result was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

_PACKAGES = (
    *("cjasync", "aiohttp", "msgspec", "aiolimiter", "backoff", "uvloop", "isal", "zlib-ng"),
    *("httpx", "pydantic", "orjson", "aiostream", "limits", "pyrate-limiter", "throttled-py"),
    *("pyarrow", "duckdb", "redis"),
)


class Machine(Struct, frozen=True):
    """The machine. `load` is how many processes wanted a core in the last minute, before the run began."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    load: float


def this_machine() -> Machine:
    """What we run on."""
    return Machine(
        processor=_field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        cores=len(cores()),
        memory_gb=round(int((_field("/proc/meminfo", "MemTotal") or "0").split()[0]) / 2**20, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load=round(os.getloadavg()[0], 2),
    )


def cores() -> list[int]:
    """The cores that we may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def versions() -> dict[str, str]:
    """Package to installed version, of what is installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _field(file: str, name: str) -> str | None:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
