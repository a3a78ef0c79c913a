"""Tables whose rows have an id."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table

_SHARE = 1 / 3  # of a line: an id that takes more would leave the other columns too little


def table_of(ids: Iterable[str], heading: str, width: int) -> Table:
    """A table, yet without rows, whose first column holds these ids: folded where a line of `width` lacks the room."""
    roomy = max(map(len, ids), default=0) <= width * _SHARE
    table = Table(box=SIMPLE_HEAD, padding=(0, 1 if roomy else 0))
    table.add_column(heading, style="cyan", no_wrap=roomy, overflow="fold")
    return table
