"""Finds the rows of an append-only file that a newer fetch of the same product has replaced.

A walk repeats few rows or none, so only 44 bits of each key's hash are kept while rows are written, and the file is
read again only where two are equal. Memory: 4 bytes a row, one more if anything repeats, and a bounded dictionary.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

_SHELVES = 4_096
_SHELF_BITS = 12
_REST = 2**32 - 1
_AT_ONCE = 100_000


class WrittenKeys:
    """The keys that were written: what tells whether any of them came twice."""

    def __init__(self) -> None:
        # Which shelf a hash stands on is part of what is known of it.
        self._shelves = [array("I") for _ in range(_SHELVES)]
        self._put = [shelf.append for shelf in self._shelves]

    def add(self, keys: Iterable[str]) -> None:
        """Note keys of further rows."""
        put = self._put
        for value in map(hash, keys):
            put[value & _SHELVES - 1](value >> _SHELF_BITS & _REST)

    def superseded(self, rows: int, heads: Callable[[], Iterable[tuple[str, Any]]]) -> bytearray | None:
        """One byte a row, 1 where the row has to go; None when nothing repeats.

        rows: in the file. Those that an earlier run wrote come first.
        heads: starts a pass over them: key and fetch time of each, in order. Of equal times the later row stays.
        """
        earlier = rows - sum(map(len, self._shelves))
        self.add(key for key, _ in islice(heads(), earlier))
        repeated = self._repeated()
        drop: bytearray | None = None
        while group := set(islice(repeated, _AT_ONCE)):
            drop = drop or bytearray(rows)
            newest: dict[str, tuple[Any, int]] = {}
            for index, (key, fetched_at) in enumerate(heads()):
                if _mark(key) not in group:
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
        for place, shelf in enumerate(self._shelves):
            if len(set(shelf)) < len(shelf):
                yield from (rest << _SHELF_BITS | place for rest, count in Counter(shelf).items() if count > 1)


def _mark(key: str) -> int:
    """What is kept of a key's hash."""
    return hash(key) & (_REST << _SHELF_BITS | _SHELVES - 1)
