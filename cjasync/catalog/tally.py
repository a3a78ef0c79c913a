"""The figures of a walk that its planner does not keep; they live in the checkpoint."""

from __future__ import annotations

from msgspec import Struct


class Tally(Struct, kw_only=True):
    """Counted over all runs of a walk.

    delivered: products handed out, each once. skipped: those whose row could not be read.
    requests: answers of product/list that were paid for. seconds: while it ran. runs: times it was begun or resumed.
    started_at, answered_at: of the first run, and of the last answer, in seconds since 1970.
    detailed: products whose details came. failed: those whose details cannot be had. detail_requests: answers paid for.
    tombstones: products marked as gone.
    """

    delivered: int = 0
    skipped: int = 0
    requests: int = 0
    seconds: float = 0.0
    runs: int = 0
    started_at: float = 0.0
    answered_at: float = 0.0
    detailed: int = 0
    failed: int = 0
    detail_requests: int = 0
    tombstones: int = 0
