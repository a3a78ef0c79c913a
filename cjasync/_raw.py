"""Answers as they came, for those who ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class RawAnswer(Struct, Generic[T], frozen=True):
    """An answer as it came, beside what it was decoded to."""

    value: T
    body: bytes
    http_status: int
    headers: Mapping[str, str]
    request_id: str | None

    def __repr__(self) -> str:
        told = f"HTTP {self.http_status}, {len(self.body)} bytes, request {self.request_id}"
        return f"<RawAnswer {told}: {type(self.value).__name__}>"


capturing: ContextVar[list[RawAnswer[Any]] | None] = ContextVar("cjasync_capturing", default=None)


class captured:  # noqa: N801 - used like a function
    """While it is open, the answers of this task's calls are kept."""

    def __enter__(self) -> list[RawAnswer[Any]]:
        answers: list[RawAnswer[Any]] = []
        self._token = capturing.set(answers)
        return answers

    def __exit__(self, *exc: object) -> None:
        capturing.reset(self._token)
