"""What a fork has copied from the parent, whose it is: tasks, and what ends with the parent's loop."""

from __future__ import annotations

_kept: list[object] = []


def left_to_the_parent(*its: object) -> None:
    """Keep them. Thrown away they would complain, and what they do at their end would be done to this process's own."""
    _kept.extend(its)
