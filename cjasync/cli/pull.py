"""`pull`: products into a file."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from cjasync.cli import filters
from cjasync.cli.endings import FAILED, INTERRUPTED, as_json, exit_code
from cjasync.cli.flags import flag
from cjasync.cli.options import Common
from cjasync.cli.running import note, print_json, tell
from cjasync.cli.tally import Tally
from cjasync.cli.words import counted, duration, safe
from cjasync.client import CJClient
from cjasync.errors import CheckpointError, CJError, ConfigError, OutOfReachError
from cjasync.resources import endpoints

if TYPE_CHECKING:
    from cjasync.cli.job import Job, Result


async def pull(
    common: Common,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The suffix says the format: .jsonl (.gz, .zst), .csv, .parquet, .sqlite or .duckdb.",
        ),
    ],
    api: Annotated[
        Literal["list", "list_v2"], typer.Option(help="product/list (200 a page) or product/listV2 (100 a page).")
    ] = "list",
    concurrency: Annotated[
        int | None, typer.Option(help="Pages in flight; by itself what rate and latency need.")
    ] = None,
    page_size: Annotated[int | None, typer.Option(help="Rows a page; by itself as many as CJ gives.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew; forget a run that was broken off.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask one page, and say what all would cost.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="At a day's end sleep until the reset, and go on.")] = False,
    incomplete_ok: Annotated[
        bool, typer.Option("--incomplete-ok", help="End with 0 even if the file may not hold all that matches.")
    ] = False,
    with_: Annotated[
        Literal["query", "stock"] | None,
        typer.Option(
            "--with", help="Ask about each product too (10 points each): p.csv and p.query.csv, or p.stock.csv."
        ),
    ] = None,
    **given: Any,
) -> int | None:
    """Pull products into a file.

    Every page, several in flight, as fast as the plan allows and no faster. All of product/list, also where CJ shows
    only a window of it: FILE.checkpoint knows how far that is.

    The file appears under its name when it is complete. Until then, and after Ctrl-C, what was fetched is in
    FILE.partial, which opens as such files do, and the same command goes on there.
    """
    from cjasync.cli.job import Job

    job = Job(
        api=api,
        out=out,
        filters=filters.read(api, given),
        page_size=page_size,
        concurrency=concurrency,
        fresh=fresh,
        incomplete_ok=incomplete_ok,
        wait=wait,
        with_=with_,
    )
    settings = common.settings()
    if wait:
        settings = msgspec.structs.replace(settings, on_exhausted="wait")
    tally = Tally(settings.plan, {path: endpoint.points for path, endpoint in endpoints().items()})
    try:
        async with common.client(settings, hooks=[tally.hook]) as cj:
            if dry_run:
                await _estimate(common, cj, job)
                return None
            result = await job.run(cj, tally, common.err)
    except CJError as error:
        _broken_off(common, job, tally, error)
        return exit_code(error)
    except asyncio.CancelledError:
        _broken_off(common, job, tally, None)
        raise
    show(common, job, result, tally)
    return None if result.complete or incomplete_ok else FAILED


# Typer reads the options of a function from its signature: the filters are written down once, at the methods.
pull.__dict__["__signature__"] = inspect.Signature(
    [
        *(p for p in inspect.signature(pull, eval_str=True).parameters.values() if p.name != "given"),
        *filters.options(),
    ]
)


def show(common: Common, job: Job, result: Result, tally: Tally) -> None:
    """The summary of a pull that is complete."""
    if common.json:
        print_json(result)
        return
    common.out.print(f"[bold green]{counted(result.unique, 'product')}[/] in [bold]{safe(result.file)}[/]")
    calls = ", ".join(f"{number:,} {path}" for path, number in tally.calls.most_common())
    common.out.print(
        f"{counted(result.requests, 'request')} ({calls}; "
        f"{result.refused:,} refused, {result.retried:,} retried), {counted(result.points, 'point')}, "
        f"{duration(result.seconds)}"
    )
    if result.walk is not None and result.walk["proved"]:
        walk = result.walk
        proofs = "1 window proves" if walk["windows"] == 1 else f"{walk['windows']:,} windows prove"
        in_all = f" in {walk['runs']} runs" if walk["runs"] > 1 else ""
        common.out.print(
            f"Complete, as {proofs}: CJ counted {walk['total_before']:,} before and "
            f"{walk['total_after']:,} after; {counted(walk['requests'], 'request')} for pages"
            f"{in_all}, where {walk['lower_bound']:,} are the least"
        )
    elif result.walk is not None:
        note(common, f"not proved to be complete: {'; '.join(result.walk['reasons'])}")
    elif result.products > result.unique:
        note(common, f"{result.products - result.unique:,} rows came again; the newest row of each product stays")
    if not result.products and job.filters:
        filters = ", ".join(map(flag, job.filters))
        note(common, f"no product matches: look at {filters} (for an id that it does not know, CJ says the same)")
    if result.unreachable:
        note(common, f"{result.unreachable:,} products that match are out of reach; narrower filters would show them")
    if first := tally.first_skipped:
        note(common, f"{counted(result.skipped, 'row')} could not be read; the first: {first.path}: {first.reason}")


def _broken_off(common: Common, job: Job, tally: Tally, error: CJError | None) -> None:
    """What happened, and where what was fetched is."""
    from cjasync.catalog.sinks import hint_for

    kept = [sink for sink in tally.sinks if sink.committed and sink.partial.exists()]
    if common.json:
        told = (
            {"error": "Interrupted", "message": "interrupted", "exit_code": INTERRUPTED}
            if error is None
            else as_json(error, common.names)
        )
        rows = kept[0].committed if kept else 0
        print_json({**told, "products": rows, "partial": str(kept[0].partial) if kept else None})
        return
    if error is None:
        common.loud.print("[bold]Interrupted.[/]")
    else:
        tell(common, error)
    again = "the same command without --fresh goes on there" if job.fresh else "the same command goes on there"
    if isinstance(error, OutOfReachError):
        again = "the same command and --incomplete-ok makes the file of them"
    if isinstance(error, CheckpointError):
        again = "--fresh deletes them"
    for sink in kept:
        what = "products are" if sink is kept[0] else "rows are"
        common.loud.print(f"{sink.committed:,} {what} safe in {safe(sink.partial)}; {again}.")
        if hint := hint_for(sink.path, sink.partial):
            common.loud.print(safe(hint))


async def _estimate(common: Common, cj: CJClient, job: Job) -> None:
    """What the whole would cost, from the first page's total."""
    page = await job.pager(cj)
    if page.total is None:
        raise ConfigError(f"{job.path} does not say how many products match")
    earlier = await job.standing(cj)
    there = earlier.tally.delivered if earlier is not None and earlier.going else 0
    least, most = job.requests(page, cj.config.plan.list_window, earlier)
    told = await cj.estimate(job.path, most)
    unreachable = 0 if job.walks(cj.config.plan.list_window) else page.unreachable
    if common.json:
        facts = {"products": page.total, "there": there, "unreachable": unreachable, "least_requests": least}
        print_json({**facts, **msgspec.structs.asdict(told)})
        return
    common.out.print(f"[bold]{counted(page.total, 'product')}[/] {'matches' if page.total == 1 else 'match'}")
    if there:
        common.out.print(f"{there:,} of them are there already, from a run before; --fresh begins anew")
    if unreachable:
        common.out.print(f"{unreachable:,} of them are out of reach; --incomplete-ok takes the others")
    price = told.points // told.requests
    span, points = ("", "") if least == most else (f"{least:,} to about ", f"{least * price:,} to about ")
    limited = "" if told.limited_by == "nothing" else f" (limited by {told.limited_by})"
    common.out.print(
        f"{span}{counted(told.requests, 'request')}, {points}{counted(told.points, 'point')}, "
        f"{duration(told.seconds)}{limited}, done by {told.ends_at:%Y-%m-%d %H:%M} UTC"
    )
    if job.with_ is not None:
        from cjasync.catalog.details import DETAILS

        more = await cj.estimate(DETAILS[job.with_].endpoint.path, page.total)
        common.out.print(
            f"and for --with {job.with_} {counted(more.requests, 'request')}, {counted(more.points, 'point')}, "
            f"{duration(more.seconds)}, done by {more.ends_at:%Y-%m-%d} at the earliest"
        )
