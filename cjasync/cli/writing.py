"""Brings what a source finds into a sink, and keeps it safe whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing

from cjasync.catalog.sinks import FileSink
from cjasync.catalog.sinks.pace import Pace
from cjasync.cli.source import Source
from cjasync.cli.tally import Tally
from cjasync.errors import OutputError


async def write_all(source: Source, sink: FileSink, tally: Tally) -> None:
    """Write everything that the source finds.

    However it ends, by an error or Ctrl-C, what was written is committed before that is passed on.
    """
    token: bytes | None = None
    pace = Pace()
    try:
        async with aclosing(source.found()) as batches:
            async for found in batches:
                await sink.write(found.rows)
                token = found.token
                if found.rows or found.skipped:
                    tally.rows(len(found.rows), found.skipped, source.total)
                if pace.due:
                    with pace.committing():
                        await sink.commit(token)
    except (Exception, asyncio.CancelledError) as error:
        if token is not None and not isinstance(error, OutputError):
            with contextlib.suppress(OutputError):
                await sink.commit(token)
        raise
    if token is not None:
        await sink.commit(token)
