"""What a comparison found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

_SIGNS = {"added": "+", "dropped": "-", "retyped": "~"}


class Change(Struct, frozen=True, kw_only=True):
    """One field that CJ sends otherwise than the models expect.

    endpoint: CJ's path. path: the field in the answer, e.g. "data.list[].sellPrice".
    kind: added (the models do not know it), dropped (no object has it any more, or one lacks what it must have),
    retyped (a shape that cannot be read as what the models expect).
    count: how many of `of` objects show it. expected: what the models read there, in words.
    found: JSON shapes that came, most frequent first. example: one value as JSON, or an object that lacks the field;
    cut short, tokens, openId and addresses hidden.
    """

    endpoint: str
    path: str
    kind: Literal["added", "dropped", "retyped"]
    count: int
    of: int
    expected: str
    found: tuple[str, ...]
    example: str

    def __str__(self) -> str:
        what = {
            "added": " or ".join(self.found),
            "dropped": f"{self.expected} missing",
            "retyped": f"{' or '.join(self.found)} instead of {self.expected}",
        }[self.kind]
        where = "e.g. in" if self.kind == "dropped" else "e.g."
        return (
            f"{_SIGNS[self.kind]} {self.path}: {self.kind}, {what}, {self.count} of {self.of}, {where} {self.example}"
        )


class DriftReport(Struct, frozen=True, kw_only=True):
    """Per endpoint the fields that CJ added, dropped or retyped. `str(report)` is text for people.

    answers: how many answers were compared, by path. changes: in the order of the paths.
    failed: calls that brought nothing to compare, by path, with the error's name and what it tells.
    """

    answers: dict[str, int]
    changes: tuple[Change, ...]
    failed: dict[str, str] = {}

    @property
    def drifted(self) -> bool:
        """Whether anything changed."""
        return bool(self.changes)

    def of(self, endpoint: str) -> tuple[Change, ...]:
        """The changes of one path."""
        return tuple(change for change in self.changes if change.endpoint == endpoint)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: `{drifted, answers, changes, failed}`."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {"drifted": self.drifted, **plain}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for endpoint, answers in self.answers.items():
            changes = self.of(endpoint)
            counted = f"{answers} answer{'s' if answers != 1 else ''}"
            told = "1 change" if len(changes) == 1 else f"{len(changes) or 'no'} changes"
            yield f"{endpoint}: {told} in {counted}"
            yield from (f"  {change}" for change in changes)
        for endpoint, why in self.failed.items():
            yield f"{endpoint}: not compared, {why}"
