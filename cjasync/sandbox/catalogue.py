"""The truth: every product that the sandbox holds or held, as columns, and what happened to them."""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from decimal import Decimal
from statistics import NormalDist
from typing import Literal

from msgspec import Struct

from cjasync.sandbox import traits
from cjasync.sandbox.categories import Category, category_tree
from cjasync.sandbox.ids import product_id
from cjasync.sandbox.listing import NO_TIME, Listing

GONE, ON_SALE, DELISTED = 0, 1, 2

_QUANTILES = [(step + 0.5) / 1024 for step in range(1024)]
_PRICES = [max(9, round(100 * 2.718281828 ** (2.1 + 1.1 * NormalDist().inv_cdf(q)))) for q in _QUANTILES]
_STOCKS = [0 if q < 0.03 else round(20 * q) if q < 0.08 else round((q * 9) ** 6) for q in _QUANTILES]
_LISTINGS = [round(q / (1 - q) * 3) for q in _QUANTILES]


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


class Event(Struct, frozen=True):
    """A change: what happened to product `number` at `at` (seconds since 1970), and its price before, in cents."""

    at: float
    kind: Literal["add", "delete", "relist", "delist", "reprice"]
    number: int
    price: tuple[int, int]


class Catalogue:
    """Products by number (their place in the columns). `now` gives the time that changes are recorded with."""

    def __init__(
        self, times: array[int], *, seed: int, null_times: float, delisted: float, now: Callable[[], float]
    ) -> None:
        self.categories = category_tree()
        self.history: list[Event] = []
        self._now = now
        self._rng = random.Random(f"catalogue {seed}")
        self._category_weights = [0.0]
        for rank in range(1, len(self.categories)):
            self._category_weights.append(self._category_weights[-1] + rank**-1.05)
        ranks = list(range(len(self.categories)))
        self._rng.shuffle(ranks)
        self._category_ranks = ranks
        self.keys: array[int] = array("Q")
        self.created: array[int] = array("q")
        self.low: array[int] = array("i")
        self.high: array[int] = array("i")
        self.listed: array[int] = array("i")
        self.stock: array[int] = array("i")
        self.factory: array[int] = array("i")
        self.category: array[int] = array("H")
        self.pids: list[str] = []
        self.status = bytearray()
        self._numbers: dict[str, int] = {}
        chance = self._rng.random
        for created in times:
            shown = NO_TIME if null_times and chance() < null_times else created
            self._append(created, shown, DELISTED if delisted and chance() < delisted else ON_SALE)
        self.initial = bytes(self.status)
        self.all = Listing(self, None)
        self._listings = [self.all]

    def __len__(self) -> int:
        return len(self.status) - self.status.count(GONE)

    def __contains__(self, pid: object) -> bool:
        return self.get(pid) is not None if isinstance(pid, str) else False

    def get(self, pid: str) -> Product | None:
        """The product with that pid (delisted ones too), or None."""
        number = self.number_of(pid)
        return None if number is None or self.status[number] == GONE else self.product(number)

    def by_sku(self, sku: str) -> Product | None:
        """The product with that SKU (the SPU; not a variant's), or None."""
        if not sku[-7:].isdecimal() or int(sku[-7:]) >= len(self.pids):
            return None
        number = int(sku[-7:])
        return None if self.status[number] == GONE or self.sku_of(number) != sku else self.product(number)

    def number_of(self, pid: str) -> int | None:
        """The number of a product that is or was held."""
        if len(self._numbers) != len(self.pids):
            self._numbers = {known: number for number, known in enumerate(self.pids)}
        return self._numbers.get(pid)

    def sku_of(self, number: int) -> str:
        """CJ, four letters and the number in seven digits."""
        return f"CJ{_SKU_LETTERS[self.keys[number] >> 60 & 15]}{number:07d}"

    def name_of(self, number: int) -> str:
        """The English name."""
        key = self.keys[number]
        noun = self.categories[self.category[number]].noun
        return f"{traits.ADJECTIVE.of(key)} {traits.MATERIAL.of(key)} {noun}"

    def names_zh_of(self, number: int) -> tuple[str, ...]:
        """The Chinese names; English words occur in them."""
        key = self.keys[number]
        noun = self.categories[self.category[number]].noun_zh
        name = f"{traits.ADJECTIVE_ZH.of(key)}{traits.MATERIAL_ZH.of(key)}{noun}"
        return (name, noun) if traits.NAMES_AS_ARRAY.of(key) else (name,)

    def product(self, number: int) -> Product:
        """All that is true of product `number`, gone or not."""
        key = self.keys[number]
        created = self.created[number]
        weight_low, weight_high = traits.WEIGHT.of(key)
        product_type = traits.PRODUCT_TYPE.of(key)
        supplied = product_type is not None and product_type.startswith("SUPPLIER")
        return Product(
            number=number,
            key=key,
            pid=self.pids[number],
            sku=self.sku_of(number),
            name_en=self.name_of(number),
            names_zh=self.names_zh_of(number),
            image=image_of(number, key),
            category=self.categories[self.category[number]],
            price_low=Decimal(self.low[number]).scaleb(-2),
            price_high=Decimal(self.high[number]).scaleb(-2),
            weight_low=weight_low,
            weight_high=weight_high,
            created_ms=None if created == NO_TIME else created * 1000,
            listed=self.listed[number],
            verified_stock=self.stock[number],
            factory_stock=self.factory[number],
            delisted=self.status[number] == DELISTED,
            product_type=product_type,
            supplier_id=supplier_id(traits.SUPPLIER.code(key)) if supplied else None,
            supplier_name=traits.SUPPLIER.of(key) if supplied else None,
            countries=traits.COUNTRIES.of(key),
            delivery_hours=traits.DELIVERY_HOURS.of(key),
            free_shipping=traits.FREE_SHIPPING.of(key),
            video=traits.VIDEO.of(key),
            unit=traits.UNIT.of(key),
            remark=traits.REMARK.of(key),
            customization=traits.CUSTOMIZATION.of(key),
            self_pickup=traits.SELF_PICKUP.of(key),
            certified=traits.CERTIFIED.of(key),
            flags=traits.FLAGS.of(key),
            zones=traits.ZONES.of(key),
            verified=traits.VERIFIED.of(key),
            brand_id=traits.BRAND.of(key),
        )

    def truth(self, *, delisted: bool = True) -> Iterator[Product]:
        """Every product held now, in the order of their numbers; product/list shows the delisted ones too."""
        for number, status in enumerate(self.status):
            if status == ON_SALE or (delisted and status == DELISTED):
                yield self.product(number)

    def pids_now(self) -> set[str]:
        """The pids of all products held now."""
        return {pid for pid, status in zip(self.pids, self.status, strict=True) if status}

    # Changes

    def add(self, created: float | None = None) -> str:
        """A new product, created now unless told otherwise; its pid."""
        now = self._now()
        second = int(now if created is None else created)
        number = self._append(second, second, ON_SALE)
        self._numbers[self.pids[number]] = number
        self._record("add", number)
        for listing in self._listings:
            listing.add(number)
        return self.pids[number]

    def delete(self, pid: str) -> None:
        """The product disappears from every answer."""
        self._set_status(self._known(pid), GONE, "delete")

    def delist(self, pid: str) -> None:
        """Off the shelves: product/list still shows it, product/query answers 1602002, listV2 omits it."""
        self._set_status(self._known(pid), DELISTED, "delist")

    def relist(self, pid: str) -> None:
        """A deleted or delisted product comes back with its old creation time."""
        self._set_status(self._known(pid), ON_SALE, "relist")

    def reprice(self, pid: str, low: Decimal, high: Decimal | None = None) -> None:
        """Another price (in whole cents)."""
        number = self._known(pid)
        self._record("reprice", number)
        with_listings = [listing for listing in self._listings if self.status[number]]
        for listing in with_listings:
            listing.discard(number)
        self.low[number] = int(low.scaleb(2))
        self.high[number] = int((low if high is None else high).scaleb(2))
        for listing in with_listings:
            listing.add(number)
