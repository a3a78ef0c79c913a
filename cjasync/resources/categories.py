"""`client.categories`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from cjasync._decode import Rows
from cjasync._endpoint import Endpoint
from cjasync.models.category import FirstCategory
from cjasync.resources._resource import Resource

GET: Endpoint[Rows[FirstCategory]] = Endpoint(
    method="GET", path="product/getCategory", answer=list[FirstCategory], section="1.1 Category List", cached=24 * 3600
)


class Categories(Resource):
    """CJ's category tree."""

    __slots__ = ()

    def get(self) -> Coroutine[Any, Any, Rows[FirstCategory]]:
        """The whole tree, three levels.

        GET product/getCategory (document 1.1), 0 points. Only third level categories have ids here; ids of the second
        level stand in listV2 rows.

        Raises:
            APIError: CJ refuses.
            TransportError: no readable answer.
        """
        return self._call(GET, locals())
