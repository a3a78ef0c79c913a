"""Finds the rows of an append-only log that a newer fetch of the same product has replaced.

A walk repeats few rows or none, so the log is read once for 8-byte hashes, and only the hashes that occur twice are
looked at again, exactly. Memory: 8 bytes a row, one more byte a row if anything repeats, and a bounded dictionary.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

_SHELVES = 256
_AT_ONCE = 100_000


def superseded(heads: Callable[[], Iterable[tuple[str, Any]]]) -> bytearray | None:
    """One byte a row, 1 where the row has to go; None when nothing repeats.

    `heads` starts a pass over the log: key and fetch time of each row, in order. Of equal times the later row stays.
    """
    shelves = [array("q") for _ in range(_SHELVES)]
    for key, _ in heads():
        value = hash(key)
        shelves[value % _SHELVES].append(value)
    count = sum(map(len, shelves))
    repeated = _repeated(shelves)
    drop: bytearray | None = None
    while group := set(islice(repeated, _AT_ONCE)):
        drop = drop or bytearray(count)
        newest: dict[str, tuple[Any, int]] = {}
        for index, (key, fetched_at) in enumerate(heads()):
            if hash(key) not in group:
                continue
            held = newest.get(key)
            if held is not None and fetched_at < held[0]:
                drop[index] = 1
                continue
            if held is not None:
                drop[held[1]] = 1
            newest[key] = fetched_at, index
    return drop


def _repeated(shelves: list[array[int]]) -> Iterator[int]:
    for shelf in shelves:
        if len(set(shelf)) < len(shelf):
            yield from (value for value, count in Counter(shelf).items() if count > 1)
