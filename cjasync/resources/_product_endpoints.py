"""What is known about the product calls: paths, parameters with their ranges, prices in points."""

from __future__ import annotations

from cjasync._endpoint import Endpoint, Paging
from cjasync._params import amount, boolean, countries, flag, one_of, text, texts, time_millis, time_text, whole
from cjasync.models._pages import ContentData, ListData, SearchData
from cjasync.models.product import ListedProduct, MyProduct, Product, SearchProduct

SEARCH_FEATURES = ("enable_description", "enable_category", "enable_combine", "enable_video")
QUERY_FEATURES = ("enable_combine", "enable_video", "enable_inventory")

LIST_V2: Endpoint[SearchProduct] = Endpoint(
    method="GET",
    path="product/listV2",
    answer=SearchData[SearchProduct],
    points=50,
    section="1.2 Product List V2",
    paging=Paging(page="page", size="size", default_size=100, max_size=100, max_page=1000, window="listv2_window"),
    ranges=(
        ("start_sell_price", "end_sell_price"),
        ("start_warehouse_inventory", "end_warehouse_inventory"),
        ("time_start", "time_end"),
    ),
    params={
        "key_word": text("keyWord"),
        "page": whole("page", 1, 1000),
        "size": whole("size", 1, 100),
        "category_id": text("categoryId"),
        "lv2_category_list": texts("lv2categoryList"),
        "lv3_category_list": texts("lv3categoryList"),
        "country_code": countries("countryCode"),
        "start_sell_price": amount("startSellPrice"),
        "end_sell_price": amount("endSellPrice"),
        "add_mark_status": flag("addMarkStatus"),
        "product_type": one_of("productType", 4, 10, 11),
        "product_flag": one_of("productFlag", 0, 1, 2, 3),
        "start_warehouse_inventory": whole("startWarehouseInventory"),
        "end_warehouse_inventory": whole("endWarehouseInventory"),
        "verified_warehouse": one_of("verifiedWarehouse", 0, 1, 2),
        "time_start": time_millis("timeStart"),
        "time_end": time_millis("timeEnd"),
        "zone_platform": text("zonePlatform"),
        "is_warehouse": boolean("isWarehouse"),
        "currency": text("currency", max_length=10),
        "sort": one_of("sort", "desc", "asc"),
        "order_by": one_of("orderBy", 0, 1, 2, 3, 4),
        "features": texts("features", allowed=SEARCH_FEATURES),
        "supplier_id": text("supplierId"),
        "has_certification": flag("hasCertification"),
        "is_self_pickup": flag("isSelfPickup"),
        "customization": flag("customization"),
    },
)

LIST: Endpoint[ListedProduct] = Endpoint(
    method="GET",
    path="product/list",
    answer=ListData[ListedProduct],
    points=50,
    section="1.4 Product List",
    paging=Paging(page="pageNum", size="pageSize", default_size=200, max_size=200, window="list_window"),
    ranges=(
        ("min_price", "max_price"),
        ("start_inventory", "end_inventory"),
        ("min_listed_num", "max_listed_num"),
        ("create_time_from", "create_time_to"),
    ),
    params={
        "page_num": whole("pageNum", 1),
        "page_size": whole("pageSize", 1, 200),
        "category_id": text("categoryId"),
        "pid": text("pid"),
        "product_sku": text("productSku"),
        "product_name": text("productName"),
        "product_name_en": text("productNameEn"),
        "product_type": one_of("productType", "ORDINARY_PRODUCT", "SUPPLIER_PRODUCT"),
        "country_code": countries("countryCode"),
        "delivery_time": one_of("deliveryTime", 24, 48, 72),
        "verified_warehouse": one_of("verifiedWarehouse", 1, 2),
        "start_inventory": whole("startInventory"),
        "end_inventory": whole("endInventory"),
        "create_time_from": time_text("createTimeFrom"),
        "create_time_to": time_text("createTimeTo"),
        "brand_open_id": whole("brandOpenId"),
        "min_price": amount("minPrice"),
        "max_price": amount("maxPrice"),
        "search_type": one_of("searchType", 0, 2, 21),
        "min_listed_num": whole("minListedNum"),
        "max_listed_num": whole("maxListedNum"),
        "sort": one_of("sort", "desc", "asc"),
        "order_by": one_of("orderBy", "createAt", "listedNum"),
        "is_self_pickup": flag("isSelfPickup"),
        "supplier_id": text("supplierId", max_length=40),
        "is_free_shipping": flag("isFreeShipping"),
        "customization_version": one_of("customizationVersion", 1, 2, 3, 4, 5),
    },
)

QUERY: Endpoint[Product | None] = Endpoint(
    method="GET",
    path="product/query",
    answer=Product,
    points=10,
    section="1.3 Product Details",
    choice=("pid", "product_sku", "variant_sku"),
    params={
        "pid": text("pid"),
        "product_sku": text("productSku"),
        "variant_sku": text("variantSku"),
        "features": texts("features", allowed=QUERY_FEATURES),
        "country_code": countries("countryCode", single=True),
    },
)

ADD_TO_MY_PRODUCT: Endpoint[bool] = Endpoint(
    method="POST",
    path="product/addToMyProduct",
    answer=bool,
    safe=False,
    recheck="products.my_product(keyword=...)",
    section="1.4 Add to My Product",
    params={"product_id": text("productId", max_length=100, required=True)},
)

MY_PRODUCT: Endpoint[MyProduct] = Endpoint(
    method="GET",
    path="product/myProduct/query",
    answer=ContentData[MyProduct],
    section="1.3 My Product List",
    # The document names no paging parameters; these are what CJ's own MCP server sends.
    paging=Paging(page="pageNum", size="pageSize", default_size=200, max_size=200),
    ranges=(("start_at", "end_at"),),
    params={
        "page_num": whole("pageNum", 1),
        "page_size": whole("pageSize", 1, 200),
        "keyword": text("keyword"),
        "category_id": text("categoryId"),
        "start_at": time_text("startAt"),
        "end_at": time_text("endAt"),
        "is_listed": flag("isListed"),
        "visiable": flag("visiable"),
        "has_packed": flag("hasPacked"),
        "has_vir_packed": flag("hasVirPacked"),
    },
)
