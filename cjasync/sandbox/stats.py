"""What the sandbox saw, independent of what it enforced."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any


class Stats:
    """Counts of requests and refusals, and the fullest second that any account or address made."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.rows = 0
        self.worst: dict[str, int] = {}
        self._recent: dict[str, deque[float]] = {}
        self.first_at: float | None = None
        self.last_at: float | None = None

    def arrival(self, now: float, *scopes: str) -> None:
        """A request reached the limits at `now` (monotonic seconds); scopes are like "account 1", "ip 127.0.0.1"."""
        self.first_at = now if self.first_at is None else self.first_at
        self.last_at = now
        for scope in scopes:
            recent = self._recent.setdefault(scope, deque())
            recent.append(now)
            while recent[0] <= now - 1.0:
                recent.popleft()
            self.worst[scope] = max(self.worst.get(scope, 0), len(recent))

    def report(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "requests": self.requests.total(),
            "by_path": dict(self.requests),
            "refused": self.refused.total(),
            "refused_by_kind": dict(self.refused),
            "rows": self.rows,
            "worst_second": dict(self.worst),
            "seconds": 0.0 if self.first_at is None or self.last_at is None else self.last_at - self.first_at,
        }
