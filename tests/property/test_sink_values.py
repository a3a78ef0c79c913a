"""Whatever a row holds comes back from every format; of repeated rows the newest stays, as in a plain dict."""

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cjasync.catalog.sinks import Batch, open_sink, read_rows
from cjasync.catalog.sinks import newest as newest_module
from cjasync.catalog.sinks.cells import json_text
from cjasync.catalog.sinks.newest import WrittenKeys
from cjasync.catalog.sinks.texts import json_lists
from cjasync.models._values import read_texts
from tests.sink_rows import FILES, NOON, Thing, decoded, decoded_page, expected, held_in

SIMPLE = [name for name in FILES if name != "t.jsonl.gz" and name != "t.jsonl.zst"]  # both hold what .jsonl holds

texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=20) | st.sampled_from(['"', "\0", ",\n", "[1]", "null"])
digits = st.text("0123456789", min_size=1, max_size=40)
numbers = (
    st.integers(-(2**63), 2**63 - 1)
    | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**11), max_value=10**11).map(str)
    | st.builds("{}.{}".format, digits, digits)
    | st.floats(-1e6, 1e6, allow_nan=False)
)
amounts = st.integers(0, 10**9) | st.builds("{}.{}".format, digits, digits)
short = st.builds("{}.{}".format, st.integers(0, 99), st.text("0123456789", min_size=1, max_size=3))
spans = (
    amounts
    | amounts.map(lambda low: f"{low} -- 9{'9' * 40}")
    | st.builds("{} -- {}".format, short, short)
    | st.floats(0, 1e6, allow_nan=False).map(lambda amount: round(amount, 2))
    | st.just("")
)
# What looks like a list of texts as JSON, and may be none.
nearly_lists = st.lists(st.sampled_from(['["', '"]', '","', '"', ",", "[", "]", "a", "\u540d", "\n", "\\", " "])).map(
    "".join
)
times = (
    st.integers(0, 9_999_999_999_999)
    | st.integers(0, 4_000_000_000).map(lambda seconds: (NOON + timedelta(seconds=seconds)).isoformat())
    | st.just("")
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e9, 1e9, allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
parts = st.fixed_dictionaries({"vid": st.integers(0, 10**18) | st.just("v")}, optional={"price": spans, "made": times})
fields = st.fixed_dictionaries(
    {},
    optional={
        "name": texts,
        "productImage": texts | st.none(),
        "bigImage": texts | st.none(),
        "code": st.integers(0, 2**63 - 1) | texts,
        "count": st.integers(-(2**63), 2**63 - 1),
        "isNew": st.booleans() | st.sampled_from([0, 1, "0", "1"]),
        "isNue": st.booleans() | st.none(),
        "rate": numbers,
        "sellPrice": spans,
        "weight": spans,
        "createTime": times,
        "tags": st.lists(texts, max_size=3) | texts,
        "lengths": st.lists(amounts, max_size=3),
        "extra": json_values,
        "parts": st.lists(parts, max_size=2),
        "first": parts,
    },
)


async def write(path, *batches):
    async with await open_sink(path, Thing) as sink:
        for rows in batches:
            await sink.write(rows)
        return await sink.finish()


@given(st.lists(nearly_lists | texts | st.lists(texts, max_size=3).map(json_text), max_size=5))
@example(['["]'])
@example(['["a"]\n["b"]', '["c'])
@example(['[","x"y"]'])
def test_a_list_inside_a_text_is_written_as_if_it_had_been_taken_apart(column):
    assert list(json_lists(column)) == [json_text(read_texts(raw)) for raw in column]


@pytest.mark.parametrize("name", SIMPLE)
@settings(deadline=None, max_examples=15)
@given(rows=st.lists(fields, min_size=1, max_size=5))
def test_every_value_comes_back(name, rows):
    things = decoded_page(*({"pid": str(index), **row} for index, row in enumerate(rows)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        asyncio.run(write(path, Batch(things, NOON)))
        assert held_in(path) == expected(things)


pids = st.sampled_from(["a", "b", "c", "ä", 'quo"te', "comma,", "line\nfeed"])


@pytest.mark.parametrize("name", SIMPLE)
@settings(deadline=None, max_examples=10)
@given(fetches=st.lists(st.tuples(st.integers(0, 3), st.lists(pids, min_size=1, max_size=4)), min_size=1, max_size=6))
def test_of_repeated_rows_the_newest_stays(name, fetches):
    counter = itertools.count()
    kept = {}
    batches = []
    for minute, keys in fetches:
        rows = [decoded(pid=key, count=next(counter)) for key in keys]
        batches.append(Batch(rows, NOON + timedelta(minutes=minute)))
        for row in rows:
            if row.pid not in kept or kept[row.pid][0] <= minute:
                kept[row.pid] = minute, row.count
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        written = asyncio.run(write(path, *batches))
        rows = list(read_rows(path, Thing))
    assert {row["pid"]: row["count"] for row in rows} == {key: count for key, (_, count) in kept.items()}
    assert written.rows == len(rows) == len(kept)
    assert written.repeated == sum(len(keys) for _, keys in fetches) - len(kept)


@settings(deadline=None, max_examples=100)
@given(
    heads=st.lists(st.tuples(st.text("abcdef", max_size=2), st.integers(0, 3))),
    at_once=st.integers(1, 5),
    earlier=st.integers(0, 5),
)
def test_superseded_rows_are_found_a_few_hashes_at_a_time_and_among_those_of_earlier_runs(heads, at_once, earlier):
    kept = {}
    for index, (key, time) in enumerate(heads):
        if key not in kept or heads[kept[key]][1] <= time:
            kept[key] = index
    keys = WrittenKeys()
    keys.add(key for key, _ in heads[earlier:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(newest_module, "_AT_ONCE", at_once)
        dropped = keys.superseded(len(heads), lambda: heads)
    stays = list(range(len(heads))) if dropped is None else [index for index, gone in enumerate(dropped) if not gone]
    assert stays == sorted(kept.values())
    assert (dropped is None) == (len(kept) == len(heads))


class Clash(str):
    """Keys that differ and have the same hash."""

    __slots__ = ()

    def __hash__(self):
        return 7


def test_two_keys_with_one_hash_are_told_apart():
    heads = [(Clash("a"), 1), (Clash("b"), 1), (Clash("a"), 2), (Clash("c"), 1)]
    keys = WrittenKeys()
    keys.add(key for key, _ in heads)
    assert keys.superseded(4, lambda: heads) == bytearray([1, 0, 0, 0])
