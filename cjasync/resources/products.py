"""`client.products`."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec.structs import replace

from cjasync.errors import Cursor
from cjasync.models.product import ListedProduct, MyProduct, Product, SearchProduct
from cjasync.pagination import Pager
from cjasync.resources._product_endpoints import ADD_TO_MY_PRODUCT, LIST, LIST_V2, MY_PRODUCT, QUERY
from cjasync.resources._resource import Resource

Amount = Decimal | float | str
Flag = bool | Literal[0, 1]
QueryFeature = Literal["enable_combine", "enable_video", "enable_inventory"]
SearchFeature = Literal["enable_description", "enable_category", "enable_combine", "enable_video"]
Sort = Literal["desc", "asc"]


class Products(Resource):
    """Finding products, reading them, and the account's own list."""

    __slots__ = ()

    def list_v2(
        self,
        *,
        key_word: str | None = None,
        page: int = 1,
        size: int = 100,
        category_id: str | None = None,
        lv2_category_list: str | Sequence[str] | None = None,
        lv3_category_list: str | Sequence[str] | None = None,
        country_code: str | Sequence[str] | None = None,
        start_sell_price: Amount | None = None,
        end_sell_price: Amount | None = None,
        add_mark_status: Flag | None = None,
        product_type: Literal[4, 10, 11] | None = None,
        product_flag: Literal[0, 1, 2, 3] | None = None,
        start_warehouse_inventory: int | None = None,
        end_warehouse_inventory: int | None = None,
        verified_warehouse: Literal[0, 1, 2] | None = None,
        time_start: datetime | str | int | None = None,
        time_end: datetime | str | int | None = None,
        zone_platform: str | None = None,
        is_warehouse: bool | None = None,
        currency: str | None = None,
        sort: Sort | None = None,
        order_by: Literal[0, 1, 2, 3, 4] | None = None,
        features: SearchFeature | Sequence[SearchFeature] | None = None,
        supplier_id: str | None = None,
        has_certification: Flag | None = None,
        is_self_pickup: Flag | None = None,
        customization: Flag | None = None,
        cursor: Cursor | str | None = None,
    ) -> Pager[SearchProduct]:
        """Search products: await it for a page, iterate it for all that CJ shows (6,000 rows a question).

        GET product/listV2 (document 1.2), 50 points a page whatever its size. What CJ tells beside the rows stands in
        `page.data.content`: each has `related_categories`, `stores`, `key_word`.

        Args:
            key_word: words of the name, or a SKU; 200 characters.
            page: first page, 1 to 1000.
            size: rows a page, 1 to 100.
            category_id: third level category.
            lv2_category_list: second level categories.
            lv3_category_list: third level categories.
            country_code: only products with stock there: "CN", or several as "CN,US" or a sequence.
            start_sell_price: lowest price, USD.
            end_sell_price: highest price, USD.
            add_mark_status: free shipping or not.
            product_type: 4 supplier product, 10 with video, 11 without video.
            product_flag: 0 trending, 1 new, 2 with video, 3 slow moving.
            start_warehouse_inventory: least stock, units.
            end_warehouse_inventory: most stock, units.
            verified_warehouse: 0 all, 1 verified stock, 2 unverified stock.
            time_start: listed from then on; ISO text, epoch milliseconds, or an aware datetime.
            time_end: listed until then.
            zone_platform: recommended for "shopify", "ebay", "amazon", "tiktok", "etsy", ...
            is_warehouse: search the global warehouses.
            currency: e.g. "USD", "AUD", "EUR".
            sort: direction of `order_by`, "desc" unless given.
            order_by: 0 best match, 1 listings, 2 price, 3 creation time, 4 stock.
            features: fields that CJ sends on request only.
            supplier_id: products of one supplier.
            has_certification: certified or not.
            is_self_pickup: can be picked up or not.
            customization: can be customized or not.
            cursor: go on where an earlier listing stopped.

        Raises:
            ParameterError: a value that CJ does not take (nothing is sent).
            OutOfReachError: iterating would need rows that CJ does not show.
            QuotaExhaustedError: no points or calls left today.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._pager(LIST_V2, locals(), cursor)

    def list(
        self,
        *,
        page_num: int = 1,
        page_size: int = 200,
        category_id: str | None = None,
        pid: str | None = None,
        product_sku: str | None = None,
        product_name: str | None = None,
        product_name_en: str | None = None,
        product_type: Literal["ORDINARY_PRODUCT", "SUPPLIER_PRODUCT"] | None = None,
        country_code: str | Sequence[str] | None = None,
        delivery_time: Literal[24, 48, 72] | None = None,
        verified_warehouse: Literal[1, 2] | None = None,
        start_inventory: int | None = None,
        end_inventory: int | None = None,
        create_time_from: datetime | str | None = None,
        create_time_to: datetime | str | None = None,
        brand_open_id: int | None = None,
        min_price: Amount | None = None,
        max_price: Amount | None = None,
        search_type: Literal[0, 2, 21] | None = None,
        min_listed_num: int | None = None,
        max_listed_num: int | None = None,
        sort: Sort | None = None,
        order_by: Literal["createAt", "listedNum"] | None = None,
        is_self_pickup: Flag | None = None,
        supplier_id: str | None = None,
        is_free_shipping: Flag | None = None,
        customization_version: Literal[1, 2, 3, 4, 5] | None = None,
        cursor: Cursor | str | None = None,
    ) -> Pager[ListedProduct]:
        """List products: await it for a page, iterate it for all that CJ shows.

        GET product/list (document 1.4), 50 points a page whatever its size. Delisted products are among the rows.
        Prices are in USD, weights in grams.

        Args:
            page_num: first page, from 1.
            page_size: rows a page, 1 to 200.
            category_id: one category.
            pid: one product.
            product_sku: one SKU.
            product_name: words of the Chinese name.
            product_name_en: words of the English name; CJ matches them loosely.
            product_type: one of the two types that CJ filters by.
            country_code: only products with stock there: "CN", or several as "CN,US" or a sequence.
            delivery_time: sent within so many hours.
            verified_warehouse: 1 verified stock, 2 unverified stock.
            start_inventory: least stock, units.
            end_inventory: most stock, units.
            create_time_from: made from then on; text such as 2026-01-31 18:00:00 in
                CJ's time zone (a setting, UTC+8), or an aware datetime.
            create_time_to: made until then.
            brand_open_id: one brand.
            min_price: lowest price, USD.
            max_price: highest price, USD.
            search_type: 0 all, 2 trending, 21 more of the trending.
            min_listed_num: listed in at least so many shops.
            max_listed_num: listed in at most so many shops.
            sort: direction of `order_by`, "desc" unless given.
            order_by: "createAt" (unless given) or "listedNum".
            is_self_pickup: can be picked up or not.
            supplier_id: products of one supplier.
            is_free_shipping: free shipping or not.
            customization_version: print on demand, 1 to 5.
            cursor: go on where an earlier listing stopped.

        Raises:
            ParameterError: a value that CJ does not take (nothing is sent).
            OutOfReachError: iterating would need rows that CJ does not show.
            QuotaExhaustedError: no points or calls left today.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._pager(LIST, locals(), cursor)

    def query(
        self,
        *,
        pid: str | None = None,
        product_sku: str | None = None,
        variant_sku: str | None = None,
        features: QueryFeature | Sequence[QueryFeature] | None = None,
        country_code: str | None = None,
    ) -> Coroutine[Any, Any, Product | None]:
        """One product with its variants, named by exactly one of `pid`, `product_sku` and `variant_sku`.

        GET product/query (document 1.3, Product Details), 10 points. None if CJ answers with nothing. Prices are in
        USD, weights in grams, lengths in mm.

        Args:
            pid: product id.
            product_sku: SKU of the product (SPU).
            variant_sku: SKU of any of its variants.
            features: "enable_combine" (combinations), "enable_video" (video ids), "enable_inventory" (stock by country
                in each variant; newer than the two documents).
            country_code: only variants with stock in that country, e.g. "CN".

        Raises:
            ParameterError: not exactly one of the three, or a value that CJ does not take (nothing is sent).
            NotFoundError: no such product; DelistedError if it was taken off the shelves.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._call(QUERY, locals())

    def add_to_my_product(self, product_id: str, *, ensure: bool = False) -> Coroutine[Any, Any, bool]:
        """Add a product to the account's My Products; whether CJ says that it did.

        POST product/addToMyProduct (document 1.4, Add to My Product), 0 points. A write: it is sent again only when it
        provably did not reach CJ.

        Args:
            product_id: product id.
            ensure: when the answer is lost, send again; that CJ then has it already counts as done. As often as
                `retries` allows.

        Raises:
            ParameterError: an empty id, or one of more than 100 characters (nothing is sent).
            AlreadyExistsError: it had been among them before this call.
            NotFoundError: no such product.
            OutcomeUnknownError: sent, and the answer was lost; `my_product` tells whether it happened.
            APIError: any other refusal.
        """
        endpoint = replace(ADD_TO_MY_PRODUCT, idempotent=True) if ensure else ADD_TO_MY_PRODUCT
        return self._call(endpoint, {"product_id": product_id})

    def my_product(
        self,
        *,
        keyword: str | None = None,
        category_id: str | None = None,
        start_at: datetime | str | None = None,
        end_at: datetime | str | None = None,
        is_listed: Flag | None = None,
        visiable: Flag | None = None,
        has_packed: Flag | None = None,
        has_vir_packed: Flag | None = None,
        page_num: int = 1,
        page_size: int = 200,
        cursor: Cursor | str | None = None,
    ) -> Pager[MyProduct]:
        """The account's My Products: await it for a page, iterate it for all.

        GET product/myProduct/query (document 1.3, My Product List), 0 points a page. Prices are in USD, weights in
        grams, lengths in mm.

        Args:
            keyword: SKU, SPU or words of the name.
            category_id: one category.
            start_at: added from then on; text such as 2026-01-31 18:00:00 in
                CJ's time zone (a setting, UTC+8), or an aware datetime.
            end_at: added until then.
            is_listed: listed in a shop or not.
            visiable: visible or not (CJ's spelling).
            has_packed: has packaging or not.
            has_vir_packed: has virtual packaging or not.
            page_num: first page, from 1.
            page_size: rows a page, 1 to 200.
            cursor: go on where an earlier listing stopped.

        Raises:
            ParameterError: a value that CJ does not take (nothing is sent).
            APIError: any refusal.
            TransportError: no readable answer.
        """
        return self._pager(MY_PRODUCT, locals(), cursor)
