"""One exact value from every spelling that CJ uses, and nothing from the others."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cjasync.models import _values as values_module
from cjasync.models._values import (
    Price,
    SpanReader,
    Unreadable,
    Weight,
    read_bool,
    read_decimal,
    read_id,
    read_int,
    read_json,
    read_numbers,
    read_price,
    read_text,
    read_texts,
    read_time,
    read_weight,
)

CHINA = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("sent", "low", "high"),
    [
        ("11.85", "11.85", "11.85"),
        (" 2.37 ", "2.37", "2.37"),
        ("4.36 -- 6.14", "4.36", "6.14"),
        ("0.23-1.80", "0.23", "1.80"),
        ("1.13 - 8.79", "1.13", "8.79"),
        ("0.97-4.08", "0.97", "4.08"),
        ("5.00-5.00", "5.00", "5.00"),
        ("1\u20132", "1", "2"),
        ("1 ~ 2", "1", "2"),
        (58, "58", "58"),
        (Decimal("8.261"), "8.261", "8.261"),
        (0, "0", "0"),
        ("0E-8", "0", "0"),
        ("1E+2", "100", "100"),
        ("6.14 -- 4.36", "4.36", "6.14"),
    ],
)
def test_price(sent, low, high):
    assert read_price(sent) == Price(Decimal(low), Decimal(high))
    assert read_price(sent).is_range == (low != high)
    assert read_price(read_price(sent)) == read_price(sent)


@pytest.mark.parametrize("sent", [None, "", "  ", "null"])
def test_nothing_is_no_price(sent):
    assert read_price(sent) is None


@pytest.mark.parametrize(
    "sent",
    ["1-2-3", "$5", "5 USD", "1,5", "1.2.3", "-", "--", "free", True, [], {}, "9" * 41, Decimal("1e400")],
)
def test_a_price_is_never_guessed(sent):
    with pytest.raises(Unreadable):
        read_price(sent)


def test_prices_keep_their_digits_and_say_so():
    assert str(read_price("4.30 -- 6.10")) == "4.30-6.10"
    assert str(read_price("11.50")) == "11.50"
    assert read_weight("3.00-100.00") == Weight(Decimal("3.00"), Decimal("100.00"))
    assert read_price("1") != read_weight("1")


amounts = (
    st.sampled_from(["", "free", " 4.36 -- 6.14", "9" * 41, "1e5", None, 10**16, float(10**16), 0, 0.0, "0"])
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,2})?( -- [0-9]{1,3})?", fullmatch=True)
)


def readable(value):
    try:
        SpanReader(Price)(value)
    except Unreadable:
        return False
    return True


@given(columns=st.lists(st.lists(amounts, max_size=4), max_size=8), most=st.integers(1, 5))
def test_a_column_is_checked_as_its_values_are_read_whatever_came_before(columns, most):
    reader = SpanReader(Price)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values_module, "_MOST_KNOWN", most)
        patch.setattr(values_module, "_MOST_SPANS", most)
        for column in columns:
            sound = reader.check(column)
            assert sound == all(map(readable, column))
            assert len(reader.known) <= most
            if sound:
                for value in column:
                    reader(value)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (1609228800000, datetime(2020, 12, 29, 8, tzinfo=UTC)),
        ("1609228800000", datetime(2020, 12, 29, 8, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1743218214123, datetime(2025, 3, 29, 3, 16, 54, 123000, tzinfo=UTC)),
        ("2019-12-24T01:06:37+08:00", datetime(2019, 12, 24, 1, 6, 37, tzinfo=CHINA)),
        ("2019-12-31T11:14:12.000+00:00", datetime(2019, 12, 31, 11, 14, 12, tzinfo=UTC)),
        ("2019-12-31T11:14:12Z", datetime(2019, 12, 31, 11, 14, 12, tzinfo=UTC)),
        ("2024-05-01 12:30:00", datetime(2024, 5, 1, 12, 30, tzinfo=CHINA)),
        ("2024-05-01", datetime(2024, 5, 1, tzinfo=CHINA)),
        ("20240501", datetime(2024, 5, 1, tzinfo=CHINA)),
    ],
)
def test_time(sent, read):
    assert read_time(sent) == read
    assert read_time(sent).tzinfo is not None


@pytest.mark.parametrize(
    "sent",
    [
        *("yesterday", "2024-13-01", True, [], -1, 253_402_300_800_000, "9" * 30, 1.5),
        *("20241301", 20260101120000, "20260101120000"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),  # in UTC there is no such day
    ],
)
def test_a_time_is_never_guessed(sent):
    with pytest.raises(Unreadable):
        read_time(sent)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ('["猫耳朵卫衣","定制卫衣"]', ("猫耳朵卫衣", "定制卫衣")),
        ('["","金属"]', ("", "金属")),
        ("[]", ()),
        ("", ()),
        (None, ()),
        ([], ()),
        (["a", 1, None, True], ("a", "1", "true")),
        ("plain", ("plain",)),
        ("[Brand] a name that begins with a bracket", ("[Brand] a name that begins with a bracket",)),
        ('["cut short', ('["cut short',)),
        ('[{"a":1}]', ('[{"a":1}]',)),
        ("[1.50, 2]", ("1.50", "2")),
    ],
)
def test_texts(sent, read):
    assert read_texts(sent) == read


@pytest.mark.parametrize("sent", [{"a": 1}, [["a"]], [{"a": 1}], 5, True])
def test_texts_are_never_guessed(sent):
    with pytest.raises(Unreadable):
        read_texts(sent)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        ("1", True),
        ("0", False),
        ("true", True),
        ("False", False),
        ("", None),
        (None, None),
    ],
)
def test_bool(sent, read):
    assert read_bool(sent) is read


@pytest.mark.parametrize("sent", [2, -1, "yes", "2", [], {}, Decimal("0.5")])
def test_a_bool_is_never_guessed(sent):
    with pytest.raises(Unreadable):
        read_bool(sent)


@pytest.mark.parametrize(
    ("sent", "read"), [(5, 5), ("285", 285), ("5.0", 5), (Decimal("12.00"), 12), (True, 1), ("", None), ("-3", -3)]
)
def test_int(sent, read):
    assert read_int(sent) == read


@pytest.mark.parametrize("sent", [Decimal("1.5"), "1.5", "many", [], {}, 2**63, "1" * 30])
def test_an_int_is_never_guessed(sent):
    with pytest.raises(Unreadable):
        read_int(sent)


def test_numbers():
    assert read_numbers([335, "335.5"]) == (Decimal(335), Decimal("335.5"))
    assert read_numbers("[335,335]") == (Decimal(335), Decimal(335))
    assert read_numbers(7) == (Decimal(7),)
    assert read_numbers(None) == ()
    with pytest.raises(Unreadable, match="list of numbers"):
        read_numbers(["long"])


def test_decimal_is_exact():
    assert read_decimal(Decimal("8.261")) == Decimal("8.261")
    assert str(read_decimal("1580.00")) == "1580.00"
    assert read_decimal(0.1) == Decimal("0.1")
    assert read_decimal("") is None
    with pytest.raises(Unreadable, match="more digits than a float keeps"):
        read_decimal(12345678901234567.89)


def test_text_and_json():
    assert read_text(1371342252697325568) == "1371342252697325568"
    assert read_text("") == ""
    assert read_json('{"a":[1.10]}') == {"a": [Decimal("1.10")]}
    assert read_json("not json") == "not json"
    assert read_json("") is None
    with pytest.raises(Unreadable):
        read_text({})


def test_a_reason_is_short_and_its_path_leads_there():
    with pytest.raises(Unreadable) as caught:
        read_int("x" * 5000)
    assert len(caught.value.reason) < 100
    assert caught.value.under("[3]").under("variants").path == "variants[3]"
    assert Unreadable("").under("vid").under("[3]").under("variants").path == "variants[3].vid"


@pytest.mark.parametrize(
    ("sent", "read"),
    [(2606120857201601800, "2606120857201601800"), (Decimal("7.0"), "7"), ("007", "007"), (None, None)],
)
def test_an_id_is_text(sent, read):
    assert read_id(sent) == read
