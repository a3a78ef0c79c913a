"""The pure parts of a walk: what was delivered, what a burst costs, what is asked, what a page says to the planner."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync._decode import AnswerDecoder
from cjasync.catalog.asking import _page
from cjasync.catalog.bursts import shortage
from cjasync.catalog.delivered import Delivered
from cjasync.catalog.entry import Skip, decode_rows, encode_rows
from cjasync.catalog.filters import Filters, read_filters
from cjasync.catalog.planning.question import Region
from cjasync.catalog.tokens import seq_of, token_of
from cjasync.catalog.walk import walk
from cjasync.config import CHINA_TIME
from cjasync.errors import CheckpointError, ParameterError
from cjasync.models import ListedProduct
from cjasync.models._pages import ListData
from cjasync.quota import BucketUsage, Usage
from cjasync.resources._product_endpoints import LIST

KEYS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 5000))


@settings(max_examples=100, deadline=None)
@given(before=st.lists(st.integers(0, 2**64 - 1), unique=True), later=KEYS)
def test_delivered_is_a_set(before, later):
    delivered, truth = Delivered.of(array("Q", before).tobytes()), set(before)
    assert len(delivered) == len(truth)
    for item in later:
        assert (item in delivered) == (item in truth)
        assert delivered.add(item) == (item not in truth)
        truth.add(item)
    assert len(delivered) == len(truth)


# What a burst costs

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


def bucket(name: str, limit: int | None, remaining: int | None, refill: float = 0.0) -> BucketUsage:
    used = 0 if limit is None or remaining is None else limit - remaining
    unit = "points" if name == "points" else "calls"
    return BucketUsage(
        name=name, unit=unit, limit=limit, used=used, remaining=remaining, resets_at=MIDNIGHT, refill=refill
    )


def until(*buckets: BucketUsage, calls: int = 30, burst: int = 30, kept: float = 0.0) -> datetime | None:
    prices = {"calls product/list": 1, "points": 50}
    found = shortage(Usage(buckets), prices, calls, burst, kept=kept, now=NOW)
    return None if found is None else found[1]


def test_a_burst_that_can_be_paid_begins():
    assert until() is None
    assert until(bucket("points", None, None), bucket("calls product/list", None, None)) is None
    assert until(bucket("points", 50_000, 1500, 34.7), bucket("calls product/list", 1000, 30)) is None
    assert until(bucket("calls product/query", 1000, 0)) is None


def test_a_burst_waits_for_the_day_or_for_points_to_come_back():
    assert until(bucket("calls product/list", 1000, 29)) == MIDNIGHT
    assert until(bucket("points", 50_000, 1499, 34.0)) == NOW + timedelta(minutes=1 / 34)
    assert until(bucket("points", 50_000, 0, 1.0)) == MIDNIGHT  # the reset comes sooner than 1500 minutes
    assert until(bucket("points", 50_000, 1490, 10.0), bucket("calls product/list", 1000, 5)) == MIDNIGHT


def test_a_share_is_left_to_others():
    assert until(bucket("calls product/list", 1000, 129), kept=0.1) == MIDNIGHT
    assert until(bucket("calls product/list", 1000, 130), kept=0.1) is None


def test_what_a_full_bucket_does_not_hold_is_not_waited_for():
    assert until(bucket("calls product/list", 20, 20)) is None
    assert until(bucket("calls product/list", 20, 1)) is None
    assert until(bucket("calls product/list", 20, 0)) == MIDNIGHT
    # Beside another window it is: that one ends.
    assert until(bucket("calls product/list", 40, 40), calls=50) == MIDNIGHT


# What is asked


def asked(**filters):
    return read_filters(filters, base_url="https://cj.example/v1", zone=CHINA_TIME)


def test_filters_are_split():
    wanted = asked(
        category_id="c",
        create_time_from=datetime(2024, 1, 1, tzinfo=UTC),
        create_time_to="2024-02-01 08:00:00",
        min_price="1.2345",
        max_price=Decimal("9.9999"),
        end_inventory=5,
        country_code=("CN", "US"),
        supplier_id=None,
    )
    assert wanted.within == Region(
        start=1704067200, end=1706745600, price=(1235, 9999), category="c", inventory=(None, 5)
    )
    assert wanted.fixed == {"countryCode": "CN,US"}


def test_what_has_no_bound_is_given_none():
    assert asked(min_price=2_000_000, end_inventory=0).within == Region(
        price=(2_000_000_000, None), inventory=(None, 0)
    )
    assert not asked(min_price=2_000_000).within.empty


def test_the_name_of_a_question_is_the_same_for_the_same_question_only():
    one = asked(country_code=["CN", "US"], min_price=1.5).name
    assert one == asked(min_price="1.5", country_code="CN,US").name
    others = [asked(), asked(min_price="1.5"), asked(country_code="CN,US", min_price="1.50001")]
    assert len({one, *(each.name for each in others)}) == 4
    elsewhere = read_filters(
        {"min_price": 1.5, "country_code": "CN,US"}, base_url="https://else.example", zone=CHINA_TIME
    )
    assert elsewhere.name != one
    assert read_filters({}, base_url="https://cj.example", zone=CHINA_TIME, details="stock").name != asked().name


def test_every_filter_of_the_listing_is_one_of_the_walk():
    assert Filters.__annotations__.keys() == LIST.params.keys() - {"page_num", "page_size", "sort", "order_by"}


@pytest.mark.parametrize("name", ["page_num", "page_size", "sort", "order_by"])
def test_paging_is_the_walks_own(name):
    with pytest.raises(ParameterError, match=name):
        asked(**{name: 1})


def test_a_name_far_from_any_filter_gets_no_advice():
    with pytest.raises(TypeError, match=r"^walk: there is no filter 'zzz'$"):
        walk(None_client(), zzz=1)


class None_client:  # noqa: N801 - stands for a client that is never asked
    class config:  # noqa: N801
        base_url = "https://cj.example"
        zone = CHINA_TIME


# What a page says


def page_of(*rows: bytes, total: int = 2) -> tuple:
    body = b'{"code":200,"result":true,"data":{"pageNum":1,"pageSize":200,"total":%d,"list":[%b]}}' % (
        total,
        b",".join(rows),
    )
    _, got = AnswerDecoder(ListData[ListedProduct]).decode(body)
    page = _page(got, 5.0, 1)
    return page.answer, page.rows


def test_rows_for_the_planner():
    answer, rows = page_of(
        b'{"pid":"a","createTime":1700000000999,"sellPrice":"1.13 -- 8.79","categoryId":"c"}', b'{"pid":"b"}'
    )
    assert [msgspec.structs.astuple(row) for row in answer.rows] == [
        ("a", 1700000000, 1130, "c"),
        ("b", None, None, None),
    ]
    assert (answer.total, answer.page_size, answer.error) == (2, 200, None)
    assert [row.pid for row in rows] == ["a", "b"]


def test_rows_that_cannot_be_read_keep_their_place_and_what_can_be_read_of_them():
    answer, rows = page_of(
        b'{"pid":"a"}',
        b'{"pid":"odd","createTime":1700000000000,"listedNum":"many"}',
        b'{"pid":"b"}',
        b'{"listedNum":"no id"}',
        b"17",
        total=5,
    )
    assert [row.pid for row in answer.rows][:3] == ["a", "odd", "b"]
    assert answer.rows[1].created == 1700000000
    assert [isinstance(row, Skip) for row in rows] == [False, True, False, True, True]
    assert all(row.pid.startswith("unreadable-") for row in rows[3:])
    assert rows[3].pid != rows[4].pid
    assert page_of(b"17", total=1)[1][0].pid == rows[4].pid  # the same bytes are the same row


def test_rows_are_staged_digit_for_digit():
    _, rows = page_of(
        b'{"pid":"a","sellPrice":12.290000000000001,"productName":"[\\"x\\"]","isVideo":1,"createTime":1}',
        b'{"pid":"b","sellPrice":"0.10","productName":["x"],"isVideo":false,"productWeight":1E+2}',
    )
    assert decode_rows(encode_rows(rows), ListedProduct) == list(rows)
    assert str(rows[0].sell_price) == "12.290000000000001"


def test_rows_that_were_put_right_are_staged_too():
    _, rows = page_of(
        b'{"pid":"a","sellPrice":{"a":1},"isVideo":"yes"}',  # nobody can read that
        b'{"pid":"b","sellPrice":" 1.5 ~ 2 ","createTime":"2024-05-01 10:00:00","isVideo":"1","listedNum":"7"}',
        b'{"pid":"c","sellPrice":3,"productWeight":"0.10-0.20","createTime":"1714528800000","listedNum":7.0}',
    )
    assert [row.pid for row in rows] == ["a", "b", "c"]
    sound = list(rows[1:])
    again = decode_rows(encode_rows(sound), ListedProduct)
    assert again == sound
    assert [row.create_time for row in again] == [row.create_time for row in sound]
    assert [str(row.product_weight) for row in again] == ["None", "0.10-0.20"]


def test_tokens():
    assert seq_of(token_of("ab12", 77), "ab12", "x") == 77
    for token in (b"other:77", b"ab12", b"", b"ab12:x", b"\xff\xfe"):
        with pytest.raises(CheckpointError, match="is of a walk that this checkpoint knows nothing of"):
            seq_of(token, "ab12", "FILE.partial")
