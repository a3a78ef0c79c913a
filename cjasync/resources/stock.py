"""`client.stock`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from cjasync._decode import Rows
from cjasync._endpoint import Endpoint
from cjasync._params import text
from cjasync.models.stock import ProductInventory
from cjasync.models.stock import Stock as StockRow
from cjasync.resources._resource import Resource

QUERY_BY_VID: Endpoint[Rows[StockRow]] = Endpoint(
    method="GET",
    path="product/stock/queryByVid",
    answer=list[StockRow],
    points=10,
    section="3.1 Inventory Inquiry",
    params={"vid": text("vid", required=True)},
)

QUERY_BY_SKU: Endpoint[Rows[StockRow]] = Endpoint(
    method="GET",
    path="product/stock/queryBySku",
    answer=list[StockRow],
    points=10,
    section="3.2 Query Inventory by SKU",
    params={"sku": text("sku", required=True)},
)

GET_INVENTORY_BY_PID: Endpoint[ProductInventory | None] = Endpoint(
    method="GET",
    path="product/stock/getInventoryByPid",
    answer=ProductInventory,
    points=10,
    section="3.3 Query inventory by product ID",
    params={"pid": text("pid", max_length=40, required=True)},
)


class Stock(Resource):
    """How many units there are, and where."""

    __slots__ = ()

    def query_by_vid(self, vid: str) -> Coroutine[Any, Any, Rows[StockRow]]:
        """Stock of one variant, one row an area. Empty may be a passing gap: CJ was seen to forget healthy variants.

        GET product/stock/queryByVid (document 3.1), 10 points. Counts are units.

        Raises:
            ParameterError: an empty id (nothing is sent).
            NotFoundError: no such variant; DelistedError if it was taken off the shelves.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._call(QUERY_BY_VID, locals())

    def query_by_sku(self, sku: str) -> Coroutine[Any, Any, Rows[StockRow]]:
        """Stock of a variant's SKU or, added up over its variants, of a product's SPU; one row an area.

        GET product/stock/queryBySku (document 3.2), 10 points. Counts are units.

        Raises:
            ParameterError: an empty SKU (nothing is sent).
            NotFoundError: no such SKU; DelistedError if it was taken off the shelves.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._call(QUERY_BY_SKU, locals())

    def get_inventory_by_pid(self, pid: str) -> Coroutine[Any, Any, ProductInventory | None]:
        """Stock of a product and of each of its variants (`by_vid()`); None if CJ answers with nothing.

        GET product/stock/getInventoryByPid (document 3.3), 10 points. Counts are units.

        Raises:
            ParameterError: an empty id, or one of more than 40 characters (nothing is sent).
            NotFoundError: no such product; DelistedError if it was taken off the shelves.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._call(GET_INVENTORY_BY_PID, locals())
