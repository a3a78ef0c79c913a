"""Which format a file's suffix means, and opening it to write and to read."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from cjasync.catalog.sinks.columns import Layout
from cjasync.catalog.sinks.sink import FileSink
from cjasync.errors import ConfigError
from cjasync.models._model import Model


class _Format(Struct, frozen=True):
    """hint: how a partial file is opened, where that is not plain."""

    module: str
    sink: str
    extra: str | None = None
    hint: str = ""


_FORMATS = {
    ".jsonl": _Format("jsonl", "JsonLinesSink"),
    ".jsonl.gz": _Format("jsonl", "JsonLinesSink", hint="It is gzip, as the final file will be: gzip -dc < {}"),
    ".jsonl.zst": _Format("jsonl", "JsonLinesSink", hint="It is zstd, as the final file will be: zstd -dc < {}"),
    ".csv": _Format("csv", "CsvSink"),
    ".parquet": _Format(
        "parquet",
        "ParquetSink",
        "parquet",
        "It is a folder of Parquet files, to pandas.read_parquet one table.",
    ),
    ".sqlite": _Format("sqlite", "SqliteSink", hint="It is a database, as the final file will be: sqlite3 {}"),
    ".duckdb": _Format("duckdb", "DuckdbSink", "duckdb", "It is a database, as the final file will be: duckdb {}"),
}

SUFFIXES = tuple(_FORMATS)
"""What a file's name may end with."""


async def open_sink(path: Path | str, model: type[Model], *, question: str = "", fresh: bool = False) -> FileSink:
    """Open a file for rows of one model; its format is its suffix.

    question: names what is being asked. A partial file of the same question is continued (`.token` is then the last
        committed one), that of another is refused with `CheckpointError`.
    fresh: throw an earlier partial file away; a finished file is then replaced, where a database would be updated.

    Before anything is fetched, `ConfigError` says what cannot be meant (an unknown suffix, a missing extra, a folder
    that does not exist, a database of something else), and `OutputError` what cannot be written.
    """
    path = Path(path)
    check_path(path)
    module, form = _module_of(path)
    sink: FileSink = getattr(module, form.sink)(path, Layout(model), question)
    await sink.open(fresh=fresh)
    return sink


def check_path(path: Path) -> None:
    """ConfigError for what cannot be the name of a file to open: its suffix, an extra, or where it would be."""
    _module_of(path)
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist; create it first")


def hint_for(path: Path | str, partial: Path) -> str:
    """How people open the partial file of `path`; empty where its format says that already."""
    return _format_of(Path(path)).hint.format(shlex.quote(str(partial)))


def read_rows(path: Path | str, model: type[Model]) -> Iterator[dict[str, Any]]:
    """The rows of a finished file, column names to exact values, as `Layout.values` gives them for the model's rows.

    Also `fetched_at`, and `deleted_at` in databases, both in UTC.
    """
    module, _ = _module_of(Path(path))
    rows: Iterator[dict[str, Any]] = module.read(Path(path), Layout(model))
    return rows


def _format_of(path: Path) -> _Format:
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.endswith(suffix):
            return _FORMATS[suffix]
    raise ConfigError(f"{path}: the suffix says the format; use one of {', '.join(SUFFIXES)}")


def _module_of(path: Path) -> tuple[Any, _Format]:
    form = _format_of(path)
    try:
        return importlib.import_module(f"cjasync.catalog.sinks.{form.module}"), form
    except ImportError as error:
        raise ConfigError(f"{path.name} needs the package {error.name}: pip install 'cjasync[{form.extra}]'") from None
