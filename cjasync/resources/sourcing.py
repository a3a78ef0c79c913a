"""`client.sourcing`."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any

from cjasync._decode import Rows
from cjasync._endpoint import Endpoint
from cjasync._params import amount, text, texts
from cjasync.models.sourcing import Sourcing as SourcingState
from cjasync.models.sourcing import SourcingRequest
from cjasync.resources._resource import Resource

CREATE: Endpoint[SourcingRequest | None] = Endpoint(
    method="POST",
    path="product/sourcing/create",
    answer=SourcingRequest,
    safe=False,
    recheck="the list of sourcing requests in My CJ",
    section="5.1 Create Sourcing",
    params={
        "product_name": text("productName", required=True),
        "product_image": text("productImage", required=True),
        "product_url": text("productUrl"),
        "price": amount("price"),
        "remark": text("remark"),
        "third_product_id": text("thirdProductId"),
        "third_variant_id": text("thirdVariantId"),
        "third_product_sku": text("thirdProductSku"),
    },
)

QUERY: Endpoint[Rows[SourcingState]] = Endpoint(
    method="POST",
    path="product/sourcing/query",
    answer=list[SourcingState],
    section="5.2 Query Sourcing",
    params={"source_ids": texts("sourceIds", required=True, maximum=100, as_list=True)},
)


class Sourcing(Resource):
    """Asking CJ to find a product."""

    __slots__ = ()

    def create(
        self,
        *,
        product_name: str,
        product_image: str,
        product_url: str | None = None,
        price: Decimal | float | str | None = None,
        remark: str | None = None,
        third_product_id: str | None = None,
        third_variant_id: str | None = None,
        third_product_sku: str | None = None,
    ) -> Coroutine[Any, Any, SourcingRequest | None]:
        """Ask CJ to find a product; `cj_sourcing_id` of the answer is what `query` takes. A write: not sent twice.

        POST product/sourcing/create (document 5.1), 0 points, five a day on a free account. Texts: 200 characters.

        Args:
            product_name: what it is called.
            product_image: URL of a picture.
            product_url: a page that sells it.
            price: target price in USD.
            remark: a note for the people who search.
            third_product_id: the product in your shop.
            third_variant_id: the variant in your shop.
            third_product_sku: the SKU in your shop.

        Raises:
            ParameterError: a value that CJ does not take (nothing is sent).
            QuotaExhaustedError: the day's requests are used up.
            OutcomeUnknownError: sent, and the answer was lost: the request may exist.
            APIError: any other refusal.
        """
        return self._call(CREATE, locals())

    async def query(self, source_ids: str | Sequence[str]) -> Rows[SourcingState]:
        """How far sourcing requests have come, in the order of their ids; those that CJ does not know are left out.

        POST product/sourcing/query (document 5.2), 0 points; a read, in spite of its verb. CJ takes a list of ids and
        answers about one, so each is a request of its own.

        Args:
            source_ids: one id or several, 100 at most.

        Raises:
            ParameterError: no id, or too many (nothing is sent).
            NotFoundError: no such request.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        ids = self._encoded(QUERY, {"source_ids": source_ids})["sourceIds"]
        answers = [await self._call(QUERY, {"source_ids": one}) for one in ids]
        skipped = tuple(row for answer in answers for row in answer.skipped)
        return Rows.of((state for answer in answers for state in answer), skipped)
