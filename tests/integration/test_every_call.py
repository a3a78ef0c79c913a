"""Every method once, over a socket, against the sandbox's catalogue."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cjasync import AlreadyExistsError, NotFoundError, ParameterError
from cjasync.models import ListedProduct, MyProduct, Review, SearchProduct


async def test_categories_and_warehouses(cj):
    tree = await cj.categories.get()
    assert all(leaf.category_id and leaf.category_name for first in tree for leaf in first.leaves())
    warehouses = await cj.warehouses.global_list()
    assert {"CN", "US"} <= {warehouse.country_code for warehouse in warehouses}


async def test_both_listings(cj):
    searched = await cj.products.list_v2(features=["enable_category"], verified_warehouse=0, sort="asc", order_by=2)
    assert all(type(row) is SearchProduct and row.one_category_name for row in searched)
    prices = [row.sell_price.low for row in searched]
    assert prices == sorted(prices)
    listed = await cj.products.list(min_price=5, max_price=Decimal("50.5"), create_time_to=datetime.now(UTC))
    assert (len(listed), len(searched)) == (200, 100)
    assert all(type(row) is ListedProduct and row.create_time.tzinfo for row in listed)
    assert all(row.sell_price.low <= Decimal("50.5") and row.sell_price.high >= 5 for row in listed)
    (again,) = await cj.products.list(pid=listed[0].pid)
    assert again == listed[0]
    assert not searched.skipped
    assert not listed.skipped


async def test_one_product_by_each_of_its_names(cj):
    (row, *_) = await cj.products.list(page_size=1)
    product = await cj.products.query(pid=row.pid, features=("enable_combine", "enable_inventory"))
    assert (product.pid, product.product_sku, product.sell_price) == (row.pid, row.product_sku, row.sell_price)
    assert await cj.products.query(product_sku=row.product_sku) is not None
    variants = await cj.variants.query(pid=row.pid)
    assert {variant.vid for variant in variants} == {variant.vid for variant in product.variants}
    first = variants[0]
    assert (await cj.products.query(variant_sku=first.variant_sku)).pid == row.pid
    assert (await cj.variants.query_by_vid(first.vid, features="enable_inventory")).variant_sku == first.variant_sku
    assert all(product.options(variant) for variant in product.variants) == bool(product.product_key_en)


async def test_stock_by_all_three_calls_agrees(cj):
    for row in (await cj.products.list(page_size=20, order_by="listedNum")).items:
        stock = await cj.stock.get_inventory_by_pid(row.pid)
        by_vid = stock.by_vid()
        for vid in list(by_vid)[:1]:
            told = {area.country_code: area.total_inventory for area in await cj.stock.query_by_vid(vid)}
            assert told == {area.country_code: area.total_inventory for area in by_vid[vid]}
        spu = {area.country_code: area.total_inventory for area in await cj.stock.query_by_sku(row.product_sku)}
        assert spu == {area.country_code: area.total_inventory for area in stock.inventories}


async def test_reviews_over_several_pages(cj):
    for row in (await cj.products.list(page_size=50)).items:
        page = await cj.reviews.product_comments(row.pid, page_size=10)
        if page.total > 10:
            every = [review async for review in cj.reviews.product_comments(row.pid, page_size=10)]
            assert len(every) == page.total == len({review.comment_id for review in every})
            assert all(type(review) is Review and 1 <= review.score <= 5 for review in every)
            with pytest.warns(DeprecationWarning, match="product_comments"):
                older = await cj.reviews.comments(row.pid, page_size=10)
            assert older.items == page.items
            assert len(await cj.reviews.product_comments(row.pid, page_size=1000)) == page.total
            return
    pytest.fail("the sandbox has no product with many reviews")


async def test_my_products(cj):
    (row, *_) = await cj.products.list(page_size=1)
    assert await cj.products.add_to_my_product(row.pid) is True
    with pytest.raises(AlreadyExistsError):
        await cj.products.add_to_my_product(row.pid)
    mine = await cj.products.my_product()
    assert [(type(product), product.product_id) for product in mine] == [(MyProduct, row.pid)]


async def test_sourcing(cj):
    created = await cj.sourcing.create(
        product_name="a lamp", product_image="https://example.com/lamp.jpg", price="9.50"
    )
    assert created.result == "success"
    (state,) = await cj.sourcing.query(created.cj_sourcing_id)
    assert (state.source_id, state.source_status) == (created.cj_sourcing_id, "1")
    again = await cj.sourcing.create(product_name="a sofa", product_image="https://example.com/sofa.jpg")
    ids = [again.cj_sourcing_id, "unknown", created.cj_sourcing_id]
    assert [state.source_id for state in await cj.sourcing.query(ids)] == [ids[0], ids[2]]


async def test_settings(cj):
    account = await cj.settings.get()
    assert account.is_sandbox is True
    assert account.setting.qps_limit is not None
    assert account.open_id not in repr(account)


async def test_what_is_not_there(cj):
    with pytest.raises(NotFoundError):
        await cj.products.query(pid="nothing")
    with pytest.raises(ParameterError, match="exactly one"):
        await cj.variants.query()
    assert (await cj.products.list_v2(key_word="zzzzzzzz")).items == ()
