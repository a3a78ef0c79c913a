"""Every rule of the house is shown to catch what it is there for, on small made-up packages."""

import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.architecture import rules
from scripts.architecture.bare import bare_help, bare_import
from scripts.architecture.files import contents, repository_files
from scripts.architecture.imports import Module, arrows, read_package
from scripts.architecture.layout import arrange, reduced, rows_of
from scripts.architecture.picture import draw, picture_is_fresh

House = Callable[..., dict[str, Module]]
FRONT = {"__init__.py": "__all__ = []\n"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Builds a package `cjasync` from the text of its files."""

    def build(files: dict[str, str]) -> dict[str, Module]:
        for name, text in (FRONT | files).items():
            path = tmp_path / "cjasync" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return read_package(tmp_path / "cjasync")

    return build


def said(violations: Iterator[rules.Violation]) -> list[str]:
    return [f"{v.path.name}:{v.line}: {v.what}" for v in violations]


def test_a_tidy_house_breaks_no_rule(house: House) -> None:
    modules = house(
        {
            "__init__.py": "from .client import CJClient\n__version__ = '1'\n__all__ = ['CJClient', '__version__']",
            "client.py": "from cjasync._transport import send\nclass CJClient: ...\n",
            "_transport.py": "import aiohttp\nfrom cjasync.errors import CJError\n",
            "_retry.py": "import backoff\n",
            "errors.py": "class CJError(Exception): ...\n",
            "sandbox/__init__.py": "",
            "sandbox/app.py": "from aiohttp import web\nfrom cjasync.errors import CJError\nfrom . import rows\n",
            "sandbox/rows.py": "",
            "cli/main.py": "from cjasync.client import CJClient\nfrom cjasync.sandbox.app import web\n",
        }
    )
    assert [str(violation) for rule in rules.RULES for violation in rule(modules)] == []


def test_a_violation_says_where_what_and_what_to_do(house: House) -> None:
    (violation,) = rules.libraries(house({"auth.py": "\nimport backoff\n"}))
    where, what = str(violation).split(": ", 1)
    assert where.endswith("cjasync/auth.py:2")
    assert (
        what
        == "auth imports backoff; backoff belongs to _retry. Say what you need to _retry, and let it talk to backoff."
    )


def test_imports_are_found_wherever_they_stand(house: House) -> None:
    modules = house(
        {
            "errors.py": "",
            "models/__init__.py": "",
            "models/price.py": "from .. import errors\n",
            "client.py": (
                "from typing import TYPE_CHECKING\n"
                "import importlib\n"
                "if TYPE_CHECKING:\n    from cjasync.models import price\nelse:\n    import cjasync.errors\n"
                "def f():\n    from .models.price import Price\n    return importlib.import_module('cjasync.models')\n"
            ),
        }
    )
    found = {(a.name, b.name, item.line, item.for_types) for a, b, item in arrows(modules)}
    assert found == {
        ("cjasync.models.price", "cjasync", 1, False),
        ("cjasync.models.price", "cjasync.errors", 1, False),
        ("cjasync.client", "cjasync.models", 4, True),
        ("cjasync.client", "cjasync.models.price", 4, True),
        ("cjasync.client", "cjasync.errors", 6, False),
        ("cjasync.client", "cjasync.models.price", 8, False),
        ("cjasync.client", "cjasync.models", 9, False),
    }


def test_every_circle_of_modules_is_found_once(house: House) -> None:
    modules = house(
        {
            "quota/a.py": "\nfrom cjasync.quota import b\n",
            "quota/b.py": "from cjasync.quota import c\n",
            "quota/c.py": "from cjasync.quota import a\n",
            "models/x.py": "import cjasync.models.y\n",
            "models/y.py": "from .x import X\n",
        }
    )
    assert sorted(len(what.split("->")) for what in said(rules.module_circles(modules))) == [3, 4]


@pytest.mark.parametrize(
    "kind", ["def f():\n    from cjasync.models import x\n", "if TYPE_CHECKING:\n    import cjasync.models.x\n"]
)
def test_an_import_at_another_time_closes_a_circle_of_modules_too(house: House, kind: str) -> None:
    modules = house({"models/x.py": "from cjasync.models import y\n", "models/y.py": kind})
    assert len(said(rules.module_circles(modules))) == 1


@pytest.mark.parametrize(
    ("kind", "circles"),
    [
        ("from cjasync.models import y\n", 1),
        ("from . import y\n", 1),
        ("import cjasync.models.y as y\n", 0),
        ("from cjasync.models.y import Y\n", 0),
    ],
)
def test_a_module_named_through_its_package_needs_the_package(house: House, kind: str, circles: int) -> None:
    modules = house({"models/__init__.py": "from cjasync.models.x import X\n", "models/x.py": kind, "models/y.py": ""})
    assert len(said(rules.module_circles(modules))) == circles


def test_a_circle_of_rooms_counts_even_when_it_is_deferred(house: House) -> None:
    deferred = "def f():\n    from cjasync.quota import bucket\n"
    modules = house({"auth.py": deferred, "quota/limiter.py": "from cjasync.auth import X\n", "quota/bucket.py": ""})
    assert said(rules.module_circles(modules)) == []
    assert [what.split(": ")[1] for what in said(rules.room_circles(modules))] == [
        "rooms import each other in a circle"
    ]


@pytest.mark.parametrize(
    ("importer", "imported", "what"),
    [
        ("_engine.py", "client", "_engine imports client, which is above it"),
        ("ext/otel.py", "sandbox", "ext imports sandbox, which only cli or testing may import"),
        ("testing/plugin.py", "cli", "testing imports cli, which only __main__ may import"),
        (
            "sandbox/app.py",
            "_endpoint",
            "sandbox imports _endpoint, and may import _clock or config or errors or models only",
        ),
    ],
)
def test_arrows_that_the_plan_forbids(house: House, importer: str, imported: str, what: str) -> None:
    modules = house({importer: f"def f():\n    import cjasync.{imported}\n", f"{imported}.py": ""})
    assert said(rules.floors(modules)) == [f"{Path(importer).name}:2: {what}"]


def test_rooms_on_one_floor_may_use_each_other(house: House) -> None:
    assert said(rules.floors(house({"errors.py": "from cjasync.models import Model\n", "models.py": ""}))) == []


@pytest.mark.parametrize("room", ["sandbox", "cli", "testing", "ext"])
def test_nothing_under_the_client_knows_what_is_built_on_it(house: House, room: str) -> None:
    modules = house({"client.py": f"from cjasync.{room} import X\n", f"{room}/__init__.py": ""})
    assert len(said(rules.floors(modules))) == 1


def test_a_room_that_is_not_on_the_plan(house: House) -> None:
    assert said(rules.floors(house({"helpers.py": ""}))) == ["helpers.py:1: room helpers is not on the plan"]


@pytest.mark.parametrize(
    ("importer", "statement", "library"),
    [
        ("client.py", "import aiohttp", "aiohttp"),
        ("auth.py", "def f():\n    from aiohttp import ClientSession", "aiohttp"),
        ("_transport.py", "from aiohttp import web", "aiohttp.web"),
        ("_engine.py", "import backoff", "backoff"),
    ],
)
def test_libraries_that_belong_to_one_room(house: House, importer: str, statement: str, library: str) -> None:
    (what,) = said(rules.libraries(house({importer: statement})))
    assert f"; {library} belongs to" in what


def test_a_library_may_be_named_for_types_and_its_namesake_used(house: House) -> None:
    text = "import aiohttp_cors\nif TYPE_CHECKING:\n    import aiohttp\n"
    assert said(rules.libraries(house({"client.py": text}))) == []


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("import time", "imports time"),
        (
            "def f():\n    from asyncio import sleep",
            "imports asyncio.sleep",
        ),
        (
            "from ..walk import walk",
            "imports cjasync.catalog.walk, which is not",
        ),
    ],
)
def test_what_is_pure_neither_acts_nor_knows_the_time(house: House, statement: str, what: str) -> None:
    modules = house({"catalog/planning/windows.py": statement, "catalog/walk.py": "import time\n"})
    assert [line.split(": ", 1)[1] for line in said(rules.purity(modules))] == [
        f"cjasync.catalog.planning.windows is pure and {what}"
    ]


def test_what_is_pure_may_use_its_like_and_the_ground(house: House) -> None:
    text = "from cjasync.catalog.planner import Planner\nfrom cjasync.errors import CJError\n"
    modules = house({"catalog/planning/run.py": text, "catalog/planner.py": "", "errors.py": "import os\n"})
    assert said(rules.purity(modules)) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("from cjasync.errors import CJError\n__all__ = []\n", "2: CJError is public and not in __all__"),
        ("if TYPE_CHECKING:\n    from .errors import CJError\n", "1: CJError is public and not in __all__"),
        ("def pull(): ...\n__all__ = []\n", "2: pull is public and not in __all__"),
        ("LIMIT = 3\n__all__ = []\n", "2: LIMIT is public and not in __all__"),
        ("__all__ = ['Gone']\n", "1: __all__ names Gone, which is not imported or defined there"),
        ("class A: ...\nclass B: ...\n__all__ = ['B', 'A']\n", "3: __all__ is not sorted or names something twice"),
        ("class A: ...\n__all__ = ['A', 'A']\n", "2: __all__ is not sorted or names something twice"),
    ],
)
def test_all_names_what_is_public(house: House, text: str, what: str) -> None:
    assert said(rules.exports(house({"__init__.py": text}))) == [f"__init__.py:{what}"]


def test_all_is_sorted_as_ruff_sorts_it(house: House) -> None:
    text = (
        "import os\nLIMIT = 3\nclass CJClient: ...\ndef bulk(): ...\n_x = 1\n__all__ = ['LIMIT', 'CJClient', 'bulk']\n"
    )
    assert said(rules.exports(house({"__init__.py": text}))) == []


def test_long_and_unfinished_modules(house: House) -> None:
    modules = house(
        {"auth.py": "x = 1\n" * 331, "bulk.py": "x = 1\n" * 330, "hooks.py": "\nraise NotImplementedError\n"}
    )
    assert said(rules.size(modules)) == ["auth.py:331: 331 lines; at most 330"]
    assert said(rules.unfinished(modules)) == ["hooks.py:2: NotImplementedError"]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.py", "x = 1  # {mark} later", "{mark}: unfinished"),
        ("run", "# {mark}", "{mark}: unfinished"),
        ("a.md", "see https://{host}/project", "names the package registry {host}"),
        ("a.yml", "run: cd {root}/docs", "names this checkout's folder, {root}"),
        ("a.md", "no {mark} here, {root}-old is not ours, nor https://x{root}", None),
        ("a.py", "TODOS = 'my{host}'", None),
        ("a.md", "<<<<<<" + "< HEAD", "a merge stopped here"),
        ("a.py", "x = 1 <<<<<<" + "< 2", None),
    ],
)
def test_what_no_file_may_contain(tmp_path: Path, name: str, text: str, found: str | None) -> None:
    words = {"mark": "TO" + "DO", "host": "pypi" + ".org", "root": str(tmp_path)}
    path = tmp_path / name
    path.write_text("first line\n" + text.format_map(words))
    expected = [] if found is None else [f"{name}:2: {found.format_map(words)}"]
    assert said(contents(tmp_path, [path])) == expected


def test_bytes_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\xff\x00 " + str(tmp_path).encode())
    assert said(contents(tmp_path, [path])) == []


def test_the_files_looked_at_are_those_of_git(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name in (".gitignore", "kept.py", "new file.md", "ignored.log"):
        (tmp_path / name).write_text("*.log\n")
    subprocess.run(["git", "-C", str(tmp_path), "add", "kept.py"], check=True)
    (tmp_path / "nothing").symlink_to(tmp_path / "gone")
    assert [path.name for path in repository_files(tmp_path)] == [".gitignore", "kept.py", "new file.md"]


LAZY_FRONT = """
import sys
__all__ = ["CJClient"]
def __getattr__(name):
    import {lazy}
    return name
"""


@pytest.mark.parametrize(
    ("front", "what"),
    [
        (LAZY_FRONT.format(lazy="aiohttp"), None),
        ("import aiohttp\n", "import cjasync loads aiohttp"),
        (
            "from cjasync.cli import app\n",
            "import cjasync fails without the extras: ModuleNotFoundError: No module named 'rich'",
        ),
        (
            LAZY_FRONT.format(lazy="duckdb"),
            "import cjasync fails without the extras: ModuleNotFoundError: No module named 'duckdb'",
        ),
    ],
)
def test_the_package_is_imported_without_extras(house: House, front: str, what: str | None) -> None:
    modules = house({"__init__.py": front, "cli/__init__.py": "import rich\n"})
    assert said(bare_import(modules["cjasync"])) == ([] if what is None else [f"__init__.py:1: {what}"])


GOOD_HELP = """
import sys
def main():
    try:
        import typer
    except ModuleNotFoundError:
        print("Run: pip install 'cjasync[cli]'", file=sys.stderr)
        return 2
"""


@pytest.mark.parametrize(
    ("cli", "ends"),
    [
        (GOOD_HELP, None),
        (GOOD_HELP.replace("return 2", "return 0"), "with 0 and says: Run: pip install 'cjasync[cli]'"),
        (GOOD_HELP.replace("[cli]", ""), "with 2 and says: Run: pip install 'cjasync'"),
        ("import typer\ndef main(): ...\n", "with 1 and says: ModuleNotFoundError: No module named 'typer'"),
        ("def main(): ...\n", "with 0 and says: nothing"),
    ],
)
def test_help_without_the_extra_says_what_to_install(house: House, cli: str, ends: str | None) -> None:
    modules = house({"cli/__init__.py": cli})
    expected = [] if ends is None else [f"__init__.py:1: cjasync --help without the extra ends {ends}"]
    assert said(bare_help(modules["cjasync"])) == expected


ROOMS = {
    "client.py": "from cjasync._engine import Engine\nfrom cjasync.quota.bucket import X\n",
    "_engine.py": "from cjasync.quota.bucket import X\nfrom cjasync.errors import CJError\n",
    "quota/__init__.py": "",
    "quota/bucket.py": "",
    "errors.py": "",
}


def test_the_picture_shows_every_module_and_only_direct_arrows(house: House) -> None:
    picture = draw(house(ROOMS))
    for name in ("client", "_engine", "quota", "bucket", "errors"):
        assert f">{name}</text>" in picture
    titles = [line.split("<title>")[1].split("</title>")[0] for line in picture.splitlines() if 'class="arrow"' in line]
    assert titles == ["_engine imports quota", "client imports _engine"]


def test_a_picture_that_is_missing_or_stale_is_reported(house: House, tmp_path: Path) -> None:
    modules = house(ROOMS)
    picture = tmp_path / "architecture.svg"
    stale = ["architecture.svg:1: the picture does not show the imports as they are"]
    assert said(picture_is_fresh(modules, picture)) == stale
    picture.write_text(draw(modules))
    assert said(picture_is_fresh(modules, picture)) == []
    assert said(picture_is_fresh(house({"hooks.py": ""}), picture)) == stale


def test_a_circle_has_no_picture_and_is_left_to_its_own_rule(house: House, tmp_path: Path) -> None:
    modules = house({"auth.py": "import cjasync.quota\n", "quota.py": "import cjasync.auth\n"})
    assert said(picture_is_fresh(modules, tmp_path / "architecture.svg")) == []


# Graphs without a circle: an edge leads from a letter to a later one.
GRAPHS = st.sets(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")).filter(lambda e: e[0] < e[1]))


def reach(edges: list[tuple[str, str]]) -> set[tuple[str, str]]:
    found = set(edges)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


@given(GRAPHS)
@settings(deadline=None, max_examples=100)
def test_the_reduced_graph_says_the_same_with_no_edge_to_spare(graph: set[tuple[str, str]]) -> None:
    edges = reduced(graph)
    assert set(edges) <= graph
    assert reach(edges) == reach(list(graph))
    assert all(reach([other for other in edges if other != edge]) != reach(edges) for edge in edges)


@given(GRAPHS)
@settings(deadline=None, max_examples=100)
def test_every_arrow_of_the_picture_points_down_and_no_box_covers_another(graph: set[tuple[str, str]]) -> None:
    rows = rows_of("abcdefgh", graph)
    assert sorted(room for row in rows for room in row) == list("abcdefgh")
    layout = arrange(rows, sorted(graph), dict.fromkeys("abcdefgh", (50.0, 30.0)))
    assert layout.routes.keys() == graph
    for (source, target), points in layout.routes.items():
        heights = [y for _, y in points]
        assert heights == sorted(heights)
        above, below = layout.boxes[source], layout.boxes[target]
        assert (heights[0], heights[-1]) == (above.y + above.height, below.y)
    boxes = sorted(layout.boxes.values(), key=lambda box: (box.y, box.x))
    assert all(a.y + a.height < b.y or a.x + a.width < b.x for a, b in pairwise(boxes))
    assert all(box.x >= 0 and box.x + box.width <= layout.width for box in boxes)
