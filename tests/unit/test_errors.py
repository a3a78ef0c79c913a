"""Errors: the tree as it is drawn, and that each survives being copied, pickled and printed."""

from __future__ import annotations

import asyncio
import builtins
import copy
import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest

import cjasync
from cjasync import errors
from cjasync.errors import CODES, APIError, CJError, Cursor
from cjasync.quota.facts import PointsInfo

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
CURSOR = Cursor("product/list", {"categoryId": "1"}, 3, 200, 7)
FACTS = {"code": 1600200, "http_status": 200, "request_id": "abc", "points": PointsInfo(total=5), "endpoint": "p/q"}
NEEDED: dict[str, dict[str, Any]] = {
    "TooManyAccountsError": {"limit": 3, "frees_at": MOMENT},
    "BadResponseError": {"body": b"<html>", "http_status": 200, "path": "data.list[3]"},
    "RateLimitedError": {"retry_at": MOMENT},
    "QuotaExhaustedError": {"bucket": "points", "used": 5, "limit": 6, "resets_at": MOMENT},
    "WaitTooLongError": {"retry_at": MOMENT},
    "OutOfReachError": {"reachable": 6000, "total": 7000},
}
CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, CJError)]


def make(cls: type[CJError]) -> CJError:
    facts = {**(FACTS if issubclass(cls, APIError) else {"endpoint": "p/q"}), **NEEDED.get(cls.__name__, {})}
    error = cls("What happened.", **facts)
    error.cursor = CURSOR
    return error


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "through",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "deep", "pickle"],
)
def test_an_error_survives(cls: type[CJError], through: Any) -> None:
    error = make(cls)
    other = through(error)
    assert type(other) is cls
    assert other is not error
    assert other.args == error.args
    assert vars(other) == vars(error)
    assert str(other) == str(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_says_what_happened_and_where(cls: type[CJError]) -> None:
    error = make(cls)
    assert error.message == "What happened."
    assert str(error).startswith("What happened.")
    assert error.endpoint == "p/q"
    if isinstance(error, APIError):
        assert str(error) == "What happened. (code 1600200, HTTP 200, endpoint p/q, request abc)"
        assert error.points == PointsInfo(total=5)


def test_an_error_of_ours_mentions_no_facts_it_lacks() -> None:
    assert str(errors.ParameterError("size: must be 1 to 100")) == "size: must be 1 to 100"


def test_the_tree_is_the_one_that_is_drawn() -> None:
    drawn = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^([│ ├└─]*)(\w+Error)\b", line):
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            drawn[match[2]] = above[depth - 1] if depth else "Exception"
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


def test_all_are_public() -> None:
    assert {cls.__name__ for cls in CLASSES} <= set(cjasync.__all__)


def test_a_timeout_is_also_the_builtin() -> None:
    assert issubclass(errors.TimeoutError, builtins.TimeoutError)
    assert issubclass(errors.TimeoutError, asyncio.TimeoutError)


def test_every_code_leads_to_a_refusal() -> None:
    assert all(issubclass(cls, APIError) for cls in CODES.values())
