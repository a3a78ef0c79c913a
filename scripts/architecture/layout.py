"""Where rooms and arrows go in the picture: floors from top to bottom, arrows downwards, few crossings."""

from collections.abc import Iterable
from graphlib import TopologicalSorter
from itertools import pairwise
from math import fsum  # the same on every Python, which sum is not; the picture is compared byte by byte
from typing import NamedTuple

Point = tuple[float, float]
Edge = tuple[str, str]

_LANE = 18.0  # the width an arrow gets where it passes a row of boxes
_GAP_X, _GAP_Y = 26.0, 40.0
_SWEEPS = 12


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


class Layout(NamedTuple):
    boxes: dict[str, Box]
    routes: dict[Edge, list[Point]]  # from a box's lower edge to another's upper edge
    rows: list[Box]  # one for each row, as wide as the picture
    width: float
    height: float


def reduced(edges: Iterable[Edge]) -> list[Edge]:
    """The edges without those that a longer way says already."""
    below: dict[str, set[str]] = {}
    for source, target in edges:
        below.setdefault(source, set()).add(target)
    reach: dict[str, set[str]] = {}
    for room in TopologicalSorter(below).static_order():
        reach[room] = set().union(*({near} | reach[near] for near in below.get(room, ())))
    return sorted(
        (room, near)
        for room, targets in below.items()
        for near in targets
        if not any(near in reach[other] for other in targets - {near})
    )


def rows_of(floor: Iterable[str], edges: Iterable[Edge]) -> list[list[str]]:
    """The rooms of one floor in rows, so that arrows among them point down too."""
    rooms = set(floor)
    above: dict[str, set[str]] = {room: set() for room in sorted(rooms)}
    for source, target in edges:
        if source in rooms and target in rooms:
            above[target].add(source)
    depth: dict[str, int] = {}
    for room in TopologicalSorter(above).static_order():
        depth[room] = 1 + max((depth[near] for near in above[room]), default=-1)
    rows: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for room in sorted(depth):
        rows[depth[room]].append(room)
    return rows


def arrange(rows: list[list[str]], edges: list[Edge], sizes: dict[str, tuple[float, float]]) -> Layout:
    """Places rooms of the given sizes, and routes every edge past the rows that it skips."""
    level = {room: n for n, row in enumerate(rows) for room in row}
    chains = {edge: _chain(edge, level) for edge in edges}
    lines = [list(row) for row in rows]
    for (source, _), chain in chains.items():
        for n, lane in enumerate(chain[1:-1], level[source] + 1):
            lines[n].append(lane)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    _untangle(lines, links)

    width = max(fsum(sizes.get(cell, (_LANE,))[0] for cell in line) + _GAP_X * (len(line) - 1) for line in lines)
    across = _across(lines, links, {cell: sizes.get(cell, (_LANE,))[0] for line in lines for cell in line}, width)
    boxes: dict[str, Box] = {}
    bands: list[Box] = []
    y = 0.0
    for line in lines:
        height = max(sizes[cell][1] for cell in line if cell in sizes)
        for cell in line:
            w, h = sizes.get(cell, (_LANE, height))
            boxes[cell] = Box(across[cell] - w / 2, y, w, h)
        bands.append(Box(0, y, width, height))
        y += height + _GAP_Y
    routes = {edge: _route(chain, boxes, links) for edge, chain in chains.items()}
    return Layout({room: boxes[room] for room in level}, routes, bands, width, y - _GAP_Y)


def _chain(edge: Edge, level: dict[str, int]) -> list[str]:
    source, target = edge
    return [source, *(f"{source} > {target} @{n}" for n in range(level[source] + 1, level[target])), target]


def _untangle(lines: list[list[str]], links: list[Edge]) -> None:
    """Orders each row by the mean position of its neighbours in the row before, down and up again in turn."""
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for fixed, moved in pairwise(lines if down else lines[::-1]):
            place = {cell: (n + 0.5) / len(fixed) for n, cell in enumerate(fixed)}
            wish = {cell: (n + 0.5) / len(moved) for n, cell in enumerate(moved)}
            for cell in moved:
                near = [place[a if b == cell else b] for a, b in links if cell in (a, b) and (a in place or b in place)]
                wish[cell] = fsum(near) / len(near) if near else wish[cell]
            moved.sort(key=lambda cell: (wish[cell], cell))


def _across(lines: list[list[str]], links: list[Edge], widths: dict[str, float], width: float) -> dict[str, float]:
    """The middle of every cell: evenly spread at first, then drawn towards its neighbours above and below."""
    middle = {cell: width * (n + 0.5) / len(line) for line in lines for n, cell in enumerate(line)}
    near: dict[str, list[str]] = {cell: [cell] for cell in middle}
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    for sweep in range(_SWEEPS):
        for line in lines if sweep % 2 == 0 else lines[::-1]:
            wish = {cell: fsum(middle[other] for other in near[cell]) / len(near[cell]) for cell in line}
            leftmost = _packed(line, wish, widths, width)
            mirrored = _packed(line[::-1], {cell: width - wish[cell] for cell in line}, widths, width)
            middle |= {cell: (leftmost[cell] + width - mirrored[cell]) / 2 for cell in line}
    return middle


def _packed(line: list[str], wish: dict[str, float], widths: dict[str, float], width: float) -> dict[str, float]:
    """The cells in their order, each where it wishes to be or as little to the right as it must, inside the picture."""
    room = fsum(widths[cell] for cell in line) + _GAP_X * (len(line) - 1)
    placed: dict[str, float] = {}
    edge = 0.0
    for cell in line:
        left = min(max(edge, wish[cell] - widths[cell] / 2), width - room)
        placed[cell] = left + widths[cell] / 2
        edge = left + widths[cell] + _GAP_X
        room -= widths[cell] + _GAP_X
    return placed


def _route(chain: list[str], boxes: dict[str, Box], links: list[Edge]) -> list[Point]:
    points = [_port(chain[0], chain[1], boxes, [b for a, b in links if a == chain[0]], lower=True)]
    for lane in chain[1:-1]:
        box = boxes[lane]
        points += [(box.x + box.width / 2, box.y), (box.x + box.width / 2, box.y + box.height)]
    return [*points, _port(chain[-1], chain[-2], boxes, [a for a, b in links if b == chain[-1]], lower=False)]


def _port(room: str, other: str, boxes: dict[str, Box], others: list[str], *, lower: bool) -> Point:
    """Where an arrow meets a box: its arrows share the edge from left to right, in the order of their other ends."""
    box = boxes[room]
    ordered = sorted(others, key=lambda name: (boxes[name].x + boxes[name].width / 2, name))
    share = (ordered.index(other) + 1) / (len(ordered) + 1)
    return box.x + box.width * share, box.y + (box.height if lower else 0)
