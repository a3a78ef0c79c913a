"""Products that satisfy a condition, in the order of their creation: what a search can cut a time range from."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

NO_TIME = -1
Condition = Callable[[int], bool]


class Listing:
    """Numbers of products that satisfy `condition`, sorted by time and, within a second, by number.

    `created` is the catalogue's column; `numbers` come in ascending order. The catalogue tells the listing of every
    change, so that a filter is evaluated over everything only once. `version` counts the changes.
    """

    def __init__(self, created: Sequence[int], numbers: Iterable[int], condition: Condition | None = None) -> None:
        self._created = created
        self._condition = condition
        known = list(numbers)
        timed = [number for number in known if created[number] != NO_TIME]
        timed.sort(key=created.__getitem__)
        self.numbers: array[int] = array("i", timed)
        self.times: array[int] = array("q", map(created.__getitem__, timed))
        self.nulls: array[int] = array("i", (number for number in known if created[number] == NO_TIME))
        self.version = 0

    def __len__(self) -> int:
        return len(self.numbers) + len(self.nulls)

    def narrowed(self, condition: Condition) -> Listing:
        """Those of them that satisfy a condition."""
        return Listing(self._created, sorted(filter(condition, [*self.numbers, *self.nulls])), condition)

    def between(self, start: float | None, end: float | None) -> tuple[int, int]:
        """The places of the products created in [start, end] (seconds, both included)."""
        first = 0 if start is None else bisect_left(self.times, start)
        last = len(self.times) if end is None else bisect_right(self.times, end)
        return first, max(first, last)

    def look_again(self, number: int, *, held: bool) -> None:
        """Take in or out a product that changed: it belongs here if it is held and satisfies the condition.

        One that stays keeps its place, which no change moves: to insert costs as much as the listing is long.
        """
        belongs = held and (self._condition is None or self._condition(number))
        untimed = self._created[number] == NO_TIME
        place = bisect_left(self.nulls, number) if untimed else self._place(number)
        column = self.nulls if untimed else self.numbers
        present = place < len(column) and column[place] == number
        self.version += belongs or present
        if belongs and not present:
            column.insert(place, number)
            if not untimed:
                self.times.insert(place, self._created[number])
        elif present and not belongs:
            del column[place]
            if not untimed:
                del self.times[place]

    def _place(self, number: int) -> int:
        created = self._created[number]
        first = bisect_left(self.times, created)
        last = bisect_right(self.times, created, first)
        return bisect_left(self.numbers, number, first, last)
