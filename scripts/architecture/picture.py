"""Draws the rooms, their modules and the arrows between them as an SVG that reads well on light and dark pages."""

from collections.abc import Iterator
from graphlib import CycleError
from html import escape
from itertools import pairwise
from math import ceil, fsum
from pathlib import Path

from scripts.architecture import plan
from scripts.architecture.imports import Module, arrows
from scripts.architecture.layout import Box, Edge, Point, arrange, reduced, rows_of
from scripts.architecture.rules import Violation

_CHARACTER, _LINE, _PAD, _TITLE = 7.3, 16, 12, 24  # a monospaced character, a line of text, a box's margin, its title
_MOST_ROWS = 6  # of module names in a box before a new column begins
_LEFT, _MARGIN, _FOOT = 150, 24, 40

_STYLE = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #3d4754 }
.room { font-weight: bold; font-size: 13px; fill: #10151c }
.floor { font-family: system-ui, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #5b6675 }
.page { fill: #ffffff } .band { fill: #f1f4f8 } .box { fill: #ffffff; stroke: #7d8a9a }
.arrow { fill: none; stroke: #2f6fb3; stroke-width: 1.5 } .head { fill: #2f6fb3 }
@media (prefers-color-scheme: dark) {
  text { fill: #b4bfcc } .room { fill: #f0f4f8 } .floor { fill: #93a0b0 }
  .page { fill: #10151c } .band { fill: #1a212b } .box { fill: #232c38; stroke: #65758a }
  .arrow { stroke: #6fb1f5 } .head { fill: #6fb1f5 }
}
"""
_HEAD = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="head" d="M0 0 8 4 0 8z"/></marker>'
)


def draw(modules: dict[str, Module]) -> str:
    """The SVG. Arrows to the ground floor, and arrows that a longer way says already, are left out."""
    rooms: dict[str, list[str]] = {}
    for module in modules.values():
        inside = module.name.removeprefix(f"{plan.PACKAGE}.").removeprefix(module.room).removeprefix(".")
        rooms.setdefault(module.room, []).extend([inside] if inside else [])
    floors = [(floor.name, here) for floor in plan.FLOORS if (here := [r for r in floor.rooms if r in rooms])]
    shown = {room for _, here in floors[:-1] for room in here}
    found = {(a.room, b.room) for a, b, _ in arrows(modules) if a.room != b.room}
    edges = [edge for edge in reduced(found) if shown.issuperset(edge)]

    rows: list[list[str]] = []
    spans: list[tuple[str, int, int]] = []
    for name, here in floors:
        more = rows_of(here, edges)
        spans.append((name, len(rows), len(rows) + len(more) - 1))
        rows += more
    layout = arrange(rows, edges, {room: _size(room, rooms[room]) for row in rows for room in row})

    width = _LEFT + layout.width + 2 * _MARGIN
    height = layout.height + 2 * _MARGIN + _FOOT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>What imports what in {plan.PACKAGE}</title>",
        f"<style>{_STYLE}</style><defs>{_HEAD}</defs>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}" rx="8"/>',
    ]
    for name, first, last in spans:
        top, bottom = layout.rows[first], layout.rows[last]
        parts += _band(name, top.y, bottom.y + bottom.height, width)
    parts.append(f'<g transform="translate({_LEFT + _MARGIN} {_MARGIN})">')
    parts += [_arrow(edge, points) for edge, points in sorted(layout.routes.items())]
    for room, box in sorted(layout.boxes.items()):
        parts += _box(room, sorted(rooms[room]), box)
    note = (
        "Arrows point to what is imported. Left out: arrows to the ground floor, and those that a longer way implies."
    )
    parts += ["</g>", f'<text class="floor" x="{_MARGIN}" y="{height - _MARGIN:.0f}">{note}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def picture_is_fresh(modules: dict[str, Module], path: Path) -> Iterator[Violation]:
    """The picture shows the code as it is."""
    try:
        fresh = draw(modules)
    except CycleError:
        return  # no picture of a circle; the circle itself is reported
    if not path.exists() or path.read_text("utf-8") != fresh:
        remedy = "Run: .venv/bin/python -m scripts.architecture --picture docs/architecture.svg"
        yield Violation(path, 1, "the picture does not show the imports as they are", remedy)


def _columns(names: list[str]) -> list[list[str]]:
    count = ceil(len(names) / _MOST_ROWS)
    rows = ceil(len(names) / count) if count else 0
    return [names[n : n + rows] for n in range(0, len(names), rows)] if rows else []


def _column_width(names: list[str]) -> float:
    return (max(map(len, names)) + 2) * _CHARACTER


def _size(room: str, names: list[str]) -> tuple[float, float]:
    columns = _columns(sorted(names))
    inner = max(fsum(map(_column_width, columns)) - _CHARACTER * 2, len(room) * 8.0)
    return inner + 2 * _PAD, _TITLE + (_LINE * max(map(len, columns)) + 8 if columns else 6)


def _band(name: str, top: float, bottom: float, width: float) -> list[str]:
    y, height = top + _MARGIN - 10, bottom - top + 20
    return [
        f'<rect class="band" x="10" y="{y:.0f}" width="{width - 20:.0f}" height="{height:.0f}" rx="6"/>',
        f'<text class="floor" x="{_MARGIN}" y="{y + height / 2 + 4:.0f}">{escape(name)}</text>',
    ]


def _arrow(edge: Edge, points: list[Point]) -> str:
    (x, y), *_ = points
    path = f"M{x:.0f} {y:.0f}"
    for n, ((_, y1), (x2, y2)) in enumerate(pairwise(points)):
        if n % 2:  # straight past a row, between two boxes
            path += f"V{y2:.0f}"
        else:
            path += f"C{points[n][0]:.0f} {(y1 + y2) / 2:.0f} {x2:.0f} {(y1 + y2) / 2:.0f} {x2:.0f} {y2:.0f}"
    source, target = edge
    return f'<path class="arrow" marker-end="url(#head)" d="{path}"><title>{source} imports {target}</title></path>'


def _box(room: str, names: list[str], box: Box) -> list[str]:
    x, y, width, height = box
    parts = [
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="5"/>',
        f'<text class="room" x="{x + _PAD:.0f}" y="{y + 19:.0f}">{escape(room)}</text>',
    ]
    left = x + _PAD
    for column in _columns(names):
        for n, name in enumerate(column, 1):
            parts.append(f'<text x="{left:.0f}" y="{y + _TITLE + n * _LINE - 2:.0f}">{escape(name)}</text>')
        left += _column_width(column)
    return parts
