"""Parameters: whatever the value, either text that CJ takes or a ParameterError, never anything else."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync import ParameterError
from cjasync._params import (
    Param,
    amount,
    boolean,
    countries,
    encode,
    exactly_one,
    flag,
    one_of,
    ordered,
    text,
    texts,
    time_millis,
    time_text,
    whole,
)
from cjasync.config import CHINA_TIME
from cjasync.resources import endpoints

HUGE = 10**5000  # str() refuses it: more digits than Python converts

SHAPES = {
    "text": text("x"),
    "whole": whole("x"),
    "page": whole("x", 1, 1000),
    "amount": amount("x"),
    "one_of": one_of("x", 4, 10, "desc"),
    "flag": flag("x"),
    "boolean": boolean("x"),
    "time_text": time_text("x"),
    "time_millis": time_millis("x"),
    "texts": texts("x"),
    "allowed": texts("x", allowed=("a", "b")),
    "ids": texts("x", as_list=True, maximum=3),
    "countries": countries("x"),
    "country": countries("x", single=True),
}

FORM = {
    "text": re.compile(r"(?s).*\S.*"),
    "whole": re.compile(r"\d{1,19}"),
    "page": re.compile(r"[1-9]\d{0,2}|1000"),
    "amount": re.compile(r"\d{1,21}(\.\d{1,20})?"),
    "one_of": re.compile(r"4|10|desc"),
    "flag": re.compile(r"[01]"),
    "boolean": re.compile(r"true|false"),
    "time_text": re.compile(r"[1-9]\d{3}-\d\d-\d\d \d\d:\d\d:\d\d"),
    "time_millis": re.compile(r"\d{1,15}"),
    "texts": re.compile(r"(?s).*\S.*"),
    "allowed": re.compile(r"[ab](,[ab])*"),
    "countries": re.compile(r"[A-Z]{2}(,[A-Z]{2})*"),
    "country": re.compile(r"[A-Z]{2}"),
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.binary(max_size=10),
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.sampled_from(
        ["CN", "CN,US", "cn", "", " ", "\ud800", "1e400", "1_0", "\uff12", "-0", "a,b", "2026-01-31", "x" * 300]
    ),
    st.datetimes(timezones=st.none() | st.just(UTC) | st.just(timezone(timedelta(hours=-14)))),
    st.datetimes().map(datetime.isoformat),
    st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))]),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=4)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "value",
    [HUGE, -HUGE, [HUGE], Decimal("sNaN"), object()],
    ids=["huge", "low", "in a list", "signalling", "anything"],
)
def test_a_value_that_python_itself_chokes_on_is_refused(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=r"^`v`: .*(expected|must be|takes|looks like) ") as caught:
        encode({"v": SHAPES[name]}, {"v": value}, endpoint="p")
    assert len(str(caught.value)) < 200


def refusal(*arguments: object, **options: object) -> ParameterError | None:
    """The error of `encode`, if it is one."""
    try:
        encode(*arguments, **options)
    except ParameterError as error:
        return error
    return None


@pytest.mark.parametrize("name", SHAPES)
@given(value=values)
@settings(deadline=None, max_examples=50)
def test_any_value_is_encoded_or_refused(name: str, value: object) -> None:
    if refused := refusal({"v": SHAPES[name]}, {"v": value}, endpoint="product/list"):
        assert str(refused).startswith("`v`: ")
        assert refused.endpoint == "product/list"
        assert refused.code is None
        return
    encoded = encode({"v": SHAPES[name]}, {"v": value}, endpoint="product/list")
    if value is None:
        assert encoded == {}
        return
    sent = encoded["x"]
    msgspec.json.encode(sent)
    if name == "ids":
        assert isinstance(sent, list)
        assert 1 <= len(sent) <= 3
        return
    ((_, arrived),) = parse_qsl(urlencode({"x": sent}), strict_parsing=True)
    assert arrived == str(sent)
    assert FORM[name].fullmatch(arrived), arrived


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_no_endpoint_lets_a_value_through_that_cannot_be_sent(data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(list(endpoints().values())))
    name = data.draw(st.sampled_from(sorted(endpoint.params) or ["none"]))
    try:
        encoded = encode(endpoint.params, {name: data.draw(values)}, endpoint=endpoint.path)
    except ParameterError:
        return
    msgspec.json.encode(encoded)
    urlencode(encoded)


def one(param: Param, value: object, **options: object) -> object:
    return encode({"v": param}, {"v": value}, endpoint="p", **options)["x"]


@pytest.mark.parametrize(
    ("param", "value", "sent"),
    [
        (text("x"), "blue hoodie", "blue hoodie"),
        (whole("x", 1, 100), 100, 100),
        (amount("x"), 5, "5"),
        (amount("x"), 0.1, "0.1"),
        (amount("x"), 1e-7, "0.0000001"),
        (amount("x"), "12.50", "12.50"),
        (amount("x"), Decimal("1E+3"), "1000"),
        (amount("x"), "-0", "0"),
        (amount("x"), 0.0, "0.0"),
        (flag("x"), True, 1),
        (flag("x"), 0, 0),
        (boolean("x"), True, "true"),
        (boolean("x"), False, "false"),
        (one_of("x", "desc", "asc"), "asc", "asc"),
        (texts("x"), "one", "one"),
        (texts("x"), ("one", "two"), "one,two"),
        (texts("x", as_list=True), "one,two", ["one,two"]),
        (countries("x"), "CN,US", "CN,US"),
        (countries("x"), ["CN", "US"], "CN,US"),
        (time_text("x"), datetime(2026, 1, 31, 18, tzinfo=UTC), "2026-02-01 02:00:00"),
        (time_text("x"), "2026-01-31 18:00:00", "2026-01-31 18:00:00"),
        (time_text("x"), "2026-01-31T18:00:00Z", "2026-02-01 02:00:00"),
        (time_text("x"), "2026-01-31", "2026-01-31 00:00:00"),
        (time_millis("x"), datetime(2026, 1, 31, 18, tzinfo=UTC), 1769882400000),
        (time_millis("x"), "2026-02-01 02:00:00", 1769882400000),
        (time_millis("x"), 1769882400123, 1769882400123),
    ],
)
def test_what_is_sent(param: Param, value: object, sent: object) -> None:
    assert one(param, value) == sent


def test_times_are_told_in_the_zone_that_is_set() -> None:
    eastern = timezone(timedelta(hours=-5))
    assert one(time_text("x"), datetime(2026, 1, 31, 18, tzinfo=UTC), zone=eastern) == "2026-01-31 13:00:00"
    assert one(time_millis("x"), "2026-01-31 13:00:00", zone=eastern) == 1769882400000


@pytest.mark.parametrize(
    ("param", "value", "why"),
    [
        (text("x"), 5, "expected text, got int"),
        (text("x"), "  ", "leave it out"),
        (text("x", max_length=3), "four", "4 characters long; CJ takes 3"),
        (text("x"), "\ud800", "cannot be written as UTF-8"),
        (whole("x", 1, 100), 101, "must be 1 to 100; not 101"),
        (whole("x"), -1, "must be 0 or more; not -1"),
        (whole("x"), 2**63, "must be 0 to"),
        (whole("x"), True, "expected a whole number, got True"),
        (whole("x"), 1.0, "expected a whole number"),
        (amount("x"), "five", "expected an amount"),
        (amount("x"), float("nan"), "expected an amount"),
        (amount("x"), -0.01, "0 or more"),
        (amount("x"), True, "expected an amount"),
        (amount("x"), "0." + "1" * 100, "expected an amount"),
        (amount("x"), Fraction(1, 3), "expected an amount"),
        (flag("x"), "1", "expected True or False"),
        (boolean("x"), 1, "expected True or False"),
        (one_of("x", 1, 2), True, "must be one of 1, 2"),
        (one_of("x", "desc"), "DESC", "must be one of 'desc'"),
        (texts("x"), [], "one or more"),
        (texts("x"), 7, "one or more"),
        (texts("x"), itertools.repeat("a"), "200 at most"),
        (texts("x", maximum=2), ["a", "b", "c"], "2 at most"),
        (texts("x"), ["a,b"], "comma"),
        (texts("x", allowed=("a", "b")), ["c"], "must be among a, b; not 'c'"),
        (countries("x"), "cn", "two capital letters"),
        (countries("x"), "CN, US", "two capital letters"),
        (countries("x", single=True), "CN,US", "one country"),
        (time_text("x"), datetime(2026, 1, 31), "no time zone: 2026-01-31 00:00:00; give one"),  # noqa: DTZ001
        (time_text("x"), "yesterday", "2026-01-31 18:00:00"),
        (time_text("x"), datetime(1815, 6, 18, tzinfo=UTC), "1970"),
        (time_text("x"), 5, "expected a datetime or text"),
        (time_millis("x"), 1769882400, "looks like seconds"),
        (time_millis("x"), 1769882400123456, "looks like microseconds"),
        (time_millis("x"), datetime(1969, 1, 1, tzinfo=UTC), "1970"),
    ],
)
def test_what_is_refused_and_why(param: Param, value: object, why: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(why)):
        one(param, value)


def test_an_unknown_parameter_is_never_sent() -> None:
    with pytest.raises(ParameterError, match=r"`colour`: no such parameter .*product/list"):
        encode({}, {"colour": "red"}, endpoint="product/list")


def test_what_must_be_given_is_asked_for() -> None:
    params = {"pid": text("pid", required=True), "score": whole("score")}
    with pytest.raises(ParameterError, match="`pid`: must be given"):
        encode(params, {"pid": None, "score": 3}, endpoint="p")


def test_a_choice_takes_exactly_one() -> None:
    names = ("pid", "sku")
    exactly_one(names, {"pid": "1", "sku": None}, endpoint="p")
    with pytest.raises(ParameterError, match="exactly one of `pid`, `sku`; got none"):
        exactly_one(names, {}, endpoint="p")
    with pytest.raises(ParameterError, match="got `pid` and `sku`"):
        exactly_one(names, {"pid": "1", "sku": "2"}, endpoint="p")


@given(st.decimals(0, 10**9, places=2), st.decimals(0, 10**9, places=2))
@settings(deadline=None)
def test_a_range_is_compared_as_numbers(low: Decimal, high: Decimal) -> None:
    if low <= high:
        ordered(("low", "high"), str(low), str(high), endpoint="p")
        return
    with pytest.raises(ParameterError, match="is above `high`"):
        ordered(("low", "high"), str(low), str(high), endpoint="p")


def test_a_range_of_times_is_compared_as_times() -> None:
    ordered(("a", "b"), "2026-01-31 10:00:00", "2026-01-31 10:00:00", endpoint="p")
    ordered(("a", "b"), None, "2026-01-31 10:00:00", endpoint="p")
    with pytest.raises(ParameterError):
        ordered(("a", "b"), "2026-02-01 00:00:00", "2026-01-31 10:00:00", endpoint="p")


def test_the_zone_of_the_documents_is_the_default() -> None:
    assert CHINA_TIME.utcoffset(None) == timedelta(hours=8)
