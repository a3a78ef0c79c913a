"""Reads a package's source into modules and their imports, without running any of it."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    module: str  # "aiohttp" in `from aiohttp import web`
    name: str  # "web" there; empty in `import aiohttp`
    line: int
    for_types: bool  # under `if TYPE_CHECKING`

    @property
    def target(self) -> str:
        """All of it: "aiohttp.web"."""
        return f"{self.module}.{self.name}".rstrip(".")


class Module(NamedTuple):
    name: str  # dotted; a package's own name for its __init__.py
    path: Path
    source: str
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def room(self) -> str:
        """The module or package directly under the root package; the root package is a room of its own."""
        return [*self.name.split("."), self.name][1]


def read_package(folder: Path) -> dict[str, Module]:
    """All modules of the package in `folder`, by dotted name."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        parts = (folder.name, *path.relative_to(folder).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        source = path.read_text("utf-8")
        tree = ast.parse(source, str(path))
        here = name if is_package else name.rpartition(".")[0]
        modules[name] = Module(name, path, source, tree, tuple(_imports(tree, here)))
    return modules


def arrows(modules: dict[str, Module]) -> Iterator[tuple[Module, Module, Import]]:
    """Who imports whom inside the package, by import statement and name; inside functions and for types only, too.

    `from package import module` needs both.
    """
    for module in modules.values():
        for item in module.imports:
            for name in dict.fromkeys((item.module, item.target)):
                if name in modules and modules[name] is not module:
                    yield module, modules[name], item


def _imports(node: ast.AST, package: str, for_types: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import():
                yield from (Import(alias.name, "", child.lineno, for_types) for alias in child.names)
            case ast.ImportFrom():
                base = _absolute(child, package)
                yield from (Import(base, alias.name, child.lineno, for_types) for alias in child.names)
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield Import(name, "", child.lineno, for_types)
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for statement in child.body:
                    yield from _imports(ast.Module([statement], []), package, for_types=True)
                for statement in child.orelse:
                    yield from _imports(ast.Module([statement], []), package, for_types)
            case _:
                yield from _imports(child, package, for_types)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    base = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)
