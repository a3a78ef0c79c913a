"""What models do beyond holding values."""

import inspect
import pickle
import re
from decimal import Decimal

import msgspec
import pytest

from cjasync import models
from cjasync.errors import BadResponseError
from cjasync.models import (
    AccountSettings,
    FirstCategory,
    ListedProduct,
    Model,
    Product,
    ProductInventory,
    RelatedCategory,
    SearchProduct,
    SearchStore,
    Stock,
    StockLocation,
    Tokens,
    ValuePool,
    Variant,
)
from cjasync.models._build import build
from cjasync.models._pages import SearchGroup
from cjasync.models._values import Unreadable

ALL = [model for model in vars(models).values() if isinstance(model, type) and issubclass(model, Model)]


@pytest.mark.parametrize("model", [model for model in ALL if model is not Model], ids=lambda model: model.__name__)
def test_every_field_says_what_it_means(model):
    source = inspect.getsource(model)
    for name in model.__model_fields__:
        line = re.search(rf"^    {name}: .*$", source, re.MULTILINE)
        assert line is not None, name
        assert re.search(r"  #: \S", line[0]), f"{model.__name__}.{name} has no comment"


@pytest.mark.parametrize("model", [Tokens, AccountSettings])
def test_no_repr_shows_a_secret(model):
    secrets = {"accessToken": "API@CJ1@CJ:eyJ", "refreshToken": "API@CJ2@CJ:eyJ", "openId": 1234567890123456}
    secrets["openEmail"] = "me@shop.example"
    shown = build(model, {**secrets, "openName": "me", "createDate": "2021-08-18T09:16:33+08:00"})
    text = repr(shown) + str(shown) + repr(list(shown.__rich_repr__()))
    assert not any(str(secret) in text for secret in secrets.values())
    assert shown.open_id == "1234567890123456"


@pytest.mark.parametrize(
    ("key", "names", "options"),
    [
        ("Black", "Color", {"Color": "Black"}),
        ("White-Boxed", "Color-Specifications", {"Color": "White", "Specifications": "Boxed"}),
        ("Pink Gray-No Garbage Bag", "Color-Set", {"Color": "Pink Gray", "Set": "No Garbage Bag"}),
        ("Red-X-Large", "Color-Size", {"Color": "Red", "Size": "X-Large"}),
        ('["XS"]', "Size", {"Size": "XS"}),
        ('["Blue-Gray","XS"]', "Color-Size", {"Color": "Blue-Gray", "Size": "XS"}),
        ('["Red-XS"]', "Color-Size", {"Color": "Red", "Size": "XS"}),
        ("X-Large", "Size", {"Size": "X-Large"}),
        ("Red", "Color-Size", {"Color": "Red"}),
        ("Red", None, {}),
        (None, "Color", {}),
        ("", "Color", {}),
    ],
)
def test_options_are_split_from_the_left(key, names, options):
    variant = Variant(vid="v", variant_key=key)
    assert variant.options(names) == options
    assert Product(pid="p", product_key_en=names, variants=(variant,)).options(variant) == options


def test_both_stock_vocabularies_are_one_model():
    numbered = build(Stock, {"totalInventoryNum": 264, "cjInventoryNum": 264, "factoryInventoryNum": 0})
    plain = build(Stock, {"totalInventory": 264, "cjInventory": 264, "factoryInventory": 0})
    assert numbered == plain
    assert build(Stock, {"storageNum": "264"}).total_inventory == 264


def test_totals_and_locations_stand_side_by_side():
    row = build(
        Stock,
        {
            "totalInventoryNum": 2097,
            "stock": [
                {"stockId": "{6709CCD7-0000}", "inventory": 5, "factoryInventory": 13_000},
                {"stockId": "{7709CCD7-0000}", "inventory": 500, "factoryInventory": None},
            ],
        },
    )
    assert row.total_inventory == 2097
    assert row.located == 13_505
    assert row.stock[0].warehouse_id == "6709CCD7-0000"
    assert StockLocation().warehouse_id is None
    assert build(Stock, {"totalInventoryNum": 2097, "stock": None}).located is None


def test_stock_is_joined_by_vid_whatever_the_order():
    answer = build(
        ProductInventory,
        {
            "variantInventories": [
                {"vid": 2, "inventory": [{"countryCode": "CN", "totalInventory": 20}]},
                {"vid": "1", "inventory": [{"countryCode": "CN", "totalInventory": 10}]},
                {"vid": "2", "inventory": [{"countryCode": "US", "totalInventory": 2}]},
                {"vid": "3", "inventory": None},
            ]
        },
    )
    joined = answer.by_vid()
    assert {vid: [row.total_inventory for row in rows] for vid, rows in joined.items()} == {
        "1": [10],
        "2": [20, 2],
        "3": [],
    }


def test_either_document_name_fills_the_field_and_the_first_that_says_something_counts():
    assert build(ListedProduct, {"pid": "1", "bigImage": "u"}).product_image == "u"
    assert build(ListedProduct, {"pid": "1", "productImage": "", "bigImage": "u"}).product_image == "u"
    assert build(ListedProduct, {"pid": "1", "productImage": "p", "bigImage": "u"}).product_image == "p"
    assert build(Product, {"pid": "1", "packWeight": 5}).packing_weight.low == Decimal(5)
    assert build(Product, {"pid": "1", "packingWeight": "null", "packWeight": 5}).packing_weight.low == Decimal(5)
    assert build(SearchProduct, {"id": "1", "isVideo": None, "isVedio": 1}).is_video is True
    assert build(SearchProduct, {"id": "1", "isVideo": 0, "isVedio": 1}).is_video is False


def test_product_query_keeps_its_pictures_apart():
    product = build(Product, {"pid": "1", "bigImage": "a", "productImage": '["a","b"]', "productImageSet": ["b", "a"]})
    assert (product.big_image, product.product_image, product.product_image_set) == ("a", ("a", "b"), ("b", "a"))
    assert build(Product, {"pid": "1", "productImage": "http://x/a.jpg"}).product_image == ("http://x/a.jpg",)


def test_models_are_values():
    product = build(Product, {"pid": "1", "sellPrice": "1-2", "variants": [{"vid": "v"}]})
    assert pickle.loads(pickle.dumps(product)) == product
    assert hash(product) == hash(build(Product, {"pid": 1, "sellPrice": "1 -- 2", "variants": '[{"vid":"v"}]'}))
    assert product != build(Product, {"pid": "1", "sellPrice": "1-3", "variants": [{"vid": "v"}]})
    assert product != "1"
    assert "sell_price" in repr(product)
    assert "supplier_name" not in repr(product)
    assert product.as_dict()["variants"][0]["vid"] == "v"
    with pytest.raises(AttributeError):
        product.pid = "2"


def test_rows_in_a_pool_share_what_is_equal_and_stay_what_they_are():
    def rows(first):
        return [
            build(
                ListedProduct,
                {"pid": n, "categoryName": f"c {n % 3}", "sellPrice": "1-2", "shippingCountryCodes": ["CN"]},
            )
            for n in range(first, first + 500)
        ]

    pool = ValuePool()
    kept = [row for first in range(0, 3000, 500) for row in pool.share(rows(first))]
    assert kept == [row for first in range(0, 3000, 500) for row in rows(first)]
    assert len({id(row.category_name) for row in kept}) == 3
    assert kept[0].shipping_country_codes == ("CN",)
    assert hash(kept[7]) == hash(rows(7)[0])
    again = pool.share(rows(0))
    assert again[0].category_name is kept[0].category_name
    assert again[0].pid is not kept[0].pid  # what never repeats is not remembered
    assert pool.share([]) == []
    mixed = pool.share([build(Product, {"pid": "1", "sellPrice": value}) for value in (3, "3", None, "3.0")])
    assert [product.sell_price and product.sell_price.low for product in mixed] == [3, 3, None, 3]


def test_leaves_of_a_first_level():
    leaf = {"categoryId": "L", "categoryName": "Leaf"}
    first = build(FirstCategory, {"categoryFirstList": [{"categorySecondList": [leaf]}, {"categorySecondList": None}]})
    assert [category.category_id for category in first.leaves()] == ["L"]


def test_what_stands_beside_the_rows_of_a_search():
    documented = SearchGroup(related_category_list=[{"categoryId": "1", "categoryName": "Hoodies"}], store_list=None)
    related = '[{"id":1,"name":"Hoodies","currentLevel":3}]'
    live = SearchGroup(related_category_list=related, store_list=[{"warehouseId": 1}])
    assert documented.related_categories == (RelatedCategory(category_id="1", category_name="Hoodies"),)
    assert live.related_categories[0].current_level == 3
    assert documented.stores == ()
    assert live.stores == (SearchStore(warehouse_id="1"),)
    with pytest.raises(BadResponseError, match=r"data\.content\.storeList"):
        _ = SearchGroup(store_list="elsewhere").stores


def test_what_cannot_be_read_says_where():
    with pytest.raises(Unreadable) as caught:
        build(Product, {"pid": "1", "variants": [{"vid": "v"}, {"vid": "w", "variantWeight": "heavy"}]})
    assert caught.value.path == "variants[1].variantWeight"
    with pytest.raises(Unreadable) as caught:
        build(Product, {"sellPrice": "1"})
    assert caught.value.path == "pid"


def test_a_clean_row_needs_one_pass():
    decoder = msgspec.json.Decoder(list[ListedProduct], strict=False, float_hook=Decimal)
    (row,) = decoder.decode(b'[{"pid":"1","listedNum":"7","isVideo":"1","sellPrice":"3.49 -- 4.78","createTime":1}]')
    assert (row.listed_num, row.is_video, str(row.sell_price)) == (7, True, "3.49-4.78")
