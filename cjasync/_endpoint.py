"""What is known about one of CJ's calls: a declaration, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from cjasync._params import Param

T = TypeVar("T")


class Paging(Struct, frozen=True, kw_only=True):
    """How a listing is paged: CJ's parameter names, its limits, and which plan setting names its window."""

    page: str
    size: str
    default_size: int
    max_size: int | None  # None where CJ names none
    max_page: int | None = None
    window: Literal["list_window", "listv2_window"] | None = None


class Endpoint(Struct, Generic[T], frozen=True, kw_only=True):
    """One call: `method path`, what its `data` decodes to, its parameters and cost, and whether it may be sent twice.

    answer: a model, `list[model]`, `bool`, or a page shape such as `ListData[model]`.
    points: what a call costs, whatever it returns.
    safe: reading only, so that sending it twice does no harm.
    choice: parameters of which exactly one must be given.
    ranges: pairs of parameters, the low and the high end of a range.
    section: where the document describes it.
    cached: seconds an answer may be kept when the client's cache is on.
    idempotent: a write that CJ refuses as existing the second time, so that it may be sent again when lost.
    recheck: for a write, the call that tells whether it happened.
    """

    method: Literal["GET", "POST"]
    path: str
    answer: Any
    points: int = 0
    safe: bool = True
    idempotent: bool = False
    authenticated: bool = True
    params: Mapping[str, Param] = msgspec.field(default_factory=dict)
    choice: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    paging: Paging | None = None
    section: str = ""
    cached: float = 0
    recheck: str = ""
