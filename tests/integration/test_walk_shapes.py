"""Walks over catalogues of every shape, that move while they are read, behind servers with every weakness.

What must be true of all: each product that existed from the first question to the last is delivered, none twice, and
none that never existed.
"""

from __future__ import annotations

from typing import Any

import pytest

from cjasync.catalog import WalkReport, walk
from cjasync.sandbox import Churn, Fault
from tests.integration.walking import drain, pids, shop

SPREAD = 86.4  # seconds between two calls that spread a thousand over a day; a walk does better, and reads in bursts
BURST = 2.0
CHURN = {
    "still": None,
    "x1 spread": Churn(seconds_per_call=SPREAD),
    "x10": Churn(seconds_per_call=BURST).times(10),
    "x50": Churn(seconds_per_call=BURST).times(50),
}


async def walked(products: int, *, window: int | None = 2000, **settings: Any) -> tuple[WalkReport, set[str], int]:
    """The report of a walk, what it missed, and how many requests came to product/list and the categories."""
    async with shop(products, window=settings.pop("plan_window", window), **settings, list_window=window) as (
        sandbox,
        cj,
    ):
        catalogue, found = sandbox.catalogue, []
        began = catalogue.mark()
        each = walk(cj)
        await drain(each, found)
        missed = catalogue.held_throughout(began) - set(found)
        assert len(found) == len(set(found))
        assert set(found) <= catalogue.held_at_some_time(began)
        return each.report, missed, sandbox.stats()["requests"]


@pytest.mark.parametrize("churn", CHURN)
@pytest.mark.parametrize("shape", ["market", "growth", "half_in_a_day", "bursty", "one_second"])
async def test_shapes_and_churn(shape, churn):
    report, missed, _ = await walked(8000, shape=shape, churn=CHURN[churn], null_times=0.001)
    assert not missed
    assert report.proved, report.reasons


@pytest.mark.parametrize("shape", ["cantor", "log_uniform", "ties_201", "ties_6001", "uniform"])
async def test_shapes_that_were_built_against_it(shape):
    report, missed, requests = await walked(8000, shape=shape, null_times=0.0)
    assert not missed
    assert report.proved, report.reasons
    assert report.unreachable == 0
    assert requests <= 1.6 * 8000 / 200 + 5


WEAKNESSES: dict[str, dict[str, Any]] = {
    "no creation times first": {"null_times": 0.02, "nulls_first": True},
    "no creation times last": {"null_times": 0.02},
    "ties that change their order": {"shape": "bursty", "unstable_ties": True},
    "no limit": {"window": None},
    "a larger window than told": {"window": 6000, "plan_window": 1000},
    "a smaller window than told": {"window": 1200, "plan_window": 6000},
    "totals end at the window": {"list_total": "capped"},
    "totals end at the window, which holds nearly all": {"list_total": "capped", "window": 3800},
    "order is not looked at": {"ignored": frozenset({"sort"})},
    "smaller pages": {"fixed_page_size": 50},
    "UTC": {"zone_hours": 0.0},
    "another zone": {"zone_hours": -5.5},
    "noon read as midnight": {"twelve_hours": True},
    "bounds exclude": {"inclusive": False},
    "times are not looked at": {"ignored": frozenset({"createTimeFrom", "createTimeTo"})},
    "neither times nor prices nor order": {
        "ignored": frozenset({"createTimeFrom", "createTimeTo", "minPrice", "maxPrice", "sort"})
    },
}


@pytest.mark.parametrize("weakness", WEAKNESSES)
async def test_weaknesses(weakness):
    report, missed, requests = await walked(4000, **{"seed": 3, "shape": "growth", **WEAKNESSES[weakness]})
    assert not missed
    assert report.proved, report.reasons
    assert report.requests <= requests <= report.requests + 1  # the categories


@pytest.mark.parametrize("weakness", ["times are not looked at", "order is not looked at", "totals end at the window"])
async def test_a_second_walk_begins_with_what_the_first_found_out(weakness, tmp_path):
    settings = {"window": 400, "null_times": 0.0, "seed": 3, **WEAKNESSES[weakness]}
    async with shop(450, **settings) as (sandbox, cj):
        sandbox.faults.add(categories := Fault("delay", "product/getCategory", seconds=0.0))
        for walks in (1, 2):
            assert set(await pids(cj, checkpoint=tmp_path / "walk.db")) == sandbox.catalogue.pids_now()
            assert categories.seen <= walks


async def test_what_no_filter_divides_is_counted_and_reported():
    """More products than a question reaches in one second, and nothing else is looked at either."""
    ignored = frozenset({"minPrice", "maxPrice", "categoryId", "startInventory", "endInventory"})
    report, missed, _ = await walked(2000, window=600, shape=lambda n, rng: [5] * n, null_times=0.0, ignored=ignored)
    assert 1000 < len(missed) <= report.unreachable <= 1400
    assert not report.proved
    assert any("shown by no question" in reason for reason in report.reasons)
