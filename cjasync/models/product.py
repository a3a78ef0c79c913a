"""Products: rows of the two listings, the product itself, and the account's own list.

Numbers that mean the same everywhere:

sale status: 0 deleted, 1 to be submitted, 2 to be listed, 3 on sale, 4 refused, 5 off the shelves, 6 under review.
product type: ORDINARY_PRODUCT (0), SERVICE_PRODUCT (1), PACKAGING_PRODUCT (3), SUPPLIER_PRODUCT (4),
SUPPLIER_SHIPPED_PRODUCT (5); listV2 and My Products send the number as text, the others the name.
customization version: 0 no print on demand, 1 and 2 platform V1 and V2, 3 and 4 customer V1 and V2, 5 platform 3.0.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from cjasync.models._model import Id, Json, Millis, Model, wire
from cjasync.models._values import Price, Weight
from cjasync.models.variant import Variant


class ListedProduct(Model):
    """A row of product/list.

    The fields stand in CJ's order: the decoder looks for the next one first.
    """

    pid: str  #: the product
    product_name: tuple[str, ...] = ()  #: Chinese names
    product_name_en: str | None = None  #: English name
    product_sku: str | None = None  #: SKU of the product (SPU)
    product_image: str | None = wire("productImage", "bigImage")  #: URL of the main picture
    product_weight: Weight | None = None  #: g, a range over the variants
    product_type: str | None = None  #: e.g. "ORDINARY_PRODUCT"
    product_unit: str | None = None  #: selling unit, "unit(s)"
    sell_price: Price | None = None  #: USD, a range over the variants
    category_id: str | None = None  #: third level category
    category_name: str | None = None  #: its name, or the path "A / B / C"
    one_category_id: str | None = None  #: first level category
    one_category_name: str | None = None  #: its name
    two_category_id: str | None = None  #: second level category
    two_category_name: str | None = None  #: its name
    three_category_name: str | None = None  #: name of the third level category
    shipping_country_codes: tuple[str, ...] = ()  #: where it ships from, e.g. "CN", "CN_US"
    delivery_time: int | None = None  #: hours until it is sent: 24, 48, 72
    remark: str | None = None  #: a note; may be HTML
    create_time: Millis | None = None  #: when CJ made it
    listed_num: int | None = None  #: how often it is listed in shops
    listing_count: int | None = None  #: another count of listings, undocumented
    customization_version: int | None = None  #: 0 to 5; see the module
    supplier_name: str | None = None  #: supplier
    supplier_id: str | None = None  #: supplier
    add_mark_status: bool | None = None  #: free shipping (CJ's older name for is_free_shipping)
    is_free_shipping: bool | None = None  #: free shipping
    sale_status: int | None = None  #: 3 on sale; see the module
    is_video: bool | None = None  #: has a video
    is_test_product: bool | None = None  #: CJ's own test rows
    source_from: int | None = None  #: where CJ has it from, a code


class SearchProduct(Model):
    """A row of product/listV2, in CJ's order. Many fields are None unless the matching feature was asked for."""

    id: str  #: the product (pid)
    name_en: str | None = None  #: English name
    sku: str | None = None  #: SKU of the product (SPU)
    spu: str | None = None  #: the same as sku
    big_image: str | None = None  #: URL of the main picture
    sell_price: Price | None = None  #: USD, a range over the variants
    now_price: Price | None = wire(sparse=True)  #: price after discount
    listed_num: int | None = None  #: how often it is listed in shops
    category_id: str | None = None  #: third level category
    three_category_name: str | None = None  #: its name (feature enable_category)
    two_category_id: str | None = None  #: second level category, as lv2_category_list= takes it
    two_category_name: str | None = None  #: its name (feature enable_category)
    one_category_id: str | None = None  #: first level category
    one_category_name: str | None = None  #: its name (feature enable_category)
    add_mark_status: bool | None = None  #: free shipping
    is_video: bool | None = wire("isVideo", "isVedio")  #: has a video
    video_list: tuple[str, ...] = ()  #: video ids (feature enable_video)
    product_type: str | None = None  #: "0", "4", "7", or the name; see the module
    supplier_name: str | None = None  #: supplier
    create_at: Millis | None = None  #: when CJ made it
    set_recommended_time: Millis | None = None  #: when CJ began to recommend it
    warehouse_inventory_num: int | None = None  #: units, factory stock included
    total_verified_inventory: int | None = None  #: units of verified stock
    total_un_verified_inventory: int | None = None  #: units of unverified stock
    verified_warehouse: int | None = None  #: 1 verified stock, 2 unverified
    customization: bool | None = None  #: can be customized
    is_personalized: bool | None = None  #: made for one buyer
    has_ce_certification: bool | None = wire("hasCECertification")  #: has a CE certificate
    is_collect: bool | None = None  #: among the account's favourites
    my_product: bool | None = None  #: in My Products
    currency: str | None = None  #: e.g. "USD"
    discount_price: Price | None = wire(sparse=True)  #: best discount price
    discount_price_rate: Decimal | None = wire(sparse=True)  #: discount in percent
    description: str | None = None  #: HTML (feature enable_description)
    delivery_cycle: str | None = None  #: days, e.g. "3-5"
    sale_status: int | None = None  #: 3 on sale; see the module
    authority_status: str | None = None  #: "0" visible to some, "1" to all
    aut_status: str | None = None  #: visibility, a code
    is_aut: bool | None = None  #: private for good
    is_list: bool | None = None  #: listed in a shop of the account
    sync_listed_product_status: str | None = None  #: "0" pending, "1" listing, "2" failed, "3" done, "4" cancelled
    is_ad: bool | None = None  #: an advertisement
    activity_id: str | None = None  #: the advertisement
    direct_min_order_num: int | None = None  #: smallest order, units
    zone_recommend_json: tuple[str, ...] = ()  #: tags of platforms that it is recommended for
    inventory_info: Json | None = None  #: stock by warehouse, undocumented JSON
    variant_key_en: str | None = None  #: names of the options, joined by "-"
    variant_inventories: Json | None = None  #: stock by variant, undocumented JSON
    property_key: tuple[str, ...] = ()  #: logistics properties, e.g. "COMMON"


class Product(Model):
    """A product with its variants (product/query). The `*_set` fields repeat their namesakes without order."""

    pid: Id  #: the product
    product_name: tuple[str, ...] = ()  #: Chinese names
    product_name_set: tuple[str, ...] = ()  #: Chinese names, without order
    product_name_en: str | None = None  #: English name
    product_sku: str | None = None  #: SKU of the product (SPU)
    big_image: str | None = None  #: URL of the main picture
    product_image: tuple[str, ...] = ()  #: URLs of all pictures, the main one first
    product_image_set: tuple[str, ...] = ()  #: the same URLs without order
    product_video: tuple[str, ...] = ()  #: video ids (feature enable_video)
    product_weight: Weight | None = None  #: g, a range over the variants
    packing_weight: Weight | None = wire("packingWeight", "packWeight")  #: g, with the packing
    product_type: str | None = None  #: e.g. "ORDINARY_PRODUCT"
    product_unit: str | None = None  #: selling unit
    category_id: Id | None = None  #: third level category
    category_name: str | None = None  #: path of names: "A / B / C", "A/B/C" or "A > B > C"
    entry_code: Id | None = None  #: customs (HS) code
    entry_name: str | None = None  #: customs name, Chinese
    entry_name_en: str | None = None  #: customs name, English
    material_name: tuple[str, ...] = ()  #: materials, Chinese
    material_name_set: tuple[str, ...] = ()  #: without order
    material_name_en: tuple[str, ...] = ()  #: materials, English
    material_name_en_set: tuple[str, ...] = ()  #: without order
    material_key: tuple[str, ...] = ()  #: materials as codes, e.g. "METAL"
    material_key_set: tuple[str, ...] = ()  #: without order
    packing_name: tuple[str, ...] = ()  #: packing materials, Chinese
    packing_name_set: tuple[str, ...] = ()  #: without order
    packing_name_en: tuple[str, ...] = ()  #: packing materials, English
    packing_name_en_set: tuple[str, ...] = ()  #: without order
    packing_key: tuple[str, ...] = ()  #: packing materials as codes, e.g. "PLASTIC_BAG"
    packing_key_set: tuple[str, ...] = ()  #: without order
    product_key: tuple[str, ...] = ()  #: names of the options, Chinese
    product_key_set: tuple[str, ...] = ()  #: without order
    product_key_en: str | None = None  #: names of the options joined by "-", e.g. "Color-Specifications"
    product_key_en_set: tuple[str, ...] = ()  #: the same names one by one, without order
    product_pro: tuple[str, ...] = ()  #: logistics properties, Chinese
    product_pro_set: tuple[str, ...] = ()  #: without order
    product_pro_en: tuple[str, ...] = ()  #: logistics properties as codes, e.g. "COMMON"
    product_pro_en_set: tuple[str, ...] = ()  #: without order
    add_mark_status: bool | None = None  #: free shipping
    description: str | None = None  #: HTML
    sell_price: Price | None = None  #: USD, a range over the variants
    suggest_sell_price: Price | None = wire("suggestSellPrice", "productSugSellPrice")  #: suggested retail price, USD
    listed_num: int | None = wire("listedNum", "variatListQuantity")  #: how often it is listed in shops
    status: int | None = None  #: 3 on sale; see the module
    supplier_name: str | None = None  #: supplier
    supplier_id: Id | None = None  #: supplier
    customization_version: int | None = None  #: 0 to 5; see the module
    customization_json1: Json | None = None  #: customization, undocumented JSON
    customization_json2: Json | None = None  #: customization, undocumented JSON
    customization_json3: Json | None = None  #: customization, undocumented JSON
    customization_json4: Json | None = None  #: customization, undocumented JSON
    source_from: int | None = None  #: where CJ has it from, a code
    is_test_product: bool | None = None  #: CJ's own test rows
    create_time: datetime | None = wire("createrTime", "createTime")  #: when CJ made it
    variants: tuple[Variant, ...] = ()  #: what can be bought; none for some products

    def options(self, variant: Variant) -> dict[str, str]:
        """Option names to the values of one of its variants, e.g. {"Color": "White"}."""
        return variant.options(self.product_key_en)


class MyProduct(Model):
    """A product in the account's My Products."""

    product_id: Id  #: the product
    product_name: tuple[str, ...] = ()  #: Chinese names
    name_en: str | None = None  #: English name
    sku: str | None = None  #: SKU
    vid: Id | None = None  #: the variant that stands for it
    big_image: str | None = None  #: URL of the main picture
    product_type: str | None = None  #: number as text; see the module
    property_key_list: tuple[str, ...] = ()  #: logistics properties, e.g. "COMMON"
    weight: Weight | None = None  #: g
    pack_weight: Weight | None = None  #: g, with the packing
    sell_price: Price | None = None  #: USD
    discount_price: Price | None = None  #: USD
    discount_price_rate: Decimal | None = None  #: discount in percent
    trial_freight: Price | None = None  #: freight estimate, USD
    freight_discount: Decimal | None = None  #: discount on freight
    total_price: Price | None = None  #: product and freight, USD (the document calls it a weight)
    default_area: str | None = None  #: warehouse it ships from
    area_id: Id | None = None  #: the area's id
    area_country_code: str | None = None  #: its country, two letters
    shop_method: str | None = None  #: shipping method
    listed_shop_num: int | None = None  #: shops of the account that list it
    has_packed: bool | None = None  #: has packaging
    has_vir_packed: bool | None = None  #: has virtual packaging
    create_at: datetime | None = None  #: when it was added
    length_list: tuple[Decimal, ...] = ()  #: mm, one a variant
    width_list: tuple[Decimal, ...] = ()  #: mm, one a variant
    height_list: tuple[Decimal, ...] = ()  #: mm, one a variant
    volume_list: tuple[Decimal, ...] = ()  #: mm3, one a variant
