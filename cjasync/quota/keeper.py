"""Who may use a store object: one event loop at a time."""

from __future__ import annotations

import asyncio

from cjasync.errors import StoreError


class Keeper:
    """Remembers the loop that a store object serves. Two that run are in two threads, and buckets have no locks."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Raises StoreError while another loop is running with it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop is not self._loop:
            if self._loop is not None and self._loop.is_running():
                raise StoreError(
                    "this quota store is used by an event loop in another thread; give each thread a store of its own, "
                    'which may be the same file: `quota="sqlite"`'
                )
            self._loop = loop
