"""Decoding alone: clean pages, pages with rows that cannot be read, and what rows cost to hold."""

from __future__ import annotations

import gc
import importlib
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, question
from benchmarks.frame.bodies import LIST, SEARCH, bodies, pages
from benchmarks.frame.compare import COPY, Comparison, compare
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.memory import resident
from benchmarks.frame.plain import envelope_of, pydantic_of
from cjasync._decode import AnswerDecoder
from cjasync._envelope import Envelope
from cjasync.models import ValuePool
from cjasync.models._pages import ListData, SearchData
from cjasync.models.product import ListedProduct, SearchProduct

SAME, PLAIN = "msgspec in one pass, our Structs", "msgspec in one pass, plain Structs"
OURS, READ, POOLED = "cjasync", "cjasync, then every field read", "cjasync, in a ValuePool"
ANSWERS: dict[str, tuple[str, str, Any, Any]] = {
    "list": (LIST, "product/list, 200 rows", ListData[ListedProduct], ListedProduct),
    "search": (SEARCH, "product/listV2, 100 rows", SearchData[SearchProduct], SearchProduct),
}
# What makes a row of product/list unreadable: the decoder sees some at once, others only a look at the column finds.
SPOILT: dict[str, Callable[[int], dict[str, Any]]] = {
    "an object for a text": lambda n: {"productSku": {"unexpected": [n]}},
    "a price that is none": lambda n: {"sellPrice": f"ask us {n}"},
    "no id": lambda n: {"pid": None},
}
SHARES = {"1 of 200": 1, "10 %": 20, "half": 100, "all": 200}
HELD_PAGES = 250
WARM = 3  # pages in a row, so that what others left in the caches hardly counts


@question("What does decoding cost, clean pages and spoilt ones, and what do rows cost to hold?")
def run(rounds: int = 60, seconds: float = 15.0, held_pages: int = HELD_PAGES) -> Findings:
    """rounds: of each comparison. seconds: the most that each may take. held_pages: of 200 rows, for the memory."""
    found = Findings()
    with bodies(list_pages=held_pages) as folder:
        for short in ANSWERS:
            told = in_fresh_process(measure, str(folder), short, rounds, seconds)
            _report(found, short, msgspec.convert(told, Comparison))
        told = in_fresh_process(measure_spoilt, str(folder), rounds, seconds)
        _report_spoilt(found, msgspec.convert(told, Comparison))
        _report_memory(found, folder)
    return found


def measure(folder: str, short: str, rounds: int, seconds: float) -> Any:
    """Compare the ways to decode one clean page."""
    path, _, answer, model = ANSWERS[short]
    body = next(pages(Path(folder), path))
    ours = AnswerDecoder(answer)
    _, page = ours.decode(body)
    assert not page.skipped, "the sandbox's page is not clean"
    same = msgspec.json.Decoder(Envelope[answer], strict=False, float_hook=Decimal)
    plain = msgspec.json.Decoder(envelope_of(path))
    names = list(model.__model_fields__)
    pool = ValuePool()

    def read_all() -> None:
        for row in ours.decode(body)[1].rows:
            for name in names:
                getattr(row, name)

    ways: dict[str, Callable[[], object]] = {
        SAME: lambda: same.decode(body),
        PLAIN: lambda: plain.decode(body),
        OURS: lambda: ours.decode(body),
        READ: read_all,
        POOLED: lambda: pool.share(ours.decode(body)[1].rows),
        "json": lambda: json.loads(body),
    }
    if orjson := _optional("orjson"):
        ways["orjson"] = lambda: orjson.loads(body)
    if _optional("pydantic"):
        validate = pydantic_of(path).model_validate_json
        ways["pydantic"] = lambda: validate(body)
    return msgspec.to_builtins(compare(ways, rounds=rounds, seconds=seconds, calls=WARM))


def measure_spoilt(folder: str, rounds: int, seconds: float) -> Any:
    """Compare pages with ever more unreadable rows to the clean one. Every good row must come out of each."""
    clean = next(pages(Path(folder)))
    ours = AnswerDecoder(ListData[ListedProduct])
    ways: dict[str, Callable[[], object]] = {"clean": lambda: ours.decode(clean)}
    for kind, fields in SPOILT.items():
        for share, count in SHARES.items():
            body = spoil(clean, count, fields)
            _, page = ours.decode(body)
            assert (len(page.rows), len(page.skipped)) == (200 - count, count), f"{kind}, {share}: a row was lost"
            ways[f"{kind}, {share}"] = lambda body=body: ours.decode(body)
    return msgspec.to_builtins(compare(ways, rounds=rounds, seconds=seconds, calls=WARM))


def spoil(body: bytes, count: int, fields: Callable[[int], dict[str, Any]]) -> bytes:
    """The page with so many rows made unreadable, evenly spread, the last one among them."""
    page = msgspec.json.decode(body)
    rows = page["data"]["list"]
    for n in range(count):
        rows[-1 - n * len(rows) // count] |= fields(n)
    return msgspec.json.encode(page)


def held(folder: str, way: str) -> list[int]:
    """Bytes of memory that all rows of the folder take, decoded in one way; and the rows."""
    every = list(pages(Path(folder)))
    decode = _holders()[way]
    decode(every[0])
    gc.collect()
    before = resident()
    kept = [decode(body) for body in every]
    return [resident() - before, sum(map(len, kept))]


def _holders() -> dict[str, Callable[[bytes], Any]]:
    ours = AnswerDecoder(ListData[ListedProduct])
    plain = msgspec.json.Decoder(envelope_of(LIST))
    pool = ValuePool()
    ways: dict[str, Callable[[bytes], Any]] = {
        POOLED: lambda body: pool.share(ours.decode(body)[1].rows),
        OURS: lambda body: ours.decode(body)[1].rows,
        PLAIN: lambda body: plain.decode(body).data.rows,
        "json": lambda body: json.loads(body)["data"]["list"],
    }
    if orjson := _optional("orjson"):
        ways["orjson"] = lambda body: orjson.loads(body)["data"]["list"]
    if _optional("pydantic"):
        validate = pydantic_of(LIST).model_validate_json
        ways["pydantic"] = lambda body: validate(body).data.rows
    return ways


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _report(found: Findings, short: str, comparison: Comparison) -> None:
    _, says, _, _ = ANSWERS[short]
    ratios = {name: comparison.ratio(name) for name in comparison.samples}
    rows = [[name, round(comparison.cpu(name) * 1e6, 1), round(ratio, 3)] for name, ratio in ratios.items()]
    found.tables.append(Table(f"{says}, clean", ["way", "µs", "x one pass"], rows))
    found.figures[f"{short}_vs_same"] = comparison.figure(OURS)
    found.figures[f"{short}_vs_plain"] = comparison.figure(OURS, PLAIN)
    found.figures[f"{short}_vs_json"] = comparison.figure(OURS, "json")
    bars = [
        Bar(name, round(comparison.ratio(name), 2), name == OURS) for name in comparison.samples if COPY not in name
    ]
    found.charts.append(Chart(f"Decoding {says}: pages per CPU second, one pass of msgspec = 1", "x", bars, 0.9))


def _report_spoilt(found: Findings, comparison: Comparison) -> None:
    times = {name: 1 / comparison.ratio(name) for name in comparison.samples if COPY not in name}
    rows = [[kind, *(round(times[f"{kind}, {share}"], 2) for share in SHARES)] for kind in SPOILT]
    note = "Every good row was delivered and every bad one reported."
    found.tables.append(
        Table("Pages with rows that cannot be read: time, clean = 1", ["row with", *SHARES], rows, note)
    )
    found.figures["spoilt_vs_clean"] = Figure(round(max(times.values()), 3), round(comparison.copy, 4))
    bars = [Bar(name, round(time, 2), name != "clean") for name, time in times.items()]
    found.charts.append(Chart("200 rows, some unreadable: time beside a clean page", "x", bars, 2.5, less=True))


def _report_memory(found: Findings, folder: Path) -> None:
    every = list(pages(folder))
    size = sum(map(len, every)) / (200 * len(every))
    rows: list[list[Any]] = []
    for way in _holders():
        taken, count = in_fresh_process(held, str(folder), way)
        rows.append([way, round(taken / count), round(taken / count / size, 2)])
    title = f"{200 * len(every):,} rows of product/list held: bytes a row"
    found.tables.append(
        Table(title, ["way", "bytes a row", "x JSON"], rows, f"The JSON itself: {size:.0f} bytes a row.")
    )
    found.figures["bytes_per_row"] = Figure(rows[0][1])
    found.charts.append(
        Chart(title, "bytes", [Bar(row[0], row[1], row[0] in (OURS, POOLED)) for row in rows], 900, less=True)
    )
