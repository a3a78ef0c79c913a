"""A pull of everything that matches, also beyond CJ's window: `cjasync.catalog.walk` behind `pull`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console

from cjasync.catalog import Walk, WalkReport, walk
from cjasync.catalog.details import DETAILS
from cjasync.catalog.sinks import open_sink
from cjasync.cli.progress import shown
from cjasync.cli.tally import Tally
from cjasync.client import CJClient
from cjasync.models.product import ListedProduct

With = Literal["query", "stock"]

_LOOK = 0.25  # seconds between two looks at how far it is
_NOT_SHOWN = ("certificates", "facts", "skipped_rows")  # of a report in the summary: too long for a line


def details_file(out: Path, with_: With) -> Path:
    """Where the details go: products.parquet -> products.query.parquet."""
    name, dot, suffixes = out.name.partition(".")
    return out.with_name(f"{name}.{with_}{dot}{suffixes}")


async def walk_into(
    out: Path,
    cj: CJClient,
    tally: Tally,
    console: Console,
    *,
    filters: dict[str, Any],
    fresh: bool,
    wait: bool,
    with_: With | None,
) -> WalkReport:
    """Bring everything into the file, going on where FILE.checkpoint has stopped."""
    checkpoint = Path(f"{out}.checkpoint")
    is_new = not await asyncio.to_thread(checkpoint.exists)
    catalogue = walk(cj, checkpoint=checkpoint, fresh=fresh, wait=wait, with_=with_, **filters)
    try:
        return await _into(out, catalogue, tally, console, fresh=fresh, with_=with_)
    except BaseException:
        if is_new and not tally.pages:
            await asyncio.to_thread(checkpoint.unlink, missing_ok=True)  # nothing is in it
        raise


async def _into(
    out: Path, catalogue: Walk, tally: Tally, console: Console, *, fresh: bool, with_: With | None
) -> WalkReport:
    async with AsyncExitStack() as stack:
        question = catalogue.question
        sink = await stack.enter_async_context(await open_sink(out, ListedProduct, question=question, fresh=fresh))
        details = None
        if with_ is not None:
            opened = await open_sink(
                details_file(out, with_), DETAILS[with_].model, question=f"{with_} of {question}", fresh=fresh
            )
            details = await stack.enter_async_context(opened)
        await stack.enter_async_context(catalogue)  # after the files, so that one that cannot be leaves nothing behind
        if sink.token is not None:
            console.print(f"Going on with {sink.partial}: {sink.rows:,} products are there.", markup=False)
        with shown(tally, console, "product/list") as tell:
            async with _watched(catalogue, tally, tell):
                report = await catalogue.into(sink, details=details)
        return report


@asynccontextmanager
async def _watched(catalogue: Walk, tally: Tally, tell: Callable[[], None]) -> AsyncGenerator[None, None]:
    """Keep the tally up to the walk while the block runs, and once more at its end."""
    began = catalogue.progress.requests

    def look() -> None:
        progress = catalogue.progress
        tally.products, tally.total = progress.delivered, progress.total
        tally.pages = progress.requests - began

    async def looking() -> None:
        while True:
            await asyncio.sleep(_LOOK)
            look()
            tell()

    task = asyncio.ensure_future(looking())
    try:
        yield
    finally:
        task.cancel()
        look()


def summary(report: WalkReport) -> dict[str, Any]:
    """The report as the summary line carries it."""
    facts = msgspec.structs.asdict(report)
    return {**{name: value for name, value in facts.items() if name not in _NOT_SHOWN}, "proved": report.proved}
