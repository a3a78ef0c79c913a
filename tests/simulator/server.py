"""The listing of a simulated CJ: filters, order, pages within a window, totals; and its weaknesses, one flag each."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from cjasync.catalog.planning.question import Answer, Question, Row, Span
from tests.simulator.catalogue import START, Catalogue, Product

BLOCK = 800
Entry = tuple[int, float, int]  # create time, place among its ties, product number


class Shelf:
    """Products in order of create time, in blocks: a page is found by rank, an arrival costs one insertion."""

    def __init__(self, entries: list[Entry]) -> None:
        entries = sorted(entries)
        self.blocks = [entries[n : n + BLOCK] for n in range(0, len(entries), BLOCK)] or [[]]
        self.firsts = [block[0] for block in self.blocks if block] or [(0, 0.0, 0)]
        self.sums: list[int] | None = None

    def _block(self, entry: Entry) -> int:
        return max(0, bisect_right(self.firsts, entry) - 1)

    def add(self, entry: Entry) -> None:
        insort(self.blocks[self._block(entry)], entry)
        self.sums = None

    def remove(self, entry: Entry) -> None:
        block = self.blocks[self._block(entry)]
        del block[bisect_left(block, entry)]
        self.sums = None

    def rank(self, moment: int) -> int:
        """How many were created before that moment."""
        probe = (moment, -1.0, -1)
        n = self._block(probe)
        return self._sums()[n] + bisect_left(self.blocks[n], probe)

    def slice(self, start: int, stop: int) -> list[Entry]:
        """Ranks start to stop - 1."""
        sums = self._sums()
        n = max(0, bisect_right(sums, start) - 1)
        found: list[Entry] = []
        at = sums[n]
        while at < stop and n < len(self.blocks):
            found += self.blocks[n][max(0, start - at) : stop - at]
            at += len(self.blocks[n])
            n += 1
        return found

    def __len__(self) -> int:
        return self._sums()[-1]

    def _sums(self) -> list[int]:
        if self.sums is None:
            self.sums = list(accumulate((len(block) for block in self.blocks), initial=0))
        return self.sums


class Server:
    """Answers questions at its own virtual time.

    window: rows that one question reaches (None: no limit). size: rows per page it gives at most.
    zone: seconds its filter is ahead of UTC. noon: reads 12:xx as 00:xx. after, before: bounds exclude their second.
    nulls: where products without a create time are listed: first, last, low (first when ascending) or high.
    replicas: with two, the order among ties depends on which one answers.
    ignore: names of filters it does not look at: time, price, category, inventory, sort.
    hide: rows do not show their create time. strict: bounds of price and stock exclude their own number.
    cap: totals end there. beyond: and rows go on, as far as the window goes. capped: to which questions that happens.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        window: int | None = 6000,
        size: int = 200,
        zone: int = 8 * 3600,
        noon: bool = False,
        after: bool = False,
        before: bool = False,
        nulls: str = "last",
        replicas: int = 1,
        ignore: tuple[str, ...] = (),
        hide: bool = False,
        cap: int | None = None,
        beyond: bool = True,
        capped: Callable[[Question], bool] = lambda question: True,
        strict: bool = False,
        pid: Callable[[Product], str] = lambda product: product.pid,
        seed: int = 5,
    ) -> None:
        self.products = catalogue.products
        self.window, self.size, self.zone, self.noon = window, size, zone, noon
        self.after, self.before, self.nulls, self.ignore = after, before, nulls, ignore
        self.hide, self.cap, self.beyond, self.pid = hide, cap, beyond, pid
        self.capped, self.strict = capped, strict
        self.rng = random.Random(seed)
        self.now = float(START)
        self.prices = [product.price for product in self.products]
        self.categories = [product.category for product in self.products]
        self.places = [[self.rng.random() for _ in self.products] for _ in range(replicas)]
        alive = [p for p in self.products if p.born <= self.now < p.dies]
        self.shelves = [
            Shelf([(p.created, places[p.number], p.number) for p in alive if p.created is not None])
            for places in self.places
        ]
        self.untimed = [p.number for p in alive if p.created is None]
        events = [(p.dies, p.number, -1) for p in self.products if p.dies < math.inf]
        events += [(p.born, p.number, 0) for p in self.products if p.born > self.now]
        self.events = sorted(events + catalogue.reprices)
        self.next_event = 0
        self.version = 0
        self.cache: tuple[object, list[int]] = (None, [])
        self.stretch: tuple[object, list[int]] = (None, [])
        self.rows = [Row(pid(p), None if hide else p.created, p.price, p.category) for p in self.products]
        self.asked: list[Question] = []

    def advance(self, to: float) -> None:
        """Let the catalogue change until then."""
        while self.next_event < len(self.events) and self.events[self.next_event][0] <= to:
            _, number, what = self.events[self.next_event]
            self.next_event += 1
            self.version += 1
            product = self.products[number]
            if what > 0:
                self.prices[number] = what
                row = self.rows[number]
                self.rows[number] = Row(row.pid, row.created, what, row.category)
            elif product.created is None:
                (self.untimed.remove if what else self.untimed.append)(number)
            else:
                for shelf, places in zip(self.shelves, self.places, strict=True):
                    change = shelf.remove if what else shelf.add
                    change((product.created, places[number], number))
        self.now = to

    def answer(self, question: Question) -> Answer:
        """One page, of this very moment."""
        self.asked.append(question)
        size = min(question.page_size, self.size)
        if self.window is not None and question.page * size > self.window:
            return Answer(error="max_offset")
        shelf = self.rng.choice(self.shelves)
        start, end = self._bound(question.created_from, self.after), self._bound(question.created_to, -self.before)
        if "time" in self.ignore:
            start = end = None
        low = 0 if start is None else shelf.rank(start)
        high = len(shelf) if end is None else max(low, shelf.rank(end + 1))
        descending = "sort" in self.ignore or question.sort == "desc"
        offset = (question.page - 1) * size
        region = question.region
        filters: dict[str, Any] = {
            name: getattr(region, name) for name in ("price", "category", "inventory") if name not in self.ignore
        }
        untimed = self.untimed if start is None and end is None else []
        if any(value is not None for value in filters.values()) or untimed:
            numbers = self._filtered(shelf, low, high, untimed, filters, descending)
            total, numbers = len(numbers), numbers[offset : offset + size]
        else:
            total = high - low
            if descending:
                entries = shelf.slice(max(low, high - offset - size), max(low, high - offset))[::-1]
            else:
                entries = shelf.slice(low + offset, min(high, low + offset + size))
            numbers = [number for _, _, number in entries]
        if self.cap is not None and self.capped(question):
            total = min(total, self.cap)
            numbers = numbers if self.beyond else numbers[: max(0, self.cap - offset)]
        return Answer(total, tuple(self.rows[number] for number in numbers), size)

    def _bound(self, text: str | None, shift: int) -> int | None:
        if text is None:
            return None
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        if self.noon and moment.hour == 12:
            moment = moment.replace(hour=0)
        return int(moment.timestamp()) - self.zone + int(shift)

    def _filtered(
        self, shelf: Shelf, low: int, high: int, untimed: list[int], filters: dict[str, Any], descending: bool
    ) -> list[int]:
        key = (id(shelf), low, high, bool(untimed), tuple(filters.items()), descending, self.version)
        if self.cache[0] == key:
            return self.cache[1]

        stretch = (id(shelf), low, high, self.version)
        if self.stretch[0] != stretch:
            self.stretch = (stretch, [number for _, _, number in shelf.slice(low, high)])
        timed = self._fitting(self.stretch[1], **filters)
        if descending:
            timed = timed[::-1]
        rest = self._fitting(untimed, **filters)
        first = self.nulls == "first" or ((self.nulls == "low") != descending and self.nulls in ("low", "high"))
        self.cache = (key, rest + timed if first else timed + rest)
        return self.cache[1]

    def _fitting(
        self,
        numbers: list[int],
        price: Span | None = None,
        category: str | None = None,
        inventory: Span | None = None,
    ) -> list[int]:
        """Those that pass the filters, one filter after the other: most of a simulation's time goes here."""
        products, prices, categories = self.products, self.prices, self.categories
        if price is not None:
            low, high = self._ends(price)
            numbers = [n for n in numbers if (known := prices[n]) is not None and low <= known <= high]
        if category is not None:
            numbers = [number for number in numbers if categories[number] == category]
        if inventory is not None:
            low, high = self._ends(inventory)
            numbers = [number for number in numbers if low <= products[number].inventory <= high]
        return numbers

    def _ends(self, span: Span) -> tuple[float, float]:
        """The lowest and the highest number that a filter lets through."""
        low, high = span
        return -math.inf if low is None else low + self.strict, math.inf if high is None else high - self.strict
