"""Sinks: files that products are written to, chosen by suffix, crash-safe and resumable; and the protocol for your own.

===================== =============================================== ==================
suffix                what it is                                      needs
===================== =============================================== ==================
`.jsonl`              one JSON object a row
`.jsonl.gz`           the same, compressed
`.jsonl.zst`          the same                                        `parquet` or 3.14
`.csv`                texts in quotes, None empty
`.parquet`            row groups of some ten thousand rows, zstd      extra `parquet`
`.sqlite`             table `products`, kept up to date               -
`.duckdb`             table `products`, kept up to date               extra `duckdb`
===================== =============================================== ==================

The columns are the fields of the rows' model, the product's id first; a price or weight is two, `x_low` and `x_high`.
`fetched_at` follows in each file, `deleted_at` in the databases, `exact_numbers` (see `arrow`) in Parquet and DuckDB.
"""

from cjasync.catalog.sinks.columns import Column, Layout
from cjasync.catalog.sinks.files import SUFFIXES, check_path, hint_for, open_sink, read_rows
from cjasync.catalog.sinks.sink import Batch, FileSink, Sink, Written

__all__ = [
    "SUFFIXES",
    "Batch",
    "Column",
    "FileSink",
    "Layout",
    "Sink",
    "Written",
    "check_path",
    "hint_for",
    "open_sink",
    "read_rows",
]
