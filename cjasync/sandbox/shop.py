"""The calls about an account's own things: My Products and sourcing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from math import inf
from typing import Any

from aiohttp import web

from cjasync.sandbox.envelope import success
from cjasync.sandbox.product import Product
from cjasync.sandbox.query import Query, json_object, param_error
from cjasync.sandbox.refusal import Refusal
from cjasync.sandbox.shelf import FAILED, FOUND, PENDING, SEARCHING, Entry, Sourcing
from cjasync.sandbox.state import ACCOUNT, STATE, State
from cjasync.sandbox.stock import AREAS
from cjasync.sandbox.variants import Variant, variants_of

_STATUS_TEXTS = {PENDING: "待处理", SEARCHING: "搜品中", FOUND: "搜品成功", FAILED: "搜品失败"}
_SOURCING_FIELDS = {
    "thirdProductId": 200,
    "thirdVariantId": 200,
    "thirdProductSku": 200,
    "productName": 200,
    "productImage": 200,
    "productUrl": 200,
    "remark": 200,
}
_PAGE_LIMIT = 200


def routes(state: State) -> list[web.RouteDef]:
    """The four calls."""
    path = f"{state.prefix}product/"
    return [
        web.post(path + "addToMyProduct", add_to_my_product),
        web.get(path + "myProduct/query", my_products),
        web.post(path + "sourcing/create", create_sourcing),
        web.post(path + "sourcing/query", query_sourcing),
    ]


async def add_to_my_product(request: web.Request) -> web.Response:
    """product/addToMyProduct: once; a second time it is refused with the code for anything."""
    state = request.app[STATE]
    pid = _text(await _body(request), "productId", required=True, length=100)
    product = state.catalogue.get(pid)
    if product is None:
        raise Refusal(1602001, "Product not found", kind="missing")
    if product.delisted:
        raise Refusal(1602002, "Product removed from shelves", kind="missing")
    if not state.shelf.add_product(request[ACCOUNT].number, pid, state.clock.time()):
        raise Refusal(1600000, "The product has been added to My Products.", kind="exists")
    return success(request, True)


async def my_products(request: web.Request) -> web.Response:
    """product/myProduct/query: a page of them, the newest first."""
    state = request.app[STATE]
    asked = Query(request.query, state.settings.ignored)
    page = asked.integer("pageNum", None, low=1) or asked.integer("pageNumber", 1, low=1)
    size = min(asked.integer("pageSize", 10, low=1), _PAGE_LIMIT)
    wanted = _filter(asked, state.settings.zone_hours)
    entries = reversed(state.shelf.my_products[request[ACCOUNT].number].values())
    found = [
        (product, entry)
        for entry in entries
        if (product := state.catalogue.get(entry.pid)) is not None and wanted(product, entry)
    ]
    data = {
        "pageSize": size,
        "pageNumber": page,
        "totalRecords": len(found),
        "totalPages": -(-len(found) // size),
        "content": [_my_product_row(*one) for one in found[(page - 1) * size : page * size]],
    }
    return success(request, data)


async def create_sourcing(request: web.Request) -> web.Response:
    """product/sourcing/create: five a day."""
    state = request.app[STATE]
    body = await _body(request)
    form: dict[str, Any] = {
        name: _text(body, name, required=name in ("productName", "productImage"), length=length)
        for name, length in _SOURCING_FIELDS.items()
    }
    form["price"] = _price(body.get("price"))
    account = request[ACCOUNT]
    state.limits.take_sourcing(account)
    made = state.shelf.request_sourcing(account.number, form, state.clock.time())
    return success(request, {"cjSourcingId": made.id, "result": "success"}, envelope="zero", message=None)


async def query_sourcing(request: web.Request) -> web.Response:
    """product/sourcing/query: takes a list and answers about one; null for one that is not the account's."""
    state = request.app[STATE]
    ids = (await _body(request)).get("sourceIds")
    if not isinstance(ids, list) or len(ids) != 1 or not isinstance(ids[0], str | int):
        raise param_error("sourceIds must hold one id")
    found = state.shelf.sourcing.get(str(ids[0]))
    mine = found is not None and found.account == request[ACCOUNT].number
    data = _sourcing_row(state, found) if found is not None and mine else None
    return success(request, data, envelope="zero", message=None)


def is_listed(product: Product) -> bool:
    """Whether the account sells it in a shop (`isListed`)."""
    return product.key >> 47 & 1 == 1


def is_visible(product: Product) -> bool:
    """Whether it is shown (`visiable`)."""
    return product.key >> 48 & 3 != 0


def has_packing(product: Product) -> bool:
    """Whether the account has packing for it (`hasPacked`)."""
    return product.key >> 50 & 3 == 0


def has_virtual_packing(product: Product) -> bool:
    """Whether it has packing on paper only (`hasVirPacked`)."""
    return product.key >> 52 & 3 == 0


_MARKS = {
    "isListed": is_listed,
    "visiable": is_visible,
    "hasPacked": has_packing,
    "hasVirPacked": has_virtual_packing,
}


def _filter(asked: Query, zone_hours: float) -> Callable[[Product, Entry], bool]:
    keyword = (asked.text("keyword") or "").casefold()
    category = asked.text("categoryId")
    start = _moment(asked.text("startAt"), zone_hours, -inf)
    end = _moment(asked.text("endAt"), zone_hours, inf)
    marks = {mark: asked.integer(name, low=0, high=1) for name, mark in _MARKS.items()}

    def wanted(product: Product, entry: Entry) -> bool:
        if not start <= entry.added_at <= end or category not in (None, product.category.id):
            return False
        if any(value is not None and mark(product) != bool(value) for mark, value in marks.items()):
            return False
        skus = (variant.sku for variant in variants_of(product)) if keyword else ()
        return any(keyword in text.casefold() for text in (product.name_en, product.sku, *skus))

    return wanted


def _moment(text: str | None, zone_hours: float, otherwise: float) -> float:
    """A time in any form CJ may take: text with or without a zone, a day, or epoch milliseconds."""
    if text is None:
        return otherwise
    if text.isdecimal():
        return int(text) / 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise param_error("startAt and endAt must be times") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone(timedelta(hours=zone_hours)))
    return moment.timestamp()


def _my_product_row(product: Product, entry: Entry) -> dict[str, Any]:
    variants = variants_of(product)
    first: Variant | None = variants[0] if variants else None
    country = product.countries[0] if product.countries else "CN"
    low, high = product.price_low, product.price_high
    return {
        "productId": product.pid,
        "packWeight": f"{product.weight_low + 20}.0",
        "weight": f"{product.weight_low}.0",
        "productType": "4" if product.supplier_id else "0",
        "propertyKeyList": ["COMMON"],
        "bigImage": product.image,
        "nameEn": product.name_en,
        "sku": product.sku,
        "hasPacked": int(has_packing(product)),
        "sellPrice": f"{low}" if low == high else f"{low} -- {high}",
        "discountPrice": None,
        "discountPriceRate": None,
        "defaultArea": AREAS[country].name_en,
        "shopMethod": "CAI NIAO",
        "trialFreight": "0",
        "totalPrice": f"{high:.2f}",
        "listedShopNum": "1" if is_listed(product) else "0",
        "vid": first.vid if first is not None else None,
        "areaId": str(AREAS[country].id),
        "areaCountryCode": country,
        "freightDiscount": "0",
        "createAt": round(entry.added_at * 1000),
        "lengthList": [one.length for one in variants],
        "heightList": [one.height for one in variants],
        "widthList": [one.width for one in variants],
        "volumeList": [one.length * one.width * one.height for one in variants],
        "hasVirPacked": int(has_virtual_packing(product)),
    }


def _sourcing_row(state: State, one: Sourcing) -> dict[str, Any]:
    status = one.status_at(state.clock.time())
    found = state.catalogue.product(int(one.id) % len(state.catalogue.pids)) if status == FOUND else None
    variants = variants_of(found) if found is not None else ()
    return {
        "sourceId": one.id,
        "sourceNumber": f"{int(one.id) * 7919 % 900_000 + 100_000}",
        "productId": one.form["thirdProductId"],
        "variantId": one.form["thirdVariantId"],
        "shopId": str(one.account),
        "shopName": f"shop {one.account}",
        "sourceStatus": status,
        "sourceStatusStr": _STATUS_TEXTS[status],
        "cjProductId": found.pid if found is not None else None,
        "cjVariantSku": variants[0].sku if variants else None,
    }


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise Refusal(16900203, f"Content type '{request.content_type}' not supported", kind="param")
    return await json_object(request)


def _text(body: dict[str, Any], name: str, *, required: bool, length: int) -> str:
    value = body.get(name)
    if value in (None, "") and not required:
        return ""
    if not isinstance(value, str) or not value.strip() or len(value) > length:
        raise param_error(f"{name} must be text of 1 to {length} characters")
    return value


def _price(value: Any) -> Decimal | None:
    if value in (None, ""):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise param_error("price must be a number") from None
