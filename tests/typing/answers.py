"""What a type checker knows of every call. `scripts/check` reads this file, nothing runs it.

Where an `ignore` stands, the call must be refused: mypy reports one that is not needed.
"""

from datetime import datetime
from decimal import Decimal
from typing import assert_type

from cjasync import CJClient, Cursor, Done, Page, Price, RawAnswer, Rows, Skipped, Weight
from cjasync.auth import Tokens
from cjasync.models import (
    AccountSettings,
    FirstCategory,
    ListedProduct,
    MyProduct,
    Product,
    ProductInventory,
    Review,
    SearchProduct,
    Sourcing,
    SourcingRequest,
    Stock,
    Variant,
    Warehouse,
)
from cjasync.quota import Usage


async def every_call(cj: CJClient) -> None:
    assert_type(await cj.categories.get(), Rows[FirstCategory])
    assert_type(await cj.products.list_v2(key_word="hoodie", order_by=2), Page[SearchProduct])
    assert_type(await cj.products.list(create_time_from="2026-01-31", delivery_time=24), Page[ListedProduct])
    assert_type(await cj.products.query(pid="1", features=["enable_video"]), Product | None)
    assert_type(await cj.products.add_to_my_product("1"), bool)
    assert_type(await cj.products.my_product(is_listed=True), Page[MyProduct])
    assert_type(await cj.warehouses.global_list(), Rows[Warehouse])
    assert_type(await cj.variants.query(product_sku="1"), Rows[Variant])
    assert_type(await cj.variants.query_by_vid("1", features="enable_inventory"), Variant | None)
    assert_type(await cj.stock.query_by_vid("1"), Rows[Stock])
    assert_type(await cj.stock.query_by_sku("1"), Rows[Stock])
    assert_type(await cj.stock.get_inventory_by_pid("1"), ProductInventory | None)
    assert_type(await cj.reviews.product_comments("1", score=5), Page[Review])
    assert_type(await cj.reviews.comments("1"), Page[Review])
    created = await cj.sourcing.create(product_name="a", product_image="u", price=Decimal(1))
    assert_type(created, SourcingRequest | None)
    assert_type(await cj.sourcing.query(["1"]), Rows[Sourcing])
    assert_type(await cj.settings.get(), AccountSettings | None)
    assert_type(await cj.auth.login(), Tokens)
    assert_type(await cj.usage(), Usage)


async def many(cj: CJClient) -> None:
    async for row in cj.products.list():
        assert_type(row, ListedProduct)
    async for page in cj.products.list_v2().pages():
        assert_type(page, Page[SearchProduct])
        assert_type(page[0], SearchProduct)
        assert_type(page.skipped, tuple[Skipped, ...])
        assert_type(page.cursor, Cursor | None)
    async for done in cj.bulk(cj.products.query, ["1"], key="pid"):
        assert_type(done, Done[str, Product | None])
    assert_type(await cj.with_raw(cj.stock.query_by_vid, "1"), RawAnswer[Rows[Stock]])


def values(product: Product, variant: Variant) -> None:
    assert_type(product.sell_price, Price | None)
    assert_type(product.packing_weight, Weight | None)
    assert_type(product.product_image, tuple[str, ...])
    assert_type(product.variants, tuple[Variant, ...])
    assert_type(product.create_time, datetime | None)
    assert_type(product.add_mark_status, bool | None)
    assert_type(variant.vid, str)
    assert_type(variant.variant_sell_price, Decimal | None)


async def refused(cj: CJClient) -> None:
    await cj.products.list(key_word="a filter of the other listing")  # type: ignore[call-arg]
    await cj.products.list_v2(order_by=9)  # type: ignore[arg-type]
    await cj.products.list_v2(features="enable_inventory")  # type: ignore[arg-type]
    await cj.products.list(sort="down")  # type: ignore[arg-type]
    await cj.products.query("1")  # type: ignore[call-arg]
    await cj.products.query(pid=1)  # type: ignore[arg-type]
    await cj.sourcing.create(product_name="a")  # type: ignore[call-arg]
