"""Results as text: aligned for a terminal, Markdown for a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from benchmarks.frame.machine import Machine
from benchmarks.frame.result import Cell, Result, Table
from benchmarks.frame.targets import Verdict

_SIGNS = {"met": "met", "missed": "MISSED", "unsteady": "not judged: too much noise", "unmeasured": "NOT MEASURED"}


def terminal(result: Result) -> str:
    """Everything, to be read on a terminal."""
    parts = [f"{result.question}: {result.asks}  ({result.seconds:.0f} s)"]
    for table in result.tables:
        parts += ["", table.title, *_aligned(table)]
        if table.note:
            parts.append(f"  {table.note}")
    if result.verdicts:
        parts += ["", "Targets", *_aligned(verdicts_of(result.verdicts))]
    parts += [f"Note: {note}" for note in result.notes]
    return "\n".join(parts) + "\n"


def page(results: Iterable[Result]) -> str:
    """A Markdown page of several results, with their pictures beside it."""
    results = list(results)
    first, last = results[0], max(result.date for result in results)
    parts = [
        "# Results",
        f"Measured on {last:%Y-%m-%d} by `scripts/bench`. Only ratios within one table can be compared.",
        f"{described(first.machine)} The whole took {minutes(results):.0f} minutes.",
        ", ".join(f"{name} {version}" for name, version in first.versions.items()) + ".",
        "![The main figures](overview.svg)",
        "## Targets",
        *_markdown(_all_verdicts(results)),
    ]
    for result in results:
        parts.append(f"## {result.question}")
        parts.append(
            f"{result.asks} ({result.date:%Y-%m-%d %H:%M} UTC, {result.seconds:.0f} s, load {result.machine.load:g})"
        )
        if result.charts:
            parts.append(f"![{result.asks}]({result.question}.svg)")
        for table in result.tables:
            parts += [f"**{table.title}**", *_markdown(table)]
            if table.note:
                parts.append(table.note)
        parts += result.notes
    return "\n\n".join(parts) + "\n"


def summary(results: Iterable[Result], failed: Iterable[str]) -> str:
    """What became of all of them, in a few lines."""
    results = list(results)
    outcomes = Counter(verdict.outcome for result in results for verdict in result.verdicts)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    lines = [f"{minutes(results):.1f} minutes. Targets: {counts or 'none'}."]
    lines += [
        f"  {_SIGNS[verdict.outcome]}: {result.question}, {verdict.says}: {shown(verdict.value)}, {verdict.bound}"
        for result in results
        for verdict in result.verdicts
        if verdict.outcome in ("missed", "unsteady", "unmeasured")
    ]
    return "\n".join([*lines, *(f"  FAILED: {name}, see above" for name in failed)])


def minutes(results: Iterable[Result]) -> float:
    """How long all of them took; what several took at the same time counts once."""
    total = until = 0.0
    for began, seconds in sorted((result.date.timestamp(), result.seconds) for result in results):
        total += max(0.0, began + seconds - max(began, until))
        until = max(until, began + seconds)
    return total / 60


def described(machine: Machine) -> str:
    """The machine in a sentence."""
    return f"{machine.processor}, {machine.cores} cores, {machine.memory_gb:g} GB, {machine.system}, {machine.python}."


def verdicts_of(verdicts: Iterable[Verdict]) -> Table:
    """Verdicts as a table."""
    rows: list[list[Cell]] = [
        [verdict.says, verdict.bound, verdict.value, _SIGNS.get(verdict.outcome, verdict.outcome)]
        for verdict in verdicts
    ]
    return Table("Targets", ["what", "target", "measured", ""], rows)


def _all_verdicts(results: list[Result]) -> Table:
    rows = [[result.question, *row] for result in results for row in verdicts_of(result.verdicts).rows]
    return Table("Targets", ["question", "what", "target", "measured", ""], rows)


def shown(cell: Cell) -> str:
    """A cell as people read it."""
    if cell is None:
        return "-"
    if isinstance(cell, bool | str):
        return str(cell)
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{cell:,.0f}"
    return f"{cell:.4g}" if abs(cell) < 10 else f"{cell:.1f}"


def _aligned(table: Table) -> list[str]:
    cells = [table.columns, *([shown(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [
        all(not isinstance(row[n], str) for row in table.rows) and bool(table.rows) for n in range(len(table.columns))
    ]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  " + "  ".join(padded).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return lines


def _markdown(table: Table) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rows = [line(table.columns), line("---" for _ in table.columns)]
    return ["\n".join([*rows, *(line(shown(cell).replace("|", "\\|") for cell in row) for row in table.rows)])]
