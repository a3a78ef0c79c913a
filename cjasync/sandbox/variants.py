"""The variants of a product. All of it follows from the product's key: nothing is stored, nothing ever differs."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.product import Product

# Option names in English and Chinese with their values. A hyphen joins the options of a variant, so that only the
# last one may hold a hyphen of its own: that is how CJ's keys can be split at all.
_OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Color": ("颜色", ("Black", "White", "Pink Gray", "Navy Blue", "Army Green", "Wine Red", "Khaki", "Café")),
    "Size": ("尺码", ("S", "M", "L", "XL", "2XL", "XS", "US-8", "One Size")),
    "Specifications": ("规格", ("Boxed", "No Garbage Bag", "2-pack", "With Remote Control", "5 m", "10 m")),
    "Style": ("款式", ("Off-white", "A", "B", '12" long', "T-shirt", "Set 1 & 2")),
}
_SCHEMES = (
    ("Color",),
    ("Color", "Size"),
    ("Color", "Size"),
    ("Color", "Specifications"),
    ("Specifications",),
    ("Style",),
)
_CENT = Decimal("0.01")
_2_64 = 1 << 64
_SCRAMBLE = 0x9E3779B97F4A7C15
_UNSCRAMBLE = pow(_SCRAMBLE, -1, _2_64)
_FIRST_NUMERIC = 10**18
_NUMERIC_BITS = 62


class Variant(Struct, frozen=True, kw_only=True):
    """What is true of one variant. Prices in USD, weight in g, lengths in mm, `created_ms` in ms since 1970.

    `options` are its values of the product's options, `parts` the vids it is a combination of.
    """

    vid: str
    pid: str
    sku: str
    name_en: str | None
    options: tuple[str, ...]
    price: Decimal
    suggested_price: Decimal | None
    weight: Decimal
    length: int
    width: int
    height: int
    image: str
    unit: str | None
    properties: str | None
    barcode: str
    created_ms: int | None
    parts: tuple[str, ...]


def option_names(product: Product) -> tuple[str, ...]:
    """What the variants differ by: `("Color", "Size")`."""
    return _SCHEMES[random.Random(f"scheme {product.key}").randrange(len(_SCHEMES))]


def option_names_zh(product: Product) -> tuple[str, ...]:
    """The same in Chinese."""
    return tuple(_OPTIONS[name][0] for name in option_names(product))


def variants_of(product: Product) -> tuple[Variant, ...]:
    """The variants, in the order of product/query; some products have one, or none.

    Their prices and weights span the product's. A new price changes no id.
    """
    draw = random.Random(f"variants {product.key}")
    values = [_OPTIONS[name][1] for name in option_names(product)]
    shuffled = [draw.sample(of_one, len(of_one)) for of_one in values]
    sizes = [draw.randint(1, 5), draw.randint(1, 4)][: len(values)]
    if draw.random() < 0.4:
        sizes = [1] * len(values)
    empty = draw.random() < 0.06
    spans = product.price_low < product.price_high or product.weight_low < product.weight_high
    if spans and max(sizes) == 1:
        sizes[-1] = 2
    if empty and not spans:
        return ()
    keys = list(itertools.product(*(chosen[:size] for chosen, size in zip(shuffled, sizes, strict=True))))
    prices = _spread(product.price_low, product.price_high, len(keys), random.Random(f"prices {product.key}"))
    weights = _spread(
        Decimal(product.weight_low), Decimal(product.weight_high), len(keys), random.Random(f"weights {product.key}")
    )
    markup = Decimal(draw.randint(250, 500)).scaleb(-2) if draw.random() < 0.9 else None
    named_skus, as_list, combined = draw.random() < 0.5, draw.random() < 0.5, draw.random() < 0.2
    length, width, height = sorted((draw.randint(10, 400) for _ in range(3)), reverse=True)
    vids = [_vid(product, index) for index in range(len(keys))]
    made = []
    for index, options in enumerate(keys):
        text = "-".join(options)
        is_set = combined and index == len(keys) - 1 >= 2
        made.append(
            Variant(
                vid=vids[index],
                pid=product.pid,
                sku=product.sku + (f"-{text}" if named_skus else f"{index + 1:02}{_letters(product.key, index)}"),
                name_en=f"{product.name_en} {' '.join(options)}" if len(keys) > 1 else None,
                options=options,
                price=prices[index],
                suggested_price=None if markup is None else (prices[index] * markup).quantize(_CENT),
                weight=weights[index].quantize(_CENT),
                length=length + index,
                width=width,
                height=height,
                image=product.image.replace("_trans", f"_v{index}"),
                unit=product.unit if product.unit != "unit(s)" else None,
                properties="[]" if as_list else None,
                barcode=f"{product.key % 10**9:09}{index:04}",
                created_ms=None if product.created_ms is None else product.created_ms + 1000 * index,
                parts=tuple(vids[:2]) if is_set else (),
            )
        )
    return tuple(made)


def variant_by_vid(catalogue: Catalogue, vid: str) -> tuple[Product, Variant] | None:
    """The variant with that id and its product (which may be delisted), or None."""
    number = _number_in(vid)
    if number is None or number >= len(catalogue.pids):
        return None
    return _among(catalogue.get(catalogue.pids[number]), vid=vid)


def variant_by_sku(catalogue: Catalogue, sku: str) -> tuple[Product, Variant] | None:
    """The variant with that SKU and its product (which may be delisted), or None."""
    found = re.match(r"CJ[A-Z]+\d{7}", sku)
    return _among(catalogue.by_sku(found[0]), sku=sku) if found else None


def guid(bits: int) -> str:
    """128 bits in the upper-case form of CJ's ids."""
    digits = f"{bits:032X}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _among(product: Product | None, *, vid: str = "", sku: str = "") -> tuple[Product, Variant] | None:
    variants: Iterable[Variant] = () if product is None else variants_of(product)
    for variant in variants:
        if product is not None and (variant.vid == vid or variant.sku == sku):
            return product, variant
    return None


def _spread(low: Decimal, high: Decimal, count: int, draw: random.Random) -> list[Decimal]:
    """`count` values from low to high, both among them, in any order; those between may have three decimals."""
    order = draw.sample(range(count), count)
    step = Decimal("0.001") if draw.random() < 0.3 else _CENT
    between = [(low + (high - low) * place / max(1, count - 1)).quantize(step) for place in order]
    return [{0: low, count - 1: high}.get(place, value) for place, value in zip(order, between, strict=True)]


def _letters(key: int, index: int) -> str:
    mixed = (key ^ index * 7919) & 0xFFFF
    return chr(65 + mixed % 26) + chr(65 + mixed // 26 % 26)


def _vid(product: Product, index: int) -> str:
    """An id from which `_number_in` reads the product's number, so that no index of variants is needed."""
    code = product.number << 8 | index
    if product.key >> 44 & 3 == 0:
        return guid((product.key * _UNSCRAMBLE + index) % _2_64 << 64 | code * _SCRAMBLE % _2_64)
    return str(_FIRST_NUMERIC + code * _SCRAMBLE % (1 << _NUMERIC_BITS))


def _number_in(vid: str) -> int | None:
    if re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", vid):
        return (int(vid[19:].replace("-", ""), 16) * _UNSCRAMBLE % _2_64) >> 8
    if re.fullmatch(r"[0-9]{19}", vid):
        return (int(vid) - _FIRST_NUMERIC) * _UNSCRAMBLE % (1 << _NUMERIC_BITS) >> 8
    return None
