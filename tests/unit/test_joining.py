"""Parquet files joined without reading their rows: whatever their writer put into them, the usual readers agree."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cjasync.catalog.sinks.joining import join
from cjasync.catalog.sinks.thrift import BINARY, BYTE, DOUBLE, FALSE, I16, I32, I64, LIST, STRUCT, TRUE, Reader, written

numbers = st.integers(-(2**63), 2**63 - 1)
kinds = {
    TRUE: st.none(),
    FALSE: st.none(),
    BYTE: st.integers(0, 255),
    I16: numbers,
    I32: numbers,
    I64: numbers,
    DOUBLE: st.binary(min_size=8, max_size=8),
    BINARY: st.binary(max_size=20),
}
items = {**kinds, TRUE: st.integers(1, 2), FALSE: st.integers(1, 2)}


def field(of, lists):
    plain = st.sampled_from(sorted(of)).flatmap(lambda kind: st.tuples(st.just(kind), of[kind]))
    return plain | lists.map(lambda value: (LIST, value))


def lists(of):
    return st.sampled_from(sorted(of)).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(of[kind], max_size=20)))


structs = st.recursive(
    st.dictionaries(st.integers(1, 40), field(kinds, lists(items)), max_size=5),
    lambda inner: st.dictionaries(
        st.integers(1, 40), field({**kinds, STRUCT: inner}, lists({STRUCT: inner})), max_size=5
    ),
    max_leaves=5,
)


@given(fields=structs)
def test_any_struct_is_read_as_it_was_written(fields):
    assert Reader(written(fields)).struct() == fields


def table(first, count):
    names = [None if n % 7 == 0 else f"thing {n % 13} é" for n in range(first, first + count)]
    lists = [[f"{n}", "x"] if n % 3 else [] for n in range(first, first + count)]
    return pa.table({"n": range(first, first + count), "name": names, "tags": lists})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "none", "use_dictionary": False},
        {"row_group_size": 30, "write_page_index": True, "data_page_version": "2.0"},
        {"store_schema": False, "write_statistics": False, "data_page_size": 100},
    ],
    ids=lambda options: ", ".join(options),
)
def test_joined_files_read_as_one_table(tmp_path, options):
    tables = [table(first, 100) for first in range(0, 1_700, 100)]  # more groups than a short list has room for
    parts = []
    for number, each in enumerate([*tables, tables[0].slice(0, 0)]):
        parts.append(tmp_path / f"{number}.parquet")
        pq.write_table(each, parts[-1], **options)
    whole, expected = tmp_path / "whole.parquet", pa.concat_tables(tables)
    with whole.open("wb") as out:
        join(parts, out)
    assert pq.read_table(whole) == expected
    assert pq.read_table(whole, filters=[("n", ">=", 1_234)])["n"].to_pylist() == list(range(1_234, 1_700))
    assert duckdb.sql(f"SELECT * FROM read_parquet('{whole}')").to_arrow_table().to_pylist() == expected.to_pylist()
    found = pq.read_metadata(whole)
    assert found.num_rows == 1_700
    assert found.num_row_groups == sum(pq.read_metadata(part).num_row_groups for part in parts)
    assert found.created_by == pq.read_metadata(parts[0]).created_by
    assert pq.read_schema(whole) == expected.schema
