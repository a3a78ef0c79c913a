"""What a walk asks about each product beside its row: in turns with the pages, and resumable like them."""

from __future__ import annotations

from itertools import groupby

import pytest

from cjasync.catalog import walk
from cjasync.catalog.details import ProductStock
from cjasync.catalog.sinks import open_sink, read_rows
from cjasync.errors import QuotaExhaustedError, UnavailableError
from cjasync.hooks import Attempt
from cjasync.models import ListedProduct, Product
from cjasync.sandbox import Fault
from tests.integration.sandbox_desk import Hands
from tests.integration.walking import Shelf, shop, unlimited


async def test_every_product_is_asked_about_once():
    async with shop(700, window=200) as (sandbox, cj):
        shelf, details = Shelf(), Shelf()
        report = await walk(cj, with_="query").into(shelf, details=details)
        assert shelf.rows.keys() == details.rows.keys() | report_of_missing(sandbox) == sandbox.catalogue.pids_now()
        some = next(iter(details.rows.values()))
        assert isinstance(some, Product)
        assert some == await cj.products.query(pid=some.pid)
    assert report.proved
    assert report.detailed + report.failed == report.detail_requests == 700
    assert report.failed == len(report_of_missing(sandbox)) > 0
    assert report.requests < 40
    assert report.figures()["details"].startswith(f"{report.detailed:,}, {report.failed:,} not to be had")


def report_of_missing(sandbox) -> set[str]:
    """Off the shelves: listed, and refused by the other calls."""
    return {product.pid for product in sandbox.catalogue.truth() if product.delisted}


async def test_stock():
    async with shop(300, delisted=0.0) as (_, cj):
        details = Shelf()
        report = await walk(cj, with_="stock").into(Shelf(), details=details)
        some = next(iter(details.rows.values()))
        assert isinstance(some, ProductStock)
        told = await cj.stock.get_inventory_by_pid(some.pid)
    assert (some.inventories, some.variant_inventories) == (told.inventories, told.variant_inventories)
    assert report.detailed == len(details.rows) == 300


async def test_windows_and_details_take_turns():
    """Of the points, half each: a window of two or three pages at 50, then five times as many details at 10."""
    sent = []

    def hear(event):
        if isinstance(event, Attempt) and event.endpoint in ("product/list", "product/query"):
            sent.append(event.endpoint)

    # What was sent counts: deliveries of a turn may come when the next has begun.
    settings = {"window": 400, "delisted": 0.0, "null_times": 0.0, "client": {"hooks": [hear]}}
    async with shop(1500, **settings) as (_, cj):
        await walk(cj, with_="query").into(Shelf(), details=Shelf())
    assert sent.count("product/query") == 1500
    turns = [(path, len(list(calls))) for path, calls in groupby(sent)]
    assert [path for path, _ in turns] == ["product/list", "product/query"] * (len(turns) // 2)
    windows, details = (
        [calls for path, calls in turns if path == asked] for asked in ("product/list", "product/query")
    )
    assert set(windows) <= {1, 2, 3}
    assert details[:-1] == [5 * calls for calls in windows[:-1]]
    assert len(turns) >= 8


async def test_files_and_a_run_that_is_broken_off(tmp_path):
    async def run(sandbox, cj):
        async with (
            walk(cj, checkpoint=tmp_path / "walk.db", with_="query") as walked,
            await open_sink(tmp_path / "products.parquet", ListedProduct, question=walked.question) as sink,
            await open_sink(tmp_path / "details.jsonl", Product, question=walked.question) as details,
        ):
            return await walked.into(sink, details=details)

    async with shop(700, window=200, delisted=0.0) as (sandbox, cj):
        for nth in (3, 50, 200):
            fault = Fault("refuse", "product/query", nth=nth, code=1600004, message="Authorization failed")
            sandbox.faults.add(fault)
            with pytest.raises(Exception, match="Authorization failed"):
                await run(sandbox, cj)
            sandbox.faults.clear()
        report = await run(sandbox, cj)
        asked = sandbox.stats()["requests"]
    assert report.runs == 4
    assert asked - report.requests - report.detail_requests <= 3 * 2 * 16 + 1
    for file, model in (("products.parquet", ListedProduct), ("details.jsonl", Product)):
        found = [row["pid"] for row in read_rows(tmp_path / file, model)]
        assert sorted(found) == sorted(sandbox.catalogue.pids_now())


async def test_the_days_end_for_details_is_not_the_end_for_pages(tmp_path):
    clock = Hands()
    plan = unlimited(daily_calls=250, list_window=1000)
    async with shop(1200, plan=plan, delisted=0.0, clock=clock, client={"clock": clock}) as (sandbox, cj):
        shelf, details, days = Shelf(), Shelf(), 0
        report = None
        while report is None:
            days += 1
            try:
                report = await walk(cj, checkpoint=tmp_path / "walk.db", with_="query").into(shelf, details=details)
            except QuotaExhaustedError as error:
                assert len(shelf.rows) == 1200
                clock.now = error.resets_at.timestamp() + 1
        assert sandbox.stats()["refused"] == 0
    assert days == 5
    assert details.rows.keys() == shelf.rows.keys()
    assert details.doubled == shelf.doubled == 0


async def test_a_product_that_cj_fails_on_is_reported_and_does_not_end_the_walk(monkeypatch):
    monkeypatch.setattr("cjasync.catalog.details.SECOND_THOUGHTS", 0.01)
    fault = Fault("status", "product/query", when=lambda request: request.query["pid"].endswith("7"), status=500)
    async with shop(300, delisted=0.0, faults=[fault]) as (sandbox, cj):
        details = Shelf()
        report = await walk(cj.with_options(retries=0), with_="query").into(Shelf(), details=details)
    assert report.failed == sum(pid.endswith("7") for pid in sandbox.catalogue.pids) > 5
    assert report.detailed == 300 - report.failed


async def test_a_cj_that_fails_on_every_product_ends_the_walk_and_none_is_given_up(tmp_path):
    fault = Fault("status", "product/query", nth=range(100, 10_000), status=500)
    async with shop(300, delisted=0.0, faults=[fault]) as (sandbox, cj):
        patient = cj.with_options(retries=0)
        shelf, details = Shelf(), Shelf()
        with pytest.raises(UnavailableError):
            await walk(patient, checkpoint=tmp_path / "walk.db", with_="query").into(shelf, details=details)
        sandbox.faults.clear()
        report = await walk(patient, checkpoint=tmp_path / "walk.db", with_="query").into(shelf, details=details)
    assert report.failed == 0
    assert report.detailed == len(details.rows) == 300
