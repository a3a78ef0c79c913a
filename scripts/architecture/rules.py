"""The rules on how modules hang together: each a pure function from the modules read to what is wrong with them."""

import ast
from collections.abc import Callable, Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from scripts.architecture import plan
from scripts.architecture.imports import Import, Module, arrows

Modules = dict[str, Module]


class Violation(NamedTuple):
    path: Path
    line: int
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}. {self.remedy}."


def module_circles(modules: Modules) -> Iterator[Violation]:
    """Modules that cannot be understood without each other."""
    edges = {(a.name, b.name): (a, item) for a, b, item in arrows(modules)}
    remedy = "Move what both need into a module below them, or say in a Protocol what one needs of the other"
    yield from _circles(edges, "modules import each other in a circle", remedy)


def room_circles(modules: Modules) -> Iterator[Violation]:
    """Rooms that need each other, even if the single modules do not."""
    edges = {(a.room, b.room): (a, item) for a, b, item in arrows(modules) if a.room != b.room}
    yield from _circles(edges, "rooms import each other in a circle", "Let one of them be given what it needs")


def _circles(edges: dict[tuple[str, str], tuple[Module, Import]], what: str, remedy: str) -> Iterator[Violation]:
    left = dict(edges)
    while True:
        graph: dict[str, set[str]] = {}
        for importer, imported in left:
            graph.setdefault(importer, set()).add(imported)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = error.args[1][::-1]
            module, item = left.pop((circle[0], circle[1]))
            yield Violation(module.path, item.line, f"{what}: {' -> '.join(circle)}", remedy)
        else:
            return


def floors(modules: Modules) -> Iterator[Violation]:
    """Every room is on the plan, no arrow points up, and closed rooms are entered by few."""
    height = {room: -n for n, floor in enumerate(plan.FLOORS) for room in floor.rooms}
    for room in sorted({module.room for module in modules.values()} - height.keys()):
        module = next(module for module in modules.values() if module.room == room)
        remedy = "Give it a floor in scripts/architecture/plan.py"
        yield Violation(module.path, 1, f"room {room} is not on the plan", remedy)
    for importer, imported, item in arrows(modules):
        a, b = importer.room, imported.room
        if a == b or a not in height or b not in height:
            continue
        if height[b] > height[a]:
            what = f"{a} imports {b}, which is above it"
            remedy = "Take what it needs as an argument, or move that down"
        elif a not in plan.ONLY_FROM.get(b, {a}):
            what = f"{a} imports {b}, which only {_either(plan.ONLY_FROM[b])} may import"
            remedy = "Turn the arrow round: let the upper room hand it in"
        elif b not in plan.ONLY_TO.get(a, {b}):
            what = f"{a} imports {b}, and may import {_either(plan.ONLY_TO[a])} only"
            remedy = "Do without it, or move what both need to the ground"
        else:
            continue
        yield Violation(importer.path, item.line, what, remedy)


def libraries(modules: Modules) -> Iterator[Violation]:
    """Some libraries are known to few rooms, so that they can be replaced there."""
    for module in modules.values():
        for item in module.imports:
            library = next((name for name in plan.LIBRARIES if f"{item.target}.".startswith(f"{name}.")), None)
            if item.for_types or library is None or module.room in plan.LIBRARIES[library]:
                continue
            rooms = _either(plan.LIBRARIES[library])
            what = f"{module.room} imports {item.target}; {library} belongs to {rooms}"
            yield Violation(module.path, item.line, what, f"Say what you need to {rooms}, and let it talk to {library}")


def purity(modules: Modules) -> Iterator[Violation]:
    """What is pure imports nothing that acts or knows the time: of this package only what is pure, or ground."""
    for module in filter(_is_pure, modules.values()):
        for item in module.imports:
            if not item.for_types and item.module.partition(".")[0] in plan.DEEDS:
                what = f"{module.name} is pure and imports {item.target}"
                yield Violation(module.path, item.line, what, "Let the caller do it, and hand in what comes of it")
    for importer, imported, item in arrows(modules):
        if _is_pure(importer) and not _is_pure(imported) and imported.room not in plan.FLOORS[-1].rooms:
            what = f"{importer.name} is pure and imports {imported.name}, which is not"
            yield Violation(importer.path, item.line, what, "Move what it needs into a pure module")


def _is_pure(module: Module) -> bool:
    return any(f"{module.name}.".startswith(f"{plan.PACKAGE}.{name}.") for name in plan.PURE)


def exports(modules: Modules) -> Iterator[Violation]:
    """`__all__` of the package is sorted and names exactly what the package makes public."""
    front = modules[plan.PACKAGE]
    listed: list[str] = []
    line = 1
    public: set[str] = set()
    for node in _statements(front.tree.body):
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=names)):
                listed, line = [str(ast.literal_eval(name)) for name in names], node.lineno
            case ast.ImportFrom(level=level, module=base) if level or (base or "").split(".")[0] == plan.PACKAGE:
                public |= {alias.asname or alias.name for alias in node.names}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                public.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                public.add(name)
    public = {name for name in public if not name.startswith("_")}
    remedy = "Mend __all__, or give what is private a leading underscore"
    for name in sorted(public - set(listed)):
        yield Violation(front.path, line, f"{name} is public and not in __all__", remedy)
    for name in sorted(set(listed) - public - {"__version__"}):
        yield Violation(front.path, line, f"__all__ names {name}, which is not imported or defined there", remedy)
    if listed != sorted(set(listed), key=_isort):
        yield Violation(front.path, line, "__all__ is not sorted or names something twice", "Run: ruff check --fix")


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements at module level, those under an `if` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])


def _isort(name: str) -> tuple[bool, bool, str]:
    """Ruff's order for `__all__`: CONSTANTS, Classes, then the rest."""
    return not name.isupper(), not name[:1].isupper(), name


def size(modules: Modules) -> Iterator[Violation]:
    """A module that has grown too long holds two nouns."""
    for module in modules.values():
        lines = module.source.count("\n")
        if lines > plan.MOST_LINES:
            what = f"{lines} lines; at most {plan.MOST_LINES}"
            remedy = "Find the second noun in it, and give that its own module"
            yield Violation(module.path, plan.MOST_LINES + 1, what, remedy)


def unfinished(modules: Modules) -> Iterator[Violation]:
    """Nothing is half done."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Name) and node.id == "NotImplementedError":
                yield Violation(module.path, node.lineno, "NotImplementedError", "Write it, or use an abstract method")


def _either(rooms: Collection[str]) -> str:
    return " or ".join(sorted(rooms)) or "nobody"


RULES: tuple[Callable[[Modules], Iterator[Violation]], ...] = (
    module_circles,
    room_circles,
    floors,
    libraries,
    purity,
    exports,
    size,
    unfinished,
)
