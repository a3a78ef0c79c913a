"""A pull of everything that matches, also beyond CJ's window: `cjasync.catalog.walk` behind `pull`."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console

from cjasync.catalog import Walk, WalkReport, walk
from cjasync.catalog.checkpoint import refuse_foreign
from cjasync.catalog.delivery import held_by
from cjasync.catalog.details import DETAILS
from cjasync.catalog.entry import Standing
from cjasync.catalog.sinks import open_sink
from cjasync.catalog.tally import Tally as WalkTally
from cjasync.cli.progress import shown
from cjasync.cli.tally import Tally
from cjasync.cli.watching import watched
from cjasync.cli.words import going_on
from cjasync.client import CJClient
from cjasync.models.product import ListedProduct
from cjasync.resources._product_endpoints import LIST

With = Literal["query", "stock"]

_NOT_SHOWN = ("certificates", "facts", "skipped_rows")  # of a report in the summary: too long for a line

AT_THE_ENDS = 8  # questions for the first look and the last, and for what the total may hide


def most_requests(total: int, size: int, window: int, *, known: bool = False) -> int:
    """How many requests a walk sends at most, for `total` products, `size` a page, `window` a question.

    What fits in a window takes a few pages more, to show that nothing moved and that the total can be believed. Else
    a second that is cut costs up to a page for every window, and products without a creation time may lie behind all
    others: they are looked for in parts a little smaller than the window. Where its borders are `known`, a window costs
    a page that is not full. (What changes meanwhile, or thousands that were created in one second, may take more.)
    """
    pages = math.ceil(total / size)
    if total <= window - size:
        return pages + 3
    windows = total / max(size, window - window % size)
    return pages + math.ceil(windows) + (0 if known else math.ceil(1.5 * windows)) + AT_THE_ENDS


async def where_it_stands(out: Path, cj: CJClient, *, filters: dict[str, Any], with_: With | None) -> Standing | None:
    """Where an earlier walk into the file has come to; None if none has begun."""
    checkpoint = Path(f"{out}.checkpoint")
    if not await asyncio.to_thread(lambda: checkpoint.exists() and checkpoint.stat().st_size):
        return None
    async with walk(cj, checkpoint=checkpoint, with_=with_, **filters) as catalogue:
        return await catalogue.open()


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
    await asyncio.to_thread(refuse_foreign, checkpoint)  # before --fresh deletes what lies beside it
    is_new = not await asyncio.to_thread(checkpoint.exists)
    catalogue = walk(cj, checkpoint=checkpoint, fresh=fresh, wait=wait, with_=with_, **filters)
    try:
        return await _into(out, cj, catalogue, tally, console, fresh=fresh, with_=with_)
    except BaseException:
        if is_new and not tally.pages:
            await asyncio.to_thread(checkpoint.unlink, missing_ok=True)  # nothing is in it
        raise


async def _into(
    out: Path, cj: CJClient, catalogue: Walk, tally: Tally, console: Console, *, fresh: bool, with_: With | None
) -> WalkReport:
    async with AsyncExitStack() as stack:
        question = catalogue.question
        sink = await stack.enter_async_context(await open_sink(out, ListedProduct, question=question, fresh=fresh))
        tally.sinks.append(sink)
        details = None
        if with_ is not None:
            opened = await open_sink(
                details_file(out, with_), DETAILS[with_].model, question=f"{with_} of {question}", fresh=fresh
            )
            details = await stack.enter_async_context(opened)
            tally.sinks.append(details)
        await stack.enter_async_context(catalogue)  # after the files, so that one that cannot be leaves nothing behind
        begun = await catalogue.open()
        earlier = begun.tally if begun.going else WalkTally()
        tally.earlier = earlier.delivered
        if begun.state != "closing":  # before it is said that it goes on, as the walk itself will look
            for each in tally.sinks:
                held_by(each, begun)
        if sink.token is not None:
            console.print(going_on(sink.partial, sink.rows), markup=False)
        elif begun.going:
            console.print(going_on(Path(f"{out}.checkpoint"), earlier.delivered), markup=False)

        def look() -> None:
            progress = catalogue.progress
            tally.products = max(0, progress.delivered - earlier.delivered)  # it counts from nothing until it goes on
            tally.pages = max(0, progress.requests - earlier.requests)
            tally.total, tally.waiting_until = progress.total, progress.waiting_until

        with shown(tally, console, LIST.path) as tell:
            async with watched(cj, LIST.path, tally, tell, look):
                return await catalogue.into(sink, details=details)


def summary(report: WalkReport) -> dict[str, Any]:
    """The report as the summary line carries it."""
    facts = msgspec.structs.asdict(report)
    return {**{name: value for name, value in facts.items() if name not in _NOT_SHOWN}, "proved": report.proved}
