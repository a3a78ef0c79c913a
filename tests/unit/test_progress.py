"""What a pull shows on a terminal, however narrow."""

import asyncio
import io
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from cjasync import Plan
from cjasync.cli.progress import facts, shown
from cjasync.cli.tally import Tally
from cjasync.cli.watching import watched
from cjasync.sandbox import Sandbox
from cjasync.testing.clock import VirtualClock
from cjasync.testing.plugin import sandbox_client


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


async def test_who_waits_for_a_day_of_his_own_limit_is_told_until_when() -> None:
    clock, looked = VirtualClock(datetime(2026, 3, 1, 12, tzinfo=UTC)), asyncio.Event()
    own = Plan(daily_points=70)
    async with Sandbox(products=1, clock=clock) as sandbox, sandbox_client(sandbox, plan=own, clock=clock) as cj:
        tally = Tally(own, {"product/list": 50})
        await cj.products.list()
        async with watched(cj, "product/list", tally, looked.set):
            await looked.wait()
    assert tally.points_left == 20, "of the user's own, and not of CJ's 50,000"
    assert "20 points left · waiting until 2026-03-02 00:00 UTC" in facts(tally)
