"""Tasks that a fork has copied from the parent, whose they are."""

from __future__ import annotations

import asyncio
from typing import Any

_tasks: list[asyncio.Future[Any] | None] = []


def left_to_the_parent(*tasks: asyncio.Future[Any] | None) -> None:
    """Keep them. Thrown away they would complain, and what they do at their end would be done to this process's own."""
    _tasks.extend(tasks)
