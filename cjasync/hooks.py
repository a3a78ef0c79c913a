"""Events: what metrics, tracing, progress bars and logs listen to.

A hook is any callable that takes an event; `CJClient(hooks=[...])`. It is called in the event loop and must not block;
an exception of its own is logged and never reaches the call. Without hooks no event is even made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

logger = logging.getLogger("cjasync")


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened to a call. `call` numbers the calls of a client, `endpoint` is CJ's path."""

    endpoint: str
    call: int


class CallStarted(Event, frozen=True, kw_only=True):
    """A call was made by the user."""


class CallEnded(Event, frozen=True, kw_only=True):
    """A call returned, or raised `error` (the name of the class)."""

    seconds: float
    attempts: int
    error: str | None = None


class Booked(Event, frozen=True, kw_only=True):
    """The limiter admitted an attempt after `waited` seconds."""

    attempt: int
    waited: float


class Attempt(Event, frozen=True, kw_only=True):
    """A request is about to leave; `attempt` counts from 1."""

    attempt: int


class Outcome(Event, frozen=True, kw_only=True):
    """How an attempt ended: HTTP status and bytes if an answer came, the error's class if it was none.

    seconds: from sending to the last byte.
    """

    attempt: int
    seconds: float
    http_status: int | None = None
    bytes: int = 0
    request_id: str | None = None
    points_left: int | None = None
    error: str | None = None


class Refused(Event, frozen=True, kw_only=True):
    """CJ refused for a limit's sake: `limit` is qps, daily, points, login or sourcing."""

    attempt: int
    limit: str


class Retried(Event, frozen=True, kw_only=True):
    """Another attempt follows after `wait` seconds because of `error`."""

    attempt: int
    wait: float
    error: str


class PageRead(Event, frozen=True, kw_only=True):
    """A page of a listing was decoded."""

    page: int
    rows: int
    total: int | None
    skipped: int


class RowSkipped(Event, frozen=True, kw_only=True):
    """A row could not be read; its bytes are in `skipped` of the page or of the list."""

    path: str
    reason: str


Hook = Callable[[Event], object]


def emit(hooks: Sequence[Hook], event: Event) -> None:
    """Tell every hook."""
    for hook in hooks:
        try:
            hook(event)
        except Exception:
            logger.exception("a hook failed on %s", type(event).__name__)


def start_log() -> Hook:
    """What `CJASYNC_LOG=debug` switches on: events go to the logger "cjasync", and to stderr if nobody set up logs."""
    logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(handler)
    return log


def log(event: Event) -> None:
    """The hook behind `CJASYNC_LOG`: one debug line an event. Events hold no parameter, token or key."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s(%s)", type(event).__name__, ", ".join(_facts(event)))


def _facts(event: Event) -> Iterator[str]:
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if value is not None:
            yield f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value!r}"
