"""Where a listing goes on."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec
from msgspec import Meta, Struct


class Cursor(Struct, frozen=True):
    """Where a listing goes on: the question, the next page, and how many of its items were taken already.

    `str(cursor)` is URL-safe text, `Cursor.parse` reads it back. It holds filters only, nothing secret.
    """

    path: str
    params: dict[str, str | int]
    page: Annotated[int, Meta(ge=1)]
    size: Annotated[int, Meta(ge=1)]
    offset: Annotated[int, Meta(ge=0)] = 0

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that `str` wrote; ParameterError if the text is something else."""
        from cjasync.errors import ParameterError  # each of which may carry a cursor

        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ParameterError(f"`cursor`: not one that this library wrote ({error})") from None
