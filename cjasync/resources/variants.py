"""`client.variants`."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Literal

from cjasync._decode import Rows
from cjasync._endpoint import Endpoint
from cjasync._params import countries, text, texts
from cjasync.models.variant import Variant
from cjasync.resources._resource import Resource

VariantFeature = Literal["enable_inventory"]

QUERY: Endpoint[Rows[Variant]] = Endpoint(
    method="GET",
    path="product/variant/query",
    answer=list[Variant],
    points=10,
    section="2.1 Inquiry Of All Variants",
    choice=("pid", "product_sku", "variant_sku"),
    params={
        "pid": text("pid"),
        "product_sku": text("productSku"),
        "variant_sku": text("variantSku"),
        "country_code": countries("countryCode", single=True),
    },
)

QUERY_BY_VID: Endpoint[Variant | None] = Endpoint(
    method="GET",
    path="product/variant/queryByVid",
    answer=Variant,
    points=10,
    section="2.2 Variant Id Inquiry",
    params={"vid": text("vid", required=True), "features": texts("features", allowed=("enable_inventory",))},
)


class Variants(Resource):
    """What can be bought of a product."""

    __slots__ = ()

    def query(
        self,
        *,
        pid: str | None = None,
        product_sku: str | None = None,
        variant_sku: str | None = None,
        country_code: str | None = None,
    ) -> Coroutine[Any, Any, Rows[Variant]]:
        """All variants of one product, named by exactly one of `pid`, `product_sku` and `variant_sku`.

        GET product/variant/query (document 2.1), 10 points. Lengths are in mm, weights in grams, prices in USD.

        Args:
            pid: product id.
            product_sku: SKU of the product (SPU).
            variant_sku: SKU of any of its variants.
            country_code: only variants with stock in that country, e.g. "CN".

        Raises:
            ParameterError: not exactly one of the three, or a value that CJ does not take (nothing is sent).
            NotFoundError: no such product; DelistedError if it was taken off the shelves.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._call(QUERY, locals())

    def query_by_vid(
        self, vid: str, *, features: VariantFeature | Sequence[VariantFeature] | None = None
    ) -> Coroutine[Any, Any, Variant | None]:
        """One variant; None if CJ answers with nothing.

        GET product/variant/queryByVid (document 2.2), 10 points. Lengths are in mm, weights in grams, prices in USD.

        Args:
            vid: variant id.
            features: "enable_inventory" adds the stock by country (`inventories`).

        Raises:
            ParameterError: an empty id, or an unknown feature (nothing is sent).
            NotFoundError: no such variant; DelistedError if it was taken off the shelves.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._call(QUERY_BY_VID, locals())
