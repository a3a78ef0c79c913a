"""Asking a whole CJ whether its answers are still what the models expect."""

import json
from typing import Any

import pytest

from cjasync import AuthError, CJClient, Plan, UnavailableError
from cjasync.drift import Drift, check_drift
from cjasync.sandbox import Fault, Sandbox
from cjasync.testing.plugin import sandbox_client

FREE = ["setting/get", "product/getCategory", "product/globalWarehouseList", "product/myProduct/query"]
OF_A_PRODUCT = [
    "product/query",
    "product/stock/getInventoryByPid",
    "product/variant/query",
    "product/variant/queryByVid",
    "product/stock/queryByVid",
    "product/stock/queryBySku",
]
REVIEWS = "product/productComments"


async def points_used(cj: CJClient) -> int:
    answer = await cj.with_raw(cj.settings.get)
    return int(json.loads(answer.body)["pointsInfo"]["usedToday"])


async def test_the_models_know_all_that_the_sandbox_sends(cj: CJClient) -> None:
    for row in await cj.products.list_v2(size=3):
        await cj.products.add_to_my_product(row.id)
    report = await check_drift(cj, rows=100)
    assert list(report.answers) == [*FREE, "product/listV2", "product/list", *OF_A_PRODUCT, REVIEWS]
    assert str(report).count("no changes in 1 answer") == len(report.answers), str(report)
    assert (report.changes, report.failed) == ((), {})


async def test_other_products_and_older_envelopes_are_as_expected(make_sandbox: Any) -> None:
    older = {"product/listV2": "result", "product/list": "success", "product/query": "zero", REVIEWS: "zero"}
    async with (
        make_sandbox(products=60, seed=2, envelopes=older, points_info=False, listv2_sparse=False) as sandbox,
        sandbox_client(sandbox) as cj,
    ):
        drift = Drift()
        for row in await cj.products.list_v2(size=6):
            report = await check_drift(cj, pid=row.id, drift=drift)
    assert report.changes == ()
    assert report.answers["product/query"] == 6


async def test_it_is_cheap_and_can_be_free(make_sandbox: Any) -> None:
    plan = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None)
    async with make_sandbox(plan=plan) as sandbox, sandbox_client(sandbox) as cj:
        report = await check_drift(cj, free=True)
        assert list(report.answers) == FREE  # My Products is empty, so there is no product to ask about
        assert await points_used(cj) == 0
        (row,) = await cj.products.list_v2(size=1)
        await cj.products.add_to_my_product(row.id)
        before = await points_used(cj)
        report = await check_drift(cj, free=True)
        assert list(report.answers) == [*FREE, REVIEWS]
        assert await points_used(cj) == before
        requests = sandbox.stats()["requests"]
        await check_drift(cj)
        assert sandbox.stats()["requests"] - requests == 13
        assert await points_used(cj) == before + 160


async def test_what_changes_on_the_wire_is_found(cj_sandbox: Sandbox, cj: CJClient) -> None:
    rows = [{"pid": "1", "colour": "red"}, {"pid": "2"}]
    page = {"pageNum": 1, "pageSize": 2, "total": 2, "list": rows}
    cj_sandbox.faults.add(
        Fault("transient_empty", "product/list", data=page),
        Fault("deep_json", "product/listV2", field="sellPrice", depth=2),
        Fault("huge_number", "setting/get", field="generation", digits=3),
    )
    report = await check_drift(cj)
    (change,) = report.of("setting/get")
    assert (change.kind, change.path, change.example) == ("added", "generation", "777")
    (change,) = report.of("product/listV2")
    assert (change.kind, change.path, change.count, change.of) == (
        "retyped",
        "data.content[].productList[].sellPrice",
        20,
        20,
    )
    assert change.example == "[[]]"
    added, *dropped = report.of("product/list")
    assert (added.path, added.count, added.of) == ("data.list[].colour", 1, 2)
    assert {change.kind for change in dropped} == {"dropped"}
    assert "data.list[].sellPrice" in {change.path for change in dropped}
    assert "data.list[].pid" not in {change.path for change in dropped}
    assert report.failed["product/query"] == "NotFoundError, code 1602001"  # "1" was the only product that was listed


async def test_an_answer_that_cannot_be_decoded_is_compared_all_the_same(cj_sandbox: Sandbox, cj: CJClient) -> None:
    cj_sandbox.faults.add(Fault("deep_json", "product/query", field="sellPrice", depth=2))
    report = await check_drift(cj.with_options(retries=0))
    (change,) = report.of("product/query")
    assert (change.kind, change.path) == ("retyped", "data.sellPrice")
    assert report.failed == {"product/query": "BadResponseError at data.sellPrice"}
    assert report.drifted


async def test_a_product_that_cj_does_not_know_fails_alone(cj: CJClient) -> None:
    report = await check_drift(cj, pid="0000")
    assert report.failed["product/query"] == "NotFoundError, code 1602001"
    assert report.changes == ()
    assert "product/query: not compared, NotFoundError, code 1602001" in str(report)
    assert report.answers["product/list"] == 1


async def test_what_concerns_more_than_one_call_ends_the_check(cj_sandbox: Sandbox, cj: CJClient) -> None:
    cj_sandbox.faults.add(Fault("status", "product/list", status=503))
    drift = Drift()
    with pytest.raises(UnavailableError):
        await check_drift(cj.with_options(retries=0), drift=drift)
    assert "product/listV2" in drift.report().answers  # what was seen until then is kept
    async with sandbox_client(cj_sandbox, access_token="wrong") as stranger:
        with pytest.raises(AuthError):
            await check_drift(stranger)


async def test_nothing_of_the_account_is_shown(cj_sandbox: Sandbox, cj: CJClient) -> None:
    account = await cj.settings.get()
    assert account is not None
    data = {"openId": account.open_id, "user": {"id": account.open_id, "mail": account.open_email}}
    data |= {"header": cj_sandbox.access_token, "apiKey": cj_sandbox.api_key, "note": f"key {cj_sandbox.api_key}"}
    cj_sandbox.faults.add(Fault("transient_empty", "setting/get", data=data))
    report = await check_drift(cj, free=True)
    shown = f"{report} {report.as_dict()}"
    assert {"data.header", "data.note", "data.user", "data.apiKey"} <= {change.path for change in report.changes}
    for secret in (account.open_id, account.open_email, cj_sandbox.access_token, cj_sandbox.api_key):
        assert secret
        assert secret not in shown
