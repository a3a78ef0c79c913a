"""Where the stock of a product lies. Like the variants, it follows from the product."""

from __future__ import annotations

import random
from collections.abc import Sequence

from msgspec import Struct

from cjasync.sandbox.product import Product
from cjasync.sandbox.variants import Variant, guid, variants_of


class Area(Struct, frozen=True):
    """A warehouse area as CJ numbers and names it."""

    id: int
    name_en: str
    country_en: str


AREAS = {
    "CN": Area(1, "China Warehouse", "China"),
    "US": Area(2, "US Warehouse", "United States of America (the)"),
    "DE": Area(3, "Germany Warehouse", "Germany"),
    "GB": Area(4, "UK Warehouse", "United Kingdom of Great Britain and Northern Ireland (the)"),
    "FR": Area(5, "France Warehouse", "France"),
}


class Depot(Struct, frozen=True):
    """A building: its id (CJ sends it in braces) and what is there."""

    id: str
    cj: int
    factory: int


class Stock(Struct, frozen=True):
    """What lies in one country, at CJ's and at the factory. `depots` need not add up to it: CJ's do not either."""

    country: str
    cj: int
    factory: int
    depots: tuple[Depot, ...] | None = None

    @property
    def total(self) -> int:
        """Both together."""
        return self.cj + self.factory

    @property
    def verified(self) -> int:
        """CJ's mark: 1 where the goods are at CJ's, 2 where only the factory speaks of them."""
        return 1 if self.cj else 2


def product_stock(product: Product) -> tuple[Stock, ...]:
    """By country; together the product's verified and factory stock. Nothing for a product without a country."""
    shares = _split(product.verified_stock, [4, 2, 1][: len(product.countries)])
    home = "CN" if "CN" in product.countries else product.countries[0] if product.countries else ""
    return tuple(
        Stock(country, share, product.factory_stock if country == home else 0)
        for country, share in zip(product.countries, shares, strict=True)
    )


def variant_stock(product: Product) -> dict[str, tuple[Stock, ...]]:
    """By vid and country; the variants of a product add up to the product's stock."""
    variants = variants_of(product)
    draw = random.Random(f"stock {product.key}")
    rows: dict[str, list[Stock]] = {variant.vid: [] for variant in variants}
    for whole in product_stock(product) if variants else ():
        weights = [draw.randint(0, 6) for _ in variants]
        weights[draw.randrange(len(weights))] += 1
        shares = zip(variants, _split(whole.cj, weights), _split(whole.factory, weights), strict=True)
        for variant, cj, factory in shares:
            if cj or factory or whole.country == "CN":
                rows[variant.vid].append(Stock(whole.country, cj, factory, _depots(variant, cj, factory, draw)))
    return {vid: tuple(stocks) for vid, stocks in rows.items()}


def _split(total: int, weights: Sequence[int]) -> list[int]:
    """The total in whole parts, in proportion to the weights (of which one at least is above 0)."""
    parts, so_far, given = [], 0, 0
    for weight in weights:
        so_far += weight
        parts.append(total * so_far // sum(weights) - given)
        given += parts[-1]
    return parts


def _depots(variant: Variant, cj: int, factory: int, draw: random.Random) -> tuple[Depot, ...] | None:
    form = draw.randrange(6)
    if form < 2:
        return ((), None)[form]
    ids = [guid(draw.getrandbits(128)) for _ in range(2)]
    # One depot in six knows of goods that the totals do not.
    unknown = draw.randint(1, 9000) if form == 2 else 0
    depots = [Depot(ids[0], cj - cj // 3, factory), Depot(ids[1], cj // 3, unknown)]
    return tuple(depots if form < 5 else depots[:1])
