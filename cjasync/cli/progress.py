"""How far a pull is: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC

from rich.console import Console
from rich.text import Text

from cjasync.cli.tally import Tally
from cjasync.cli.words import counted, duration

_FIRST_LINE, _NEXT_LINE = 2.0, 15.0  # seconds
_BESIDE = 10  # columns that the spinner, the share and the gaps take


@contextmanager
def shown(tally: Tally, console: Console, what: str) -> Iterator[Callable[[], None]]:
    """Shows the tally while the block runs; gives a function to call whenever it has changed."""
    if console.quiet:
        yield lambda: None
    elif console.is_terminal:
        yield from _bar(tally, console, what)
    else:
        yield _lines(tally, console, what)


def _bar(tally: Tally, console: Console, what: str) -> Iterator[Callable[[], None]]:
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.spinner import Spinner
    from rich.table import Table

    spinner = Spinner("dots", style="cyan")

    def picture() -> Table:
        done = tally.earlier + tally.products
        table = Table.grid(padding=(0, 1))
        width = max(4, min(30, console.width - len(what) - _BESIDE))
        bar = ProgressBar(total=tally.total, completed=done, width=width, pulse=tally.total is None)
        share = "" if not tally.total else f"{min(100, 100 * done // tally.total)} %"
        table.add_row(spinner, Text(what, style="bold"), bar, Text(share, style="cyan"))
        lines = Table.grid()
        lines.add_row(table)
        lines.add_row(Text(f"  {facts(tally)}", style="dim", overflow="fold"))
        return lines

    with Live(console=console, get_renderable=picture, transient=True, refresh_per_second=8):
        yield lambda: None


def _lines(tally: Tally, console: Console, what: str) -> Callable[[], None]:
    due = time.monotonic() + _FIRST_LINE

    def tell() -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _NEXT_LINE
            console.print(f"{what}: {facts(tally)}", markup=False)

    return tell


def facts(tally: Tally) -> str:
    """`12,400 of 50,000 products · 62 pages · 3.9 of 4 req/s · 46,900 points left · 47 s to go`."""
    total = "" if tally.total is None else f" of {tally.total:,}"
    permitted = "" if tally.permitted is None else f" of {tally.permitted:g}"
    told = [
        f"{tally.earlier + tally.products:,}{total} products",
        counted(tally.pages, "page"),
        f"{tally.pace:.1f}{permitted} req/s",
    ]
    if tally.points_left is not None:
        told.append(f"{tally.points_left:,} points left")
    if (until := tally.waiting_until or tally.empty_until) is not None:
        told.append(f"waiting until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    if (left := seconds_left(tally)) is not None:
        told.append(f"{duration(left)} to go")
    return " · ".join(told)


def seconds_left(tally: Tally) -> float | None:
    """Until the last product at the pace so far, or as the limits allow where that takes longer."""
    if not tally.total or not tally.products or tally.seconds < 1:
        return None
    left = max(0, tally.total - tally.earlier - tally.products)
    return max(left * tally.seconds / tally.products, tally.limits_need or 0)
