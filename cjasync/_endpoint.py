"""What is known about one of CJ's calls: a declaration, no behaviour."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Paging(Struct, frozen=True, kw_only=True):
    """How a listing is paged: CJ's parameter names, its limits, and which plan setting names its window."""

    page: str
    size: str
    default_size: int
    max_size: int
    max_page: int | None = None
    window: Literal["list_window", "listv2_window"] | None = None


class Endpoint(Struct, Generic[T], frozen=True, kw_only=True):
    """One call: `method path`, the type its `data` decodes to, its cost, and whether it may be sent twice."""

    method: Literal["GET", "POST"]
    path: str
    answer: Any
    points: int = 0
    safe: bool = True
    authenticated: bool = True
    paging: Paging | None = None
    section: str = ""
