"""Which products a walk has handed out already: exactly, at eight bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_left

_SHELVES = 1024


class Delivered:
    """A set of product keys (`question.key`), spread evenly over sorted shelves short enough to insert into."""

    def __init__(self) -> None:
        self._shelves = [array("Q") for _ in range(_SHELVES)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, item: int) -> bool:
        shelf = self._shelves[item % _SHELVES]
        place = bisect_left(shelf, item)
        return place < len(shelf) and shelf[place] == item

    def add(self, item: int) -> bool:
        """Take a key in; whether it is new."""
        shelf = self._shelves[item % _SHELVES]
        place = bisect_left(shelf, item)
        if place < len(shelf) and shelf[place] == item:
            return False
        shelf.insert(place, item)
        self._count += 1
        return True

    @classmethod
    def of(cls, packed: bytes) -> Delivered:
        """The set of the keys in `packed`, eight bytes each as `array("Q")` holds them, no key twice."""
        made = cls()
        keys = array("Q")
        keys.frombytes(packed)
        for item in keys:
            made._shelves[item % _SHELVES].append(item)
        made._shelves = [array("Q", sorted(shelf)) for shelf in made._shelves]
        made._count = len(keys)
        return made
