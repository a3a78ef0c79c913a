"""`python -m scripts.architecture` checks; `--picture FILE` draws the import structure instead."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.architecture import plan
from scripts.architecture.bare import bare_help, bare_import
from scripts.architecture.files import contents, repository_files
from scripts.architecture.imports import read_package
from scripts.architecture.picture import draw, picture_is_fresh
from scripts.architecture.rules import RULES, Violation

ROOT = Path(__file__).resolve().parents[2]


def check(root: Path) -> Iterator[Violation]:
    """Everything that is wrong with the checkout at `root`."""
    modules = read_package(root / plan.PACKAGE)
    for rule in RULES:
        yield from rule(modules)
    yield from contents(root, repository_files(root))
    yield from picture_is_fresh(modules, root / "docs" / "architecture.svg")
    yield from bare_import(modules[plan.PACKAGE])
    yield from bare_help(modules[plan.PACKAGE])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.architecture", description=__doc__)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write the picture of the imports there, as SVG")
    picture = parser.parse_args(arguments).picture
    if picture:
        picture.write_text(draw(read_package(ROOT / plan.PACKAGE)), "utf-8")
        return 0
    violations = list(dict.fromkeys(check(ROOT)))
    for violation in violations:
        print(violation._replace(path=violation.path.relative_to(ROOT)))
    print(f"{len(violations)} violations" if violations else "The house stands as planned")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
