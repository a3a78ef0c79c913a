"""Where `pull` has its rows from: whatever yields rows, each time with a token that stands for all of them so far."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from cjasync._rows import Skipped
from cjasync.catalog.sinks import Batch
from cjasync.errors import Cursor, OutOfReachError
from cjasync.pagination import Page, Pager


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


class _Place(Struct, frozen=True, omit_defaults=True):
    """Where a listing was left: at a cursor, at its end, or where CJ shows no more of it."""

    cursor: str | None = None
    total: int | None = None
    reachable: int | None = None


class PagerSource:
    """The pages of one question, in order.

    pager: makes the listing, from its first page or from a cursor on. token: where an earlier run has stopped.
    part_ok: whether what CJ shows is wanted even if that is not all.
    """

    def __init__(self, pager: Callable[[str | None], Pager[Any]], token: bytes | None, *, part_ok: bool) -> None:
        self._pager = pager
        self._part_ok = part_ok
        self._left = None if token is None else msgspec.json.decode(token, type=_Place)
        self.total = None if self._left is None else self._left.total

    async def found(self) -> AsyncGenerator[Found, None]:
        """The rows of each page. OutOfReachError at the end of what CJ shows, also if that was reached before.

        At the first page already, before more is spent, where a part is not wanted.
        """
        if self._left is not None and self._left.cursor is None:
            if self._left.reachable is not None:
                raise _cut(self._left)
            return
        pager = self._pager(None if self._left is None else self._left.cursor)
        wanted = self._part_ok
        try:
            async with aclosing(pager.pages()) as pages:
                async for page in pages:
                    wanted = wanted or not page.unreachable
                    if not wanted:
                        break
                    self.total = page.total
                    yield Found(Batch(page.items, datetime.now(UTC)), self._token(page.cursor), page.skipped)
        except OutOfReachError as error:
            place = _Place(total=error.total, reachable=error.reachable)
            yield Found(Batch((), datetime.now(UTC)), msgspec.json.encode(place))
            raise
        if not wanted:
            raise _beyond(page)

    def _token(self, cursor: Cursor | None) -> bytes:
        return msgspec.json.encode(_Place(None if cursor is None else str(cursor), self.total))


def _beyond(page: Page[Any]) -> OutOfReachError:
    total = page.total or 0
    shown = total - page.unreachable
    text = (
        f"CJ shows {shown:,} of the {total:,} records that match; {page.unreachable:,} are out of reach. "
        "Narrow the filters, take what can be had with --incomplete-ok, or all of it with --api list and no order or "
        "page size of your own"
    )
    return OutOfReachError(text, reachable=shown, total=total)


def _cut(place: _Place) -> OutOfReachError:
    reachable, total = place.reachable or 0, place.total or 0
    text = f"CJ shows {reachable:,} of the {total:,} records that match, and all those are here; narrow the filters"
    return OutOfReachError(text, reachable=reachable, total=total)
