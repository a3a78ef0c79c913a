"""From bytes to values: one odd row never costs a page, and what is left out is kept with its bytes."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync._decode import AnswerDecoder, PageRows, Rows
from cjasync._envelope import Malformed, decode_envelope
from cjasync.models import FirstCategory, ListedProduct, MyProduct, Product, SearchProduct, SourcingRequest
from cjasync.models._pages import ContentData, ListData, SearchData
from cjasync.quota.facts import PointsInfo

LIST = AnswerDecoder(ListData[ListedProduct])
SEARCH = AnswerDecoder(SearchData[SearchProduct])
MINE = AnswerDecoder(ContentData[MyProduct])
TREE = AnswerDecoder(list[FirstCategory])
ONE = AnswerDecoder(Product)
YES = AnswerDecoder(bool)


def body(data: Any, **fields: Any) -> bytes:
    return json.dumps({"code": 200, "result": True, "data": data, **fields}).encode()


def rows(*numbers: int, odd: dict[int, Any] | None = None) -> list[dict[str, Any]]:
    return [{"pid": str(n), "productNameEn": "x", "listedNum": n} | (odd or {}).get(n, {}) for n in numbers]


def page(rows: Any, total: int = 9) -> Any:
    return {"pageNum": 1, "pageSize": 9, "total": total, "list": rows}


@given(st.sets(st.integers(0, 8)), st.sets(st.integers(0, 8)))
@settings(deadline=None, max_examples=60)
def test_odd_rows_are_kept_apart_and_the_others_stay_in_order(unreadable: set[int], unusual: set[int]) -> None:
    odd: dict[int, Any] = {n: {"listedNum": "many"} for n in unusual}  # no number at all
    odd |= {n: {"productNameEn": ["a", "list"]} for n in unreadable}
    bad = unreadable | unusual
    sent = rows(*range(9), odd=odd)
    envelope, got = LIST.decode(body(page(sent)))
    assert envelope.succeeded
    assert isinstance(got, PageRows)
    assert [row.pid for row in got.rows] == [str(n) for n in range(9) if n not in bad]
    assert [skipped.index for skipped in got.skipped] == sorted(bad)
    for skipped in got.skipped:
        assert json.loads(skipped.raw) == sent[skipped.index]
        assert skipped.path
        assert skipped.reason
    assert got.data.total == 9


def test_a_page_with_an_odd_row_does_not_hold_on_to_its_bytes() -> None:
    _, got = LIST.decode(body(page(rows(1, 2, odd={1: {"productNameEn": []}}))))
    assert (got.data.total, got.data.rows()) == (9, ())
    group = {"keyWord": "dog", "productList": [{"id": "1"}, {"id": []}]}
    _, got = SEARCH.decode(body({"totalRecords": 2, "content": [group]}))
    assert (got.data.total, got.data.rows(), got.data.content[0].key_word) == (2, (), "dog")
    _, got = MINE.decode(body({"totalRecords": 2, "content": [{"productId": []}, {"productId": "2"}]}))
    assert (got.data.total, got.data.rows(), len(got.rows)) == (2, (), 1)


def test_a_row_that_is_no_object_is_one_row() -> None:
    _, got = LIST.decode(body(page([*rows(1), 5, None, "text", [], *rows(2)])))
    assert [row.pid for row in got.rows] == ["1", "2"]
    assert [skipped.index for skipped in got.skipped] == [1, 2, 3, 4]
    assert [bytes(skipped.raw) for skipped in got.skipped] == [b"5", b"null", b'"text"', b"[]"]


def test_rows_within_groups_are_counted_through() -> None:
    groups = [{"productList": [{"id": "1"}, 5]}, {"keyWord": "x"}, {"productList": [{"id": "2"}]}]
    _, got = SEARCH.decode(body({"totalRecords": 3, "content": groups}))
    assert [row.id for row in got.rows] == ["1", "2"]
    assert [skipped.index for skipped in got.skipped] == [1]
    assert got.data.total == 3


@pytest.mark.parametrize("decoder", [LIST, SEARCH, MINE, TREE], ids=["list", "search", "mine", "tree"])
@pytest.mark.parametrize("data", [None, "", {}, []], ids=repr)
def test_no_data_is_no_rows(decoder: AnswerDecoder[Any], data: Any) -> None:
    if decoder is TREE and data == {}:
        return
    _, got = decoder.decode(body(data))
    assert tuple(got.rows if isinstance(got, PageRows) else got) == ()


@pytest.mark.parametrize("data", [None, "", {}, []], ids=repr)
def test_no_data_is_no_object(data: Any) -> None:
    assert ONE.decode(body(data))[1] is None


def test_data_inside_a_text_is_unpacked() -> None:
    _, got = LIST.decode(body(json.dumps(page(json.dumps(rows(1, 2))))))
    assert [row.pid for row in got.rows] == ["1", "2"]
    _, tree = TREE.decode(body(json.dumps([{"categoryFirstName": "Toys"}])))
    assert [first.category_first_name for first in tree] == ["Toys"]


def test_one_object_where_a_list_is_promised() -> None:
    _, got = AnswerDecoder(list[SourcingRequest]).decode(body({"sourceId": "1", "sourceNumber": "CJ1"}))
    assert isinstance(got, Rows)
    assert len(got) == 1


def test_the_rows_of_an_answer_without_pages_carry_what_was_skipped() -> None:
    _, tree = TREE.decode(body([{"categoryFirstName": "Toys"}, 7]))
    assert len(tree) == 1
    assert [skipped.raw for skipped in tree.skipped] == [b"7"]


@pytest.mark.parametrize(
    ("decoder", "data"),
    [
        (LIST, 5),
        (LIST, [1]),
        (LIST, {"list": 5}),
        (SEARCH, {"content": [5]}),
        (TREE, 5),
        (ONE, 5),
        (ONE, [1]),
        (YES, [1]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, int | list | dict) else "",
)
def test_data_of_another_shape_says_where(decoder: AnswerDecoder[Any], data: Any) -> None:
    with pytest.raises(Malformed) as caught:
        decoder.decode(body(data))
    assert caught.value.path.startswith("data")


@pytest.mark.parametrize(("data", "means"), [(True, True), ("true", True), (1, True), (None, False), (False, False)])
def test_yes_and_no(data: Any, means: bool) -> None:
    assert YES.decode(body(data))[1] is means


def test_a_refusal_is_not_decoded_further() -> None:
    envelope, value = LIST.decode(body(page(rows(1)), code=1600000, result=False, message="busy"))
    assert value is None
    assert (envelope.succeeded, envelope.code, envelope.message) == (False, 1600000, "busy")


@pytest.mark.parametrize("data", [page(rows(1)), 5], ids=["fast", "patient"])
def test_the_envelope_is_read_either_way(data: Any) -> None:
    points = {"total": 50000, "usedToday": "360", "remaining": 49990}
    sent = {"code": "200", "result": "true", "message": 5, "requestId": "r", "pointsInfo": points, "data": data}
    envelope = decode_envelope(json.dumps(sent).encode())
    assert (envelope.code, envelope.result, envelope.message, envelope.request_id) == (200, True, "5", "r")
    assert envelope.points_info == PointsInfo(total=50000, used_today=360, remaining=49990)


@pytest.mark.parametrize("points", [None, 5, "many", {"total": "x"}, []], ids=repr)
def test_points_that_cannot_be_read_are_only_points(points: Any) -> None:
    envelope, got = LIST.decode(body(page(rows(1)), pointsInfo=points))
    assert envelope.points_info is None
    assert len(got.rows) == 1


BROKEN = [b"NaN", b"-Infinity", b'"\\ud83d"', b'"\\x"', b"01", b"tru", b"'a'", b'"a\nb"', b"{]", b'{"a":"}\\"",}']


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
@pytest.mark.parametrize(
    ("decoder", "page"),
    [
        (LIST, b'{"pageNum":1,"total":"9","list":[{"pid":"1"},%b,{"pid":"2"}]}'),
        (SEARCH, b'{"totalRecords":9,"content":[{"productList":[{"id":"1"},%b]},{"productList":[{"id":"2"}]}]}'),
        (TREE, b'[{"categoryFirstName":"1"},%b,{"categoryFirstName":"2"}]'),
    ],
    ids=["list", "search", "tree"],
)
def test_a_row_that_is_no_json_is_one_row(decoder: AnswerDecoder[Any], page: bytes, broken: bytes) -> None:
    row = b'{"pid":"{\\"","x":[{"y":%b}]}' % broken
    _, got = decoder.decode(b'{"code":200,"data":%b}' % page.replace(b"%b", row))
    assert len(got.rows if isinstance(got, PageRows) else got) == 2
    (skipped,) = got.skipped
    assert (skipped.index, skipped.raw) == (1, row)
    assert "is not JSON" in skipped.reason
    assert not isinstance(got, PageRows) or got.data.total == 9


@pytest.mark.parametrize("decoder", [LIST, ONE, YES], ids=["list", "one", "yes"])
def test_what_is_broken_outside_of_the_rows_is_malformed(decoder: AnswerDecoder[Any]) -> None:
    with pytest.raises(Malformed, match="is not a JSON object"):
        decoder.decode(b'{"code":200,"data":{"pid":"1","list":[{"pid":"1"}],"total":NaN}}')


def test_a_byte_order_mark_is_no_reason_to_lose_an_answer() -> None:
    _, got = LIST.decode(BOM_UTF8 + body(page(rows(1, 2))))
    assert [row.pid for row in got.rows] == ["1", "2"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"5", b"<html>", b"\xff", b'{"code":200}{}', b'{"a":}'])
def test_what_is_no_object_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed, match="is not a JSON object"):
        decode_envelope(raw)


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(deadline=None, max_examples=100)
def test_a_page_broken_anywhere_is_malformed_or_still_a_page(noise: bytes, at: int) -> None:
    sound = body(page(rows(1, 2)))
    spoilt = sound[:at] + noise + sound[at:]
    try:
        _, got = LIST.decode(spoilt)
    except Malformed as error:
        assert str(error)  # noqa: PT017
    else:
        assert got is None or isinstance(got, PageRows)
    with pytest.raises((Malformed, msgspec.DecodeError, UnicodeDecodeError)):
        msgspec.json.decode(spoilt[: len(spoilt) // 2])
