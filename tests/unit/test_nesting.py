"""How deep JSON is nested, counted without decoding it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync._nesting import is_deeper, objects_at
from cjasync._protocol import read_answer
from cjasync.errors import BadResponseError
from cjasync.resources import endpoints

texts = st.text(st.sampled_from('[]{}"\\a'), max_size=6)
values = st.recursive(
    texts | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(values, st.booleans())
@settings(deadline=None, max_examples=200)
def test_the_count_is_that_of_the_decoded_value(value: Any, spaced: bool) -> None:
    body = json.dumps(value, indent=1 if spaced else None).encode()
    levels = depth(value)
    assert not is_deeper(body, levels)
    assert levels == 0 or is_deeper(body, levels - 1)


@given(st.binary(max_size=100), st.integers(1, 5))
@settings(deadline=None)
def test_anything_can_be_counted(body: bytes, levels: int) -> None:
    is_deeper(body, levels)


@pytest.mark.parametrize("body", [b"]" * 100, b'"' + b"[" * 100, b"", b'"[[[[[["'])
def test_what_is_no_nesting(body: bytes) -> None:
    assert not is_deeper(body, 100)


def test_objects_are_found_by_their_level() -> None:
    body = b'{"a":[{"b":"]}\\"["},NaN,[1],{}],"c":{"d":[{}]}}'
    assert [body[slice(*place)] for place in objects_at(body, 3)] == [b'{"b":"]}\\"["}', b"[1]", b"{}", b"[{}]"]
    assert [body[slice(*place)] for place in objects_at(body, 1)] == [body]
    assert not list(objects_at(b"]" * 9 + b'"[', 1))


@given(values, st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_what_is_found_is_whole(value: Any, level: int) -> None:
    body = json.dumps(value).encode()
    for start, stop in objects_at(body, level):
        assert isinstance(json.loads(body[start:stop]), dict | list)
    assert bool(list(objects_at(body, level))) == (depth(value) >= level)


@pytest.mark.parametrize("shape", ["[", '{"a":', '[1,{"b":[],"c":'])
@pytest.mark.parametrize("levels", [65, 500, 5000, 200_000])
def test_an_answer_that_is_too_deep_says_so(shape: str, levels: int) -> None:
    body = b'{"code":200,"result":true,"data":' + shape.encode() * levels
    error = read_answer(endpoints()["product/query"], 200, body).error
    assert isinstance(error, BadResponseError)
    assert "is nested deeper than max_depth, 64 levels" in str(error)


def test_the_limit_is_a_setting() -> None:
    query = endpoints()["product/query"]
    body = b'{"code":200,"result":true,"data":' + b"[" * 80 + b"]" * 80 + b"}"
    assert "nested" in str(read_answer(query, 200, body, 80).error)
    assert "nested" not in str(read_answer(query, 200, body, 100).error)
