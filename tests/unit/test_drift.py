"""Comparing answers with the models: no false alarm, and each kind of change found."""

import json
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync._decode import AnswerDecoder
from cjasync._endpoint import Endpoint
from cjasync.drift import Change, Drift, DriftReport
from cjasync.drift.drift import MAX_NAMES, OTHERS
from cjasync.drift.known import known
from cjasync.errors import ConfigError
from cjasync.models import ListedProduct
from cjasync.models._model import Model
from cjasync.resources import endpoints
from tests.property.test_tolerance import BAD, ROWS, anything, rows

ENDPOINTS = endpoints()
EXAMPLES = sorted((Path(__file__).parents[1] / "data" / "examples").glob("*.json"))


def answer(data: Any, **more: Any) -> bytes:
    return json.dumps({"code": 200, "result": True, "message": "Success", "data": data, **more}).encode()


def compared(endpoint: Endpoint[Any] | str, *answers: bytes) -> DriftReport:
    drift = Drift()
    for body in answers:
        drift.add(endpoint, body)
    return drift.report()


def only(report: DriftReport) -> Change:
    (change,) = report.changes
    return change


def whole(shape: Any, depth: int = 2) -> dict[str, Any]:
    """An object of that shape with all its fields."""
    return {name: _something(field, depth) for name, field in known(shape).items()}


def _something(field: Any, depth: int) -> Any:
    if field.inner is not None:
        inner = whole(field.inner, depth - 1) if depth else None
        return [inner] if field.many and inner else inner
    return {"yes or no": "1", "time": 1700000000000, "list of texts": '["5"]', "list of numbers": [5]}.get(
        field.expected, "5"
    )


def whole_data(endpoint: Endpoint[Any]) -> Any:
    shape = endpoint.answer
    if shape is bool:
        return True
    if get_origin(shape) is list:
        return [whole(get_args(shape)[0])]
    return whole(shape, depth=4)


LISTED = whole(ListedProduct)


def page(*listed: Any) -> bytes:
    return answer({"pageNum": 1, "pageSize": 20, "total": len(listed), "list": list(listed)})


@pytest.mark.parametrize("path", sorted(ENDPOINTS))
def test_an_answer_with_all_fields_does_not_drift(path):
    points = {"total": 50_000, "usedToday": 10, "remaining": 49_990}
    body = answer(whole_data(ENDPOINTS[path]), pointsInfo=points, requestId="r", success=True)
    AnswerDecoder(ENDPOINTS[path].answer).decode(body)
    report = compared(path, body, body)
    assert report.changes == ()
    assert not report.drifted
    assert str(report) == f"{path}: no changes in 2 answers"


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_value_is_retyped_exactly_when_nobody_can_read_it(model, data):
    text, want = data.draw(rows(model))
    report = compared(_list_of(model), f'{{"code":200,"data":[{text}]}}'.encode())
    assert all("unknown " in change.path for change in report.changes if change.kind == "added")
    bad = [
        change
        for change in report.changes
        if change.kind == "retyped" or (change.kind == "dropped" and _must_be_there(model, change.path))
    ]
    assert bool(bad) == (want is BAD)


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_the_reader_refuses_is_reported_and_no_answer_breaks_the_comparison(model, data):
    names = sorted({name for field in model.__model_fields__.values() for name in field.wires})
    sent = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=5), anything, max_size=6))
    body = json.dumps({"code": 200, "data": [sent]}).encode()
    report = compared(_list_of(model), body)
    _, got = AnswerDecoder(list[model]).decode(body)
    if got.skipped:
        assert any(change.kind != "added" for change in report.changes)
    assert {change.path for change in report.changes if change.kind == "added"} >= {
        f"data[].{name}" for name in sent if name not in names and name.isprintable() and "@" not in name and name
    }
    json.dumps(report.as_dict())


def _list_of(model: type[Model]) -> Endpoint[Any]:
    return Endpoint(method="GET", path="some/list", answer=list[model])


def _must_be_there(model: type[Model], path: str) -> bool:
    """Whether a field at that path is required; the path names lists and fields from the row on."""
    fields = known(model)
    *above, last = path.removeprefix("data[].").replace("[]", "").split(".")
    for name in above:
        fields = known(fields[name].inner)
    return fields[last].required


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_documents_answers_hold_nothing_new_and_nothing_unreadable(path):
    endpoint = next(each for each in ENDPOINTS.values() if each.path.replace("/", "_") == path.name.split(".")[0])
    report = compared(endpoint, path.read_bytes())
    assert {change.kind for change in report.changes} <= {"dropped"}  # they are older than what CJ sends now


def test_an_added_field_is_counted_and_shown():
    report = compared(
        "product/list", page({**LISTED, "colour": "red"}, LISTED), page({**LISTED, "colour": {"r": 1}}, LISTED)
    )
    change = only(report)
    assert (change.kind, change.path, change.count, change.of) == ("added", "data.list[].colour", 2, 4)
    assert change.found == ("text", "object")
    assert change.example == '"red"'
    assert report.answers == {"product/list": 2}
    assert str(report) == (
        'product/list: 1 change in 2 answers\n  + data.list[].colour: added, text or object, 2 of 4, e.g. "red"'
    )


def test_a_dropped_field_is_one_that_no_row_has():
    without = {name: value for name, value in LISTED.items() if name != "sellPrice"}
    assert not compared("product/list", page(without, LISTED)).drifted
    change = only(compared("product/list", page(without, without), page(without)))
    assert (change.kind, change.path, change.count, change.of) == ("dropped", "data.list[].sellPrice", 3, 3)
    assert change.expected == "price"
    assert change.example.startswith('{"pid":"5"')
    assert "price missing, 3 of 3" in str(change)


def test_a_field_with_two_names_is_dropped_when_both_are():
    one = {name: value for name, value in LISTED.items() if name != "productImage"}
    neither = {name: value for name, value in one.items() if name != "bigImage"}
    assert not compared("product/list", page(one)).drifted
    assert only(compared("product/list", page(neither))).path == "data.list[].productImage"


@pytest.mark.parametrize("lost", [{}, {"pid": None}, {"pid": ""}])
def test_a_required_field_is_missed_in_a_single_row(lost):
    row = {name: value for name, value in LISTED.items() if name != "pid"} | lost
    change = only(compared("product/list", page(LISTED, row, LISTED)))
    assert (change.kind, change.path, change.count, change.of) == ("dropped", "data.list[].pid", 1, 3)


@pytest.mark.parametrize(
    ("field", "normal", "odd", "expected"),
    [
        ("sellPrice", [5, "5", "4 -- 5", 1.25, None, ""], {"low": 4}, "price"),
        ("sellPrice", [], "from 5", "price"),
        ("productWeight", [5, "5-6"], [5], "weight"),
        ("createTime", [1700000000000, "1700000000000", "2024-01-01"], {"at": 1}, "time"),
        ("isVideo", [0, "0", True, "false", None], 2, "yes or no"),
        ("listedNum", [5, "5", 5.0, ""], 5.5, "whole number"),
        ("productName", [["a"], '["a"]', "a", None], {"en": "a"}, "list of texts"),
        ("productNameEn", ["a", 5, True], ["a"], "text"),
    ],
)
def test_a_retyped_field_is_one_that_cannot_be_read(field, normal, odd, expected):
    sent = [{**LISTED, field: value} for value in normal]
    assert not compared("product/list", page(LISTED, *sent)).drifted
    change = only(compared("product/list", page(*sent, {**LISTED, field: odd})))
    assert (change.kind, change.path) == ("retyped", f"data.list[].{field}")
    assert (change.count, change.of, change.expected) == (1, len(sent) + 1, expected)
    assert json.loads(change.example) == odd
    assert f"instead of {expected}" in str(change)


def test_changes_inside_nested_objects_have_their_own_counts():
    product = whole_data(ENDPOINTS["product/query"])
    variant = product["variants"][0]
    product["variants"] = [variant, {**variant, "lining": "silk"}, "none", {**variant, "vid": {}}]
    added, stranger, retyped = compared("product/query", answer(product)).changes
    assert (added.path, added.count, added.of) == ("data.variants[].lining", 1, 4)
    assert (retyped.path, retyped.kind) == ("data.variants[].vid", "retyped")
    assert (stranger.path, stranger.found, stranger.expected) == ("data.variants[]", ("text",), "object")


def test_rows_beside_the_rows_are_compared_too():
    data = whole_data(ENDPOINTS["product/listV2"])
    data["content"][0]["relatedCategoryList"] = [{"id": 5, "name": "Dogs", "currentLevel": 3, "icon": "x"}]
    assert only(compared("product/listV2", answer(data))).path == "data.content[].relatedCategoryList[].icon"


def test_an_envelope_may_gain_a_field_and_never_misses_one():
    assert not compared("product/addToMyProduct", b'{"code":0,"success":true,"data":true}').drifted
    change = only(compared("product/addToMyProduct", b'{"code":200,"result":true,"data":true,"traceId":"x"}'))
    assert (change.path, change.kind) == ("traceId", "added")
    change = only(compared("product/addToMyProduct", b'{"code":200,"result":true,"data":{"done":1}}'))
    assert (change.path, change.kind, change.found) == ("data", "retyped", ("object",))


@pytest.mark.parametrize("data", [None, "", [], {}])
@pytest.mark.parametrize("path", ["product/list", "product/query", "product/stock/queryByVid"])
def test_success_about_nothing_is_no_drift(path, data):
    assert compared(path, answer(data)).changes == ()


def test_a_refusal_has_no_rows_to_compare():
    assert not compared(
        "product/list", b'{"code":1600100,"result":false,"message":"Param error","data":{"a":1}}'
    ).drifted


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"code":200,"data":' + b"[" * 20_000, b'{"data":"\xff"}'])
def test_an_answer_that_is_no_json_is_one_change(body):
    change = only(compared("product/list", body))
    assert (change.path, change.kind, change.count, change.of) == ("$", "retyped", 1, 1)


def test_names_without_end_are_counted_together():
    rows = [{**LISTED, f"id-{number}": 1} for number in range(MAX_NAMES + 50)]
    report = compared("product/list", page(*rows))
    assert len(report.changes) == MAX_NAMES + 1
    assert sum(change.count for change in report.changes if change.path.endswith(OTHERS)) == 50


def test_an_unknown_path_is_said():
    with pytest.raises(ConfigError, match="product/lost"):
        Drift().add("product/lost", b"{}")


TOKEN = "API@CJ1000001@CJ:eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIyMzQ1In0.abc"


def test_no_example_holds_a_secret():
    data = whole_data(ENDPOINTS["setting/get"]) | {
        "openId": 18452,
        "openEmail": "jane.doe@example.com",
        "owner": {"id": "18452", "mail": "jane.doe@example.com", "note": "call jane.doe@example.com"},
        "oldToken": "abcdef",
        "copied": "18452 ghijkl",
        "loginToken": "qz7",  # too short to be looked for anywhere else
        "header": TOKEN,
        "packed": json.dumps({"accessToken": "ghijkl", "list": [{"openId": 18452}]}),
        "deep": {"a": {"b": {"c": {"d": {"e": 18452}}}}},
        TOKEN: 1,
        "18452": 1,
    }
    report = compared("setting/get", answer(data), answer({"root": [TOKEN, "jane.doe@example.com"]}))
    text = f"{report} {json.dumps(report.as_dict())}"
    assert len(report.changes) >= 8
    for secret in ("18452", "jane.doe", "abcdef", "ghijkl", "qz7", "eyJ", TOKEN[:12]):
        assert secret not in text


def test_an_answer_with_tokens_shows_no_value_at_all():
    data = whole_data(ENDPOINTS["authentication/getAccessToken"]) | {"scope": "everything", "createDate": {"at": 12345}}
    added, retyped = compared("authentication/getAccessToken", answer(data)).changes
    assert (added.path, added.example) == ("data.scope", "***")
    assert (retyped.path, retyped.example) == ("data.createDate", "***")


def test_examples_are_short_and_safe_to_print():
    change = only(compared("product/list", page({**LISTED, "story\x1b[2J": "x\u202e" + "y" * 1000})))
    assert len(change.example) <= 80
    assert str(change).isprintable()


def test_a_report_is_plain_json():
    report = compared("product/list", page({**LISTED, "colour": 1.5}))
    plain = json.loads(json.dumps(report.as_dict()))
    assert plain["drifted"] is True
    assert plain["answers"] == {"product/list": 1}
    (change,) = plain["changes"]
    assert change == {
        "endpoint": "product/list",
        "path": "data.list[].colour",
        "kind": "added",
        "count": 1,
        "of": 1,
        "expected": "nothing",
        "found": ["number"],
        "example": "1.5",
    }
    assert msgspec.json.decode(msgspec.json.encode(report), type=DriftReport) == report
    assert report.of("product/list") == report.changes
    assert report.of("setting/get") == ()


def test_failed_calls_are_named():
    report = Drift().report({"product/query": "NotFoundError, code 1602001"})
    assert str(report) == "product/query: not compared, NotFoundError, code 1602001"
    assert not report.drifted
