"""The rows of product/listV2 as they look on the wire: many nulls, numbers in strings, a misspelt twin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.product import Product

_TYPE_CODES = {"SUPPLIER_PRODUCT": "4", "SUPPLIER_SHIPPED_PRODUCT": "5"}
_ROWS_KEPT = 20_000
_ALWAYS_NULL = [
    "nowPrice",
    "discountPrice",
    "discountPriceRate",
    "currency",
    "spu",
    "createAt",
    "setRecommendedTime",
    "saleStatus",
    "deliveryCycle",
    "customization",
    "hasCECertification",
    "totalUnVerifiedInventory",
    "supplierName",
    "directMinOrderNum",
    "propertyKey",
]


class SearchRows:
    """Renders the rows of one catalogue and keeps the last ones: one question reaches no more than 6,000."""

    def __init__(self, catalogue: Catalogue, *, sparse: bool) -> None:
        self._catalogue = catalogue
        self._sparse = sparse
        self._kept: dict[tuple[int, int, int, frozenset[str]], bytes] = {}

    def page(self, numbers: Iterable[int], features: frozenset[str]) -> bytes:
        """The JSON array of these products' rows."""
        catalogue, kept = self._catalogue, self._kept
        if len(kept) > _ROWS_KEPT:
            kept.clear()
        rows: list[bytes] = []
        for number in numbers:
            # The price is all that changes in a row.
            question = (number, catalogue.low[number], catalogue.high[number], features)
            row = kept.get(question)
            if row is None:
                values = search_row(catalogue.product(number), features, sparse=self._sparse)
                row = kept[question] = msgspec.json.encode(values)
            rows.append(row)
        return b"[%b]" % b",".join(rows)


def search_row(product: Product, features: frozenset[str], *, sparse: bool) -> dict[str, Any]:
    """One product. `features` fill in what they name; unless `sparse`, the fields that live rows lack are there too."""
    category = product.category
    row = {
        "id": product.pid,
        "nameEn": product.name_en,
        "sku": product.sku,
        "spu": product.sku,
        "bigImage": product.image,
        "sellPrice": price_text(product, " -- "),
        "nowPrice": f"{product.price_low:.2f}",
        "listedNum": product.listed,
        "categoryId": category.id,
        "threeCategoryName": None,
        "twoCategoryId": category.two_id,
        "twoCategoryName": None,
        "oneCategoryId": category.one_id,
        "oneCategoryName": None,
        "addMarkStatus": int(product.free_shipping),
        "isVideo": int(product.video),
        "isVedio": int(product.video),
        "videoList": [],
        "productType": "7" if product.customization else _TYPE_CODES.get(product.product_type or "", "0"),
        "supplierName": product.supplier_name,
        "createAt": product.created_ms,
        "setRecommendedTime": None,
        "warehouseInventoryNum": product.verified_stock + product.factory_stock,
        "totalVerifiedInventory": product.verified_stock,
        "totalUnVerifiedInventory": product.factory_stock,
        "verifiedWarehouse": product.verified,
        "customization": int(bool(product.customization)),
        "isPersonalized": int(bool(product.customization)),
        "hasCECertification": int(product.certified),
        "isCollect": 0,
        "myProduct": False,
        "currency": "USD",
        "discountPrice": f"{product.price_low:.2f}",
        "discountPriceRate": "0",
        "description": None,
        "deliveryCycle": None if product.delivery_hours is None else f"{product.delivery_hours // 24}-7",
        "saleStatus": "3",
        "authorityStatus": "1",
        "autStatus": "1",
        "isAut": "0",
        "isList": 0,
        "syncListedProductStatus": None,
        "isAd": 0,
        "activityId": None,
        "directMinOrderNum": "1",
        "zoneRecommendJson": msgspec.json.encode(product.zones).decode() if product.zones else None,
        "inventoryInfo": None,
        "variantKeyEn": None,
        "variantInventories": None,
        "propertyKey": "COMMON",
    }
    if sparse:
        row |= dict.fromkeys(_ALWAYS_NULL)
    if "enable_category" in features:
        row |= {
            "oneCategoryName": category.one_name,
            "twoCategoryName": category.two_name,
            "threeCategoryName": category.name,
        }
    if "enable_description" in features:
        title = f"<p><b>Product information:</b><br/>{product.name_en}</p>"
        row["description"] = f"{title}\n<img src='{product.image}'/><a href='/x'>more</a>"
    if "enable_video" in features and product.video:
        row["videoList"] = [f"{product.key:016X}"]
    if "enable_combine" in features:
        row |= {
            "variantKeyEn": "Color",
            "inventoryInfo": msgspec.json.encode(
                [{"countryCode": code, "inventory": product.verified_stock} for code in product.countries]
            ).decode(),
        }
    return row


def price_text(product: Product, separator: str) -> str:
    """A price or, where the variants differ, its range."""
    if product.price_low == product.price_high:
        return f"{product.price_low:.2f}"
    return f"{product.price_low:.2f}{separator}{product.price_high:.2f}"
