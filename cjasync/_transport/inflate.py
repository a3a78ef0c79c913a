"""Which library unpacks gzip. aiohttp keeps one for the whole process."""

from __future__ import annotations

from types import ModuleType

import aiohttp


def inflate_with(backend: ModuleType) -> None:
    """Unpack every compressed answer of this process with a module that has zlib's face."""
    aiohttp.set_zlib_backend(backend)
