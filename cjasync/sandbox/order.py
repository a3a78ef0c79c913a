"""Cutting a page out of a listing: which products, in which order, when ties may fall either way."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable

from cjasync.sandbox.listing import Listing

_SORTS_KEPT = 16


class Span:
    """The products of a listing created between two moments; all of them, those without a time too, if neither is set.

    start, end: seconds since 1970, both included unless `inclusive` is False.
    """

    def __init__(self, listing: Listing, start: float | None, end: float | None, *, inclusive: bool) -> None:
        if not inclusive:
            start = None if start is None else math.floor(start) + 1
            end = None if end is None else math.ceil(end) - 1
        self.listing = listing
        self.first, self.last = listing.between(start, end)
        self.nulls = list(listing.nulls) if start is None and end is None else []

    def __len__(self) -> int:
        return self.last - self.first + len(self.nulls)

    def numbers(self) -> list[int]:
        """All of them."""
        return [*self.listing.numbers[self.first : self.last], *self.nulls]

    def by_time(self, offset: int, count: int, *, descending: bool, nulls_first: bool, replica: int) -> list[int]:
        """`count` of them from `offset` on, by creation time. Replica 0 has ties by number, 1 in its own order."""
        timed = self.last - self.first
        before = len(self.nulls) if nulls_first else 0
        nulls = _tied(self.nulls, replica)
        if descending:
            nulls.reverse()
        start = min(max(0, offset - before), timed)
        stop = min(max(0, offset + count - before), timed)
        if descending:
            cut = self._places(self.last - stop, self.last - start, replica)
            cut.reverse()
        else:
            cut = self._places(self.first + start, self.first + stop, replica)
        if nulls_first:
            return nulls[offset : offset + count] + cut
        return cut + nulls[max(0, offset - timed) : max(0, offset + count - timed)]

    def _places(self, start: int, stop: int, replica: int) -> list[int]:
        numbers, times = self.listing.numbers, self.listing.times
        if replica == 0:
            return list(numbers[start:stop])
        cut: list[int] = []
        place = start
        while place < stop:
            second = times[place]
            first = bisect_left(times, second, 0, place + 1)
            last = bisect_right(times, second, place)
            end = min(stop, last)
            cut += _tied(numbers[first:last].tolist(), replica)[place - first : end - first]
            place = end
        return cut


class Sorter:
    """Sorts spans by other columns and remembers the last few results, until the listing changes."""

    def __init__(self) -> None:
        self._sorted: OrderedDict[Hashable, tuple[Listing, int, list[int]]] = OrderedDict()

    def by(self, name: str, key: Callable[[int], float], span: Span, *, descending: bool, replica: int) -> list[int]:
        """All products of a span by `key`, which `name` names."""
        listing = span.listing
        question = (id(listing), span.first, span.last, len(span.nulls), name, descending, replica)
        kept = self._sorted.get(question)
        if kept is not None and kept[0] is listing and kept[1] == listing.version:
            return kept[2]
        numbers = _tied(sorted(span.numbers()), replica)
        numbers.sort(key=key, reverse=descending)
        self._sorted[question] = (listing, listing.version, numbers)
        if len(self._sorted) > _SORTS_KEPT:
            self._sorted.popitem(last=False)
        return numbers


def _tied(numbers: list[int], replica: int) -> list[int]:
    """Products that a sort cannot tell apart, in the order of that replica."""
    if replica == 0 or len(numbers) < 2:
        return list(numbers)
    return sorted(numbers, key=lambda number: number * 2_654_435_761 % 4_294_967_291)
