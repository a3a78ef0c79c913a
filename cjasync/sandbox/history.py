"""What happened to the catalogue, so that a test can ask what was true while it was looking."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal["add", "delete", "relist", "delist", "reprice"]


class Event(Struct, frozen=True):
    """A change: what happened to product `number` at `at` (seconds since 1970), and its price before, in cents."""

    at: float
    kind: Kind
    number: int
    price: tuple[int, int]


class History:
    """Every change since the first `initial` products, in order. A mark is `len(history)` at some moment."""

    def __init__(self, initial: int) -> None:
        self._initial = initial
        self.events: list[Event] = []

    def __len__(self) -> int:
        return len(self.events)

    def record(self, at: float, kind: Kind, number: int, price: tuple[int, int]) -> None:
        """Append a change."""
        self.events.append(Event(at, kind, number, price))

    def held_at(self, mark: int) -> set[int]:
        """Numbers of the products that were held at a mark."""
        held = set(range(self._initial))
        for event in self.events[:mark]:
            if event.kind == "delete":
                held.discard(event.number)
            else:
                held.add(event.number)
        return held

    def held_throughout(self, start: int, end: int | None = None) -> set[int]:
        """Those held at mark `start` and never gone until mark `end` (default: until now)."""
        return self.held_at(start) - {event.number for event in self.events[start:end] if event.kind == "delete"}

    def held_at_some_time(self, start: int, end: int | None = None) -> set[int]:
        """Those held at mark `start` or added or back before mark `end` (default: until now)."""
        came = {event.number for event in self.events[start:end] if event.kind in ("add", "relist")}
        return self.held_at(start) | came

    def prices(self, number: int, now: tuple[int, int], start: int, end: int | None = None) -> set[tuple[int, int]]:
        """Every price of a product between two marks, in cents; `now` is its present one."""
        known = [event.price for event in self.events[start:] if event.kind == "reprice" and event.number == number]
        changes = sum(event.kind == "reprice" and event.number == number for event in self.events[start:end])
        return set([*known, now][: changes + 1])
