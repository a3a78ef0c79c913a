"""targets.toml: what is promised, and whether the figures of a run keep it."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

TARGETS = Path(__file__).parent.parent / "targets.toml"
STEADY = 0.03  # a comparison whose base differs from its own copy by more than this is no comparison

Outcome = Literal["met", "missed", "unsteady", "unmeasured", "left out"]
"""unsteady: the run was too noisy to judge. left out: the tool to measure it with is not installed."""


class Figure(Struct, frozen=True):
    """A number that a target may be about.

    copy: the ratio of the comparison's base to its own copy (A/A); None where the figure is a count.
    bare: what the least that could do the same got at the same moments. A target that this misses too was missed by
    the machine.
    """

    value: float
    copy: float | None = None
    bare: float | None = None

    @property
    def is_steady(self) -> bool:
        """Whether the comparison it comes from may be judged."""
        return self.copy is None or abs(self.copy - 1) <= STEADY


class Target(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one figure must be. needs: the program that it is measured with."""

    says: str
    at_least: float | None = None
    at_most: float | None = None
    needs: str | None = None

    @property
    def bound(self) -> str:
        """As people read it."""
        return f"≥ {self.at_least:,g}" if self.at_least is not None else f"≤ {self.at_most:,g}"

    def is_met_by(self, value: float) -> bool:
        """Whether that is good enough."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


class Verdict(Struct, frozen=True):
    """What became of a target."""

    figure: str
    says: str
    bound: str
    value: float | None
    outcome: Outcome


def targets_of(question: str, path: Path = TARGETS) -> dict[str, Target]:
    """Figure names to targets."""
    told: dict[str, Any] = tomllib.loads(path.read_text("utf-8")).get(question, {})
    targets = msgspec.convert(told, dict[str, Target])
    for name, target in targets.items():
        if (target.at_least is None) == (target.at_most is None):
            raise ValueError(f"{path.name}: [{question}] {name} needs either at_least or at_most")
    return targets


def judge(targets: dict[str, Target], figures: dict[str, Figure]) -> tuple[Verdict, ...]:
    """Every target's verdict. A figure that nobody measured is not met."""

    def outcome(name: str, target: Target) -> Outcome:
        figure = figures.get(name)
        if figure is None:
            return "left out" if target.needs is not None and shutil.which(target.needs) is None else "unmeasured"
        if not figure.is_steady:
            return "unsteady"
        if target.is_met_by(figure.value):
            return "met"
        return "missed" if figure.bare is None or target.is_met_by(figure.bare) else "unsteady"

    return tuple(
        Verdict(
            name, target.says, target.bound, figures[name].value if name in figures else None, outcome(name, target)
        )
        for name, target in targets.items()
    )


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """1 if a target was missed, 3 if only judging was impossible, 0 if all were met."""
    seen = set(outcomes)
    if "missed" in seen:
        return 1
    return 3 if seen & {"unsteady", "unmeasured"} else 0
