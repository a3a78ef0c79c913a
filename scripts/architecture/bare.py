"""Starts Python as a user has it who installed no extra, and looks at what the package does there."""

import subprocess
import sys
from collections.abc import Iterator

from scripts.architecture import plan
from scripts.architecture.imports import Module
from scripts.architecture.rules import Violation

_WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {extras}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
sys.path.insert(0, {folder!r})
"""
_IMPORT = """
import {package}
print(*sorted({lazy} & sys.modules.keys()))
for name in getattr({package}, "__all__", ()):
    getattr({package}, name)
"""
_HELP = """
from {package}.cli import main
sys.argv = [{package!r}, "--help"]
sys.exit(main())
"""


def bare_import(front: Module) -> Iterator[Violation]:
    """`import cjasync` and every public name work without any extra; what is slow is loaded when it is used."""
    ran = _run(front, _IMPORT)
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1]
        remedy = "Import an extra inside the function that needs it"
        yield Violation(front.path, 1, f"import {front.name} fails without the extras: {last}", remedy)
    loaded = ran.stdout.splitlines()[0] if ran.stdout else ""
    if loaded:
        remedy = "Import them inside functions, and the modules that need them from __getattr__"
        yield Violation(front.path, 1, f"import {front.name} loads {loaded}", remedy)


def bare_help(front: Module) -> Iterator[Violation]:
    """`cjasync --help` without the extra says what to install."""
    ran = _run(front, _HELP)
    hint = f"{front.name}[cli]"
    if ran.returncode != 2 or hint not in ran.stderr or "Traceback" in ran.stderr:
        last = (ran.stderr.strip().splitlines() or ["nothing"])[-1]
        what = f"{front.name} --help without the extra ends with {ran.returncode} and says: {last}"
        cli = front.path.with_name("cli") / "__init__.py"
        yield Violation(cli, 1, what, f"Say on stderr to install {hint}, and end with 2")


def _run(front: Module, code: str) -> subprocess.CompletedProcess[str]:
    folder = str(front.path.parent.parent)
    values = {"package": front.name, "folder": folder, "extras": set(plan.EXTRAS), "lazy": set(plan.LAZY)}
    command = [sys.executable, "-c", (_WITHOUT + code).format_map(values)]
    return subprocess.run(command, check=False, capture_output=True, text=True)
