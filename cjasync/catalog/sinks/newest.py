"""Finds the rows of an append-only file that a newer fetch of the same product has replaced.

A walk repeats few rows or none, so only six bytes of each key's hash are kept while rows are written, and the file is
read again only where 44 bits of two are equal. Memory: 6 bytes a row, for a moment at the end another 4 and, if any
repeats, one and a bounded dictionary.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

_SHELVES = 4_096
_SHELF_BITS = 12
_AT_ONCE = 100_000


class WrittenKeys:
    """The keys that were written: what tells whether any of them came twice."""

    def __init__(self) -> None:
        self._first = array("I")
        self._second = array("H")

    def add(self, keys: Iterable[str]) -> None:
        """Note keys of further rows."""
        first, second = _parts(keys)
        self._first += first
        self._second += second

    def superseded(self, rows: int, heads: Callable[[], Iterable[tuple[str, Any]]]) -> bytearray | None:
        """One byte a row, 1 where the row has to go; None when nothing repeats.

        rows: in the file. Those that an earlier run wrote come first.
        heads: starts a pass over them: key and fetch time of each, in order. Of equal times the later row stays.
        """
        earlier = rows - len(self._first)
        self.add(key for key, _ in islice(heads(), earlier))
        repeated = self._repeated()
        drop: bytearray | None = None
        while group := set(islice(repeated, _AT_ONCE)):
            drop = drop or bytearray(rows)
            newest: dict[str, tuple[Any, int]] = {}
            for index, (key, fetched_at) in enumerate(heads()):
                if next(_marks(*_parts([key]))) not in group:
                    continue
                held = newest.get(key)
                if held is not None and fetched_at < held[0]:
                    drop[index] = 1
                    continue
                if held is not None:
                    drop[held[1]] = 1
                newest[key] = fetched_at, index
        return drop if drop and 1 in drop else None

    def _repeated(self) -> Iterator[int]:
        shelves = [array("I") for _ in range(_SHELVES)]
        places = map((_SHELVES - 1).__and__, self._second)
        # The loop is C's.
        deque(map(array.append, map(shelves.__getitem__, places), self._first), maxlen=0)
        for place, shelf in enumerate(shelves):
            if len(set(shelf)) < len(shelf):
                yield from (rest << _SHELF_BITS | place for rest, count in Counter(shelf).items() if count > 1)


def _parts(keys: Iterable[str]) -> tuple[array[int], array[int]]:
    """32 bits and 16 others of each key's hash: cut out of them all in a few steps of C."""
    hashes = array("q", list(map(hash, keys))).tobytes()
    return array("I", hashes)[::2], array("H", hashes)[2::4]


def _marks(first: Iterable[int], second: Iterable[int]) -> Iterator[int]:
    """What is compared of the keys' hashes."""
    return (one << _SHELF_BITS | other & _SHELVES - 1 for one, other in zip(first, second, strict=True))
