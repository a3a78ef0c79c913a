"""Sinks: rows a second into each kind of file, everything included, beside writers that only write."""

from __future__ import annotations

import asyncio
import csv
import importlib.util
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, question
from benchmarks.frame.bodies import LIST, bodies, pages
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.memory import peak
from benchmarks.frame.plain import envelope_of
from cjasync._decode import AnswerDecoder
from cjasync.catalog.sinks import Batch, open_sink
from cjasync.models._pages import ListData
from cjasync.models.product import ListedProduct

SUFFIXES = {  # and the package without which it is left out
    ".jsonl": None,
    ".jsonl.zst": "pyarrow",
    ".csv": None,
    ".sqlite": None,
    ".parquet": "pyarrow",
    ".duckdb": "duckdb",
}
COMMIT_EVERY = 50  # pages, as often as a fast walk commits
GROUP = 20_000  # rows that the bare writers of columns take at a time


@question("How many rows a second go into each kind of file, beside writers that only write?")
def run(list_pages: int = 120, repeats: int = 3) -> Findings:
    """list_pages: pages of 200 rows. repeats: of each; the median counts."""
    found = Findings()
    with bodies(list_pages=list_pages) as folder:
        told: dict[str, list[dict[str, float]]] = {}
        for _ in range(repeats):
            for suffix, needs in SUFFIXES.items():
                if needs is None or importlib.util.find_spec(needs):
                    told.setdefault(suffix, []).append(in_fresh_process(measure, str(folder), suffix))
            for name, (_, needs) in WRITERS.items():
                if needs is None or importlib.util.find_spec(needs):
                    told.setdefault(name, []).append(in_fresh_process(measure_bare, str(folder), name))
    _report(found, 200 * list_pages, {name: _median(runs) for name, runs in told.items()})
    return found


def measure(folder: str, suffix: str) -> dict[str, float]:
    """One file, page by page as they are decoded: CPU and wall seconds of decoding and of each step of writing."""
    # What a process loads for its first file is no matter of rows.
    asyncio.run(_measure(islice(pages(Path(folder)), 1), suffix))
    return asyncio.run(_measure(pages(Path(folder)), suffix))


async def _measure(answers: Iterable[bytes], suffix: str) -> dict[str, float]:
    decode = AnswerDecoder(ListData[ListedProduct]).decode
    spent = dict.fromkeys(("decode", "write", "commit", "finish", "wall"), 0.0)
    with tempfile.TemporaryDirectory(prefix="cjasync-bench-") as out:
        async with await open_sink(Path(out) / f"products{suffix}", ListedProduct) as sink:
            clock, wall = time.process_time, time.perf_counter
            for n, body in enumerate(answers, 1):
                began = clock()
                rows = decode(body)[1].rows
                decoded, at = clock(), wall()
                await sink.write(Batch(rows, datetime.now(UTC)))
                written = clock()
                if n % COMMIT_EVERY == 0:
                    await sink.commit(b"%d" % n)
                spent["decode"] += decoded - began
                spent["write"] += written - decoded
                spent["commit"] += clock() - written
                spent["wall"] += wall() - at
            began, at = clock(), wall()
            done = await sink.finish()
            spent["finish"] = clock() - began
            spent["wall"] += wall() - at
        assert done.rows == 200 * n, f"{done.rows} rows of {200 * n}"
        size = done.path.stat().st_size
    return {**spent, "rows": done.rows, "bytes": size / done.rows, "peak_mb": peak() / 2**20}


def measure_bare(folder: str, name: str) -> dict[str, float]:
    """The rows as plain Structs, decoded before, into one of the writers that only write."""
    decode = msgspec.json.Decoder(envelope_of(LIST)).decode
    rows = [row for body in pages(Path(folder)) for row in decode(body).data.rows]
    write, _ = WRITERS[name]
    with tempfile.TemporaryDirectory(prefix="cjasync-bench-") as out:
        path = Path(out) / "rows"
        write(rows[:200], Path(out) / "first")
        began, at = time.process_time(), time.perf_counter()
        write(rows, path)
        spent, wall = time.process_time() - began, time.perf_counter() - at
        return {"write": spent, "wall": wall, "rows": len(rows), "bytes": path.stat().st_size / len(rows)}


def _pages_of(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[n : n + size] for n in range(0, len(rows), size)]


def _msgspec_lines(rows: Sequence[Any], path: Path) -> None:
    encode = msgspec.json.Encoder().encode_lines
    with path.open("wb") as file:
        for page in _pages_of(rows, 200):
            file.write(encode(page))


def _json_lines(rows: Sequence[Any], path: Path) -> None:
    with path.open("w") as file:
        for row in rows:
            file.write(json.dumps(msgspec.structs.asdict(row)) + "\n")


def _cells(row: Any) -> list[Any]:
    return [json.dumps(cell) if isinstance(cell, list) else cell for cell in msgspec.structs.astuple(row)]


def _csv(rows: Sequence[Any], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0].__struct_fields__)
        writer.writerows(map(_cells, rows))


def _sqlite(rows: Sequence[Any], path: Path) -> None:
    names = rows[0].__struct_fields__
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE TABLE products ({', '.join(names)})")
        for page in _pages_of(rows, GROUP):
            db.executemany(f"INSERT INTO products VALUES ({', '.join('?' * len(names))})", map(_cells, page))
            db.commit()


def _table_of(rows: Sequence[Any]) -> Any:
    import pyarrow as pa

    columns = zip(*map(_cells, rows), strict=True)
    texts = [[None if cell is None else str(cell) for cell in column] for column in columns]
    return pa.table(dict(zip(rows[0].__struct_fields__, texts, strict=True)))


def _parquet(rows: Sequence[Any], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in rows[0].__struct_fields__])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for page in _pages_of(rows, GROUP):
            writer.write_table(_table_of(page).cast(schema))


def _duckdb(rows: Sequence[Any], path: Path) -> None:
    import duckdb

    with closing(duckdb.connect(str(path))) as db:
        db.execute(f"CREATE TABLE products ({', '.join(f'{name} VARCHAR' for name in rows[0].__struct_fields__)})")
        for page in _pages_of(rows, GROUP):
            db.register("page", _table_of(page))
            db.execute("INSERT INTO products SELECT * FROM page")


WRITERS: dict[str, tuple[Callable[[Sequence[Any], Path], None], str | None]] = {
    "JSON lines: msgspec encode_lines": (_msgspec_lines, None),
    "JSON lines: json.dumps": (_json_lines, None),
    "CSV: csv.writer": (_csv, None),
    "SQLite: executemany": (_sqlite, None),
    "Parquet: pyarrow, all texts": (_parquet, "pyarrow"),
    "DuckDB: from Arrow, all texts": (_duckdb, "duckdb"),
}
BARE = {
    ".jsonl": "JSON lines: msgspec encode_lines",
    ".csv": "CSV: csv.writer",
    ".sqlite": "SQLite: executemany",
    ".parquet": "Parquet: pyarrow, all texts",
    ".duckdb": "DuckDB: from Arrow, all texts",
}


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _report(found: Findings, rows: int, told: dict[str, dict[str, float]]) -> None:
    table: list[list[Any]] = []
    bars = []
    steps = ("write", "commit", "finish")
    for name, spent in told.items():
        cpu = sum(spent.get(step, 0.0) for step in steps)
        rate, wall = rows / cpu, rows / spent["wall"]
        ours = name in SUFFIXES
        label = f"cjasync {name}" if ours else name
        line: list[Any] = [label, round(rate / 1e3, 1), round(wall / 1e3, 1), round(spent["bytes"])]
        line += [round(spent[step] / rows * 1e6, 2) if step in spent else None for step in steps]
        line += [round(spent["decode"] / cpu, 2), round(spent["peak_mb"])] if ours else [None, None]
        table.append(line)
        bars.append(Bar(label, round(rate / 1e3, 1), ours))
        if name in BARE:
            found.figures[f"{name[1:]}_vs_bare"] = Figure(round(told[BARE[name]]["write"] / cpu, 3))
        if name == ".jsonl":
            found.figures["jsonl_vs_decode"] = Figure(round(spent["decode"] / cpu, 3))
        elif ours:
            found.figures[f"{name.rpartition('.')[2]}_rows"] = Figure(round(rate))
    columns = [
        "file",
        "krows per CPU s",
        "krows/s",
        "bytes a row",
        "µs write",
        "commit",
        "finish",
        "x decode",
        "peak MB",
    ]
    note = (
        "Ours read every price, time and list exactly, keep one row of each product, and commit durably every "
        f"{COMMIT_EVERY} pages; the others write what came, once. Times are CPU a row, after a first small file."
    )
    found.tables.append(Table(f"{rows:,} rows of product/list into a file", columns, table, note))
    found.charts.append(Chart("Thousand rows per CPU second into a file", "krows/s", bars, 100.0))
