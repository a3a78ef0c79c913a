"""`client.warehouses`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from cjasync._decode import Rows
from cjasync._endpoint import Endpoint
from cjasync.models.warehouse import Warehouse
from cjasync.resources._resource import Resource

GLOBAL_LIST: Endpoint[Rows[Warehouse]] = Endpoint(
    method="GET",
    path="product/globalWarehouseList",
    answer=list[Warehouse],
    section="1.3 Global Warehouse List",
    cached=24 * 3600,
)


class Warehouses(Resource):
    """Where CJ keeps goods."""

    __slots__ = ()

    def global_list(self) -> Coroutine[Any, Any, Rows[Warehouse]]:
        """All areas that CJ ships from.

        GET product/globalWarehouseList (document 1.3), 0 points.

        Raises:
            APIError: CJ refuses.
            TransportError: no readable answer.
        """
        return self._call(GLOBAL_LIST, locals())
