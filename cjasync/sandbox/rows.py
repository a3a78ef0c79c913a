"""The rows of product/list as they look on the wire, fast enough for a thousand pages of 200 in a second.

A row is a head of its own, its price, and five pieces that many products share: the names, the category and three
groups of traits. All but the price are rendered once.

The odd types are those seen live: prices and weights as strings and ranges, times in
epoch milliseconds, one boolean in four spellings, names as JSON inside a string.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec

import cjasync.sandbox.traits as traits
from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.categories import Category
from cjasync.sandbox.listing import NO_TIME
from cjasync.sandbox.product import image_of, supplier_id


class ListRows:
    """Renders the rows of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._categories = [_category(category) for category in catalogue.categories]
        self._names = [_names(category.noun_zh) for category in catalogue.categories]
        self._nouns = [_text(category.noun) for category in catalogue.categories]
        self._heads: list[bytes] = []
        self._render_new()

    def pieces(self, numbers: Iterable[int]) -> list[bytes]:
        """The JSON array of these products' rows, in pieces: whoever sends them puts them together once."""
        catalogue = self._catalogue
        keys, low, high, category = catalogue.keys, catalogue.low, catalogue.high, catalogue.category
        heads, names, categories = self._heads, self._names, self._categories
        offers, sellers, extras = _OFFERS, _SELLERS, _EXTRAS
        self._render_new()
        pieces = [b"["]
        for number in numbers:
            key = keys[number]
            leaf = category[number]
            pieces += (
                heads[number],
                _price(low[number], high[number], key >> 56 & 7 == 7),
                names[leaf][key >> 45 & 127],
                categories[leaf],
                offers[key & 2047],
                sellers[key >> 11 & 1023],
                extras[key >> 21 & 127],
            )
        pieces[-1] = pieces[-1].removesuffix(b",")
        pieces.append(b"]")
        return pieces

    def _render_new(self) -> None:
        heads = self._heads
        heads.extend(map(self._head, range(len(heads), len(self._catalogue.keys))))

    def _head(self, number: int) -> bytes:
        """What is a product's own and never changes."""
        catalogue = self._catalogue
        key, created, listed = catalogue.keys[number], catalogue.created[number], catalogue.listed[number]
        name = f"{_ADJECTIVES[key >> 45 & 31]}{_MATERIALS[key >> 52 & 15]}{self._nouns[catalogue.category[number]]}"
        time = "null" if created == NO_TIME else f"{created}000"
        return (
            f'{{"pid":"{catalogue.pids[number]}","productNameEn":"{name}","productSku":"{catalogue.sku_of(number)}",'
            f'"productImage":"{image_of(number, key)}","productWeight":"{_WEIGHTS[key >> 59]}","createTime":{time},'
            f'"listedNum":{listed},"listingCount":{listed},"sellPrice":'
        ).encode()


class _Amounts(dict[int, bytes]):
    """Cents as dollars, each rendered once: there are not many different ones."""

    def __init__(self, form: bytes) -> None:
        self._form = form

    def __missing__(self, cents: int) -> bytes:
        text = self[cents] = self._form % divmod(cents, 100)
        return text


_BARE, _QUOTED = _Amounts(b"%d.%02d"), _Amounts(b'"%d.%02d"')


def _price(low: int, high: int, as_number: bool) -> bytes:
    if low != high:
        return b'"%b -- %b"' % (_BARE[low], _BARE[high])
    return _BARE[low] if as_number else _QUOTED[low]


def _fields(values: dict[str, Any]) -> bytes:
    # A comma before, so that pieces can be strung together.
    return b"," + msgspec.json.encode(values)[1:-1]


def _text(value: str) -> str:
    """The inside of a JSON string in ASCII, so that a whole head is ASCII, which is quick to encode."""
    return json.dumps(value)[1:-1]


def _category(category: Category) -> bytes:
    return _fields(
        {
            "categoryId": category.id,
            "categoryName": category.name,
            "oneCategoryId": category.one_id,
            "oneCategoryName": category.one_name,
            "twoCategoryId": category.two_id,
            "twoCategoryName": category.two_name,
            "threeCategoryName": category.name,
        }
    )


@cache
def _names(noun: str) -> list[bytes]:
    """By bits 45-51 of the key."""
    rendered = []
    for bits in range(128):
        key = bits << traits.NAMES_ZH.shift
        as_array = traits.NAMES_AS_ARRAY.of(key)
        names = traits.NAMES_ZH.of(key) + ((noun,) if as_array else ())
        rendered.append(_fields({"productName": msgspec.json.encode(names).decode() if as_array else names[0]}))
    return rendered


def _offer(key: int) -> bytes:
    return _fields(
        {
            "shippingCountryCodes": [code if code == "CN" else f"CN_{code}" for code in traits.COUNTRIES.of(key)],
            "deliveryTime": traits.DELIVERY_HOURS.of(key),
            "customizationVersion": traits.CUSTOMIZATION.of(key),
        }
    )


def _seller(key: int) -> bytes:
    supplied = traits.is_supplied(key)
    free = traits.FREE_SHIPPING.of(key)
    return _fields(
        {
            "productType": traits.PRODUCT_TYPE.of(key),
            "supplierName": traits.SUPPLIER.of(key) if supplied else None,
            "supplierId": supplier_id(traits.SUPPLIER.code(key)) if supplied else "",
            "addMarkStatus": "1" if free else "0",
            "isFreeShipping": free,
            "saleStatus": 3 if supplied else "3",
        }
    )


def _extra(key: int) -> bytes:
    values = {
        "isVideo": (None, 0, False, 1)[traits.VIDEO.code(key)],
        "productUnit": traits.UNIT.of(key),
        "remark": traits.REMARK.of(key),
        "isTestProduct": (0, None, False, 0)[traits.UNIT.code(key)],
        "sourceFrom": traits.VIDEO.code(key) or None,
    }
    return _fields(values) + b"},"


_ADJECTIVES = [_text(f"{word} ") for word in traits.ADJECTIVE.values]
_MATERIALS = [_text(f"{word} ") for word in traits.MATERIAL.values]
_WEIGHTS = [f"{low}.00" if low == high else f"{low}.00-{high}.00" for low, high in traits.WEIGHT.values]
_OFFERS = [_offer(key) for key in range(2048)]
_SELLERS = [_seller(key << 11) for key in range(1024)]
_EXTRAS = [_extra(key << 21) for key in range(128)]
