"""Every Python block of README.md, docs/ and docstrings runs against a sandbox, so that none of them can rot.

A block with `asyncio.run` is a script and runs in a process of its own, in virtual time if it brings its own sandbox.
Those with `def test_` are given to pytest. All others share one page's names from top to bottom; `cj` is a client among
them, and `sandbox` the CJ that it talks to. A block of a docstring, which stands indented after `::`, has the names
of its module, and a few for what its reader has.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import cjasync
from cjasync import CJClient, Plan
from cjasync.sandbox import Sandbox
from cjasync.testing.plugin import sandbox_client
from tests.simulator.catalogue import START, catalogue
from tests.simulator.server import Server

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PLAN = Plan(qps=None, ip_qps=None, accounts_per_ip=None, login_interval=None)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_VIRTUAL_TIME = """
import asyncio, runpy, sys
from datetime import UTC, datetime
from cjasync._clock import SystemClock
from cjasync.testing import clock

time = clock.VirtualClock(datetime.now(UTC))
SystemClock.monotonic = lambda self: time.monotonic()
SystemClock.time = lambda self: time.time()
asyncio.run = lambda main: clock.run(main, clock=time)
runpy.run_path(sys.argv[1], run_name="__main__")
"""
INDENTED = re.compile(r"::\n\n((?:(?: {4}.*)?\n)+)")
CODE = re.compile(r"^ *(?:>>>|await |async |import |from \S+ import |with .*:$|\w+ = )", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    language: str
    line: int
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [Block(found[1], text.count("\n", 0, found.start(2)) + 1, found[2]) for found in FENCE.finditer(text)]


def of_language(page: Path, language: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == language]


WITH_CODE = [page for page in PAGES if of_language(page, "python")]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
async def test_every_block_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with Sandbox(products=2000, plan=PLAN) as sandbox:
        for name, value in _environment(sandbox, tmp_path).items():
            monkeypatch.setenv(name, value)
        for language, name in (("toml", ".config/cjasync/profiles.toml"), ("ini", "pytest.ini")):
            for block in of_language(page, language):
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(block.text)
        told: dict[str, Any] = {"quota": "memory", "token_store": "memory", "plan": PLAN}
        async with CJClient(api_key=sandbox.api_key, base_url=sandbox.base_url, **told) as cj:
            names: dict[str, Any] = {"cj": cj, "sandbox": sandbox}
            await _run_all(page, of_language(page, "python"), names, tmp_path)


async def _run_all(page: Path, blocks: list[Block], names: dict[str, Any], folder: Path) -> None:
    tests = [block for block in blocks if re.search(r"^(async )?def test_", block.text, re.MULTILINE)]
    for block in blocks:
        if block not in tests:
            await _run(page, block, names, folder)
    if tests:
        files = [_written(folder, f"test_line_{block.line}.py", block) for block in tests]
        await _process(page.name, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *files)


def _environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """A user's machine: a key, and a home of its own for tokens, limits and profiles."""
    return {
        "CJ_API_KEY": sandbox.api_key,
        "CJ_BASE_URL": sandbox.base_url,
        "CJ_PLAN": "advanced",
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
    }


async def _run(page: Path, block: Block, names: dict[str, Any], folder: Path) -> None:
    if "asyncio.run(" in block.text:
        how = ("-c", IN_VIRTUAL_TIME) if "Sandbox(" in block.text else ()
        file = _written(folder, f"script_line_{block.line}.py", block)
        await _process(f"{page.name}:{block.line}", "-W", "error", *how, file)
    else:
        # The line numbers of a traceback are the page's.
        text = "\n" * (block.line - 1) + block.text
        code = compile(text, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.isawaitable(result):
            await result


def _written(folder: Path, name: str, block: Block) -> str:
    (folder / name).write_text(block.text)
    return str(folder / name)


async def _process(place: str, *arguments: str) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=pipe, stderr=pipe, env=os.environ)
    out, err = await process.communicate()
    assert process.returncode == 0, f"{place}\n{out.decode()}\n{err.decode()}"


def docstrings(module: Path) -> Iterator[tuple[int, str]]:
    """Each with the number of its first line."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, f"{text}\n"


async def test_every_example_of_a_docstring_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server = Server(catalogue(500), window=1000)
    (tmp_path / "pytest.ini").write_text(of_language(ROOT / "docs" / "testing.md", "ini")[0].text)
    ran = 0
    async with Sandbox(products=500, plan=PLAN) as sandbox:
        for name, value in _environment(sandbox, tmp_path).items():
            monkeypatch.setenv(name, value)
        async with sandbox_client(sandbox) as cj:
            page = await cj.products.list(page_size=3)
            given: dict[str, Any] = {
                "cj": cj,
                "pids": [product.pid for product in page],
                "pid": page[0].pid,
                "category_id": page[0].category_id,
                "now": START,
                "ask": lambda question: asyncio.sleep(0, server.answer(question)),
            }
            for path in sorted((ROOT / "cjasync").rglob("*.py")):
                for line, text in docstrings(path):
                    assert CODE.search(INDENTED.sub("", text)) is None, f"{path}:{line}: code that is not after `::`"
                    for found in INDENTED.finditer(text):
                        code = textwrap.dedent(found[1])
                        block = Block("python", line + text.count("\n", 0, found.start(1)), code)
                        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                        await _run_all(path, [block], vars(import_module(name)) | given, tmp_path)
                        ran += 1
    assert ran > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_error_is_explained() -> None:
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    public = [name for name in cjasync.__all__ if name.endswith("Error")]
    assert [name for name in public if f"`{name}`" not in page] == []


def test_every_page_can_be_found() -> None:
    contents = (ROOT / "docs" / "index.md").read_text("utf-8")
    missing = [
        page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md" and page.name not in contents
    ]
    assert missing == []
    assert "docs/index.md" in (ROOT / "README.md").read_text("utf-8")
