"""Answers through the public methods: the documents' samples, bytes beside values, shared and kept reads."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from speaking import Impatient

from cjasync import (
    AlreadyExistsError,
    BadResponseError,
    CJClient,
    ConfigError,
    Page,
    ParameterError,
    Plan,
    RawAnswer,
    UnavailableError,
)
from cjasync.config import BASE_URL
from cjasync.sandbox.faults import Fault
from cjasync.testing.plugin import sandbox_client

EXAMPLES = Path(__file__).parents[1] / "data" / "examples"
FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)

CALLS: dict[str, Any] = {
    "product_getCategory": lambda cj: cj.categories.get(),
    "product_listV2": lambda cj: cj.products.list_v2(key_word="hoodie"),
    "product_list": lambda cj: cj.products.list(),
    "product_query": lambda cj: cj.products.query(pid="1"),
    "product_addToMyProduct": lambda cj: cj.products.add_to_my_product("1"),
    "product_myProduct_query": lambda cj: cj.products.my_product(),
    "product_globalWarehouseList": lambda cj: cj.warehouses.global_list(),
    "product_variant_query": lambda cj: cj.variants.query(pid="1"),
    "product_variant_queryByVid": lambda cj: cj.variants.query_by_vid("1"),
    "product_stock_queryByVid": lambda cj: cj.stock.query_by_vid("1"),
    "product_stock_queryBySku": lambda cj: cj.stock.query_by_sku("1"),
    "product_stock_getInventoryByPid": lambda cj: cj.stock.get_inventory_by_pid("1"),
    "product_productComments": lambda cj: cj.reviews.product_comments("1"),
    "product_comments": lambda cj: cj.reviews.comments("1"),
    "product_sourcing_create": lambda cj: cj.sourcing.create(product_name="a", product_image="https://x.example/1"),
    "product_sourcing_query": lambda cj: cj.sourcing.query("1"),
}


def client(**settings: Any) -> CJClient:
    return CJClient(access_token="token", plan=FREE, quota="memory", token_store="memory", **settings)


def serve(mocked: Any, name: str) -> bytes:
    body = (EXAMPLES / f"{name}.json").read_bytes()
    url = re.compile(re.escape(f"{BASE_URL}/{name.split('.')[0].replace('_', '/')}") + r"(\?.*)?$")
    for add in (mocked.get, mocked.post):
        add(url, body=body)
    return body


@pytest.mark.filterwarnings("ignore:CJ has dropped:DeprecationWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json") if ".refused." not in path.name))
async def test_the_documents_sample_answers(mocked: Any, name: str) -> None:
    body = serve(mocked, name)
    async with client() as cj:
        value = await CALLS[name.split(".")[0]](cj)
    sent = json.loads(body)["data"]
    if isinstance(value, Page):
        assert len(value) > 0
        assert not value.skipped
    else:
        assert value == sent if isinstance(sent, bool) else value
        assert not getattr(value, "skipped", ())


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("product_addToMyProduct.refused.en", AlreadyExistsError),
        ("product_getCategory.refused.en", ParameterError),
        ("product_getCategory.refused.zh", ParameterError),
    ],
)
async def test_the_documents_sample_refusals(mocked: Any, name: str, error: type[Exception]) -> None:
    serve(mocked, name)
    async with client() as cj:
        with pytest.raises(error) as caught:
            await CALLS[name.split(".")[0]](cj)
    assert caught.value.request_id
    assert caught.value.endpoint == name.split(".")[0].replace("_", "/")


# --- bytes beside values


async def test_with_raw_gives_the_bytes_beside_the_value(cj_sandbox: Any, cj: CJClient) -> None:
    (row,) = await cj.products.list(page_size=1)
    answer = await cj.with_raw(cj.products.query, pid=row.pid)
    assert isinstance(answer, RawAnswer)
    assert answer.value == await cj.products.query(pid=row.pid)
    sent = json.loads(answer.body)
    assert sent["data"]["pid"] == row.pid
    assert (answer.http_status, answer.request_id) == (200, sent["requestId"])
    assert answer.headers["content-type"].startswith("application/json")
    assert repr(answer) == f"<RawAnswer HTTP 200, {len(answer.body)} bytes, request {answer.request_id}: Product>"


async def test_with_raw_of_a_listing_and_of_a_write(cj: CJClient) -> None:
    page = await cj.with_raw(cj.products.list, page_size=2)
    assert isinstance(page.value, Page)
    assert [row["pid"] for row in json.loads(page.body)["data"]["list"]] == [row.pid for row in page.value]
    added = await cj.with_raw(cj.products.add_to_my_product, page.value[0].pid)
    assert added.value is True


async def test_with_raw_of_what_makes_no_call_is_refused(cj: CJClient) -> None:
    with pytest.raises(ConfigError, match="with_raw is for methods that make a call"):
        await cj.with_raw(cj.usage)


async def test_with_raw_of_several_at_once_keeps_them_apart(cj: CJClient) -> None:
    rows = await cj.products.list(page_size=5)
    answers = await asyncio.gather(*(cj.with_raw(cj.products.query, pid=row.pid) for row in rows))
    assert [answer.value.pid for answer in answers] == [row.pid for row in rows]
    assert [json.loads(answer.body)["data"]["pid"] for answer in answers] == [row.pid for row in rows]


# --- reads that are shared or kept


async def requests(sandbox: Any, path: str) -> int:
    return sandbox.stats()["by_path"].get(path, 0)


async def test_identical_reads_in_flight_are_one_request(cj_sandbox: Any, cj: CJClient) -> None:
    pages = await asyncio.gather(*(cj.products.list(page_size=3) for _ in range(5)), cj.products.list(page_size=4))
    assert await requests(cj_sandbox, "product/list") == 2
    assert len({page[0].pid for page in pages}) == 1
    await cj.products.list(page_size=3)
    assert await requests(cj_sandbox, "product/list") == 3


async def test_sharing_can_be_switched_off(cj_sandbox: Any) -> None:
    async with sandbox_client(cj_sandbox, coalesce=False) as cj:
        await asyncio.gather(*(cj.products.list(page_size=3) for _ in range(5)))
    assert await requests(cj_sandbox, "product/list") == 5


async def test_writes_are_never_shared(cj_sandbox: Any, cj: CJClient) -> None:
    (row,) = await cj.products.list(page_size=1)
    outcomes = await asyncio.gather(*(cj.products.add_to_my_product(row.pid) for _ in range(3)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadyExistsError"] * 2 + ["bool"]
    assert await requests(cj_sandbox, "product/addToMyProduct") == 3


async def test_a_cancelled_leader_leaves_the_others_their_answer(make_sandbox: Any) -> None:
    async with make_sandbox(products=20, latency=0.01) as sandbox, sandbox_client(sandbox) as cj:
        first, *others = [asyncio.ensure_future(_await(cj.products.list(page_size=3))) for _ in range(4)]
        while not sandbox.stats()["requests"]:  # noqa: ASYNC110 - the sandbox tells no event
            await asyncio.sleep(0.001)
        first.cancel()
        pages = await asyncio.gather(*others)
        assert len({page[0].pid for page in pages}) == 1
        assert first.cancelled()
        assert await requests(sandbox, "product/list") == 2


async def test_one_failure_is_told_to_all_who_share_it(cj_sandbox: Any, cj: CJClient) -> None:
    cj_sandbox.faults.add(Fault("refuse", "product/list", code=1600300, message="no"))
    outcomes = await asyncio.gather(*(cj.products.list() for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ParameterError] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert await requests(cj_sandbox, "product/list") == 1


async def _await(awaitable: Any) -> Any:
    return await awaitable


async def test_categories_and_warehouses_are_kept_if_that_is_wanted(cj_sandbox: Any) -> None:
    async with sandbox_client(cj_sandbox, cache=True) as cj:
        first = await cj.categories.get()
        assert await cj.categories.get() is first
        assert await cj.with_options(retries=0).categories.get() is first
        await cj.warehouses.global_list()
        await cj.warehouses.global_list()
    assert await requests(cj_sandbox, "product/getCategory") == 1
    assert await requests(cj_sandbox, "product/globalWarehouseList") == 1


async def test_nothing_is_kept_unless_that_is_wanted(cj_sandbox: Any, cj: CJClient) -> None:
    await cj.categories.get()
    await cj.categories.get()
    assert await requests(cj_sandbox, "product/getCategory") == 2


# --- nothing there, for a moment


async def test_nothing_is_asked_for_once_more_before_it_is_believed(cj_sandbox: Any, cj: CJClient) -> None:
    (row,) = await cj.products.list(page_size=1)
    cj_sandbox.faults.add(Fault("transient_empty", "product/query", times=1))
    assert (await cj.products.query(pid=row.pid)).pid == row.pid
    cj_sandbox.faults.add(Fault("transient_empty", "product/variant/query", times=1, data=[]))
    assert await cj.variants.query(pid=row.pid)
    cj_sandbox.faults.add(Fault("transient_empty", "product/query"))
    assert await cj.products.query(pid=row.pid) is None
    assert await requests(cj_sandbox, "product/query") == 4


async def test_who_has_no_patience_gets_nothing_for_an_answer(make_sandbox: Any) -> None:
    """The second look would have to wait for its turn, and the caller will not."""
    plan = Plan(qps=1, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
    async with make_sandbox(products=5, plan=plan) as sandbox, sandbox_client(sandbox, max_wait=0) as cj:
        sandbox.faults.add(Fault("transient_empty", "product/query"))
        assert await cj.products.query(pid="1") is None


async def test_an_empty_search_is_not_asked_for_again(cj_sandbox: Any, cj: CJClient) -> None:
    assert len(await cj.products.list(product_sku="none")) == 0
    assert await requests(cj_sandbox, "product/list") == 1


# --- answers that are none


@pytest.mark.parametrize(
    ("kind", "error", "times"),
    [("html", BadResponseError, 4), ("empty", BadResponseError, 4), ("not_json", BadResponseError, 4)],
)
async def test_what_is_no_answer_is_asked_for_again_and_then_told(
    cj_sandbox: Any, kind: str, error: type[Exception], times: int
) -> None:
    cj_sandbox.faults.add(Fault(kind, "product/list"))
    async with sandbox_client(cj_sandbox, clock=Impatient()) as cj:
        with pytest.raises(error) as caught:
            await cj.products.list()
    assert caught.value.endpoint == "product/list"
    assert await requests(cj_sandbox, "product/list") == times


async def test_an_object_with_an_odd_value_is_told_with_its_bytes_and_not_asked_for_again(
    cj_sandbox: Any, cj: CJClient
) -> None:
    """It is as odd the next time, and each time costs 10 points."""
    (row,) = await cj.products.list(page_size=1)
    cj_sandbox.faults.add(Fault("deep_json", "product/query", field="listedNum", depth=3))
    with pytest.raises(BadResponseError) as caught:
        await cj.products.query(pid=row.pid)
    assert (caught.value.path, caught.value.http_status) == ("data.listedNum", 200)
    assert json.loads(caught.value.body)["data"]["pid"] == row.pid
    assert await requests(cj_sandbox, "product/query") == 1


async def test_a_server_that_is_down_is_asked_as_often_as_retries_say(cj_sandbox: Any) -> None:
    cj_sandbox.faults.add(Fault("status", "product/list", status=503))
    async with sandbox_client(cj_sandbox, clock=Impatient()) as cj:
        for retries in (0, 2):
            with pytest.raises(UnavailableError) as caught:
                await cj.with_options(retries=retries).products.list()
            assert caught.value.http_status == 503
    assert await requests(cj_sandbox, "product/list") == 1 + 3


def test_every_method_is_in_the_table_of_samples() -> None:
    assert {path.stem.split(".")[0] for path in EXAMPLES.glob("*.json")} == set(CALLS)
    assert all(len(inspect.signature(call).parameters) == 1 for call in CALLS.values())
    assert aiohttp.__version__ >= "3.14"
