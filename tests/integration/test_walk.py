"""A walk over a sandbox behind real sockets: everything, once, also when something breaks on the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cjasync.catalog import walk
from cjasync.errors import (
    CJError,
    ConfigError,
    OutputError,
    ParameterError,
    QuotaExhaustedError,
    UnavailableError,
)
from cjasync.sandbox import Fault
from cjasync.sandbox.faults import every
from cjasync.sandbox.rows import ListRows
from tests.integration.walking import LeapingClock, Shelf, drain, pids, shop, unlimited

SOON = (b'"listedNum":', b'"listedNum":"soon","was":')


async def test_everything_comes_once_and_is_proved():
    async with shop(null_times=0.01) as (sandbox, cj):
        walked = walk(cj)
        found = [product.pid async for product in walked]
        report = walked.report
    assert len(found) == len(set(found)) == 3000
    assert set(found) == sandbox.catalogue.pids_now()
    assert report.proved
    assert report.delivered == report.unique == report.total_before == report.total_after == 3000
    assert report.hidden == sum(created == -1 for created in sandbox.catalogue.created) > 0
    assert report.requests == sandbox.stats()["requests"] - 1  # the categories
    assert report.windows == len(report.certificates) > 3
    assert report.modes["seek"] > 2
    assert report.started_at <= report.ended_at
    assert report.figures()["products"] == "3,000"
    assert report.figures()["complete"] == "proved"


@pytest.mark.parametrize(("null_times", "requests"), [(0.0, 4), (0.01, 6)])
async def test_a_catalogue_within_one_window_is_read_as_it_is(null_times, requests):
    """Its four pages; and where products without a time are behind all others, whether the total counts them all."""
    async with shop(700, null_times=null_times) as (sandbox, cj):
        walked = walk(cj)
        assert {product.pid async for product in walked} == sandbox.catalogue.pids_now()
        assert sandbox.stats()["requests"] == walked.report.requests == requests
    assert walked.report.proved


NOTHING_TWICE = [Fault("transient_empty", "product/list", times=2, data={"total": 0, "list": []})]


@pytest.mark.parametrize("total", [0, 1, 200, 999, 1000, 1001])
async def test_round_totals(total):
    async with shop(total, client={"clock": LeapingClock()}) as (sandbox, cj):
        walked = walk(cj)
        found = [product.pid async for product in walked]
    assert sorted(found) == sorted(sandbox.catalogue.pids_now())
    assert walked.report.proved


async def test_filters_hold_also_where_the_planner_cuts():
    async with shop(6000, shape="one_second", window=400) as (sandbox, cj):
        everything = list(sandbox.catalogue.truth())
        leaf = max({p.category.id for p in everything}, key=lambda id_: sum(p.category.id == id_ for p in everything))
        moments = sorted(p.created_ms for p in everything if p.created_ms is not None)
        since = datetime.fromtimestamp(moments[1000] // 1000, UTC)
        until = datetime.fromtimestamp(moments[5000] // 1000, UTC)
        assert set(await pids(cj, category_id=leaf)) == {p.pid for p in everything if p.category.id == leaf}
        low, high = Decimal(9), Decimal(20)
        assert set(await pids(cj, min_price=low, max_price="20")) == {
            p.pid for p in everything if low <= p.price_low <= high
        }
        assert set(await pids(cj, create_time_from=since, create_time_to=until)) == {
            p.pid for p in everything if p.created_ms is not None and since <= stamp(p.created_ms) <= until
        }
        assert set(await pids(cj, country_code="US")) == {p.pid for p in everything if "US" in p.countries}


def stamp(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


async def test_a_filter_that_does_not_exist_is_an_error_and_no_request():
    async with shop(10) as (sandbox, cj):
        with pytest.raises(TypeError, match="did you mean 'category_id'"):
            walk(cj, catgory_id="x")
        with pytest.raises(ParameterError, match="turns the pages itself"):
            walk(cj, page_size=10)
        with pytest.raises(ParameterError, match="min_price"):
            walk(cj, min_price=20, max_price=10)
        with pytest.raises(ParameterError, match="product_type"):
            walk(cj, product_type="SERVICE")
        with pytest.raises(ConfigError, match="details_share"):
            walk(cj, details_share=1)
        assert sandbox.stats()["requests"] == 0


async def test_a_filter_that_matches_nothing_ends_soon():
    async with shop(client={"clock": LeapingClock()}) as (sandbox, cj):
        walked = walk(cj, product_sku="no such sku")
        assert [product async for product in walked] == []
        assert walked.report.proved
        assert walked.report.delivered == walked.report.lower_bound == 0
        assert sandbox.stats()["requests"] == 3  # twice it is given time to know better


async def test_a_whole_catalogue_that_is_empty_for_a_moment_is_not_taken_to_be_empty():
    clock = LeapingClock()
    async with shop(300, client={"clock": clock}, faults=NOTHING_TWICE) as (_, cj):
        assert len(await pids(cj)) == 300
    assert clock.ahead == 4


async def test_a_walk_is_walked_once():
    async with shop(300) as (_, cj):
        walked = walk(cj)
        assert repr(walked) == f"<Walk product/list of {cj.config.base_url}: iterate it for all products>"
        assert len([product async for product in walked]) == 300
        with pytest.raises(RuntimeError, match="walked once"):
            await drain(walked)
        async with walk(cj) as other:
            with pytest.raises(RuntimeError, match="has not begun"):
                _ = other.report
            assert len([each async for delivery in other.batches() for each in delivery.rows]) == 300
            with pytest.raises(RuntimeError, match="walked once"):
                await anext(other.batches())


async def test_faults_on_the_way_cost_requests_and_no_product():
    faults = [
        Fault("status", "product/list", nth=every(7), status=503),
        Fault("close_before", "product/list", nth=every(11)),
        Fault("transient_empty", "product/list", nth=every(13)),
        Fault("refuse", "product/list", nth=every(17), code=1600000),
        Fault("truncate", "product/list", nth=every(19)),
    ]
    async with shop(faults=faults) as (sandbox, cj):
        walked = walk(cj)
        found = [product.pid async for product in walked]
        assert sum(fault.struck > 0 for fault in faults) == 5
    assert len(found) == len(set(found))
    assert set(found) == sandbox.catalogue.pids_now()
    assert walked.report.proved, walked.report.reasons


async def test_a_total_that_shrinks_to_zero_for_good_ends_the_walk_and_says_so(tmp_path, monkeypatch):
    """All is gone after seven answers, whoever takes rows meanwhile."""
    pieces, answered = ListRows.pieces, []

    def noted(rows, numbers):
        answered.append(pieces(rows, numbers))
        if len(answered) == 7:
            for pid in sandbox.catalogue.pids_now():
                sandbox.catalogue.delete(pid)
        return answered[-1]

    monkeypatch.setattr(ListRows, "pieces", noted)
    async with shop() as (sandbox, cj):
        walked = walk(cj, checkpoint=tmp_path / "walk.db")
        found = [product.pid async for product in walked]
    assert 0 < len(found) == len(set(found)) < 3000
    assert walked.report.total_after == 0
    assert walked.report.proved, walked.report.reasons


async def test_what_cannot_be_waited_out_ends_the_walk_and_what_came_is_handed_on(monkeypatch):
    """Eight questions are answered, whichever they are; none merely counts where every product has its time."""
    pieces, answered = ListRows.pieces, []

    def noted(rows, numbers):
        answered.append(list(numbers))
        return pieces(rows, answered[-1])

    monkeypatch.setattr(ListRows, "pieces", noted)
    fault = Fault("refuse", "product/list", nth=range(9, 10_000), code=1600001, message="Invalid access token")
    async with shop(faults=[fault], null_times=0.0) as (sandbox, cj):
        found = []
        with pytest.raises(CJError, match="access token"):
            await drain(walk(cj), found)
    assert len(answered) == 8
    assert sorted(found) == sorted({sandbox.catalogue.pids[number] for rows in answered for number in rows})


async def test_rows_that_cannot_be_read_are_seen_and_reported(monkeypatch):
    head = ListRows._head
    monkeypatch.setattr(
        ListRows, "_head", lambda rows, n: head(rows, n).replace(*SOON) if n % 500 == 3 else head(rows, n)
    )
    events = []
    async with shop(client={"hooks": [events.append]}) as (sandbox, cj):
        odd = sandbox.catalogue.pids[3::500]
        walked = walk(cj)
        found = [product.pid async for product in walked]
        report = walked.report
    assert set(found) == sandbox.catalogue.pids_now() - set(odd)
    assert report.skipped == len(odd) == 6
    assert {row.pid for row in report.skipped_rows} == set(odd)
    assert all(b'"soon"' in row.raw and "listedNum" in row.path and row.reason for row in report.skipped_rows)
    assert report.unique == 3000
    assert report.proved
    assert {type(event).__name__ for event in events} >= {"PageRead", "RowSkipped"}


async def test_the_end_of_a_budget_says_how_to_go_on():
    async with shop(plan=unlimited(daily_calls=12, list_window=1000)) as (sandbox, cj):
        walked = walk(cj, checkpoint=None)
        found = []
        with pytest.raises(QuotaExhaustedError) as caught:
            await drain(walked, found)
    assert caught.value.resets_at is not None
    assert caught.value.bucket == "calls"
    assert len(found) == len(set(found)) >= 1000
    assert walked.report.reasons[0] == "the walk is not finished"
    assert sandbox.stats()["requests"] <= 12 + 1  # the categories


async def test_a_window_begins_only_when_all_of_it_can_be_paid():
    async with shop(20_000, window=2000, plan=unlimited(daily_calls=48, list_window=2000)) as (_, cj):
        walked = walk(cj)
        with pytest.raises(QuotaExhaustedError, match="does not pay for the next part"):
            await drain(walked)
        progress, report = walked.progress, walked.report
    assert 38 < progress.requests < 48
    # Nothing was left half read: what was delivered is what the certified windows hold.
    assert progress.windows >= 3
    assert sum(each.rows for each in report.certificates) == pytest.approx(progress.delivered, abs=400)
    assert progress.total == 20_000


async def test_a_cj_that_is_down_is_given_time_and_then_reported(monkeypatch):
    monkeypatch.setattr("cjasync.catalog.asking.PATIENCE", 0.05)
    fault = Fault("status", "product/list", nth=range(8, 10_000), status=503)
    async with shop(faults=[fault], client={"options": None}) as (_, cj):
        with pytest.raises(UnavailableError):
            await drain(walk(cj.with_options(retries=0)))
    assert fault.struck > 1


async def test_a_slow_taker_holds_the_walk_back():
    async with shop(12_000, window=2000) as (sandbox, cj), walk(cj) as walked:
        most = 0
        async for delivery in walked.batches():
            await asyncio.sleep(0.002)
            taken = int(delivery.token.partition(b":")[2])
            most = max(most, sandbox.stats()["requests"] - taken)
            walked.commit(delivery.token)
        await walked.finish()
    assert most <= 2 * walked._window_pages + 10 + 16  # two windows, one that is being read, and what is in flight


async def test_breaking_off_leaves_nothing_behind():
    async with shop() as (_, cj):
        before = asyncio.all_tasks()
        async for _ in walk(cj):
            break
        while left := {task for task in asyncio.all_tasks() - before if "cjasync/catalog" in repr(task)}:
            await asyncio.wait(left)


async def test_into_a_sink_of_the_users_own():
    async with shop() as (sandbox, cj), walk(cj) as walked:
        shelf = Shelf()
        report = await walked.into(shelf)
    assert shelf.rows.keys() == sandbox.catalogue.pids_now()
    assert shelf.doubled == 0
    assert report.proved
    assert shelf.tokens == sorted(shelf.tokens, key=lambda token: int(token.partition(b":")[2]))


async def test_a_sink_that_fails_ends_the_walk_and_the_next_run_completes_it(tmp_path):
    async with shop() as (sandbox, cj):
        shelf = Shelf(fails_at=7)
        with pytest.raises(OutputError, match="the disk is full"):
            await walk(cj, checkpoint=tmp_path / "walk.db").into(shelf)
        asked = sandbox.stats()["requests"]
        report = await walk(cj, checkpoint=tmp_path / "walk.db").into(shelf)
        assert shelf.rows.keys() == sandbox.catalogue.pids_now()
        assert report.runs == 2
        assert report.requests <= sandbox.stats()["requests"] <= report.requests + 16 + 1
        assert asked < sandbox.stats()["requests"]


async def test_details_need_a_place_to_go():
    async with shop(300) as (_, cj):
        with pytest.raises(ConfigError, match="two kinds of rows"):
            await drain(walk(cj, with_="query"))
        with pytest.raises(ConfigError, match="sink for details"):
            await walk(cj, with_="stock").into(Shelf())
        with pytest.raises(ConfigError, match="sink for details"):
            await walk(cj).into(Shelf(), details=Shelf())
