"""A ticket: the right to send one request, and the duty to say what became of it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from cjasync.quota.bucket import Claim, Rate
from cjasync.quota.facts import PointsInfo, Refusal


class Booking:
    """All that one kind of request takes.

    rates, calls, points, seats: where in `claims` these are. states, cache: what its store keeps in its memory for it.
    """

    __slots__ = ("cache", "calls", "claims", "points", "rates", "seats", "states")

    def __init__(self, claims: tuple[Claim, ...]) -> None:
        self.claims: tuple[Any, ...] = claims
        self.rates = [n for n, claim in enumerate(claims) if isinstance(claim, Rate)]
        self.calls, self.points, self.seats = (
            next((n for n, claim in enumerate(claims) if claim.scope == scope), None)
            for scope in ("calls", "points", "accounts")
        )
        self.states: list[Any] | None = None
        self.cache: Any = None


class Ticket(Struct, gc=False, eq=False):
    """One real send. Its methods are quick, never wait and never raise; the first that ends it counts.

    A ticket of which nothing is heard keeps its charge, and its turn is free again once it has surely arrived.
    """

    _desk: Any
    booking: Booking
    token: int
    booked_at: int
    charged: int = 0
    sent_at: int = 0
    ended: bool = False

    def sent(self) -> None:
        """The request leaves now. Should the same call send again, say it again."""
        if not self.ended:
            self._desk.on_sent(self)

    def answered(self, points: PointsInfo | None = None) -> None:
        """An answer came that is no refusal for a limit's sake; `points` is what it said about the budget."""
        if not self.ended:
            self.ended = True
            self._desk.on_answered(self, points)

    def refused(self, refusal: Refusal) -> None:
        """The server refused for a limit's sake, or does not know the account: it is believed."""
        if not self.ended:
            self.ended = True
            self._desk.on_refused(self, refusal)

    def unsent(self) -> None:
        """The request provably never left: all that it took is given back."""
        if not self.ended:
            self.ended = True
            self._desk.on_unsent(self)

    def lost(self) -> None:
        """It was sent and no answer will come: the charge stays, the turn comes back once it has surely arrived."""
        self.ended = True
