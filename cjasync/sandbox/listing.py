"""Products that satisfy a condition, in the order of their creation: what a search can cut a time range from."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cjasync.sandbox.catalogue import Catalogue

NO_TIME = -1
Condition = Callable[[int], bool]


class Listing:
    """Numbers of the products that satisfy `condition`, sorted by time and, within a second, by number.

    Kept up to date by the catalogue, so that a filter is evaluated over everything only once.
    """

    def __init__(self, catalogue: Catalogue, condition: Condition | None, source: Listing | None = None) -> None:
        self._created = catalogue.created
        self._condition = condition
        self.version = 0
        if source is None or condition is None:
            known = [number for number, status in enumerate(catalogue.status) if status]
            timed = sorted((number for number in known if self._created[number] != NO_TIME), key=self._created.__getitem__)
            nulls = [number for number in known if self._created[number] == NO_TIME]
        else:
            timed = [number for number in source.numbers if condition(number)]
            nulls = [number for number in source.nulls if condition(number)]
        self.numbers = array("i", timed)
        self.times = array("q", map(self._created.__getitem__, timed))
        self.nulls = array("i", nulls)

    def __len__(self) -> int:
        return len(self.numbers) + len(self.nulls)

    def between(self, start: float | None, end: float | None) -> tuple[int, int]:
        """The places of the products created in [start, end] (seconds, both included)."""
        first = 0 if start is None else bisect_left(self.times, start)
        last = len(self.times) if end is None else bisect_right(self.times, end)
        return first, max(first, last)

    def add(self, number: int) -> None:
        """Take a product in, if it satisfies the condition."""
        if self._condition is not None and not self._condition(number):
            return
        self.version += 1
        created = self._created[number]
        if created == NO_TIME:
            self.nulls.insert(bisect_left(self.nulls, number), number)
        else:
            place = self._place(number)
            self.times.insert(place, created)
            self.numbers.insert(place, number)

    def discard(self, number: int) -> None:
        """Take a product out, if it is in."""
        if self._created[number] == NO_TIME:
            place = bisect_left(self.nulls, number)
            if place < len(self.nulls) and self.nulls[place] == number:
                self.version += 1
                del self.nulls[place]
            return
        place = self._place(number)
        if place < len(self.numbers) and self.numbers[place] == number:
            self.version += 1
            del self.numbers[place]
            del self.times[place]

    def _place(self, number: int) -> int:
        created = self._created[number]
        first = bisect_left(self.times, created)
        last = bisect_right(self.times, created, first)
        return bisect_left(self.numbers, number, first, last)
