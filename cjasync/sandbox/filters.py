"""Every documented filter of the two listings, as a condition on a product's number.

A range of prices is taken by its low end. Texts that are not among CJ's values find nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cjasync.sandbox.traits as traits
from cjasync.sandbox.catalogue import ON_SALE, Catalogue
from cjasync.sandbox.listing import Condition, Listing
from cjasync.sandbox.product import supplier_id
from cjasync.sandbox.query import Query
from cjasync.sandbox.traits import Trait

Clause = tuple[Any, ...]
"""A filter and its values, such as ("price", 1.0, None)."""


def list_clauses(query: Query) -> list[Clause]:
    """What product/list is asked for, times apart."""
    clauses: list[Clause] = [
        ("category", query.text("categoryId")),
        ("pid", query.text("pid")),
        ("sku", query.text("productSku")),
        ("name_zh", query.text("productName")),
        ("any_word", query.text("productNameEn")),
        ("type", query.text("productType")),
        ("country", query.text("countryCode")),
        ("delivery", query.integer("deliveryTime")),
        ("verified", query.integer("verifiedWarehouse") or None),
        ("stock", query.number("startInventory"), query.number("endInventory")),
        ("brand", query.integer("brandOpenId")),
        ("price", query.number("minPrice"), query.number("maxPrice")),
        ("flag", 0 if query.integer("searchType", 0) in (2, 21) else None),
        ("listed", query.number("minListedNum"), query.number("maxListedNum")),
        ("pickup", query.integer("isSelfPickup")),
        ("supplier", query.text("supplierId")),
        ("free", query.integer("isFreeShipping")),
        ("customization", query.integer("customizationVersion")),
    ]
    return [clause for clause in clauses if any(value is not None for value in clause[1:])]


def search_clauses(query: Query) -> list[Clause]:
    """What product/listV2 is asked for, times apart. Delisted products are out of its sight."""
    product_type = query.integer("productType")
    if product_type not in (None, 4, 10, 11):
        product_type = None
    clauses: list[Clause] = [
        ("on_sale", True),
        ("all_words", query.text("keyWord")),
        ("category", query.text("categoryId")),
        ("two", query.texts("lv2categoryList") or None),
        ("three", query.texts("lv3categoryList") or None),
        ("country", query.text("countryCode")),
        ("price", query.number("startSellPrice"), query.number("endSellPrice")),
        ("free", query.integer("addMarkStatus")),
        ("supplied", True if product_type == 4 else None),
        ("video", None if product_type in (None, 4) else product_type == 10),
        ("flag", query.integer("productFlag")),
        ("stock", query.number("startWarehouseInventory"), query.number("endWarehouseInventory")),
        ("verified", query.integer("verifiedWarehouse") or None),
        ("zone", query.text("zonePlatform")),
        ("abroad", True if query.text("isWarehouse") in ("true", "1") else None),
        ("supplier", query.text("supplierId")),
        ("certified", query.integer("hasCertification")),
        ("pickup", query.integer("isSelfPickup")),
        ("customized", query.integer("customization")),
    ]
    return [clause for clause in clauses if any(value is not None for value in clause[1:])]


def select(catalogue: Catalogue, clauses: list[Clause]) -> Listing:
    """The products that satisfy all clauses."""
    if not clauses:
        return catalogue.all
    if any(clause[0] in ("pid", "sku") for clause in clauses):
        return _one(catalogue, clauses)
    return catalogue.listing(tuple(clauses), _every(catalogue, clauses))


def _every(catalogue: Catalogue, clauses: list[Clause]) -> Condition:
    conditions = [_MAKERS[name](catalogue, *values) for name, *values in clauses]
    if len(conditions) == 1:
        return conditions[0]
    return lambda number: all(condition(number) for condition in conditions)


def _one(catalogue: Catalogue, clauses: list[Clause]) -> Listing:
    # At most one product: no need to look at all of them.
    found = [
        catalogue.get(value) if name == "pid" else catalogue.by_sku(value)
        for name, value, *_ in clauses
        if name in ("pid", "sku")
    ]
    numbers = {product.number for product in found if product is not None}
    return Listing(catalogue.created, filter(_every(catalogue, clauses), sorted(numbers)))


def _column(name: str) -> Callable[[Catalogue, float | None, float | None], Condition]:
    def maker(catalogue: Catalogue, low: float | None, high: float | None) -> Condition:
        values = getattr(catalogue, name)
        least = float("-inf") if low is None else low
        most = float("inf") if high is None else high
        return lambda number: least <= values[number] <= most

    return maker


def _price(catalogue: Catalogue, low: float | None, high: float | None) -> Condition:
    # Rounded, because 0.29 * 100 is not 29; a bound between two cents keeps its meaning.
    return _column("low")(
        catalogue, None if low is None else round(low * 100, 6), None if high is None else round(high * 100, 6)
    )


def _stock(catalogue: Catalogue, low: float | None, high: float | None) -> Condition:
    verified, factory = catalogue.stock, catalogue.factory
    least = float("-inf") if low is None else low
    most = float("inf") if high is None else high
    return lambda number: least <= verified[number] + factory[number] <= most


def _trait(trait: Trait[Any], wanted: Callable[[Any, Any], bool]) -> Callable[[Catalogue, Any], Condition]:
    def maker(catalogue: Catalogue, value: Any) -> Condition:
        keys, shift, mask = catalogue.keys, trait.shift, trait.mask
        codes = trait.codes(lambda known: wanted(known, value))
        return lambda number: keys[number] >> shift & mask in codes

    return maker


def _equal(known: Any, value: Any) -> bool:
    return bool(known == value)


def _among(known: Any, value: Any) -> bool:
    return value in known


def _level(attribute: str) -> Callable[[Catalogue, Any], Condition]:
    def maker(catalogue: Catalogue, value: str | tuple[str, ...]) -> Condition:
        ids = (value,) if isinstance(value, str) else value
        leaves = {place for place, leaf in enumerate(catalogue.categories) if getattr(leaf, attribute) in ids}
        category = catalogue.category
        return lambda number: category[number] in leaves

    return maker


def _any_word(catalogue: Catalogue, text: str) -> Condition:
    # As loose as the live filter: one of the words in common is enough.
    words = text.lower().split()
    return lambda number: any(word in catalogue.name_of(number).lower() for word in words)


def _all_words(catalogue: Catalogue, text: str) -> Condition:
    words = text.lower().split()

    def condition(number: int) -> bool:
        name = catalogue.name_of(number).lower()
        return all(word in name for word in words) or catalogue.sku_of(number).lower() == text.lower()

    return condition


def _name_zh(catalogue: Catalogue, text: str) -> Condition:
    return lambda number: any(text in name for name in catalogue.names_zh_of(number))


def _on_sale(catalogue: Catalogue, _: bool) -> Condition:
    status = catalogue.status
    return lambda number: status[number] == ON_SALE


def _supplied(catalogue: Catalogue, _: bool) -> Condition:
    return lambda number: traits.is_supplied(catalogue.keys[number])


def _supplier(catalogue: Catalogue, value: str) -> Condition:
    codes = {code for code in range(len(traits.SUPPLIERS)) if supplier_id(code) == value}
    keys = catalogue.keys
    return lambda number: traits.SUPPLIER.code(keys[number]) in codes and traits.is_supplied(keys[number])


def _flag(catalogue: Catalogue, value: int) -> Condition:
    # 2 stands for products with a video.
    return _MAKERS["video"](catalogue, True) if value == 2 else _trait(traits.FLAGS, _among)(catalogue, value)


_MAKERS: dict[str, Callable[..., Condition]] = {
    "pid": lambda catalogue, value: lambda number: catalogue.pids[number] == value,
    "sku": lambda catalogue, value: lambda number: catalogue.sku_of(number) == value,
    "category": _level("id"),
    "three": _level("id"),
    "two": _level("two_id"),
    "name_zh": _name_zh,
    "any_word": _any_word,
    "all_words": _all_words,
    "on_sale": _on_sale,
    "type": _trait(traits.PRODUCT_TYPE, _equal),
    "supplied": _supplied,
    "supplier": _supplier,
    "country": _trait(traits.COUNTRIES, _among),
    "abroad": _trait(traits.COUNTRIES, lambda known, _: any(code != "CN" for code in known)),
    "delivery": _trait(traits.DELIVERY_HOURS, _equal),
    "verified": _trait(traits.VERIFIED, _equal),
    "stock": _stock,
    "price": _price,
    "listed": _column("listed"),
    "brand": _trait(traits.BRAND, _equal),
    "flag": _flag,
    "video": _trait(traits.VIDEO, _equal),
    "zone": _trait(traits.ZONES, _among),
    "certified": _trait(traits.CERTIFIED, _equal),
    "pickup": _trait(traits.SELF_PICKUP, _equal),
    "free": _trait(traits.FREE_SHIPPING, _equal),
    "customization": _trait(traits.CUSTOMIZATION, _equal),
    "customized": _trait(traits.CUSTOMIZATION, lambda known, wanted: bool(known) == bool(wanted)),
}
