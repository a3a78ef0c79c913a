"""A catalogue that does not hold still: products come, go, come back and change their price."""

from __future__ import annotations

import random
from decimal import Decimal

from msgspec import Struct

from cjasync._clock import Clock
from cjasync.errors import ConfigError
from cjasync.sandbox.catalogue import GONE, Catalogue

_DAY = 86_400.0


class Churn(Struct, frozen=True, kw_only=True):
    """How much of the catalogue changes in a day, as shares of its first size.

    new: created now. deleted: gone from every answer. relisted: deleted ones that return with their old creation time.
    repriced: another price. seconds_per_call: how far each listing call moves the day on; None goes by the clock.
    """

    new: float = 0.003
    deleted: float = 0.002
    relisted: float = 0.0005
    repriced: float = 0.05
    seconds_per_call: float | None = None

    def __post_init__(self) -> None:
        if min(self.new, self.deleted, self.relisted, self.repriced) < 0:
            raise ConfigError(f"shares of churn must be 0 or more: {self}")

    def times(self, factor: float) -> Churn:
        """So many times as much of everything."""
        return Churn(
            new=self.new * factor,
            deleted=self.deleted * factor,
            relisted=self.relisted * factor,
            repriced=self.repriced * factor,
            seconds_per_call=self.seconds_per_call,
        )


class Churner:
    """Brings about what a Churn says, in a random order, just before a listing is read."""

    def __init__(self, churn: Churn, catalogue: Catalogue, clock: Clock, seed: int) -> None:
        self._churn = churn
        self._catalogue = catalogue
        self._clock = clock
        self._size = len(catalogue)
        self._rng = random.Random(f"churn {seed}")
        self._since = clock.time()
        self._owed = {"new": 0.0, "deleted": 0.0, "relisted": 0.0, "repriced": 0.0}
        self._gone: list[int] = []

    def catch_up(self) -> None:
        """Make the changes that are due."""
        now = self._clock.time()
        per_call = self._churn.seconds_per_call
        seconds = max(0.0, now - self._since) if per_call is None else per_call
        self._since = max(now, self._since)
        due: list[str] = []
        for kind in self._owed:
            self._owed[kind] += getattr(self._churn, kind) * self._size * seconds / _DAY
            due += [kind] * int(self._owed[kind])
            self._owed[kind] %= 1.0
        self._rng.shuffle(due)
        for kind in due:
            self._change(kind)

    def _change(self, kind: str) -> None:
        catalogue = self._catalogue
        if kind == "new":
            catalogue.add()
        elif kind == "relisted":
            if self._gone:
                place = self._rng.randrange(len(self._gone))
                self._gone[place], self._gone[-1] = self._gone[-1], self._gone[place]
                catalogue.relist(catalogue.pids[self._gone.pop()])
        elif len(catalogue):
            number = self._any_held()
            if kind == "deleted":
                catalogue.delete(catalogue.pids[number])
                self._gone.append(number)
            else:
                catalogue.reprice(catalogue.pids[number], Decimal(self._rng.randrange(50, 20_000)).scaleb(-2))

    def _any_held(self) -> int:
        while True:
            number = self._rng.randrange(len(self._catalogue.status))
            if self._catalogue.status[number] != GONE:
                return number
