"""My Products and sourcing: what users write, and how the sandbox remembers it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import aiohttp
import pytest
from sandbox_desk import Desk, desk

from cjasync.sandbox import Fault, shop
from cjasync.sandbox.details import variants
from cjasync.sandbox.shelf import DONE_AFTER, SEARCH_AFTER

ADD = "product/addToMyProduct"
MINE = "product/myProduct/query"
CREATE = "product/sourcing/create"
ASK = "product/sourcing/query"
WISH = {"productName": "Lamp", "productImage": "https://example.com/lamp.jpg"}


@pytest.fixture
async def sandbox() -> AsyncIterator[Desk]:
    async with desk() as opened:
        yield opened


async def add(sandbox: Desk, count: int) -> list:
    products = list(sandbox.catalogue.truth(delisted=False))[:count]
    for product in products:
        sandbox.clock.now += 1
        assert (await sandbox.post(ADD, {"productId": product.pid}))["data"] is True
    return products


# --- My Products


async def test_a_product_is_added_once(sandbox):
    pid = sandbox.find(variants).pid
    first, second = [await sandbox.post(ADD, {"productId": pid}) for _ in range(2)]
    assert (first["code"], first["result"], first["success"], first["data"]) == (200, True, True, True)
    assert (second["code"], second["result"], second["data"]) == (1600000, False, None)
    assert second["message"] == "The product has been added to My Products."
    assert sandbox.shelf.counts() == {(ADD, pid): 2}
    assert [write.accepted for write in sandbox.shelf.writes] == [True, False]


async def test_accounts_have_products_of_their_own(sandbox):
    pid = sandbox.find(variants).pid
    other = sandbox.sandbox.add_account()
    await sandbox.post(ADD, {"productId": pid})
    assert (await sandbox.data(MINE))["totalRecords"] == 1
    assert (await sandbox.ask("GET", MINE, account=other))["data"]["totalRecords"] == 0
    assert (await sandbox.post(ADD, {"productId": pid}, account=other))["data"] is True


async def test_what_cannot_be_added_leaves_no_trace(sandbox):
    delisted = next(one for one in sandbox.catalogue.truth() if one.delisted)
    for body, code in (
        ({}, 1600300),
        ({"productId": ""}, 1600300),
        ({"productId": 5}, 1600300),
        ({"productId": "nobody"}, 1602001),
        ({"productId": delisted.pid}, 1602002),
    ):
        assert (await sandbox.post(ADD, body))["code"] == code
    assert sandbox.shelf.writes == []


async def test_my_products_in_pages_newest_first(sandbox):
    products = await add(sandbox, 23)
    seen = []
    for page in (1, 2, 3):
        data = await sandbox.data(MINE, pageNum=page, pageSize=10)
        assert {**data, "content": None} == {
            "pageNumber": page, "pageSize": 10, "totalRecords": 23, "totalPages": 3, "content": None
        }  # fmt: skip
        seen += [row["productId"] for row in data["content"]]
    assert seen == [one.pid for one in reversed(products)]
    assert (await sandbox.data(MINE, pageNumber=3))["content"][-1]["productId"] == products[0].pid
    assert (await sandbox.data(MINE, pageSize=1000))["pageSize"] == 200


async def test_a_row_of_my_products(sandbox):
    (product,) = await add(sandbox, 1)
    (row,) = (await sandbox.data(MINE))["content"]
    assert (row["sku"], row["nameEn"], row["bigImage"]) == (product.sku, product.name_en, product.image)
    assert row["vid"] in {one.vid for one in variants(product)} | {None}
    assert Decimal(row["totalPrice"]) == product.price_high
    assert row["createAt"] == round(sandbox.clock.now * 1000)
    assert row["lengthList"] == [one.length for one in variants(product)]
    assert (row["areaId"], row["trialFreight"], row["discountPrice"]) == (str(int(row["areaId"])), "0", None)


async def test_deleted_products_leave_my_products(sandbox):
    gone, stays = await add(sandbox, 2)
    sandbox.catalogue.delete(gone.pid)
    assert [row["productId"] for row in (await sandbox.data(MINE))["content"]] == [stays.pid]


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("isListed", shop.is_listed),
        ("visiable", shop.is_visible),
        ("hasPacked", shop.has_packing),
        ("hasVirPacked", shop.has_virtual_packing),
    ],
)
async def test_marks_filter_my_products(sandbox, name, true):
    products = await add(sandbox, 40)
    for value in (0, 1):
        data = await sandbox.data(MINE, pageSize=100, **{name: value})
        expected = {one.pid for one in products if true(one) == bool(value)}
        assert {row["productId"] for row in data["content"]} == expected != set()


async def test_words_and_categories_filter_my_products(sandbox):
    products = await add(sandbox, 40)
    product = next(one for one in products if variants(one))
    for keyword in (product.sku, product.sku.lower(), variants(product)[0].sku, product.name_en.upper()):
        data = await sandbox.data(MINE, pageSize=100, keyword=keyword)
        assert product.pid in {row["productId"] for row in data["content"]}
        assert data["totalRecords"] < 40
    data = await sandbox.data(MINE, pageSize=100, categoryId=product.category.id)
    expected = {one.pid for one in products if one.category == product.category}
    assert {row["productId"] for row in data["content"]} == expected
    assert (await sandbox.data(MINE, keyword="no such thing"))["content"] == []


async def test_times_filter_my_products_in_every_form(sandbox):
    products = await add(sandbox, 9)
    third = sandbox.clock.now - 6
    china = datetime.fromtimestamp(third, timezone(timedelta(hours=8)))
    for text in (china.strftime("%Y-%m-%d %H:%M:%S"), china.astimezone(UTC).isoformat(), str(round(third * 1000))):
        since = await sandbox.data(MINE, startAt=text)
        until = await sandbox.data(MINE, endAt=text)
        assert [row["productId"] for row in since["content"]] == [one.pid for one in reversed(products[2:])]
        assert [row["productId"] for row in until["content"]] == [one.pid for one in reversed(products[:3])]
    assert (await sandbox.get(MINE, startAt="yesterday"))["code"] == 1600300


@pytest.mark.parametrize(("kind", "times"), [("execute_then_drop", 1), ("close_before", 0), ("truncate", 1)])
async def test_the_log_tells_what_became_of_a_write_whose_answer_was_lost(sandbox, kind, times):
    pid = sandbox.find(variants).pid
    sandbox.sandbox.faults.add(Fault(kind, ADD, times=1))
    with pytest.raises(aiohttp.ClientError):
        await sandbox.post(ADD, {"productId": pid})
    assert sandbox.shelf.counts()[ADD, pid] == times
    assert (await sandbox.data(MINE))["totalRecords"] == times
    assert [hit.executed for hit in sandbox.sandbox.faults.hits] == [bool(times)]


# --- bodies


@pytest.mark.parametrize("path", [ADD, CREATE, ASK])
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 16900203),
        ({"data": {"productId": "1"}}, 16900203),
        ({"headers": {"Content-Type": "application/json"}}, 16900204),
        ({"data": b"{", "headers": {"Content-Type": "application/json;charset=utf-8"}}, 16900205),
        ({"json": [1]}, 16900205),
        ({"json": {}}, 1600300),
    ],
)
async def test_bodies_that_cannot_be_read(sandbox, path, options, code):
    answer = await sandbox.ask("POST", path, **options)
    assert (answer["code"], answer["result"], answer["data"]) == (code, False, None)
    assert sandbox.shelf.writes == []


async def test_the_wrong_method(sandbox):
    for path in (ADD, CREATE, ASK):
        assert (await sandbox.get(path))["code"] == 16900202
    assert (await sandbox.post(MINE, {}))["code"] == 16900202


# --- sourcing


@pytest.mark.parametrize(
    "change",
    [
        {"productName": ""},
        {"productName": None},
        {"productImage": "  "},
        {"productName": "x" * 201},
        {"remark": 5},
        {"price": "cheap"},
    ],
)
async def test_a_wish_that_says_too_little_or_too_much(sandbox, change):
    assert (await sandbox.post(CREATE, WISH | change))["code"] == 1600300
    assert sandbox.shelf.writes == []


@pytest.mark.parametrize("price", ["", None, "12.50", 12.5])
async def test_a_price_is_optional(sandbox, price):
    answer = await sandbox.post(CREATE, WISH | {"price": price})
    assert (answer["code"], answer["success"], answer["message"]) == (0, True, None)
    made = sandbox.shelf.sourcing[answer["data"]["cjSourcingId"]]
    assert made.form["price"] == (Decimal(str(price)) if price else None)


async def test_five_wishes_a_day(sandbox):
    other = sandbox.sandbox.add_account()
    for number in range(5):
        answer = await sandbox.post(CREATE, WISH | {"productName": f"Lamp {number}"})
        assert answer["data"]["result"] == "success"
    sixth = await sandbox.post(CREATE, WISH)
    assert (sixth["code"], sixth["result"], sixth["message"]) == (1600000, False, "Exceeded the daily source limit")
    assert (await sandbox.post(CREATE, WISH, account=other))["code"] == 0
    sandbox.clock.now += 86_400
    assert (await sandbox.post(CREATE, WISH))["code"] == 0
    assert sandbox.shelf.counts() == {(CREATE, "Lamp"): 2} | {(CREATE, f"Lamp {number}"): 1 for number in range(5)}


async def test_time_decides_what_becomes_of_a_wish(sandbox):
    wishes = [WISH | {"thirdProductId": f"p{number}"} for number in range(4)]
    ids = [(await sandbox.post(CREATE, wish))["data"]["cjSourcingId"] for wish in wishes]

    async def statuses() -> list[tuple[str, str]]:
        rows = [(await sandbox.post(ASK, {"sourceIds": [one]}))["data"] for one in ids]
        return [(row["sourceStatus"], row["sourceStatusStr"]) for row in rows]

    assert set(await statuses()) == {("1", "待处理")}
    sandbox.clock.now += SEARCH_AFTER
    assert set(await statuses()) == {("2", "搜品中")}
    sandbox.clock.now += DONE_AFTER
    ends = await statuses()
    assert set(ends) == {("3", "搜品成功"), ("5", "搜品失败")}
    for one, (status, _) in zip(ids, ends, strict=True):
        answer = await sandbox.post(ASK, {"sourceIds": [one]})
        row = answer["data"]
        assert (answer["code"], row["sourceId"], row["productId"]) == (0, one, f"p{ids.index(one)}")
        assert (row["cjProductId"] in sandbox.catalogue.pids_now()) == (status == "3")


@pytest.mark.parametrize("ids", [None, [], ["1", "2"], "285", [{}]])
async def test_one_id_is_asked_about(sandbox, ids):
    assert (await sandbox.post(ASK, {"sourceIds": ids}))["code"] == 1600300


async def test_other_peoples_wishes_are_nobodys(sandbox):
    other = sandbox.sandbox.add_account()
    made = (await sandbox.post(CREATE, WISH))["data"]["cjSourcingId"]
    for answer in (
        await sandbox.post(ASK, {"sourceIds": [made]}, account=other),
        await sandbox.post(ASK, {"sourceIds": ["999999"]}),
    ):
        assert (answer["code"], answer["success"], answer["data"]) == (0, True, None)
