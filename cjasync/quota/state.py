"""What is left in a bucket, and what asking it brings: plain data, as it is stored."""

from __future__ import annotations

from msgspec import Struct, field

from cjasync.quota.delays import Delays
from cjasync.quota.facts import Source


class NotBefore(Struct, frozen=True):
    """Nothing was taken; ask again at `at`."""

    at: int
    bucket: str


class Exhausted(Struct, frozen=True):
    """Nothing was taken; there is not enough until `resets_at` (on the `now` clock). source: whose limit it is."""

    resets_at: int
    used: int
    limit: int
    bucket: str
    source: Source = "local"


Blocked = NotBefore | Exhausted


class RateState(Struct, tag="rate", array_like=True):
    """flying: token -> when sent, no answer yet.

    coming: when the answered tokens are back, sorted; counts: how many each time; away: how many in all.
    line: who waits -> (when it was told to come, its turn). turn: the one served last; next_turns: who -> its next one.
    not_before: the server's stop. said: (limit, per, until) as the server stated it. delays: what answers have taught.
    jitter: the largest stated by those who sent of late; it holds until jitter_until. lesser: others stated
    meanwhile -> until when each holds.
    """

    flying: dict[int, int] = field(default_factory=dict)
    coming: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    away: int = 0
    line: dict[int, tuple[int, int]] = field(default_factory=dict)
    turn: int = 0
    next_turns: dict[int, int] = field(default_factory=dict)
    not_before: int = 0
    said: tuple[int, int, int] | None = None
    delays: Delays = field(default_factory=Delays)
    jitter: int = 0
    jitter_until: int = 0
    lesser: dict[int, int] = field(default_factory=dict)

    def careful(self, jitter: int, now: int) -> int:
        """The largest jitter that holds now, where who asks states this one."""
        if now < self.jitter_until:
            return max(jitter, self.jitter)
        return max([jitter, *(stated for stated, until in self.lesser.items() if now < until)])

    def hold(self, jitter: int, now: int, until: int) -> None:
        """Let a jitter hold that who sends now states."""
        if jitter >= self.careful(jitter, now):
            self.jitter, self.jitter_until = jitter, until
        else:
            self.lesser = {stated: its for stated, its in self.lesser.items() if now < its} | {jitter: until}


class BudgetState(Struct, tag="budget", array_like=True):
    """charged, returned: grains ever taken and ever come back; the difference is what is spent. `charged` only grows.

    ends: wall time of the day's end. trickled: until when minutes have been credited. shut: nothing before this moment.
    limit: the server's own figure. newest: `charged` of the request whose report was the last one believed.
    reported: whether the server has said what is left of the points. hours: (hour since 1970, `charged` when it began),
    the last 25. filled: the end of the day for which it was filled last. filled_at: when, on the `now` clock.
    dawn: `charged` when that day began, and what was given back since: the rest was charged today.
    """

    charged: int = 0
    returned: int = 0
    ends: int = 0
    trickled: int = 0
    shut: int = 0
    limit: int | None = None
    newest: int = 0
    reported: bool = False
    hours: list[tuple[int, int]] = field(default_factory=list)
    filled: int = 0
    filled_at: int = 0
    dawn: int = 0

    @property
    def spent(self) -> int:
        """Grains."""
        return self.charged - self.returned

    @property
    def today(self) -> int:
        """Grains charged since the day began, whatever has come back of them or the server says."""
        return self.charged - self.dawn

    @property
    def source(self) -> Source:
        """Whose figure is in force, beside the user's own."""
        return "server" if self.reported or self.limit is not None else "local"


class SeatsState(Struct, tag="seats", array_like=True):
    """seats: account -> when it was last seen. new: those of which no answer is known -> the token that sat down."""

    seats: dict[str, int] = field(default_factory=dict)
    new: dict[str, int] = field(default_factory=dict)


State = RateState | BudgetState | SeatsState
