"""What is written in files whose bytes do not show it: compressed lines, columns, cells."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

_PIECE = 1 << 16


def inside(path: Path, content: bytes) -> bytes:
    """The text in a packed file, as far as its format can be read; nothing for all other files.

    Tests leave files that are cut short or damaged. What nobody can read any more is left out.
    """
    return b"".join(text for start, reader in _READERS.items() if start in content[:16] for text in reader(path))


def _gzip(path: Path) -> Iterator[bytes]:
    rest = path.read_bytes()
    with suppress(zlib.error):
        while rest:
            member = zlib.decompressobj(wbits=31)
            yield member.decompress(rest)
            rest = member.unused_data


def _zstd(path: Path) -> Iterator[bytes]:
    with suppress(OSError), pa.CompressedInputStream(str(path), "zstd") as file:
        while piece := file.read(_PIECE):
            yield piece


def _parquet(path: Path) -> Iterator[bytes]:
    with suppress(pa.ArrowException, OSError), pa.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield repr(batch.to_pydict()).encode()


def _sqlite(path: Path) -> Iterator[bytes]:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.text_factory = bytes
        yield from _rows_of_all(db, "SELECT name FROM sqlite_schema WHERE type = 'table'")


def _duckdb(path: Path) -> Iterator[bytes]:
    with suppress(duckdb.Error), closing(duckdb.connect(path, read_only=True)) as db:
        yield from _rows_of_all(db, "SELECT table_name FROM duckdb_tables()")


def _rows_of_all(db: Any, tables: str) -> Iterator[bytes]:
    for (name,) in db.execute(tables).fetchall():
        table = name.decode() if isinstance(name, bytes) else name
        yield repr(db.execute(f'SELECT * FROM "{table}"').fetchall()).encode()


_READERS: dict[bytes, Callable[[Path], Iterator[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"PAR1": _parquet,
    b"SQLite format 3\0": _sqlite,
    b"DUCK": _duckdb,
}
