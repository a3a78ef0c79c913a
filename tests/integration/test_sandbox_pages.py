"""Which rows come on which page: sorts, times, windows, oddities, and a catalogue that changes."""

import datetime
from urllib.parse import quote

import pytest
from sandbox_caller import Clock, embedded, price_of

from cjasync.sandbox import Churn


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("product/list?pageSize=200&sort={sort}&orderBy=createAt", "created_ms"),
        ("product/list?pageSize=200&sort={sort}&orderBy=listedNum", "listed"),
        ("product/listV2?size=100&sort={sort}&orderBy=1", "listed"),
        ("product/listV2?size=100&sort={sort}&orderBy=2", "price_low"),
        ("product/listV2?size=100&sort={sort}&orderBy=3", "created_ms"),
        ("product/listV2?size=100&sort={sort}&orderBy=4", None),
    ],
)
@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_sorts_are_really_applied(path, key, sort):
    async with embedded(products=90, null_times=0, delisted=0) as caller:
        data = await caller.data(path.format(sort=sort))
        rows = data["list"] if "list" in data else data["content"][0]["productList"]
        products = [caller.sandbox.catalogue.get(row.get("pid") or row["id"]) for row in rows]
        keys = [getattr(p, key) if key else p.verified_stock + p.factory_stock for p in products]
        assert len(keys) == 90
        assert keys == sorted(keys, reverse=sort == "desc")
        assert len(set(keys)) > 10


async def test_the_default_is_newest_first_twenty_a_page():
    async with embedded(null_times=0) as caller:
        data = await caller.data("product/list")
        times = [row["createTime"] for row in data["list"]]
        assert len(times) == 20
        assert times == sorted(times, reverse=True)
        assert times[0] == max(product.created_ms for product in caller.sandbox.catalogue.truth())


async def test_time_bounds_in_both_listings():
    async with embedded(listv2_sparse=False, null_times=0.1, delisted=0, zone_hours=0) as caller:
        timed = sorted(p.created_ms for p in caller.sandbox.catalogue.truth() if p.created_ms is not None)
        low, high = timed[100], timed[250]

        def text(ms):
            return quote(datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S"))

        inside = sum(low <= ms <= high for ms in timed)
        ranged = f"createTimeFrom={text(low)}&createTimeTo={text(high)}"
        data = await caller.data(f"product/list?{ranged}&pageSize=200&sort=asc")
        assert data["total"] == inside
        assert [row["createTime"] for row in data["list"]] == [ms for ms in timed if low <= ms <= high][:200]
        assert (await caller.data(f"product/listV2?timeStart={low}&timeEnd={high}"))["totalRecords"] == inside
        later = await caller.data(f"product/listV2?timeStart={low + 1}&timeEnd={high - 1}")
        assert later["totalRecords"] == sum(low < ms < high for ms in timed)
    async with embedded(null_times=0.1, inclusive=False, zone_hours=0) as caller:
        data = await caller.data(f"product/list?{ranged}")
        assert data["total"] == sum(low < ms < high for ms in timed)


async def test_windows_refuse_what_lies_beyond():
    async with embedded(products=900, list_window=600, listv2_window=250) as caller:
        assert len((await caller.data("product/list?pageSize=200&pageNum=3"))["list"]) == 200
        status, body = await caller.ask("product/list?pageSize=200&pageNum=4")
        assert (status, body["code"], body["data"]) == (200, 1600300, None)
        assert "max offset 600" in body["message"]
        assert (await caller.data("product/list?pageSize=200"))["total"] == 900
        assert await caller.code("product/listV2?size=100&page=3") == 1600300
        assert (await caller.data("product/listV2?size=50&page=5"))["totalRecords"] > 800
    async with embedded(products=900, list_window=None, listv2_window=250, listv2_total="capped") as caller:
        assert (await caller.data("product/list"))["total"] == 900
        assert len((await caller.data("product/list?pageSize=200&pageNum=5"))["list"]) == 100
        assert (await caller.data("product/list?pageSize=200&pageNum=6"))["list"] == []
        assert (await caller.data("product/listV2"))["totalRecords"] == 250


async def test_totals_may_end_at_the_window():
    async with embedded(products=900, list_window=600, list_total="capped") as caller:
        assert (await caller.data("product/list"))["total"] == 600
        rare = await caller.data("product/list?searchType=2")
        assert 0 < rare["total"] < 600


async def test_odd_servers():
    async with embedded(fixed_page_size=20, ignored={"createTimeFrom", "sort"}) as caller:
        data = await caller.data("product/list?pageSize=200&createTimeFrom=2030-01-01%2000:00:00&sort=asc")
        assert (data["pageSize"], len(data["list"]), data["total"]) == (20, 20, 400)
        times = [row["createTime"] for row in data["list"]]
        assert times == sorted(times, reverse=True)
    async with embedded(null_times=0.1, nulls_first=True) as caller:
        for sort in ("asc", "desc"):
            rows = (await caller.data(f"product/list?sort={sort}"))["list"]
            assert [row["createTime"] for row in rows] == [None] * 20
    async with embedded(shape="ties_201", null_times=0, unstable_ties=True) as caller:
        path = "product/list?pageSize=200"
        orders = {tuple(row["pid"] for row in (await caller.data(path))["list"]) for _ in range(12)}
        assert len(orders) == 2


async def test_unknown_parameters_are_ignored_and_the_whole_catalogue_comes_back():
    async with embedded(products=50, delisted=0) as caller:
        assert (await caller.data("product/list?categoryName=Dresses&keyWord=x"))["total"] == 50
        assert (await caller.data("product/listV2?productNameEn=x&pageNum=3"))["totalRecords"] == 50


async def test_a_catalogue_that_changes_while_it_is_read():
    churn = Churn(seconds_per_call=86.4).times(50)
    async with embedded(products=2000, churn=churn) as caller:
        catalogue = caller.sandbox.catalogue
        start = catalogue.mark()
        for page in range(1, 31):
            data = await caller.data(f"product/list?pageSize=50&pageNum={page}")
            assert data["total"] == len(catalogue)
            for row in data["list"]:
                assert price_of(row["sellPrice"]) in catalogue.prices(row["pid"], start)
        kinds = {event.kind for event in catalogue.history.events}
        assert kinds == {"add", "delete", "relist", "reprice"}
        always, ever = catalogue.held_throughout(start), catalogue.held_at_some_time(start)
        assert always < ever
        assert always <= catalogue.pids_now() <= ever


async def test_changes_go_by_the_clock_unless_told():
    clock = Clock()
    async with embedded(products=1000, churn=Churn(new=0.01, deleted=0, repriced=0), clock=clock) as caller:
        assert (await caller.data("product/list"))["total"] == 1000
        clock.now += 86_400
        assert (await caller.data("product/list"))["total"] == 1010
        assert (await caller.data("product/list"))["total"] == 1010
