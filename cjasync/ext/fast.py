"""Opt-ins that a program makes for its whole process, from the extra `fast`: docs/performance.md says when they pay.

Example::

    from cjasync.ext import fast

    async def main() -> None: ...

    fast.run(main())  # instead of asyncio.run(main())
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Coroutine
from types import ModuleType
from typing import Any, TypeVar

from cjasync._transport.inflate import inflate_with
from cjasync.errors import ConfigError

T = TypeVar("T")

# Freeing one block of that size makes glibc keep up to twice as much of what is freed later, instead of giving the
# memory of every page back to the system and asking for it again with the next.
_WARM_BLOCK = 31 << 20


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on uvloop, with quick gzip and a warm allocator. ConfigError if the extra is not installed."""
    try:
        loop_factory = None if sys.platform == "win32" else _extra("uvloop").new_event_loop
        quick_gzip()
    except ConfigError:
        main.close()
        raise
    warm_allocator()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def quick_gzip(module: str = "isal.isal_zlib") -> None:
    """Unpack answers with isal, or another module that has zlib's face. ConfigError if it is not installed."""
    inflate_with(_extra(module))


def warm_allocator() -> None:
    """Let the C library keep the memory that pages come and go in: up to 64 MB more than now. For glibc."""
    block = bytearray(_WARM_BLOCK)
    del block


def _extra(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{module} is not installed: pip install 'cjasync[fast]'") from error
