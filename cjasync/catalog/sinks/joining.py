"""Several Parquet files of one schema as one: their row groups are copied as they are, and only described anew.

Reading rows and writing them again would take longer than writing them did, and a row group's memory, twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from cjasync.catalog.sinks.thrift import I16, I64, LIST, STRUCT, Fields, Reader, written

_MAGIC = b"PAR1"
_PIECE = 1 << 20  # bytes that are copied at once
_LENGTH = 4  # bytes that say how long the description is
# The ids of fields in parquet.thrift.
_NUM_ROWS, _ROW_GROUPS = 3, 4  # of FileMetaData
_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _ORDINAL = 1, 3, 5, 7  # of RowGroup
_CHUNK_OFFSET, _META_DATA, _OFFSET_INDEX, _COLUMN_INDEX = 2, 3, 4, 6  # of ColumnChunk
_DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE, _BLOOM_FILTER = 9, 10, 11, 14  # of ColumnMetaData


def join(parts: Iterable[Path], out: BinaryIO) -> None:
    """Write one Parquet file with the rows of all, of which there is at least one."""
    out.write(_MAGIC)
    description: Fields = {}
    rows = 0
    groups: list[bytes] = []  # their descriptions, which as values would take tens of megabytes
    for part in parts:
        with part.open("rb") as file:
            end, found = _description(file)
            moved = out.tell() - len(_MAGIC)
            file.seek(len(_MAGIC))
            _copy(file, end - len(_MAGIC), out)
        for group in found[_ROW_GROUPS][1][1]:
            _move(group, moved)
            if _ORDINAL in group:
                group[_ORDINAL] = I16, len(groups)
            rows += group[_GROUP_ROWS][1]
            groups.append(written(group))
        description = description or found
    description[_NUM_ROWS] = I64, rows
    description[_ROW_GROUPS] = LIST, (STRUCT, groups)
    footer = written(description)
    out.write(footer + len(footer).to_bytes(_LENGTH, "little") + _MAGIC)


def _description(file: BinaryIO) -> tuple[int, Fields]:
    """Where the row groups end, and what follows them."""
    tail = _LENGTH + len(_MAGIC)
    size = file.seek(-tail, os.SEEK_END) + tail
    length = int.from_bytes(file.read(_LENGTH), "little")
    end = file.seek(size - tail - length)
    return end, Reader(file.read(length)).struct()


def _copy(file: BinaryIO, count: int, out: BinaryIO) -> None:
    """That many bytes."""
    left = count
    while left:
        piece = file.read(min(left, _PIECE))
        out.write(piece)
        left -= len(piece)


def _move(group: Fields, by: int) -> None:
    """Let a row group lie so many bytes further on."""
    _shift(group, by, _GROUP_OFFSET)
    for chunk in group[_COLUMNS][1][1]:
        _shift(chunk, by, _CHUNK_OFFSET, _OFFSET_INDEX, _COLUMN_INDEX)
        _shift(chunk[_META_DATA][1], by, _DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE, _BLOOM_FILTER)


def _shift(fields: Fields, by: int, *places: int) -> None:
    for place in places:
        if place in fields and fields[place][1]:  # 0 where the writer does not say
            fields[place] = I64, fields[place][1] + by
