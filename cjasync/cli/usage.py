"""`usage`: what the limits have left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.progress_bar import ProgressBar
from rich.table import Table

from cjasync.cli.options import Common
from cjasync.cli.running import print_json
from cjasync.cli.words import duration, safe
from cjasync.quota.usage import BucketUsage

_BAR = 20
_WIDE = 110  # columns from which on there is room for bars
_SOON = 5.0  # seconds


async def usage(
    common: Common,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing: what is known on this machine.")] = False,
) -> None:
    """Show what every limit has left, and when it is back.

    Asks CJ one call, which costs no points.
    """
    async with common.client() as cj:
        if not offline:
            await cj.settings.get()
        told = await cj.usage()
    if common.json:
        print_json(told)
        return
    out = common.out
    wide = out.width >= _WIDE
    table = Table(box=SIMPLE_HEAD)
    table.add_column("limit", overflow="fold")
    if wide:
        table.add_column(width=_BAR)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("full again", no_wrap=True)
    for bucket in sorted(told.buckets, key=_place):
        bar, *words = _row(bucket)
        table.add_row(safe(bucket.name), *([bar] if wide else []), *words)
    out.print(table)


def _place(bucket: BucketUsage) -> tuple[int, int, str]:
    """Points first, then the rates, then the many counts of calls, the most used ones first."""
    group = ("points", "requests", "accounts", "calls").index(bucket.unit)
    return group, -bucket.used if bucket.unit == "calls" else 0, bucket.name


def _row(bucket: BucketUsage) -> tuple[ProgressBar | str, str, str]:
    if bucket.limit is None:
        return "", f"{bucket.used:,} used", "no limit"
    left = bucket.remaining if bucket.remaining is not None else bucket.limit - bucket.used
    style = "red" if left * 10 < bucket.limit else "green"
    bar = ProgressBar(
        total=max(1, bucket.limit), completed=left, complete_style=style, finished_style=style, width=_BAR
    )
    back = ""
    if bucket.resets_at is not None and left < bucket.limit:
        away = (bucket.resets_at - datetime.now(UTC)).total_seconds()
        back = f"{bucket.resets_at.astimezone(UTC):%H:%M} UTC, in {duration(away)}" if away > _SOON else "at once"
    return bar, f"{left:,} of {bucket.limit:,}", back
