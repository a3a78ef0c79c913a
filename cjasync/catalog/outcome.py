"""What a walk has to show: the planner's proof together with what was delivered, skipped and spent; and on its way."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from cjasync.catalog.entry import Skip
from cjasync.catalog.planning.report import Report
from cjasync.catalog.tally import Tally

SHOWN = 100  # unreadable rows that a report carries


class WalkReport(Report, frozen=True, kw_only=True):
    """The result of a walk over all its runs, with its proof. The other figures are those of `Report`.

    delivered: products handed on, each once. skipped: products whose row could not be read; the first of them, with
    their bytes, are `skipped_rows`. seconds: time at work. runs: how often it was begun or resumed.
    started_at, ended_at: of the first run and the last answer. tombstones: products marked as gone.
    detailed: products whose details came. failed: those whose details CJ has not. detail_requests: calls for them.
    """

    delivered: int = 0
    skipped: int = 0
    skipped_rows: tuple[Skip, ...] = ()
    seconds: float = 0.0
    runs: int = 1
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tombstones: int = 0
    detailed: int = 0
    failed: int = 0
    detail_requests: int = 0

    @classmethod
    def made_of(cls, proof: Report, tally: Tally, skipped: list[Skip]) -> WalkReport:
        """The planner's report and the walk's own figures."""
        facts = {name: getattr(proof, name) for name in proof.__struct_fields__}
        counted = msgspec.structs.asdict(tally)
        started, ended = counted.pop("started_at"), counted.pop("answered_at")
        facts |= counted | {
            "overhead": tally.requests / max(1, proof.lower_bound),
            "skipped_rows": tuple(skipped[:SHOWN]),
            "started_at": _moment(started),
            "ended_at": _moment(ended),
        }
        return cls(**facts)

    def figures(self) -> dict[str, str]:
        """What a person wants to read, in order."""
        shown = {
            "products": f"{self.delivered:,}",
            "the server counts": f"{_count(self.total_before)} before, {_count(self.total_after)} after",
            "windows": f"{self.windows:,} ({', '.join(f'{mode} {count}' for mode, count in self.modes.items())})",
            "repaired windows": f"{self.repaired:,}",
            "requests": f"{self.requests:,}, at least {self.lower_bound:,} were needed: {self.overhead:.4f}",
            "rows received again": f"{self.repeated:,}",
            "without a creation time": f"{self.hidden:,}",
            "unreachable": f"{self.unreachable:,}",
            "rows that cannot be read": f"{self.skipped:,}",
            "marked as gone": f"{self.tombstones:,}",
            "details": f"{self.detailed:,}, {self.failed:,} not to be had, {self.detail_requests:,} requests",
            "time": f"{self.seconds:,.1f} s in {self.runs} {'run' if self.runs == 1 else 'runs'}",
            "complete": "proved" if self.proved else "not proved: " + "; ".join(self.reasons),
        }
        if not self.tombstones:
            del shown["marked as gone"]
        if not self.detail_requests:
            del shown["details"]
        return shown


class Progress(Struct, frozen=True, kw_only=True):
    """Where a walk stands. `waiting_until`: it sleeps until a budget has more (aware datetime)."""

    delivered: int
    total: int | None
    requests: int
    windows: int
    seconds: float
    waiting_until: datetime | None


def _moment(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _count(total: int | None) -> str:
    return "?" if total is None else f"{total:,}"
