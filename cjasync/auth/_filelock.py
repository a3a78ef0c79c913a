"""A lock between processes that ends with its holder, however that ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


# A lock is held for one request to CJ: looking again this often costs nothing and is soon enough.
_SOONEST = 0.002
_LATEST = 0.05


class FileLock:
    """One attempt to hold the lock of a file. The kernel frees it when the file is closed, so also by kill -9."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        _OPEN.add(self)

    def take(self) -> bool:
        """Take it if it is free."""
        try:
            _try_lock(self._fd)
        except (BlockingIOError, PermissionError):  # what flock and msvcrt say of a lock that another holds
            return False
        return True

    def close(self) -> None:
        """Free it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


async def until(taken: Callable[[], bool]) -> None:
    """Return once `taken()` is true. Asking again is cancelled at once, which a thread in a blocking call is not."""
    pause = _SOONEST
    while not taken():
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LATEST)


_OPEN: WeakSet[FileLock] = WeakSet()


def _close_in_child() -> None:
    # A forked child shares the parent's locks and would keep them after the parent's death.
    for lock in list(_OPEN):
        lock.close()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_in_child)
