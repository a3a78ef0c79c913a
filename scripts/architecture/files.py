"""What no file of the repository may contain, be it code, document or workflow."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.architecture.rules import Violation

# Each pattern is written so that it does not match itself.
_MARK = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X)\b")
_REGISTRY = re.compile(r"\b(?:py[p]i|python[h]osted|np[m]js|de[b]ian|ana[c]onda)\.(?:org|com)\b", re.IGNORECASE)
_CONFLICT = re.compile(r"^(?:[<]{7} |[>]{7} )")
_PROSE = {".md", ".txt", ".json", ".jsonl", ".svg"}


def repository_files(root: Path) -> list[Path]:
    """The files that git keeps or would keep."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(path for name in names if name and (path := root / name).is_file())


def contents(root: Path, files: Iterable[Path]) -> Iterator[Violation]:
    """Marks of unfinished work and unfinished merges, hosts of package registries, the place of this checkout."""
    here = re.compile(rf"(?<![\w.]){re.escape(str(root))}(?![\w.-])")
    for path in files:
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if path.suffix not in _PROSE and (found := _MARK.search(line)):
                yield Violation(path, number, f"{found[0]}: unfinished", "Do it, or open an issue and drop the mark")
            if _CONFLICT.search(line):
                yield Violation(path, number, "a merge stopped here", "Decide, and remove its marks")
            if found := _REGISTRY.search(line):
                yield Violation(path, number, f"names the package registry {found[0]}", "Name the package only")
            if here.search(line):
                yield Violation(path, number, f"names this checkout's folder, {root}", "Write the path from its top")
