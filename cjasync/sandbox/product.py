"""One product, as the sandbox knows it to be."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from cjasync.sandbox.categories import Category


class Product(Struct, frozen=True, kw_only=True):
    """What is true of one product. Prices in USD, weights in g, `created_ms` in ms since 1970 or None.

    `key` holds 64 random bits of the product: draw further attributes (variants, reviews) from them.
    """

    number: int
    key: int
    pid: str
    sku: str
    name_en: str
    names_zh: tuple[str, ...]
    image: str
    category: Category
    price_low: Decimal
    price_high: Decimal
    weight_low: int
    weight_high: int
    created_ms: int | None
    listed: int
    verified_stock: int
    factory_stock: int
    delisted: bool
    product_type: str | None
    supplier_id: str | None
    supplier_name: str | None
    countries: tuple[str, ...]
    delivery_hours: int | None
    free_shipping: bool
    video: bool
    unit: str | None
    remark: str | None
    customization: int | None
    self_pickup: bool
    certified: bool
    flags: tuple[int, ...]
    zones: tuple[str, ...]
    verified: int
    brand_id: int | None


def image_of(number: int, key: int) -> str:
    """The address of the main picture."""
    return f"https://cf.cjdropshipping.com/{key & 0xFFFFFFFF:08x}/{number}_trans.jpeg"


def supplier_id(code: int) -> str:
    """The id of the supplier with that place in `traits.SUPPLIERS`."""
    return str(1_390_000_000_000_000_000 + code * 7_777_777_777)
