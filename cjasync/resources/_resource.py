"""What every resource does: check and encode the parameters, then hand the call to the engine."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from cjasync._endpoint import Endpoint
from cjasync._engine import Engine
from cjasync._params import encode, exactly_one, ordered
from cjasync.errors import Cursor
from cjasync.pagination import Pager

T = TypeVar("T")


class Resource:
    """A group of methods over one engine. Methods pass `locals()`: their parameters under their own names."""

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _call(self, endpoint: Endpoint[T], given: Mapping[str, Any]) -> Coroutine[Any, Any, T]:
        return self._engine.call(endpoint, self._encoded(endpoint, given))

    def _pager(self, endpoint: Endpoint[T], given: Mapping[str, Any], cursor: Cursor | str | None = None) -> Pager[T]:
        return Pager.start(self._engine, endpoint, self._encoded(endpoint, given), cursor)

    def _encoded(self, endpoint: Endpoint[Any], given: Mapping[str, Any]) -> dict[str, Any]:
        params = dict(given)
        params.pop("self", None)
        params.pop("cursor", None)
        if endpoint.choice:
            exactly_one(endpoint.choice, params, endpoint=endpoint.path)
        encoded = encode(endpoint.params, params, endpoint=endpoint.path, zone=self._engine.zone)
        for names in endpoint.ranges:
            low, high = (encoded.get(endpoint.params[name].wire) for name in names)
            ordered(names, low, high, endpoint=endpoint.path)
        return encoded
