"""A walk of days, in virtual time: on a small plan, over a catalogue that changes meanwhile, window by window."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from cjasync import hooks
from cjasync.catalog import walk
from cjasync.config import Plan
from cjasync.sandbox import Churn
from cjasync.testing.clock import VirtualClock, run
from tests.integration.walking import Shelf, shop

PRODUCTS = 12_000  # six windows of ten pages
DAY = 86_400


class Diary:
    """Calls by day."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.calls: Counter[int] = Counter()

    def hook(self, event: hooks.Event) -> None:
        if isinstance(event, hooks.Attempt) and event.endpoint == "product/list":
            self.calls[int(self.clock.time() // DAY)] += 1


@pytest.mark.parametrize(
    ("limits", "days"),
    [({"daily_calls": 17, "daily_points": None}, 5), ({"daily_calls": None, "daily_points": 700}, 3)],
    ids=["calls", "points that trickle"],
)
def test_a_week_on_a_small_plan(limits, days):
    clock = VirtualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    diary = Diary(clock)
    plan = Plan(**{"qps": 1, "ip_qps": None, "list_window": 2000, **limits})

    async def main():
        settings = {
            "clock": clock,
            "churn": Churn(repriced=0.001).times(20),
            "latency": 0.25,
            "jitter": 0.2,
            "null_times": 0.0,
        }
        # CJ's points trickle, and CJ says how many there are: a limit of the user's own would not.
        client = {"clock": clock, "hooks": [diary.hook], "plan": replace(plan, daily_points=Plan.free().daily_points)}
        async with shop(PRODUCTS, window=2000, plan=plan, client=client, **settings) as (sandbox, cj):
            began = sandbox.catalogue.mark()
            shelf = Shelf()
            report = await walk(cj, wait=True).into(shelf)
            missed = sandbox.catalogue.held_throughout(began) - shelf.rows.keys()
            return report, missed, shelf.doubled, sandbox.stats()

    report, missed, doubled, stats = run(main(), clock=clock)
    assert not missed
    assert not doubled
    assert report.proved, report.reasons
    assert stats["refused"] == 0
    assert days <= len(diary.calls) <= days + 2
    if limits["daily_calls"]:
        assert max(diary.calls.values()) <= 17
    # Each window was read without a pause: no page of it had to be read again because of one.
    assert report.requests <= report.lower_bound + report.windows + 10
