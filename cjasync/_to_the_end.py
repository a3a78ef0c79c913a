"""Waiting for what must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(work: Awaitable[T]) -> T:
    """Its result. However often the caller is cancelled meanwhile, it is done before the CancelledError passes."""
    job = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not job.done():
        try:
            await asyncio.wait((job,))
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is None:
        return job.result()
    if not job.cancelled():
        job.exception()  # seen; whoever was cancelled does not want to know
    raise cancelled
