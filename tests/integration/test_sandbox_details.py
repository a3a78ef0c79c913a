"""What the sandbox answers about one product, against the truth it was made from and the shapes seen live."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_desk import Desk, desk

from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.details import product_stock, reviews, stock, variants
from cjasync.sandbox.variants import variant_by_sku, variant_by_vid

CATALOGUE = Catalogue(
    range(1_400_000_000, 1_700_000_000, 250_000), seed=3, null_times=0.05, delisted=0.05, now=lambda: 1_750_000_000.0
)
PRODUCTS = list(CATALOGUE.truth())


@pytest.fixture
async def sandbox() -> AsyncIterator[Desk]:
    async with desk() as opened:
        yield opened


# --- the truth


def test_variants_span_the_prices_and_weights_of_their_product():
    for product in PRODUCTS:
        prices = [variant.price for variant in variants(product)]
        weights = [variant.weight for variant in variants(product)]
        if prices:
            assert (min(prices), max(prices)) == (product.price_low, product.price_high)
            assert (min(weights), max(weights)) == (product.weight_low, product.weight_high)
        else:
            assert product.price_low == product.price_high


def test_there_are_products_of_every_size():
    sizes = {len(variants(product)) for product in PRODUCTS}
    assert {0, 1, 2} < sizes
    assert max(sizes) > 10


def test_ids_and_skus_are_unique_and_lead_back():
    everything = [(product, variant) for product in PRODUCTS for variant in variants(product)]
    assert len({variant.vid for _, variant in everything}) == len(everything)
    assert len({variant.sku for _, variant in everything}) == len(everything)
    for product, variant in everything:
        assert variant_by_vid(CATALOGUE, variant.vid) == (product, variant)
        assert variant_by_sku(CATALOGUE, variant.sku) == (product, variant)


def test_ids_have_both_forms_and_do_not_fit_a_double():
    vids = [variant.vid for product in PRODUCTS for variant in variants(product)]
    numeric = [vid for vid in vids if vid.isdecimal()]
    assert 0 < len(numeric) < len(vids)
    assert all(len(vid) == 19 and int(vid) > 2**53 for vid in numeric)
    assert all(len(vid) == 36 and vid == vid.upper() for vid in set(vids) - set(numeric))


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=40) | st.from_regex(r"[0-9]{19}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", fullmatch=True))
def test_any_other_id_is_nobodys(text):
    assert variant_by_vid(CATALOGUE, text) is None
    assert variant_by_sku(CATALOGUE, text) is None


def test_stock_adds_up_at_every_level():
    for product in PRODUCTS:
        whole = product_stock(product)
        if product.countries:
            assert sum(row.cj for row in whole) == product.verified_stock
            assert sum(row.factory for row in whole) == product.factory_stock
        parts = stock(product)
        assert list(parts) == [variant.vid for variant in variants(product)]
        for row in whole if parts else ():
            here = [part for rows in parts.values() for part in rows if part.country == row.country]
            assert (sum(part.cj for part in here), sum(part.factory for part in here)) == (row.cj, row.factory)


def test_depots_come_in_every_form_and_do_not_always_add_up():
    rows = [row for product in PRODUCTS for of_variant in stock(product).values() for row in of_variant]
    sums = [sum(depot.cj + depot.factory for depot in row.depots) == row.total for row in rows if row.depots]
    assert {None, ()} < {row.depots for row in rows}
    assert {True, False} == set(sums)


async def test_two_sandboxes_of_one_seed_tell_the_same():
    async with desk(60, seed=9) as one, desk(60, seed=9) as other, desk(60, seed=10) as another:
        pid = one.find(lambda product: len(variants(product)) > 2).pid
        assert await one.data("product/query", pid=pid) == await other.data("product/query", pid=pid)
        assert await one.data("product/productComments", pid=pid) == await other.data(
            "product/productComments", pid=pid
        )
        assert pid not in another.catalogue.pids_now()


async def test_a_new_price_changes_prices_and_no_id(sandbox):
    product = sandbox.find(lambda one: len(variants(one)) > 2 and one.price_low < one.price_high)
    before = await sandbox.data("product/query", pid=product.pid)
    sandbox.catalogue.reprice(product.pid, Decimal("100.00"), Decimal("250.50"))
    after = await sandbox.data("product/query", pid=product.pid)
    assert after["sellPrice"] == "100.00-250.50"
    prices = [one["variantSellPrice"] for one in after["variants"]]
    assert (min(prices), max(prices)) == (100, 250.5)
    for key in ("vid", "variantSku", "variantKey", "variantWeight"):
        assert [one[key] for one in before["variants"]] == [one[key] for one in after["variants"]]


# --- product/query


async def test_a_product_in_the_shapes_seen_live(sandbox):
    seen: dict[str, set[str]] = {"productImage": set(), "categoryName": set(), "productName": set(), "midnight": set()}
    for product in list(sandbox.catalogue.truth(delisted=False))[:80]:
        row = await sandbox.data("product/query", pid=product.pid)
        assert (row["pid"], row["productSku"], row["status"]) == (product.pid, product.sku, "3")
        assert row["bigImage"] == product.image
        pictures = json.loads(row["productImage"]) if row["productImage"][0] == "[" else [row["productImage"]]
        seen["productImage"].add(row["productImage"][0])
        assert pictures[0] == row["bigImage"]
        if len(pictures) > 1:
            assert sorted(pictures) == sorted(row["productImageSet"])
            assert row["productImageSet"][0] != pictures[0]
        low, _, high = row["sellPrice"].partition("-")
        assert (Decimal(low), Decimal(high or low)) == (product.price_low, product.price_high)
        assert isinstance(row["productWeight"], str)
        assert row["addMarkStatus"] in (0, 1)
        parts = [product.category.one_name, product.category.two_name, product.category.name]
        assert row["categoryName"] in ("/".join(parts), " > ".join(parts))
        seen["categoryName"].add(" > " if " > " in row["categoryName"] else "/")
        seen["productName"].add(row["productName"][0] == "[")
        assert row["suggestSellPrice"] is None or " - " in row["suggestSellPrice"] or Decimal(row["suggestSellPrice"])
        assert "packWeight" not in row
        if product.created_ms is None:
            assert row["createrTime"] is None
        else:
            created = datetime.fromisoformat(row["createrTime"])
            assert created.utcoffset() == timedelta(hours=8)
            assert 0 <= product.created_ms / 1000 - created.timestamp() < 86_400
            seen["midnight"].add(created.hour == created.minute == created.second == 0)
    # Both ways of each occur.
    assert {name: len(ways) for name, ways in seen.items()} == dict.fromkeys(seen, 2)


async def test_variants_of_a_product(sandbox):
    product = sandbox.find(lambda one: len(variants(one)) > 3 and one.created_ms and len(variants(one)[0].options) == 2)
    row = await sandbox.data("product/query", pid=product.pid)
    names = row["productKeyEn"].split("-")
    assert len(json.loads(row["productKey"])) == len(names) == 2
    for shown, true in zip(row["variants"], variants(product), strict=True):
        assert (shown["vid"], shown["pid"], shown["variantSku"]) == (true.vid, product.pid, true.sku)
        assert tuple(shown["variantKey"].split("-", len(names) - 1)) == true.options
        assert shown["variantNameEn"] == f"{product.name_en} {' '.join(true.options)}"
        assert Decimal(str(shown["variantSellPrice"])) == true.price
        assert shown["createTime"] == true.created_ms > 1_000_000_000_000
        sizes = [shown[f"variant{side}"] for side in ("Length", "Width", "Height")]
        assert shown["variantVolume"] == sizes[0] * sizes[1] * sizes[2]
        assert shown["variantStandard"] == "long={},width={},height={}".format(*sizes)
        assert shown["inventories"] is shown["combineVariants"] is shown["combineNum"] is shown["barcode2"] is None
        assert shown["barcode"].isdecimal()


async def test_prices_and_weights_of_variants_are_numbers_as_cj_writes_them(sandbox):
    product = sandbox.find(lambda one: variants(one) and one.price_low * 100 % 10 == 0)
    text = await sandbox.text("GET", "product/query", params={"pid": product.pid})
    assert f'"variantSellPrice":{product.price_low:.2f}' in text
    assert f'"variantWeight":{product.weight_low:.2f}' in text


async def test_products_of_one_variant_and_of_none(sandbox):
    single = sandbox.find(lambda one: len(variants(one)) == 1)
    (only,) = (await sandbox.data("product/query", pid=single.pid))["variants"]
    assert only["variantNameEn"] is None
    bare = sandbox.find(lambda one: not variants(one))
    assert (await sandbox.data("product/query", pid=bare.pid))["variants"] == []
    assert await sandbox.data("product/variant/query", pid=bare.pid) == []
    assert (await sandbox.data("product/stock/getInventoryByPid", pid=bare.pid))["variantInventories"] == []


async def test_all_three_names_lead_to_the_product(sandbox):
    product = sandbox.find(lambda one: len(variants(one)) > 1)
    by_pid = await sandbox.data("product/query", pid=product.pid)
    assert await sandbox.data("product/query", productSku=product.sku) == by_pid
    assert await sandbox.data("product/query", variantSku=variants(product)[1].sku) == by_pid


async def test_a_country_leaves_the_variants_that_lie_there(sandbox):
    def lying(product, country):
        rows = stock(product)
        return [vid for vid in rows if any(row.country == country and row.total for row in rows[vid])]

    product = sandbox.find(lambda one: 0 < len(lying(one, "US")) < len(variants(one)))
    for path, listed in (
        ("product/query", lambda data: data["variants"]),
        ("product/variant/query", lambda data: data),
    ):
        data = await sandbox.data(path, pid=product.pid, countryCode="US")
        assert [one["vid"] for one in listed(data)] == lying(product, "US")
        assert listed(await sandbox.data(path, pid=product.pid, countryCode="TH")) == []


async def test_features_bring_parts_videos_and_stock(sandbox):
    product = sandbox.find(lambda one: one.video and one.countries and any(two.parts for two in variants(one)))
    bare = await sandbox.data("product/query", pid=product.pid)
    assert bare["productVideo"] is None
    for features in (
        ["enable_combine,enable_video,enable_inventory"],
        ["enable_combine", "enable_video", "enable_inventory"],
    ):
        params = [("pid", product.pid), *(("features", feature) for feature in features)]
        row = (await sandbox.ask("GET", "product/query", params=params))["data"]
        assert row["productVideo"]
        combined = row["variants"][-1]
        assert combined["combineNum"] == len(combined["combineVariants"]) == 2
        assert [one["vid"] for one in combined["combineVariants"]] == [one["vid"] for one in row["variants"][:2]]
        for shown in row["variants"]:
            rows = stock(product)[shown["vid"]]
            assert [one["totalInventory"] for one in shown["inventories"]] == [one.total for one in rows]


# --- variants


async def test_variant_query_lists_them_with_keys_as_json(sandbox):
    product = sandbox.find(lambda one: len(variants(one)) > 2)
    shown = await sandbox.data("product/variant/query", productSku=product.sku)
    assert [one["vid"] for one in shown] == [one.vid for one in variants(product)]
    assert [tuple(json.loads(one["variantKey"])) for one in shown] == [one.options for one in variants(product)]
    second = variants(product)[1]
    assert [one["vid"] for one in await sandbox.data("product/variant/query", variantSku=second.sku)] == [second.vid]


async def test_one_variant_by_its_id(sandbox):
    product = sandbox.find(lambda one: one.countries and len(variants(one)) > 1)
    variant = variants(product)[-1]
    answer = await sandbox.get("product/variant/queryByVid", vid=variant.vid)
    assert answer["result"] is True
    assert "success" not in answer
    assert answer["data"]["vid"] == variant.vid
    assert answer["data"]["inventories"] is None
    with_stock = await sandbox.data("product/variant/queryByVid", vid=variant.vid, features="enable_inventory")
    assert [one["countryCode"] for one in with_stock["inventories"]] == [
        one.country for one in stock(product)[variant.vid]
    ]


# --- refusals


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("product/query", {}, 1600300),
        ("product/query", {"pid": ""}, 1600300),
        ("product/query", {"pid": "nobody"}, 1602001),
        ("product/query", {"productSku": "CJNSSY9999999"}, 1602001),
        ("product/query", {"variantSku": "CJNSSY0000001-Nothing"}, 1602000),
        ("product/variant/query", {}, 1600300),
        ("product/variant/query", {"pid": "nobody"}, 1602001),
        ("product/variant/queryByVid", {}, 1600300),
        ("product/variant/queryByVid", {"vid": "1371342252697325568"}, 1602000),
        ("product/stock/queryByVid", {}, 1600300),
        ("product/stock/queryBySku", {}, 1600300),
        ("product/stock/getInventoryByPid", {}, 1600300),
        ("product/productComments", {}, 1600300),
        ("product/productComments", {"pid": "x", "pageNum": 0}, 1600300),
        ("product/comments", {"pid": "x", "score": "best"}, 1600300),
    ],
)
async def test_refusals(sandbox, path, params, code):
    answer = await sandbox.get(path, **params)
    assert (answer["code"], answer["result"], answer["data"]) == (code, False, None)


async def test_what_was_taken_off_the_shelves(sandbox):
    product = next(one for one in sandbox.catalogue.truth() if one.delisted and variants(one))
    variant = variants(product)[0]
    codes = [
        (await sandbox.get(path, **params))["code"]
        for path, params in (
            ("product/query", {"pid": product.pid}),
            ("product/query", {"variantSku": variant.sku}),
            ("product/variant/query", {"productSku": product.sku}),
            ("product/variant/queryByVid", {"vid": variant.vid}),
        )
    ]
    assert codes == [1602002, 1602003, 1602002, 1602003]
    sandbox.catalogue.relist(product.pid)
    assert (await sandbox.data("product/query", pid=product.pid))["pid"] == product.pid


async def test_what_was_deleted_is_not_found(sandbox):
    product = sandbox.find(variants)
    sandbox.catalogue.delete(product.pid)
    assert (await sandbox.get("product/query", pid=product.pid))["code"] == 1602001
    assert (await sandbox.get("product/variant/queryByVid", vid=variants(product)[0].vid))["code"] == 1602000


async def test_nothing_in_success_for_stock_that_is_nobodys(sandbox):
    assert await sandbox.data("product/stock/queryByVid", vid="1371342252697325568") is None
    assert await sandbox.data("product/stock/queryBySku", sku="CJNSSY9999999") == []
    assert await sandbox.data("product/stock/getInventoryByPid", pid="nobody") is None


@pytest.mark.parametrize("path", ["query", "variant/query", "stock/queryBySku", "productComments"])
async def test_posting_to_a_question_is_refused(sandbox, path):
    assert (await sandbox.post(f"product/{path}", {}))["code"] == 16900202


# --- stock


async def test_stock_of_a_variant(sandbox):
    product = sandbox.find(lambda one: len(one.countries) > 1 and len(variants(one)) > 1 and one.verified_stock > 50)
    variant = variants(product)[0]
    true = stock(product)[variant.vid]
    shown = await sandbox.data("product/stock/queryByVid", vid=variant.vid)
    assert [one["countryCode"] for one in shown] == [one.country for one in true]
    for row, truth in zip(shown, true, strict=True):
        assert row["totalInventoryNum"] == row["storageNum"] == truth.total
        assert row["areaId"] == str(int(row["areaId"]))
        assert (row["factoryInventoryNum"] or 0) == truth.factory
        assert "countryNameEn" not in row
    by_sku = await sandbox.data("product/stock/queryBySku", sku=variant.sku)
    assert [one["totalInventoryNum"] for one in by_sku] == [one.total for one in true]
    assert all(isinstance(one["areaId"], int) and one["countryNameEn"] for one in by_sku)


async def test_stock_of_an_spu_is_that_of_all_its_variants(sandbox):
    product = sandbox.find(lambda one: len(one.countries) > 1 and len(variants(one)) > 2)
    rows = await sandbox.data("product/stock/queryBySku", sku=product.sku)
    together = {row["countryCode"]: row["totalInventoryNum"] for row in rows}
    parts = dict.fromkeys(product.countries, 0)
    for variant in variants(product):
        for row in await sandbox.data("product/stock/queryByVid", vid=variant.vid):
            parts[row["countryCode"]] += row["totalInventoryNum"]
    assert together == parts


async def test_inventory_of_a_product_has_two_vocabularies(sandbox):
    product = sandbox.find(lambda one: one.countries and len(variants(one)) > 4)
    answer = await sandbox.get("product/stock/getInventoryByPid", pid=product.pid)
    assert (answer["success"], answer["message"], "result" in answer) == (True, "", False)
    for row in answer["data"]["inventories"]:
        assert row["totalInventoryNum"] == row["cjInventoryNum"] + (row["factoryInventoryNum"] or 0)
        assert row["stock"] is None
    shown = {one["vid"]: one["inventory"] for one in answer["data"]["variantInventories"]}
    assert sorted(shown) == sorted(one.vid for one in variants(product))
    assert list(shown) != [one.vid for one in variants(product)]
    for vid, rows in shown.items():
        assert [one["totalInventory"] for one in rows] == [one.total for one in stock(product)[vid]]
        assert all(one["verifiedWarehouse"] == (1 if one["cjInventory"] else 2) for one in rows)
        assert not any(name.endswith("Num") for one in rows for name in one)


async def test_depots_have_their_ids_in_braces(sandbox):
    forms = set()
    for product in list(sandbox.catalogue.truth())[:40]:
        for variant in (await sandbox.data("product/stock/getInventoryByPid", pid=product.pid))["variantInventories"]:
            for row in variant["inventory"]:
                forms.add("null" if row["stock"] is None else "some" if row["stock"] else "none")
                assert all(len(depot["stockId"].strip("{}")) == 36 for depot in row["stock"] or ())
                assert all(depot["stockId"].startswith("{") for depot in row["stock"] or ())
    assert forms == {"null", "some", "none"}


# --- reviews


@pytest.mark.parametrize("path", ["product/productComments", "product/comments"])
async def test_reviews_page_by_page(sandbox, path):
    product = sandbox.find(lambda one: len(reviews(one)) > 60)
    seen = []
    for page in range(1, 20):
        answer = await sandbox.get(path, pid=product.pid, pageNum=page, pageSize=25)
        assert (answer["code"], answer["success"], answer["message"]) == (0, True, None)
        data = answer["data"]
        assert (data["pageNum"], data["pageSize"], data["total"]) == (str(page), "25", str(len(reviews(product))))
        seen += data["list"]
        if len(data["list"]) < 25:
            break
    assert [one["commentId"] for one in seen] == [one.id for one in reviews(product)]
    assert len({one["commentId"] for one in seen}) == len(seen)
    for shown, true in zip(seen, reviews(product), strict=True):
        assert shown["commentId"] > 2**53
        assert shown["score"] == str(true.score)
        assert datetime.fromisoformat(shown["commentDate"]).utcoffset() == timedelta(hours=8)
        assert shown["comment"] == true.text


async def test_reviews_of_one_score_and_of_nobody(sandbox):
    product = sandbox.find(lambda one: 0 < sum(two.score == 4 for two in reviews(one)) < len(reviews(one)))
    data = await sandbox.data("product/productComments", pid=product.pid, score=4, pageSize=200)
    assert {one["score"] for one in data["list"]} == {"4"}
    assert data["total"] == str(sum(one.score == 4 for one in reviews(product)))
    nobody = await sandbox.data("product/productComments", pid="nobody")
    assert (nobody["list"], nobody["total"], nobody["pageSize"]) == ([], "0", "20")
