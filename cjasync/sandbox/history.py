"""What happened to the catalogue, so that a test can ask what was true while it was looking."""

from __future__ import annotations

from collections.abc import Iterable
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
    """Every change since the start, in order. A mark is a place in it: `len(history)` at some moment."""

    def __init__(self, initial: Iterable[int]) -> None:
        self._initial = frozenset(initial) if not isinstance(initial, range) else initial
        self.events: list[Event] = []

    def __len__(self) -> int:
        return len(self.events)

    def record(self, at: float, kind: Kind, number: int, price: tuple[int, int]) -> None:
        """Append a change."""
        self.events.append(Event(at, kind, number, price))

    def held_throughout(self, start: int, end: int | None = None) -> set[int]:
        """Numbers of the products that were held at mark `start` and never gone until mark `end` (default now)."""
        held = set(self._initial)
        for event in self.events[:start]:
            if event.kind == "delete":
                held.discard(event.number)
            else:
                held.add(event.number)
        return held.difference(event.number for event in self.events[start:end] if event.kind == "delete")

    def held_at_some_time(self, start: int, end: int | None = None) -> set[int]:
        """Numbers of the products that were held at mark `start` or appeared before mark `end` (default now)."""
        held = set(self._initial)
        for event in self.events[:start]:
            if event.kind == "delete":
                held.discard(event.number)
            else:
                held.add(event.number)
        return held.union(event.number for event in self.events[start:end] if event.kind in ("add", "relist"))

    def prices(self, number: int, now: tuple[int, int], start: int, end: int | None = None) -> set[tuple[int, int]]:
        """The prices (low, high, in cents) of a product between two marks; `now` is its present price."""
        changes = [event for event in self.events[start:] if event.kind == "reprice" and event.number == number]
        inside = sum(event.number == number and event.kind == "reprice" for event in self.events[start:end])
        known = [event.price for event in changes] + [now]
        return set(known[: inside + 1])
