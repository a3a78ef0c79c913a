"""The calls about one product: details, variants, stock and reviews.

What is true of a product is in `variants`, `stock` and `reviews`; `detail_rows` makes CJ's fields of it. For what does
not exist product and variant calls refuse, stock calls answer success with nothing in it, and review calls an empty
page, so that a client meets all three.
"""

from __future__ import annotations

from aiohttp import web

import cjasync.sandbox.detail_rows as rows
from cjasync.sandbox.envelope import success
from cjasync.sandbox.product import Product
from cjasync.sandbox.query import Query, param_error
from cjasync.sandbox.refusal import Refusal
from cjasync.sandbox.reviews import reviews_of as reviews
from cjasync.sandbox.state import STATE, State
from cjasync.sandbox.stock import Stock, product_stock
from cjasync.sandbox.stock import variant_stock as stock
from cjasync.sandbox.variants import Variant, variant_by_sku, variant_by_vid
from cjasync.sandbox.variants import variants_of as variants

__all__ = ["product_stock", "reviews", "routes", "stock", "variants"]


def routes(state: State) -> list[web.RouteDef]:
    """The eight calls."""
    calls = {
        "query": query,
        "variant/query": variant_query,
        "variant/queryByVid": variant_query_by_vid,
        "stock/queryByVid": stock_by_vid,
        "stock/queryBySku": stock_by_sku,
        "stock/getInventoryByPid": stock_by_pid,
        "productComments": comments,
        "comments": comments,
    }
    return [web.get(f"{state.prefix}product/{path}", call) for path, call in calls.items()]


async def query(request: web.Request) -> web.Response:
    """product/query: one product with its variants."""
    product, _ = _chosen(request)
    features = _features(request)
    every = variants(product)
    siblings = {variant.vid: variant for variant in every}
    stocks = stock(product)
    shown = [
        rows.detail_variant_row(variant, siblings, stocks[variant.vid], features)
        for variant in _in_country(request, every, stocks)
    ]
    return success(request, {**rows.product_row(product, every, features), "variants": shown})


async def variant_query(request: web.Request) -> web.Response:
    """variant/query: the variants of a product, or the one with that SKU."""
    product, variant = _chosen(request)
    asked = variants(product) if variant is None else (variant,)
    shown = _in_country(request, asked, stock(product))
    return success(request, [rows.variant_row(one, key_as_array=True) for one in shown])


async def variant_query_by_vid(request: web.Request) -> web.Response:
    """variant/queryByVid: one variant."""
    product, variant = _on_sale(variant_by_vid(request.app[STATE].catalogue, _required(request, "vid")))
    row = rows.variant_row(variant)
    if "enable_inventory" in _features(request):
        row["inventories"] = [rows.variant_stock_row(one) for one in stock(product)[variant.vid]]
    return success(request, row, envelope="result")


async def stock_by_vid(request: web.Request) -> web.Response:
    """stock/queryByVid: a row for each area where the variant lies."""
    found = variant_by_vid(request.app[STATE].catalogue, _required(request, "vid"))
    if found is None:
        return success(request, None, envelope="result")
    product, variant = found
    shown = [rows.vid_stock_row(variant.vid, one) for one in stock(product)[variant.vid]]
    return success(request, shown, envelope="result")


async def stock_by_sku(request: web.Request) -> web.Response:
    """stock/queryBySku: the same for a variant's SKU, or for all variants of an SPU together."""
    sku = _required(request, "sku")
    catalogue = request.app[STATE].catalogue
    product = catalogue.by_sku(sku)
    found = variant_by_sku(catalogue, sku) if product is None else None
    stocks = product_stock(product) if product is not None else ()
    if found is not None:
        stocks = stock(found[0])[found[1].vid]
    return success(request, [rows.stock_row(one) for one in stocks])


async def stock_by_pid(request: web.Request) -> web.Response:
    """stock/getInventoryByPid: the stock of a product and of each variant."""
    product = request.app[STATE].catalogue.get(_required(request, "pid"))
    data = None if product is None else rows.inventory_row(product, stock(product))
    return success(request, data, envelope="success", message="")


async def comments(request: web.Request) -> web.Response:
    """product/productComments and product/comments: a page of reviews; every number but the id is text."""
    product = request.app[STATE].catalogue.get(_required(request, "pid"))
    asked = _query(request)
    page, size = asked.integer("pageNum", 1, low=1), asked.integer("pageSize", 20, low=1)
    score = asked.integer("score", low=1, high=5)
    found = [] if product is None else [one for one in reviews(product) if score in (None, one.score)]
    shown = found[(page - 1) * size : page * size]
    data = {
        "pageNum": str(page),
        "pageSize": str(size),
        "total": str(len(found)),
        "list": [rows.review_row(product, one) for one in shown] if product is not None else [],
    }
    return success(request, data, envelope="zero", message=None)


def _query(request: web.Request) -> Query:
    return Query(request.query, request.app[STATE].settings.ignored)


def _chosen(request: web.Request) -> tuple[Product, Variant | None]:
    """The product that one of pid, productSku and variantSku names; the first of them counts."""
    catalogue = request.app[STATE].catalogue
    asked = _query(request)
    if pid := asked.text("pid"):
        return _shown(catalogue.get(pid)), None
    if sku := asked.text("productSku"):
        return _shown(catalogue.by_sku(sku)), None
    if sku := asked.text("variantSku"):
        return _on_sale(variant_by_sku(catalogue, sku))
    raise param_error("pid, productSku or variantSku is required")


def _shown(product: Product | None) -> Product:
    if product is None:
        raise Refusal(1602001, "Product not found", kind="missing")
    if product.delisted:
        raise Refusal(1602002, "Product removed from shelves", kind="missing")
    return product


def _on_sale(found: tuple[Product, Variant] | None) -> tuple[Product, Variant]:
    if found is None:
        raise Refusal(1602000, "Variant not found", kind="missing")
    if found[0].delisted:
        raise Refusal(1602003, "Variant removed from shelves", kind="missing")
    return found


def _in_country(
    request: web.Request, asked: tuple[Variant, ...], stocks: dict[str, tuple[Stock, ...]]
) -> list[Variant]:
    country = _query(request).text("countryCode")
    if country is None:
        return list(asked)
    return [one for one in asked if any(row.country == country and row.total for row in stocks[one.vid])]


def _features(request: web.Request) -> tuple[str, ...]:
    return _query(request).texts("features")


def _required(request: web.Request, name: str) -> str:
    value = _query(request).text(name)
    if value is None:
        raise param_error(f"{name} is required")
    return value
