"""Result: what the answer to a question looks like."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec

import msgspec
from msgspec import Struct

from benchmarks.frame.machine import Machine, this_machine, versions
from benchmarks.frame.targets import Figure, Verdict, judge, targets_of

P = ParamSpec("P")

Cell = str | int | float | None


class Table(Struct, frozen=True):
    """Rows under columns; `note` says how to read it."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""


class Bar(Struct, frozen=True):
    """One line of a chart; `ours` is drawn in colour."""

    label: str
    value: float
    ours: bool = False


class Chart(Struct, frozen=True):
    """Bars of one unit; `target` is drawn as a line across them. less: shorter is better."""

    title: str
    unit: str
    bars: list[Bar]
    target: float | None = None
    less: bool = False


class Findings(Struct, kw_only=True):
    """What a question found; `question` makes a Result of it."""

    tables: list[Table] = msgspec.field(default_factory=list)
    charts: list[Chart] = msgspec.field(default_factory=list)
    figures: dict[str, Figure] = msgspec.field(default_factory=dict)
    notes: list[str] = msgspec.field(default_factory=list)


class Result(Struct, frozen=True, kw_only=True):
    """The answer to one question: tables and charts, the figures that targets are about, and their verdicts."""

    question: str
    asks: str
    date: datetime
    seconds: float
    machine: Machine
    versions: dict[str, str]
    verdicts: tuple[Verdict, ...]
    figures: dict[str, Figure]
    tables: list[Table]
    charts: list[Chart]
    notes: list[str]


def question(asks: str) -> Callable[[Callable[P, Findings]], Callable[P, Result]]:
    """Make a module's `run` return its findings as a Result: timed, judged, with machine and versions."""

    def decorate(run: Callable[P, Findings]) -> Callable[P, Result]:
        name = run.__module__.rpartition(".")[2]

        @functools.wraps(run)
        def answered(*args: P.args, **kwargs: P.kwargs) -> Result:
            machine, date, began = this_machine(), datetime.now(UTC).replace(microsecond=0), time.perf_counter()
            found = run(*args, **kwargs)
            result = Result(
                question=name,
                asks=asks,
                date=date,
                seconds=round(time.perf_counter() - began, 1),
                machine=machine,
                versions=versions(),
                verdicts=judge(targets_of(name), found.figures),
                figures=found.figures,
                tables=found.tables,
                charts=found.charts,
                notes=found.notes,
            )
            return msgspec.json.decode(msgspec.json.encode(result), type=Result)  # as it will be read, or not at all

        return answered

    return decorate
