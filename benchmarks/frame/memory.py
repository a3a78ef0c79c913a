"""What this process holds, as the system sees it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path


def resident() -> int:
    """Bytes of real memory now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak()  # no Linux: the best there is without a package
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """The most real memory that it ever held, in bytes."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    # Not getrusage: on Linux it begins with what the process that started this one held.
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
