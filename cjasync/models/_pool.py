"""ValuePool: equal values of many rows as one object, for programs that keep rows by the hundred thousand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from cjasync.models._model import M, Model

_MOST_VALUES = 65_536  # of one column
_TRIED = 2_000  # values after which a column has to have paid
_SHARED = ("text", "price", "weight", "decimal", "texts")  # kinds; the others are small, or seldom equal


class ValuePool:
    """Lets the rows that are kept share their equal values.

    A row of product/list takes 1.9 kB, two thirds of it texts that thousands of rows repeat: categories, suppliers,
    weights. Sharing them takes about as long as decoding did, so it is for rows that stay::

        pool = ValuePool()
        kept = [row async for page in cj.products.list().pages() for row in pool.share(page.items)]
    """

    def __init__(self) -> None:
        self._columns: dict[type, list[_Column]] = {}

    def share(self, rows: Sequence[M]) -> Sequence[M]:
        """The same rows, equal in every field. All of one model."""
        if rows:
            columns = self._columns.get(type(rows[0]))
            if columns is None:
                columns = self._columns[type(rows[0])] = _columns_of(type(rows[0]))
            for column in columns:
                column.share(rows)
            columns[:] = [column for column in columns if column.pays]
        return rows


class _Column:
    def __init__(self, get: Callable[[Any], Any], put: Callable[[Any, Any], None]) -> None:
        self._get, self._put = get, put
        self._seen: dict[Any, Any] = {}
        self._tried = 0

    def share(self, rows: Sequence[Any]) -> None:
        values = [tuple(value) if type(value) is list else value for value in map(self._get, rows)]
        if len(self._seen) > _MOST_VALUES:
            self._seen.clear()
        for row, value in zip(rows, map(self._seen.setdefault, values, values), strict=True):
            self._put(row, value)  # rows are read-only, and stay so to the eye: the value is equal
        self._tried += len(values)

    @property
    def pays(self) -> bool:
        """Whether most values had been seen before. Ids and pictures never have."""
        return self._tried < _TRIED or len(self._seen) * 2 < self._tried


def _columns_of(model: type[Model]) -> list[_Column]:
    return [
        _Column(attrgetter(slot), vars(model)[slot].__set__)
        for field in model.__model_fields__.values()
        if field.kind.name in _SHARED
        for slot in field.slots
    ]
