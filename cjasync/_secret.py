"""A text that must not be seen."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """An API key or a token as a setting: shown as `***`, never pickled, read with `reveal()` only.

    Not a `str`, so that joining, formatting, encoding and logging cannot take its text by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: for the request that needs it, and for nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: hand over reveal() where it may be seen")
