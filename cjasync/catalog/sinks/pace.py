"""How often to commit, where nothing else says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_SHARE = 20


class Pace:
    """So often that commits take a twentieth of the time, at most."""

    def __init__(self) -> None:
        self._due = float("-inf")

    @property
    def due(self) -> bool:
        """Is it time for another commit?"""
        return time.monotonic() >= self._due

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Around a commit."""
        began = time.monotonic()
        yield
        now = time.monotonic()
        self._due = now + (now - began) * _SHARE
