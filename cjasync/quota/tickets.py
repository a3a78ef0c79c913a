"""A ticket: the right to send one request, and the duty to say what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cjasync.quota.facts import PointsInfo, Refusal

if TYPE_CHECKING:
    from cjasync.quota.limiter import Limiter
    from cjasync.quota.store import Booking


class Ticket:
    """One real send. Its methods are quick, never wait and never raise; the first that ends it counts.

    A ticket of which nothing is heard keeps its charge, and its turn is free again when it surely has arrived.
    """

    __slots__ = ("_ended", "_limiter", "booked_at", "booking", "charged", "sent_at", "token")

    def __init__(self, limiter: Limiter, booking: Booking, token: int, booked_at: int, charged: int) -> None:
        self._limiter = limiter
        self.booking = booking
        self.token = token
        self.booked_at = self.sent_at = booked_at
        self.charged = charged
        self._ended = False

    def sent(self) -> None:
        """The request leaves now. Sent again by the same call: say it again."""
        if not self._ended:
            self._limiter.ticket_sent(self)

    def answered(self, points: PointsInfo | None = None) -> None:
        """An answer came that is no refusal for a limit's sake; `points` is what it said about the budget."""
        if not self._ended:
            self._ended = True
            self._limiter.ticket_answered(self, points)

    def refused(self, refusal: Refusal) -> None:
        """The server refused for a limit's sake: it is believed."""
        if not self._ended:
            self._ended = True
            self._limiter.ticket_refused(self, refusal)

    def unsent(self) -> None:
        """The request provably never left: all that it took is given back."""
        if not self._ended:
            self._ended = True
            self._limiter.ticket_unsent(self)

    def lost(self) -> None:
        """It was sent and no answer will come: the charge stays, the turn comes back when it surely has arrived."""
        self._ended = True
