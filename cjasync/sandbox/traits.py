"""What 64 random bits say about a product: every lesser attribute is a few bits of its key, looked up in a table.

So a product costs a few machine words, a filter on a trait is a shift and a mask, and the same seed makes the same
product whatever Python runs it. A table of 2**n entries takes n bits; repeated entries are more likely ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Trait(Generic[T]):
    """`values[code]`, where the code is the bits of the key from `shift` on."""

    def __init__(self, shift: int, values: tuple[T, ...]) -> None:
        self.shift = shift
        self.values = values
        self.mask = len(values) - 1

    def of(self, key: int) -> T:
        """The trait of the product with that key."""
        return self.values[key >> self.shift & self.mask]

    def code(self, key: int) -> int:
        """The place of that product's value in the table."""
        return key >> self.shift & self.mask

    def codes(self, wanted: Callable[[T], bool]) -> frozenset[int]:
        """The codes whose value is wanted."""
        return frozenset(code for code, value in enumerate(self.values) if wanted(value))


_FIRMS = ("Yiwu Baina", "Shenzhen Lutu", "Guangzhou Mei", "Ningbo Haide", "Hangzhou Qing", "Xiamen Fuyu", "Jinhua Tai")
_FORMS = ("Trading Co., Ltd.", "E-Commerce", "Import & Export", '"Star" Factory')
SUPPLIERS = tuple(f"{firm} {form}" for firm in (*_FIRMS, "Dongguan Sheng") for form in _FORMS)

# The bits 0-10, 11-20 and 21-28 are three groups: product/list renders each group once per combination (rows.py).
COUNTRIES: Trait[tuple[str, ...]] = Trait(
    0, (("CN",),) * 9 + (("CN", "US"),) * 3 + (("CN", "US", "DE"), ("US",), ("CN", "GB", "FR"), ())
)
DELIVERY_HOURS: Trait[int | None] = Trait(4, (None, None, None, 24, 48, 72, 72, None))
CUSTOMIZATION: Trait[int | None] = Trait(7, (0,) * 9 + (None, None, 1, 2, 3, 4, 5))

PRODUCT_TYPE: Trait[str | None] = Trait(
    11, ("ORDINARY_PRODUCT",) * 10 + ("SUPPLIER_PRODUCT",) * 3 + ("SUPPLIER_SHIPPED_PRODUCT", None, None)
)
SUPPLIER = Trait(15, SUPPLIERS)
FREE_SHIPPING = Trait(20, (False, True))

VIDEO = Trait(21, (False, False, False, True))
UNIT: Trait[str | None] = Trait(23, (None, None, "unit(s)", "件"))
REMARK: Trait[str | None] = Trait(
    25,
    (
        None,
        None,
        "",
        "<p>Colour may vary &amp; differ</p>",
        '<div class="note">1. Size: 10\u00d720cm<br/>\n2. "Hand" wash</div>',
        "",
        None,
        "\u6279\u91cf\u4e0b\u5355",
    ),
)

SELF_PICKUP = Trait(28, (False,) * 7 + (True,))
CERTIFIED = Trait(31, (False,) * 6 + (True,) * 2)
# 0 trending, 1 new, 3 slow-moving (2, video, follows from VIDEO).
FLAGS: Trait[tuple[int, ...]] = Trait(34, ((), (), (), (0,), (1,), (0, 1), (3,), ()))
ZONES: Trait[tuple[str, ...]] = Trait(
    37, ((), (), (), ("shopify",), ("amazon", "shopify"), ("tiktok",), ("ebay", "etsy"), ("tiktok", "shopify"))
)
VERIFIED = Trait(40, (1, 1, 2, 1))
BRAND: Trait[int | None] = Trait(42, (None,) * 6 + (1371342252697325568, 1450000000000000001))

_ADJECTIVES = """
Portable;Foldable;Waterproof;Wireless;Vintage;Cute Cartoon;Large Capacity;Men's;Women's;Kids';Ultra-thin;Multi-function;
Creative;Simple & Modern;LED;Personalized;Winter;Summer;12" Mini;European-American;Rechargeable;Non-slip;Adjustable;
Silent;Handmade;Luxury;Breathable;Caf\u00e9 Style;Anti-fall;Double-layer;3-in-1;Outdoor
"""
_MATERIALS = (
    "Cotton;Leather;Stainless Steel;Silicone;Bamboo;Plush;Plastic;Wooden;Alloy;Ceramic;Velvet;Linen;Acrylic;Nylon"
)
_ADJECTIVES_ZH = (
    "便携 折叠 防水 无线 复古 可爱 大容量 男士 女士 儿童 超薄 多功能 创意 简约 LED 定制 "
    "冬季 夏季 迷你 欧美 充电 防滑 可调节 静音 手工 奢华 透气 咖啡 防摔 双层 三合一 户外"
)
ADJECTIVE = Trait(45, tuple(word.strip() for word in _ADJECTIVES.split(";")))
MATERIAL = Trait(52, (*_MATERIALS.split(";"), "Glass", "Wool"))
NAMES_ZH = Trait(45, tuple((name,) for name in _ADJECTIVES_ZH.split()))
# Most names are a JSON array inside a string, some one plain text. (Bits 45-51 together: rows.py renders them once.)
NAMES_AS_ARRAY = Trait(50, (True, True, True, False))

PRICE_AS_NUMBER = Trait(56, (False,) * 7 + (True,))
WEIGHT: Trait[tuple[int, int]] = Trait(
    59,
    tuple((low, low if step % 3 else low * 5 // 4 + 7) for step in range(32) for low in (int(8 * 1.28**step),)),
)


def is_supplied(key: int) -> bool:
    """Whether the product comes from a supplier, so that the supplier's name shows."""
    product_type = PRODUCT_TYPE.of(key)
    return product_type is not None and product_type.startswith("SUPPLIER")
