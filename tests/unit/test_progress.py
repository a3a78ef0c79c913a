"""What a pull shows on a terminal, however narrow."""

import io
import re

import pytest
from rich.console import Console

from cjasync import Plan
from cjasync.cli.progress import shown
from cjasync.cli.tally import Tally


@pytest.mark.parametrize("width", [30, 40, 50, 80, 200])
def test_the_bar_and_its_share_stand_on_one_line(width: int) -> None:
    tally = Tally(Plan.free(), {})
    tally.total, tally.products = 50_000, 12_400
    screen = io.StringIO()
    with shown(tally, Console(width=width, force_terminal=True, file=screen), "product/list"):
        pass
    first, *rest = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").split("\n")
    assert "product/list" in first
    assert first.rstrip().endswith(" 24 %")
    assert all(len(line) <= width for line in [first, *rest])
