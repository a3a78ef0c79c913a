"""How the bytes of a file of lines are packed: as they are, by gzip or by zstd.

A compressed file is a row of members, each complete in itself, which every tool reads as one stream. So it can grow
by appending, be cut where a member ends, and be read at any time.
"""

from __future__ import annotations

import gzip
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from cjasync.errors import ConfigError

_MEMBER = 1 << 18  # bytes of lines: larger members are hardly smaller packed
_BUFFER = 1 << 20


class Packing(Struct, frozen=True):
    """One way to pack.

    pack: bytes to a member. opened: a file to read the lines of. least: bytes worth a member of their own.
    """

    pack: Callable[[bytes], bytes]
    opened: Callable[[Path], Any]
    least: int = _MEMBER


def packing_of(suffix: str) -> Packing:
    """What a file's last suffix asks for. ConfigError where that needs what is not installed."""
    match suffix:
        case ".gz":
            return GZIP
        case ".zst":
            return _zstd()
        case _:
            return PLAIN


def _plain(path: Path) -> Any:
    return path.open("rb", _BUFFER)


def _gzip(path: Path) -> Any:
    return gzip.open(path, "rb")


def _gzip_member(lines: bytes) -> bytes:
    return gzip.compress(lines, 6, mtime=0)


def _zstd() -> Packing:
    """Python's own from 3.14 on, else pyarrow's."""
    try:
        own = importlib.import_module("compression.zstd")
    except ImportError:
        pass
    else:
        return Packing(own.compress, own.open)
    try:
        arrow = importlib.import_module("pyarrow")
    except ImportError:
        raise ConfigError(".zst needs Python 3.14, or: pip install 'cjasync[parquet]'") from None

    def pack(lines: bytes) -> bytes:
        packed: bytes = arrow.compress(lines, "zstd", asbytes=True)
        return packed

    return Packing(pack, lambda path: io.BufferedReader(arrow.CompressedInputStream(str(path), "zstd")))


PLAIN = Packing(lambda lines: lines, _plain, 1)
GZIP = Packing(_gzip_member, _gzip)
