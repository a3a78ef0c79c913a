"""`usage`: what the limits have left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.progress_bar import ProgressBar
from rich.table import Column, Table

from cjasync.cli.options import Common
from cjasync.cli.running import print_json
from cjasync.cli.words import duration, safe
from cjasync.quota.usage import BucketUsage

_WIDE = 110  # columns from which on there is room for long bars and times of day
_BARS = 70  # columns from which on there is room for bars at all
_SOON = 5.0  # seconds
_HOURS = 12  # in the chart
_LEVELS = "▁▂▃▄▅▆▇█"
_WHOSE = {"server": "CJ", "local": "us", "user": "you"}


async def usage(
    common: Common,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing: what is known on this machine.")] = False,
) -> None:
    """Show what every limit has left, and when it is back.

    Asks CJ one call, which costs no points. Whose a limit is: CJ's own figure; ours, presumed until CJ says; or yours,
    from --daily-points and --daily-calls or the plan, of what was sent since the day began.
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
    table.add_column("limit", min_width=8, overflow="fold")
    bars = out.width >= _BARS
    if bars:
        table.add_column(width=20 if wide else 10)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("full again", min_width=7, no_wrap=bars)
    table.add_column("by", no_wrap=True)
    buckets = sorted(told.buckets, key=_place)
    for bucket in buckets:
        if bucket.limit is not None:  # of the others the chart says what was used
            bar, *told_of = _row(bucket, bucket.limit, wide)
            table.add_row(safe(bucket.name), *([bar] if bars else []), *told_of, _WHOSE[bucket.source])
    out.print(table)
    charts = Table(
        "", f"last {_HOURS} hours", Column("used", justify="right"), box=None, padding=(0, 2), header_style=""
    )
    for name, bucket in {bucket.name: bucket for bucket in buckets}.items():
        if chart := hourly(bucket, now := datetime.now(UTC)):
            charts.add_row(safe(name), chart, f"{sum(_used(bucket, now)):,}")
    if charts.row_count:
        out.print(charts)


def hourly(bucket: BucketUsage, now: datetime) -> str:
    """What the last hours have used, a character an hour, the running one last; empty if there is nothing to show."""
    used = _used(bucket, now)
    most = max(used)
    if not most or bucket.unit not in ("points", "calls"):
        return ""
    return "".join(_LEVELS[(each * len(_LEVELS) - 1) // most] if each else "·" for each in used)


def _used(bucket: BucketUsage, now: datetime) -> list[int]:
    this = now.replace(minute=0, second=0, microsecond=0)
    hours = {round((this - hour.starts_at).total_seconds() / 3600): hour.used for hour in bucket.hours}
    return [hours.get(ago, 0) for ago in reversed(range(_HOURS))]


def _place(bucket: BucketUsage) -> tuple[int, int, str]:
    """Points first, then the rates, then the many counts of calls, the most used ones first."""
    group = ("points", "requests", "accounts", "calls").index(bucket.unit)
    return group, -bucket.used if bucket.unit == "calls" else 0, bucket.name


def _row(bucket: BucketUsage, limit: int, wide: bool) -> tuple[ProgressBar | str, str, str]:
    left = bucket.remaining if bucket.remaining is not None else limit - bucket.used
    style = "red" if left * 10 < limit else "green"
    bar = ProgressBar(total=max(1, limit), completed=left, complete_style=style, finished_style=style)
    back = ""
    if bucket.resets_at is not None and left < limit:
        away = (bucket.resets_at - datetime.now(UTC)).total_seconds()
        back = f"in {duration(away)}" if away > _SOON else "at once"
        if wide and away > _SOON:
            day = "" if bucket.resets_at.date() == datetime.now(UTC).date() else "%Y-%m-%d "
            back = f"{bucket.resets_at.astimezone(UTC):{day}%H:%M} UTC, {back}"
    return bar, f"{left:,} of {limit:,}", back
