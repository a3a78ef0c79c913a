"""The truth: every product that the sandbox holds or held, as columns, and the ways to change it."""

from __future__ import annotations

import random
from array import array
from bisect import bisect
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from decimal import Decimal
from itertools import accumulate
from statistics import NormalDist

import cjasync.sandbox.traits as traits
from cjasync.sandbox.categories import Category, category_tree
from cjasync.sandbox.history import History, Kind
from cjasync.sandbox.ids import product_id
from cjasync.sandbox.listing import NO_TIME, Condition, Listing
from cjasync.sandbox.product import Product, image_of, supplier_id

GONE, ON_SALE, DELISTED = 0, 1, 2

# Draws by table: the same on every machine, and cheap.
_QUANTILES = [(step + 0.5) / 1024 for step in range(1024)]
_PRICES = [max(9, round(100 * 2.718281828 ** (2.1 + 1.1 * NormalDist().inv_cdf(q)))) for q in _QUANTILES]
_STOCKS = [0 if q < 0.05 else round(20 * q) if q < 0.1 else round((9 * q) ** 6) for q in _QUANTILES]
_LISTED = [round(3 * q / (1 - q)) for q in _QUANTILES]
_SKU_LETTERS = [
    "NSSY",
    "JJJT",
    "YDQT",
    "LYDZ",
    "WYMY",
    "MTSJ",
    "DQXD",
    "BBTZ",
    "ZBLF",
    "CWMM",
    "TYDD",
    "QCDD",
    "HFGF",
    "SNPJ",
    "MZGY",
    "YZZW",
]
_LISTINGS_KEPT = 64


class Catalogue:
    """Products by number, their place in the columns; a number is never given twice.

    times: creation seconds of the first products. seed, null_times, delisted: as in Settings. now: the present, in
    seconds since 1970, for new products and the record of changes.
    """

    def __init__(
        self, times: Sequence[int], *, seed: int, null_times: float, delisted: float, now: Callable[[], float]
    ) -> None:
        self.categories: tuple[Category, ...] = category_tree()
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
        self._now = now
        self._numbers: dict[str, int] = {}
        self._rng = random.Random(f"catalogue {seed}")
        # The biggest category holds a sixth of everything, as where shoppers are many.
        shares = [rank**-1.05 for rank in range(1, len(self.categories) + 1)]
        self._rng.shuffle(shares)
        self._category_sizes = list(accumulate(shares))
        self._last_category = len(shares) - 1
        self._fill(times, null_times, delisted)
        self.history = History(len(self.pids))
        self.all = Listing(self.created, range(len(self.pids)))
        self._listings: OrderedDict[Hashable, Listing] = OrderedDict()

    def _fill(self, times: Sequence[int], null_times: float, delisted: float) -> None:
        chance = self._rng.random
        for created in times:
            self._append(created)
            if chance() < null_times:
                self.created[-1] = NO_TIME
            if chance() < delisted:
                self.status[-1] = DELISTED

    def _append(self, created: int) -> int:
        number = len(self.pids)
        draw = self._rng.getrandbits
        key, dice = draw(64), draw(60)
        low = _PRICES[dice & 1023]
        self.keys.append(key)
        self.created.append(created)
        self.low.append(low)
        self.high.append(low + low * (dice >> 10 & 63) // 80 if dice >> 16 & 3 == 0 else low)
        self.listed.append(_LISTED[dice >> 18 & 1023])
        self.stock.append(_STOCKS[dice >> 28 & 1023] >> 4)
        self.factory.append(_STOCKS[dice >> 28 & 1023] if dice >> 38 & 1 else 0)
        sizes = self._category_sizes
        self.category.append(bisect(sizes, self._rng.random() * sizes[-1], 0, self._last_category))
        self.pids.append(product_id(number, key, created))
        self.status.append(ON_SALE)
        return number

    def __len__(self) -> int:
        return len(self.all)

    # Looking up

    def get(self, pid: str) -> Product | None:
        """The product with that pid (delisted ones too), or None."""
        number = self.number_of(pid)
        return None if number is None or self.status[number] == GONE else self.product(number)

    def by_sku(self, sku: str) -> Product | None:
        """The product with that SKU (the SPU, not a variant's), or None."""
        number = int(sku[-7:]) if sku[-7:].isdecimal() else len(self.pids)
        if number >= len(self.pids) or self.status[number] == GONE or self.sku_of(number) != sku:
            return None
        return self.product(number)

    def number_of(self, pid: str) -> int | None:
        """The number of a product that is or was held."""
        if len(self._numbers) != len(self.pids):
            self._numbers = {known: number for number, known in enumerate(self.pids)}
        return self._numbers.get(pid)

    def sku_of(self, number: int) -> str:
        """CJ, four letters and the number in seven digits."""
        return f"CJ{_SKU_LETTERS[self.keys[number] >> 60]}{number:07d}"

    def name_of(self, number: int) -> str:
        """The English name."""
        key = self.keys[number]
        return f"{traits.ADJECTIVE.of(key)} {traits.MATERIAL.of(key)} {self.categories[self.category[number]].noun}"

    def names_zh_of(self, number: int) -> tuple[str, ...]:
        """The Chinese names; English words occur in them."""
        key = self.keys[number]
        noun = self.categories[self.category[number]].noun_zh
        return traits.NAMES_ZH.of(key) + ((noun,) if traits.NAMES_AS_ARRAY.of(key) else ())

    def product(self, number: int) -> Product:
        """All that is true of product `number`, gone or not."""
        key = self.keys[number]
        created = self.created[number]
        weight_low, weight_high = traits.WEIGHT.of(key)
        supplied = traits.is_supplied(key)
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
            product_type=traits.PRODUCT_TYPE.of(key),
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
        """Every product held now, by number; product/list shows the delisted ones too, listV2 does not."""
        for number, status in enumerate(self.status):
            if status == ON_SALE or (delisted and status == DELISTED):
                yield self.product(number)

    def pids_now(self) -> set[str]:
        """The pids of all products held now."""
        return {pid for pid, status in zip(self.pids, self.status, strict=True) if status != GONE}

    def mark(self) -> int:
        """This moment, for the questions about a period."""
        return len(self.history)

    def held_throughout(self, start: int, end: int | None = None) -> set[str]:
        """The pids of the products that were never gone between two marks (default: until now)."""
        return {self.pids[number] for number in self.history.held_throughout(start, end)}

    def held_at_some_time(self, start: int, end: int | None = None) -> set[str]:
        """The pids of the products that could be seen between two marks (default: until now)."""
        return {self.pids[number] for number in self.history.held_at_some_time(start, end)}

    def prices(self, pid: str, start: int, end: int | None = None) -> set[tuple[Decimal, Decimal]]:
        """Every (low, high) price that a product had between two marks (default: until now)."""
        number = self._known(pid)
        cents = self.history.prices(number, (self.low[number], self.high[number]), start, end)
        return {(Decimal(low).scaleb(-2), Decimal(high).scaleb(-2)) for low, high in cents}

    def listing(self, question: Hashable, condition: Condition) -> Listing:
        """The products that satisfy `condition`, which `question` names; evaluated once, then kept up to date."""
        listing = self._listings.get(question)
        if listing is None:
            listing = self._listings[question] = self.all.narrowed(condition)
            if len(self._listings) > _LISTINGS_KEPT:
                self._listings.popitem(last=False)
        self._listings.move_to_end(question)
        return listing

    # Changes

    def add(self, created: float | None = None) -> str:
        """A new product, created now unless told otherwise; its pid."""
        number = self._append(int(self._now() if created is None else created))
        self._numbers[self.pids[number]] = number
        self._record("add", number)
        self._changed(number)
        return self.pids[number]

    def delete(self, pid: str) -> None:
        """The product disappears from every answer."""
        self._set_status(pid, GONE, "delete")

    def delist(self, pid: str) -> None:
        """Off the shelves: product/list still shows it, listV2 does not."""
        self._set_status(pid, DELISTED, "delist")

    def relist(self, pid: str) -> None:
        """A deleted or delisted product comes back with its old creation time."""
        self._set_status(pid, ON_SALE, "relist")

    def reprice(self, pid: str, low: Decimal, high: Decimal | None = None) -> None:
        """Another price, in whole cents."""
        number = self._known(pid)
        self._record("reprice", number)
        self.low[number] = int(low.scaleb(2))
        self.high[number] = int((low if high is None else high).scaleb(2))
        self._changed(number)

    def _set_status(self, pid: str, status: int, kind: Kind) -> None:
        number = self._known(pid)
        self._record(kind, number)
        self.status[number] = status
        self._changed(number)

    def _known(self, pid: str) -> int:
        number = self.number_of(pid)
        if number is None:
            raise KeyError(pid)
        return number

    def _record(self, kind: Kind, number: int) -> None:
        self.history.record(self._now(), kind, number, (self.low[number], self.high[number]))

    def _changed(self, number: int) -> None:
        held = self.status[number] != GONE
        for listing in (self.all, *self._listings.values()):
            listing.look_again(number, held=held)
