"""The protocol: what is sent, and what every answer means, whatever its bytes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cjasync import (
    AlreadyExistsError,
    APIError,
    AuthError,
    BadResponseError,
    CJError,
    DelistedError,
    NotFoundError,
    ParameterError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
)
from cjasync._protocol import Request, Verdict, build_request, conceal, read_answer
from cjasync.config import BASE_URL
from cjasync.errors import CODES
from cjasync.quota.facts import PointsInfo, Refusal
from cjasync.resources import endpoints

ALL = endpoints()
LIST = ALL["product/list"]
QUERY = ALL["product/query"]
CATEGORIES = ALL["product/getCategory"]
ADD = ALL["product/addToMyProduct"]
LOGIN = ALL["authentication/getAccessToken"]
RENEW = ALL["authentication/refreshAccessToken"]

POINTS = {"total": 50_000, "usedToday": 360, "remaining": 49_990}


def answer(**fields: Any) -> bytes:
    return json.dumps({"requestId": "abc-1", "pointsInfo": POINTS, **fields}).encode()


def refusal(code: int | None, message: str | None = "No.", **fields: Any) -> bytes:
    return answer(**{"code": code, "result": False, "message": message, "data": None, **fields})


def judge(body: bytes, status: int = 200, endpoint: Any = QUERY) -> Verdict:
    return read_answer(endpoint, status, body)


# --- requests


def test_a_get_carries_its_parameters_in_the_url() -> None:
    request = build_request(BASE_URL, QUERY, {"pid": "A B/ü", "features": "enable_video,enable_combine"})
    assert request == Request(
        "GET", f"{BASE_URL}/product/query?pid=A+B%2F%C3%BC&features=enable_video%2Cenable_combine"
    )


def test_a_get_without_parameters_has_no_question_mark() -> None:
    assert build_request(BASE_URL, CATEGORIES, {}).url == f"{BASE_URL}/product/getCategory"


def test_a_post_carries_json() -> None:
    request = build_request(BASE_URL, ADD, {"productId": "1"})
    assert request == Request("POST", f"{BASE_URL}/product/addToMyProduct", b'{"productId":"1"}')
    assert build_request(BASE_URL, ALL["authentication/logout"], {}).body is None


# --- success


@pytest.mark.parametrize(
    "shape",
    [
        {"code": 200, "result": True},
        {"code": 200, "success": True},
        {"code": 0, "success": True},
        {"code": 0, "result": True},
        {"code": 200, "result": True, "success": True, "message": "Success"},
        {"code": 200},
        {"result": True},
        {"success": True},
        {"code": "200", "result": "true"},
    ],
    ids=json.dumps,
)
def test_success_has_many_shapes(shape: dict[str, Any]) -> None:
    verdict = judge(answer(**shape, data={"pid": "1", "productNameEn": "Hoodie"}))
    assert verdict.error is None
    assert verdict.value.pid == "1"
    assert verdict.request_id == "abc-1"
    assert verdict.points == PointsInfo(total=50_000, used_today=360, remaining=49_990)


def test_no_data_on_success_is_an_empty_result_and_no_error() -> None:
    nothing = answer(code=200, result=True, data=None)
    assert judge(nothing).value is None
    assert judge(nothing).error is None
    assert judge(nothing, endpoint=CATEGORIES).value == ()
    assert judge(nothing, endpoint=LIST).value.rows == ()
    assert judge(nothing, endpoint=ADD).value is False


def test_any_2xx_counts_as_an_answer() -> None:
    assert judge(answer(code=200, result=True, data=True), 201, ADD).value is True


# --- refusals


@pytest.mark.parametrize(("code", "error"), [(c, e) for c, e in CODES.items() if e is not RateLimitedError])
@pytest.mark.parametrize("form", [{}, {"success": False}, {"result": None}, {"pointsInfo": None}], ids=json.dumps)
def test_every_code_inside_http_200_is_its_error(code: int, error: type[APIError], form: dict[str, Any]) -> None:
    verdict = judge(refusal(code, **form))
    assert type(verdict.error) is error
    assert verdict.value is None
    assert (verdict.error.code, verdict.error.http_status) == (code, 200)


def test_every_error_carries_all_that_is_known() -> None:
    error = judge(refusal(1602001, "Product not found")).error
    assert type(error) is NotFoundError
    assert error.message == "Product not found"
    assert error.code == 1602001
    assert error.http_status == 200
    assert error.request_id == "abc-1"
    assert error.endpoint == "product/query"
    assert error.points == PointsInfo(total=50_000, used_today=360, remaining=49_990)
    assert str(error) == "Product not found (code 1602001, HTTP 200, endpoint product/query, request abc-1)"


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (refusal(9999999), 200, APIError),
        (refusal(None), 200, APIError),
        (refusal(9999999), 404, NotFoundError),
        (refusal(9999999), 502, UnavailableError),
        (refusal(503), 200, UnavailableError),
        (refusal(500), 500, UnavailableError),
        (refusal(404), 200, NotFoundError),
        (refusal(401), 200, AuthError),
        (refusal(1602002), 404, DelistedError),
        (refusal(1600100), 400, ParameterError),
        (answer(code=200, result=True, data=None), 404, NotFoundError),
        (answer(code=200, result=True, data=None), 500, UnavailableError),
        (refusal(1600301), 200, UnavailableError),
    ],
)
def test_code_before_status_before_shape(body: bytes, status: int, error: type[APIError]) -> None:
    assert type(judge(body, status).error) is error


def test_a_refusal_without_a_word_still_says_something() -> None:
    for message in (None, "", "  "):
        error = judge(refusal(1600300, message)).error
        assert error is not None
        assert error.message == "CJ refused without saying why"


def test_a_refusal_is_never_empty_data() -> None:
    """The live service says code 16900500 in HTTP 200 with data null; who looks at data only reads 'nothing found'."""
    for endpoint in (QUERY, LIST, CATEGORIES, ADD):
        assert isinstance(judge(refusal(16900500), endpoint=endpoint).error, QuotaExhaustedError)


def test_already_added_is_told_from_busy_and_from_the_source_limit() -> None:
    for text in ("The product has been added to My Products.", "Product already in My Products"):
        added = judge(refusal(1600000, text), endpoint=ADD)
        assert type(added.error) is AlreadyExistsError
        assert not added.passing
    limit = judge(refusal(1600000, "Exceeded the daily source limit"), endpoint=ALL["product/sourcing/create"])
    assert isinstance(limit.error, QuotaExhaustedError)
    assert limit.error.bucket == "sourcing"
    assert limit.refusal == Refusal(kind="sourcing")
    busy = judge(refusal(1600000, "System busy"))
    assert type(busy.error) is UnavailableError
    assert busy.passing


QPS = "Too Many Requests, QPS limit is 1 time/1second"


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (1600200, QPS, Refusal(kind="qps", times=1, seconds=1.0)),
        (1600200, "too much request, QPS limit is 6 times / 2 seconds", Refusal(kind="qps", times=6, seconds=2.0)),
        (1600200, "Too much request", Refusal(kind="qps")),
        (429, QPS, Refusal(kind="qps", times=1, seconds=1.0)),
        (2000001, QPS, Refusal(kind="qps", times=1, seconds=1.0)),
        (1600200, None, Refusal(kind="qps")),
        (1600200, "QPS limit is 1 time/99999999999999second", Refusal(kind="qps")),
        (1600200, "QPS limit is " + "9" * 5000 + " time/1second", Refusal(kind="qps")),
    ],
)
def test_too_fast(code: int, message: str, told: Refusal, status: int) -> None:
    verdict = judge(refusal(code, message), status)
    assert type(verdict.error) is RateLimitedError
    assert verdict.refusal == told
    assert verdict.passing
    assert not verdict.doubtful


def test_a_login_too_early_is_its_own_refusal() -> None:
    message = "Too Many Requests, QPS limit is 1 time/300 seconds"
    verdict = judge(refusal(1600200, message), 429, LOGIN)
    assert verdict.refusal == Refusal(kind="login", times=1, seconds=300.0)
    assert judge(b"<html>", 429, LOGIN).refusal == Refusal(kind="login")


def test_a_refusal_that_lacks_result_is_one_all_the_same() -> None:
    body = answer(code=1600200, message=QPS, data=None)
    assert type(judge(body).error) is RateLimitedError


@pytest.mark.parametrize(("code", "status"), [(16900500, 200), (429, 429), (429, 200), (16900500, 429)])
def test_points_that_are_used_up(code: int, status: int) -> None:
    text = "Insufficient API points. Used today: 104890, Remaining: 0, Required: 10. Points are restored gradually."
    verdict = judge(refusal(code, text), status)
    assert isinstance(verdict.error, QuotaExhaustedError)
    assert verdict.error.bucket == "points"
    assert (verdict.error.used, verdict.error.limit) == (104890, POINTS["total"])
    assert verdict.refusal == Refusal(kind="points", used=104890, remaining=0, required=10)
    assert not verdict.passing


@pytest.mark.parametrize("code", [1600200, 1600201, 429])
def test_a_day_that_is_used_up(code: int) -> None:
    text = "Too Many Requests, Sorry, you have reached the daily request limit (1000 times/day)"
    verdict = judge(refusal(code, text), 429)
    assert isinstance(verdict.error, QuotaExhaustedError)
    assert (verdict.error.bucket, verdict.error.limit) == ("calls", 1000)
    assert verdict.refusal == Refusal(kind="daily", limit=1000)


@pytest.mark.parametrize("code", [1600001, 1600003, 1600030])
@pytest.mark.parametrize("status", [200, 401])
def test_a_token_that_is_stale_is_worth_a_refresh(code: int, status: int) -> None:
    verdict = judge(refusal(code, "Invalid API key or access token"), status)
    assert type(verdict.error) is AuthError
    assert verdict.stale_token


@pytest.mark.parametrize("code", [1600002, 1600004, 1600005, 1600031])
def test_other_trouble_with_the_account_is_not(code: int) -> None:
    assert not judge(refusal(code)).stale_token


# --- answers that are none of CJ's


@pytest.mark.parametrize(
    ("body", "status", "error", "passing"),
    [
        (b"", 200, BadResponseError, True),
        (b"DNS resolution failure", 200, BadResponseError, True),
        (b"<!DOCTYPE html><html></html>", 200, BadResponseError, True),
        (b"[]", 200, BadResponseError, True),
        (b"{}", 200, BadResponseError, True),
        (b'{"code":0}', 200, BadResponseError, True),
        (b'{"data":{"pid":"1"}}', 200, BadResponseError, True),
        (b"\xff\xfe", 200, BadResponseError, True),
        (b"null", 200, BadResponseError, True),
        (answer(code=200, data="Service busy"), 200, BadResponseError, True),
        (answer(code=200, data={"pid": "1", "sellPrice": "dear"}), 200, BadResponseError, False),
        (b"<html>", 404, BadResponseError, False),
        (b"", 302, BadResponseError, False),
        (b"", 304, BadResponseError, False),
        (b"<html>", 401, AuthError, False),
        (b"<html>", 403, AuthError, False),
        (b"<html>", 429, RateLimitedError, True),
        (b"<html>", 500, UnavailableError, True),
        (b"", 503, UnavailableError, True),
        (answer(code=200, result=True), 302, BadResponseError, False),
    ],
)
def test_what_is_no_answer_of_cj(body: bytes, status: int, error: type[CJError], passing: bool) -> None:
    verdict = judge(body, status)
    assert type(verdict.error) is error
    assert verdict.passing is passing
    assert verdict.error.endpoint == "product/query"
    assert verdict.error.http_status == status


def test_an_unreadable_answer_keeps_its_bytes_and_says_how_it_begins() -> None:
    error = judge(b"<html>" + b"x" * 100_000).error
    assert isinstance(error, BadResponseError)
    assert len(error.body) == 64 * 1024
    assert "100006 bytes" in str(error)
    assert "begins '<html>xxx" in str(error)
    assert "it is empty" in str(judge(b"").error)


def test_a_redirect_says_why_it_is_not_followed() -> None:
    assert "redirect" in str(judge(b"", 307).error)


def test_data_of_an_impossible_shape_says_where() -> None:
    error = judge(answer(code=200, result=True, data=[1])).error
    assert isinstance(error, BadResponseError)
    assert error.path is not None
    assert error.path.startswith("data")


# --- what a write may have done


@pytest.mark.parametrize(
    ("body", "status", "doubtful"),
    [
        (refusal(1600000, "System busy"), 200, False),
        (refusal(1600000, "System busy"), 500, True),
        (refusal(1600301, "read timed out"), 200, True),
        (refusal(1600300), 200, False),
        (refusal(500), 200, True),
        (refusal(1600200), 429, False),
        (refusal(1600001), 401, False),
        (b"<html>", 502, True),
        (b"<html>", 200, True),
        (b"", 200, True),
        (b"", 302, True),
        (b"<html>", 404, False),
        (b"<html>", 403, False),
        (b"<html>", 429, False),
    ],
)
def test_an_answer_that_leaves_open_whether_the_write_happened(body: bytes, status: int, doubtful: bool) -> None:
    assert judge(body, status, ADD).doubtful is doubtful


# --- secrets


def test_an_answer_that_repeats_the_token_does_not_put_it_into_the_error() -> None:
    token = "API@CJ1@CJ:eyJsecret"
    error = judge(refusal(1600001, f"Invalid token {token}!"), 401).error
    assert error is not None
    conceal(error, QUERY, build_request(BASE_URL, QUERY, {"pid": "1"}), token)
    assert error.message == "Invalid token ***!"
    bad = judge(f"<p>{token}</p>".encode()).error
    assert isinstance(bad, BadResponseError)
    conceal(bad, QUERY, build_request(BASE_URL, QUERY, {"pid": "1"}), token)
    assert bad.body == b"<p>***</p>"
    assert token not in str(bad)


def test_keys_and_tokens_of_other_requests_and_parts_of_them_are_taken_out_too() -> None:
    key, token = "CJ1@api@0123456789abcdef", "API@CJ1@CJ:eyJ" + 600 * "a" + ".eyJ-_b"
    request = build_request(BASE_URL, QUERY, {"pid": "1"})
    cut = judge(refusal(1600300, 700 * "x" + f" {key}, {token}")).error
    assert cut is not None
    conceal(cut, QUERY, request, token)
    assert cut.message == 700 * "x" + " ***, ***"
    page = judge(f'<a title="{token}" href="/{key}">'.encode() + 70_000 * b"x").error
    assert isinstance(page, BadResponseError)
    conceal(page, QUERY, request, None)
    assert page.body.startswith(b'<a title="***" href="/***">xxx')
    assert "API@" not in str(page)


def test_answers_about_the_account_that_cannot_be_read_keep_nothing_of_it() -> None:
    body = b'{"code":200,"result":true,"data":{"openId":77,"accessToken":["tok-1"]}}'
    error = judge(body, endpoint=LOGIN).error
    assert isinstance(error, BadResponseError)
    conceal(error, LOGIN, build_request(BASE_URL, LOGIN, {"apiKey": "key-1"}), None)
    assert error.body == b""
    assert "tok-1" not in str(error)
    assert "77" not in str(error)
    settings = ALL["setting/get"]
    body = b'{"code":200,"data":{"openId":4711,"openEmail":"me@shop.example","setting":{"qpsLimit":"me@shop.example"}}}'
    error = judge(body, endpoint=settings).error
    assert isinstance(error, BadResponseError)
    conceal(error, settings, build_request(BASE_URL, settings, {}), "token-1")
    assert (error.path, error.body) == ("data.setting.qpsLimit", b"")
    assert "4711" not in str(error)
    assert "shop.example" not in str(error)
    wrong = judge(refusal(1600005, "APIkey key-1 is wrong"), endpoint=LOGIN).error
    assert wrong is not None
    conceal(wrong, LOGIN, build_request(BASE_URL, LOGIN, {"apiKey": "key-1"}), None)
    assert wrong.message == "APIkey *** is wrong"
    late = judge(refusal(1600003, "refresh-1 is invalid"), endpoint=RENEW).error
    assert late is not None
    conceal(late, RENEW, build_request(BASE_URL, RENEW, {"refreshToken": "refresh-1"}), None)
    assert late.message == "*** is invalid"


# --- whatever the bytes


def check(verdict: Verdict, endpoint: Any) -> None:
    """Each verdict is a value or a typed error that can be printed and names its endpoint."""
    if verdict.error is None:
        return
    assert isinstance(verdict.error, CJError)
    assert verdict.error.endpoint == endpoint.path
    assert str(verdict.error)
    conceal(verdict.error, endpoint, build_request(BASE_URL, endpoint, {}), "token")


statuses = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 418, 429, 500, 503, 599])
anywhere = st.sampled_from(list(ALL.values()))


@given(st.binary(max_size=200), statuses, anywhere)
@example(b"[" * 100_000, 200, QUERY)
@example(b'{"data":' * 50_000, 200, QUERY)
@example(b'{"code":200,"result":true,"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 200, QUERY)
@example(b'{"code":200,"result":true,"message":' + b"[" * 50_000 + b"]" * 50_000 + b',"data":{"pid":"1"}}', 200, QUERY)
@example(b'{"code":' + b"7" * 5000 + b"}", 200, QUERY)
@example(b'{"code":' + b"7" * 400 + b',"result":false}', 200, QUERY)
@example(b'{"code":1e999999999,"result":false}', 200, QUERY)
@example(b'{"code":200,"result":true,"data":{"pageNum":1e999999999,"total":1e99999,"list":[]}}', 200, LIST)
@example(b'{"code":200,"result":true,"data":{"pid":"1","listedNum":1e999999999}}', 200, QUERY)
@example(b'{"code":200,"result":true,"data":{"pid":"1","sellPrice":1e999999999}}', 200, QUERY)
@example(b'{"code":1600200,"message":"QPS limit is 1 time/' + b"9" * 5000 + b' second"}', 200, QUERY)
@example(b'{"code":1,"message":"' + b"used today: 1 " * 20_000 + b'"}', 200, QUERY)
@settings(deadline=None, max_examples=150)
def test_arbitrary_bytes_are_read_or_refused_with_a_typed_error(body: bytes, status: int, endpoint: Any) -> None:
    check(read_answer(endpoint, status, body), endpoint)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
    | st.sampled_from(["", "0", "1", "true", "null", "[]", "{}", "[1", "2026-01-01", "1.5 -- 2.5", "--", "1e400", QPS])
)
NAMES = (
    *("pid", "vid", "list", "content", "productList", "total", "totalRecords", "pageSize", "sellPrice", "createTime"),
    *("accessToken", "openId", "stock", "variants", "productImage", "inventories", "x"),
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([0, 200, 200, 200, 1600000, 1600200, 16900500, 429, "200", "x", None, 2.5]),
        "result": st.sampled_from([True, True, False, None, "true", 1, []]),
        "success": st.sampled_from([True, False, None, "false", {}]),
        "message": json_values,
        "data": json_values,
        "requestId": json_values,
        "pointsInfo": json_values,
    },
)


@given(envelopes, statuses, anywhere)
@settings(deadline=None, max_examples=300)
def test_arbitrary_envelopes_are_read_or_refused_with_a_typed_error(
    fields: dict[str, Any], status: int, endpoint: Any
) -> None:
    check(read_answer(endpoint, status, msgspec.json.encode(fields)), endpoint)
