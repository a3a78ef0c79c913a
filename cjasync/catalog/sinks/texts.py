"""Columns of lists of texts, which CJ sends as JSON lists, or as texts that hold one, or as a single text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import msgspec

from cjasync.catalog.sinks.cells import json_lines
from cjasync.models._values import read_texts

_first = itemgetter(0)
_TEXT_LISTS = msgspec.json.Decoder(list[str])
_ESCAPED = re.compile(r"[\x00-\x09\x0b-\x1f\\]")  # but for the line feed, what stands for itself in no text of JSON


def text_lists(column: Sequence[Any]) -> Sequence[Sequence[str]]:
    """As lists."""
    kinds = set(map(type, column))
    if kinds == {list}:
        return column
    packed = [raw for raw in column if raw and raw[0] == "[" and type(raw) is str] if str in kinds else []
    try:
        # Each of these begins a line with a bracket: there are as many lists as texts only if each text holds one.
        unpacked = _TEXT_LISTS.decode_lines("\n".join(packed))
    except msgspec.DecodeError:
        unpacked = []
    if len(unpacked) != len(packed):
        return list(map(read_texts, column))
    following = iter(unpacked)
    return [next(following) if raw and raw[0] == "[" and type(raw) is str else read_texts(raw) for raw in column]


def json_lists(column: Sequence[Any]) -> Sequence[str]:
    """As JSON. What holds a list and would be written the same is not taken to pieces first."""
    if set(map(type, column)) == {str} and all(column):
        heads = list(map(_first, column))
        if _are_plain_lists([raw for raw, head in zip(column, heads, strict=True) if head == "["]):
            others = [read_texts(raw) for raw, head in zip(column, heads, strict=True) if head != "["]
            written = iter(_written(others))
            return [raw if head == "[" else next(written) for raw, head in zip(column, heads, strict=True)]
    return _written(text_lists(column))


def _written(lists: Sequence[Sequence[str]]) -> Sequence[str]:
    return json_lines(lists).decode().split("\n")[:-1]


def _are_plain_lists(texts: Sequence[str]) -> bool:
    r"""Whether each is `["text","text"]`, with nothing escaped in it and no space outside of its texts."""
    if not texts:
        return True
    joined = "\n".join(texts)
    inside = joined[2:-2]
    ends = len(texts) - 1
    return (
        joined.startswith('["')
        and joined.endswith('"]', 2)
        # Each line feed stands between two lists, and each quote around one of their texts.
        and joined.count("\n") == inside.count('"]\n["') == ends
        and inside.count('"') == 2 * (ends + inside.replace('"]\n["', "\n").count('","'))
        and _ESCAPED.search(joined) is None
    )
