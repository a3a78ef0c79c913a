"""The fields of one product as CJ really sends them: details, variants, stock in both vocabularies, reviews.

What the documents call a number is text here, what they call text a number, lists come as JSON inside a string, and
the same thing has two names: that is how the live service was seen to answer.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from cjasync.config import CHINA_TIME
from cjasync.sandbox.product import Product
from cjasync.sandbox.reviews import Review
from cjasync.sandbox.stock import AREAS, Stock, product_stock
from cjasync.sandbox.variants import Variant, option_names, option_names_zh

Row = dict[str, Any]

_MATERIALS = (("金属", "metal", "METAL"), ("棉", "cotton", "COTTON"), ("塑料", "plastic", "PLASTIC"))
_PACKINGS = (("塑料袋", "plastic_bag", "PLASTIC_BAG"), ("纸盒", "carton", "CARTON"))
_PROPERTIES = (("普货", "COMMON"), ("带电", "BATTERY"), ("液体", "LIQUID"))


def product_row(product: Product, variants: Collection[Variant], features: Collection[str]) -> Row:
    """The answer of product/query but for its variants."""
    draw = random.Random(f"detail {product.key}")
    material, packing, kind = draw.choice(_MATERIALS), draw.choice(_PACKINGS), draw.choice(_PROPERTIES)
    suggested = [variant.suggested_price for variant in variants if variant.suggested_price is not None]
    pictures = pictures_of(product)
    one_picture = draw.random() < 0.1
    separator = draw.choice(("/", " > "))
    category = product.category
    bare_weight = draw.random() < 0.3
    low, high = product.weight_low, product.weight_high
    return {
        "pid": product.pid,
        "productName": _texts(product.names_zh) if len(product.names_zh) > 1 else product.names_zh[0],
        "productNameSet": product.names_zh,
        "productNameEn": product.name_en,
        "productSku": product.sku,
        "bigImage": pictures[0],
        "productImage": pictures[0] if one_picture else _texts(pictures),
        "productImageSet": sorted(pictures[1:]) + pictures[:1] if len(pictures) > 1 else pictures,
        "productWeight": str(low) if bare_weight and low == high else _range(low, high),
        "productUnit": product.unit,
        "productType": product.product_type,
        "categoryId": category.id,
        "categoryName": separator.join((category.one_name, category.two_name, category.name)),
        "entryCode": str(draw.randrange(10**9, 10**10)),
        "entryName": category.noun_zh,
        "entryNameEn": category.noun,
        **_named("material", material),
        "packingWeight": _range(low + 20, high + 20),
        **_named("packing", packing),
        "productKey": _texts(option_names_zh(product)),
        "productKeySet": option_names_zh(product),
        "productKeyEn": "-".join(option_names(product)),
        "productKeyEnSet": option_names(product),
        "productPro": _texts(kind[:1]),
        "productProSet": kind[:1],
        "productProEn": _texts(kind[1:]),
        "productProEnSet": kind[1:],
        "addMarkStatus": int(product.free_shipping),
        "sellPrice": _span(product.price_low, product.price_high, "-"),
        "suggestSellPrice": _span(min(suggested), max(suggested), " - ") if suggested else None,
        "listedNum": product.listed,
        "status": "3",
        "sourceFrom": draw.choice((None, 0, 1, 4)),
        "isTestProduct": False,
        "supplierName": product.supplier_name,
        "supplierId": product.supplier_id,
        "customizationVersion": product.customization,
        "customizationJson1": '{"areas":[{"name":"front"}]}' if product.customization else None,
        "customizationJson2": None,
        "customizationJson3": None,
        "customizationJson4": None,
        "description": _description(product, pictures),
        "productVideo": video_ids(product) if "enable_video" in features and product.video else None,
        "createrTime": _created(product.created_ms, midnight=draw.random() < 0.5),
    }


def pictures_of(product: Product) -> list[str]:
    """The gallery in its order, the main picture first."""
    count = random.Random(f"pictures {product.key}").randint(1, 7)
    return [product.image, *(product.image.replace("_trans", f"_{place}") for place in range(1, count))]


def video_ids(product: Product) -> list[str]:
    """The videos of a product that has some."""
    return [f"{product.key:016X}"]


def variant_row(variant: Variant, *, key_as_array: bool = False) -> Row:
    """A variant; variant/query sends its key as a JSON array in a string."""
    return {
        "vid": variant.vid,
        "pid": variant.pid,
        "variantName": None,
        "variantNameEn": variant.name_en,
        "variantImage": variant.image,
        "variantSku": variant.sku,
        "variantUnit": variant.unit,
        "variantProperty": variant.properties,
        "variantKey": _texts(variant.options) if key_as_array else "-".join(variant.options),
        "variantLength": variant.length,
        "variantWidth": variant.width,
        "variantHeight": variant.height,
        "variantVolume": variant.length * variant.width * variant.height,
        "variantWeight": _number(variant.weight),
        "variantSellPrice": _number(variant.price),
        "variantSugSellPrice": None if variant.suggested_price is None else _number(variant.suggested_price),
        "variantStandard": f"long={variant.length},width={variant.width},height={variant.height}",
        "barcode": variant.barcode,
        "barcode2": None,
        "combineNum": None,
        "combineVariants": None,
        "inventoryNum": None,
        "inventories": None,
        "createTime": variant.created_ms,
    }


def detail_variant_row(
    variant: Variant, siblings: dict[str, Variant], stock: Iterable[Stock], features: Collection[str]
) -> Row:
    """A variant within product/query, where features add its parts and its stock."""
    parts = [variant_row(siblings[vid]) for vid in variant.parts] if "enable_combine" in features else []
    return {
        **variant_row(variant),
        "combineNum": len(parts) or None,
        "combineVariants": parts or None,
        "inventories": [variant_stock_row(row) for row in stock] if "enable_inventory" in features else None,
    }


def inventory_row(product: Product, variant_rows: dict[str, tuple[Stock, ...]]) -> Row:
    """The answer of stock/getInventoryByPid: the product's stock with `Num` in its names, the variants' without.

    The variants come in another order than everywhere else.
    """
    vids = sorted(variant_rows, key=lambda vid: vid[::-1])
    return {
        "inventories": [{**stock_row(row), "stock": None} for row in product_stock(product)],
        "variantInventories": [
            {"vid": vid, "inventory": [variant_stock_row(row) for row in variant_rows[vid]]} for vid in vids
        ],
    }


def stock_row(stock: Stock) -> Row:
    """Stock by area as stock/queryBySku has it; a counter that stands at zero may be null."""
    area = AREAS[stock.country]
    return {
        "areaEn": area.name_en,
        "areaId": area.id,
        "countryCode": stock.country,
        "totalInventoryNum": stock.total,
        "cjInventoryNum": stock.cj,
        "factoryInventoryNum": stock.factory if stock.factory or stock.cj % 2 else None,
        "countryNameEn": area.country_en,
        "stock": _depots(stock),
    }


def vid_stock_row(vid: str, stock: Stock) -> Row:
    """The same as stock/queryByVid has it: an area id in text, the old counter beside the new ones."""
    row = stock_row(stock)
    del row["countryNameEn"]
    return {"vid": vid, **row, "areaId": str(row["areaId"]), "storageNum": stock.total}


def variant_stock_row(stock: Stock) -> Row:
    """The other vocabulary: no `Num`, no area."""
    return {
        "countryCode": stock.country,
        "totalInventory": stock.total,
        "cjInventory": stock.cj,
        "factoryInventory": stock.factory,
        "verifiedWarehouse": stock.verified,
        "stock": _depots(stock),
    }


def review_row(product: Product, review: Review) -> Row:
    """One review: the score is text, the id a number beyond 2**53."""
    return {
        "commentId": review.id,
        "pid": product.pid,
        "comment": review.text,
        "commentDate": review.date.isoformat(),
        "commentUser": review.user,
        "score": str(review.score),
        "commentUrls": review.images,
        "countryCode": review.country,
        "flagIconUrl": f"https://cf.cjdropshipping.com/national-flags/phone/{review.country}.png",
    }


def _depots(stock: Stock) -> list[Row] | None:
    if stock.depots is None:
        return None
    return [{"stockId": f"{{{one.id}}}", "inventory": one.cj, "factoryInventory": one.factory} for one in stock.depots]


def _named(prefix: str, names: tuple[str, str, str]) -> Row:
    zh, en, key = names
    return {
        f"{prefix}Name": _texts(("", zh)),
        f"{prefix}NameSet": ("", zh),
        f"{prefix}NameEn": _texts(("", en)),
        f"{prefix}NameEnSet": ("", en),
        f"{prefix}Key": _texts((key,)),
        f"{prefix}KeySet": (key,),
    }


def _texts(values: Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _number(value: Decimal) -> Raw:
    # As CJ writes it, trailing zeros included; a float would drop them.
    return Raw(format(value, "f").encode())


def _range(low: int, high: int) -> str:
    return f"{low}.00" if low == high else f"{low}.00-{high}.00"


def _span(low: Decimal, high: Decimal, separator: str) -> str:
    return f"{low:.2f}" if low == high else f"{low:.2f}{separator}{high:.2f}"


def _created(created_ms: int | None, *, midnight: bool) -> str | None:
    if created_ms is None:
        return None
    moment = datetime.fromtimestamp(created_ms // 1000, UTC).astimezone(CHINA_TIME)
    return (datetime.combine(moment, time(), CHINA_TIME) if midnight else moment).isoformat()


def _description(product: Product, pictures: Iterable[str]) -> str:
    shown = "".join(f'<p><img src="{address}" style="max-width:100%"/></p>' for address in pictures)
    return (
        f'<div class="detail"><p><b>Product information:</b><br/>Name: {product.name_en}</p>\n'
        f'<p>See also <a href="../list.html?id={product.number}">similar</a> &amp; more.</p>{shown}'
        '<p>Packing list: 1&times;"Product"</p></div>'
    )
