"""Where `pull` has its rows from: whatever yields rows, each time with a token that stands for all of them so far."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Protocol

from msgspec import Struct

from cjasync._decode import Skipped
from cjasync.catalog.sinks import Batch
from cjasync.pagination import Cursor, Pager

_END = b"end"


class Found(Struct, frozen=True):
    """Rows, the token that stands for all up to them, and the rows that could not be read."""

    rows: Batch[Any]
    token: bytes
    skipped: tuple[Skipped, ...] = ()


class Source(Protocol):
    """What `pull` needs of whoever fetches.

    total: how many products match, once that is known.
    """

    total: int | None

    def found(self) -> AsyncGenerator[Found, None]:
        """All rows, as they come. An error of the library's ends it; what was yielded before counts."""
        ...


class PagerSource:
    """The pages of one question, in order."""

    def __init__(self, pager: Pager[Any]) -> None:
        self._pager = pager
        self.total: int | None = None

    async def found(self) -> AsyncGenerator[Found, None]:
        """The rows of each page."""
        async with aclosing(self._pager.pages()) as pages:
            async for page in pages:
                self.total = page.total if self.total is None else max(self.total, page.total or 0)
                yield Found(Batch(page.items, datetime.now(UTC)), token_of(page.cursor), page.skipped)


def token_of(cursor: Cursor | None) -> bytes:
    """A cursor as a sink keeps it."""
    return _END if cursor is None else str(cursor).encode()


def is_end(token: bytes) -> bool:
    """Whether nothing is left to ask."""
    return token == _END
