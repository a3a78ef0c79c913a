"""Brings what a source finds into a sink, and keeps it safe whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import aclosing

from cjasync.catalog.sinks import FileSink
from cjasync.cli.source import Source
from cjasync.cli.tally import Tally
from cjasync.errors import OutputError

_SHARE = 10  # commits take a tenth of the time at most


async def write_all(source: Source, sink: FileSink, tally: Tally, tell: Callable[[], None]) -> None:
    """Write everything that the source finds; `tell` is called after each page.

    However it ends, by an error or Ctrl-C, what was written is committed before that is passed on.
    """
    token: bytes | None = None
    due = 0.0
    try:
        async with aclosing(source.found()) as batches:
            async for found in batches:
                await sink.write(found.rows)
                token = found.token
                if found.rows or found.skipped:
                    tally.rows(len(found.rows), found.skipped, source.total)
                    tell()
                if (began := time.monotonic()) >= due:
                    await sink.commit(token)
                    took = time.monotonic() - began
                    due = began + took * _SHARE
    except (Exception, asyncio.CancelledError) as error:
        if token is not None and not isinstance(error, OutputError):
            with contextlib.suppress(OutputError):
                await sink.commit(token)
        raise
    if token is not None:
        await sink.commit(token)
