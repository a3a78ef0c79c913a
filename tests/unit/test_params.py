"""What is sent: checked here, because CJ ignores what it does not understand and answers with everything."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from cjasync._params import encode
from cjasync.errors import ParameterError
from cjasync.resources._product_endpoints import ADD_TO_MY_PRODUCT, LIST, LIST_V2, MY_PRODUCT, QUERY
from cjasync.resources.sourcing import CREATE
from cjasync.resources.sourcing import QUERY as SOURCING_QUERY

TOKYO = timezone(timedelta(hours=9))


def sent(endpoint, zone=None, **given):
    return encode(endpoint.params, given, endpoint=endpoint.path, **({"zone": zone} if zone else {}))


@pytest.mark.parametrize(
    ("endpoint", "given", "wire"),
    [
        (LIST_V2, {"key_word": "hoodie", "page": 1000, "size": 100}, {"keyWord": "hoodie", "page": 1000, "size": 100}),
        (LIST_V2, {"lv2_category_list": ("a", "b")}, {"lv2categoryList": "a,b"}),
        (LIST_V2, {"lv3_category_list": "a"}, {"lv3categoryList": "a"}),
        (LIST_V2, {"features": ["enable_category", "enable_video"]}, {"features": "enable_category,enable_video"}),
        (LIST_V2, {"is_warehouse": True}, {"isWarehouse": "true"}),
        (LIST_V2, {"is_warehouse": False}, {"isWarehouse": "false"}),
        (LIST_V2, {"add_mark_status": True, "customization": 0}, {"addMarkStatus": 1, "customization": 0}),
        (LIST_V2, {"country_code": "CN,US"}, {"countryCode": "CN,US"}),
        (LIST_V2, {"country_code": ["CN", "US"]}, {"countryCode": "CN,US"}),
        (LIST_V2, {"start_sell_price": 1.5, "end_sell_price": "2"}, {"startSellPrice": "1.5", "endSellPrice": "2"}),
        (LIST_V2, {"start_sell_price": Decimal("1E+2")}, {"startSellPrice": "100"}),
        (LIST_V2, {"time_start": datetime(2024, 1, 1, tzinfo=UTC)}, {"timeStart": 1704067200000}),
        (LIST_V2, {"time_start": 1704067200000}, {"timeStart": 1704067200000}),
        (LIST_V2, {"time_end": "2024-01-01 08:00:00"}, {"timeEnd": 1704067200000}),
        (LIST, {"create_time_from": datetime(2024, 1, 1, tzinfo=UTC)}, {"createTimeFrom": "2024-01-01 08:00:00"}),
        (LIST, {"create_time_to": "2024-01-01"}, {"createTimeTo": "2024-01-01 00:00:00"}),
        (LIST, {"create_time_to": "2024-01-01T00:00:00+00:00"}, {"createTimeTo": "2024-01-01 08:00:00"}),
        (LIST, {"delivery_time": 24, "customization_version": 5}, {"deliveryTime": 24, "customizationVersion": 5}),
        (LIST, {"delivery_time": "24", "verified_warehouse": "1"}, {"deliveryTime": 24, "verifiedWarehouse": 1}),
        (QUERY, {"pid": "1", "country_code": "CN"}, {"pid": "1", "countryCode": "CN"}),
        (MY_PRODUCT, {"visiable": True, "keyword": "CJ"}, {"visiable": 1, "keyword": "CJ"}),
        (ADD_TO_MY_PRODUCT, {"product_id": "1"}, {"productId": "1"}),
        (SOURCING_QUERY, {"source_ids": "285"}, {"sourceIds": ["285"]}),
        (SOURCING_QUERY, {"source_ids": ["285", "286"]}, {"sourceIds": ["285", "286"]}),
        (
            CREATE,
            {"product_name": "a, b", "product_image": "u", "price": 3},
            {"productName": "a, b", "productImage": "u", "price": "3"},
        ),
        (LIST, {"pid": None, "sort": None}, {}),
    ],
)
def test_values_are_written_as_cj_reads_them(endpoint, given, wire):
    assert sent(endpoint, **given) == wire


def test_the_zone_of_text_dates_is_a_setting():
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert sent(LIST, TOKYO, create_time_from=noon) == {"createTimeFrom": "2024-01-01 21:00:00"}
    assert sent(LIST, TOKYO, create_time_from="2024-01-01 21:00:00") == {"createTimeFrom": "2024-01-01 21:00:00"}
    assert sent(LIST_V2, TOKYO, time_start="2024-01-01 21:00:00") == {"timeStart": round(noon.timestamp() * 1000)}


@pytest.mark.parametrize(
    ("endpoint", "given", "complaint"),
    [
        (LIST_V2, {"page": 0}, "`page`: must be 1 to 1000; not 0"),
        (LIST_V2, {"page": 1001}, "`page`: must be 1 to 1000; not 1001"),
        (LIST_V2, {"size": 101}, "`size`: must be 1 to 100; not 101"),
        (LIST_V2, {"size": True}, "`size`: expected a whole number"),
        (LIST_V2, {"size": "20"}, "`size`: expected a whole number"),
        (LIST, {"page_size": 201}, "`page_size`: must be 1 to 200"),
        (LIST, {"page_num": 0}, "`page_num`: must be 1 or more; not 0"),
        (LIST, {"sort": "down"}, "`sort`: must be one of 'desc', 'asc'"),
        (LIST, {"order_by": 1}, "`order_by`: must be one of 'createAt'"),
        (LIST, {"search_type": True}, "`search_type`: must be one of 0, 2, 21"),
        (LIST, {"min_price": -1}, "`min_price`: expected an amount of 0 or more"),
        (LIST, {"min_price": "cheap"}, "`min_price`: expected an amount"),
        (LIST, {"min_price": float("nan")}, "`min_price`: expected an amount"),
        (LIST, {"min_price": True}, "`min_price`: expected an amount"),
        (LIST, {"category_id": ""}, "`category_id`: is empty; leave it out instead"),
        (ADD_TO_MY_PRODUCT, {"product_id": " "}, r"`product_id`: is empty \("),
        (LIST, {"category_id": "x" * 201}, "`category_id`: is 201 characters long"),
        (LIST, {"pid": 5}, "`pid`: expected text, got int"),
        (LIST, {"country_code": "cn"}, "`country_code`: expected two capital letters"),
        (LIST, {"country_code": "CHN"}, "`country_code`: expected two capital letters"),
        (LIST, {"country_code": ()}, "`country_code`: expected a country code"),
        (QUERY, {"country_code": "CN,US"}, "`country_code`: takes one country"),
        (LIST, {"create_time_from": datetime(2024, 1, 1)}, "the datetime has no time zone: 2024-01-01 00:00:00; give"),  # noqa: DTZ001
        (LIST, {"create_time_from": "soon"}, "`create_time_from`: expected a time"),
        (LIST, {"create_time_from": 5}, "`create_time_from`: expected a datetime"),
        (LIST_V2, {"time_start": 1704067200}, "`time_start`: .* looks like seconds"),
        (LIST_V2, {"is_warehouse": 1}, "`is_warehouse`: expected True or False"),
        (LIST_V2, {"add_mark_status": 2}, "`add_mark_status`: expected True or False"),
        (LIST_V2, {"features": "enable_everything"}, "`features`: must be among enable_category"),
        (LIST_V2, {"features": []}, "`features`: expected one or more"),
        (LIST_V2, {"lv2_category_list": ["a,b"]}, "`lv2_category_list`: .* holds a comma"),
        (LIST_V2, {"lv2_category_list": 5}, "`lv2_category_list`: expected one or more"),
        (SOURCING_QUERY, {"source_ids": ["1"] * 101}, "`source_ids`: takes 100 at most"),
        (ADD_TO_MY_PRODUCT, {}, "`product_id`: must be given"),
        (CREATE, {"product_name": "a"}, "`product_image`: must be given"),
        (LIST_V2, {"keyword": "hoodie"}, "`keyword`: no such parameter"),
    ],
)
def test_what_cj_would_ignore_is_never_sent(endpoint, given, complaint):
    with pytest.raises(ParameterError, match=complaint) as caught:
        sent(endpoint, **given)
    assert caught.value.endpoint == endpoint.path
    assert caught.value.code is None
