"""What a walk has to show for itself at its end."""

from __future__ import annotations

from msgspec import Struct

from cjasync.catalog.planning.question import Certificate, Facts
from cjasync.catalog.planning.state import State


class Report(Struct, frozen=True, kw_only=True):
    """The result of a walk, with its proof.

    products: rows received. unique: distinct products among them, each delivered once. repeated: rows received again.
    total_before, total_after: the server's own count at the start and at the end (None: not asked yet).
    counted: the sum of the certified windows' totals, and of the products without a create time.
    hidden: products without a create time, expected from the totals.
    repaired: windows where pages were read again because the catalogue moved between two of them.
    requests: answers that were paid for. lower_bound: pages that `unique` products fill. overhead: their quotient.
    unreachable: products that the server counts and no question shows.
    reasons: why completeness is not proved; empty if it is.
    facts: what was found out about the server; give it to the next walk.
    modes: the strategies used, with the windows each certified. notes: what was found out on the way.
    """

    products: int
    unique: int
    repeated: int
    total_before: int | None
    total_after: int | None
    counted: int
    hidden: int
    windows: int
    certificates: tuple[Certificate, ...]
    repaired: int
    modes: dict[str, int]
    requests: int
    lower_bound: int
    overhead: float
    unreachable: int
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    facts: Facts

    @classmethod
    def of(cls, state: State) -> Report:
        """The report of a walk in this state."""
        certificates = tuple(state.certificates)
        modes: dict[str, int] = {}
        for each in certificates:
            modes[each.mode] = modes.get(each.mode, 0) + 1
        missing = sum(each.missing for each in certificates)
        floor = -(-state.unique // state.facts.size)
        return cls(
            products=state.received,
            unique=state.unique,
            repeated=state.received - state.unique,
            total_before=state.before,
            total_after=state.after,
            counted=sum(each.total for each in certificates),
            hidden=state.hidden,
            windows=len(certificates),
            certificates=certificates,
            repaired=sum(each.repaired > 0 for each in certificates),
            modes=modes,
            requests=state.requests,
            lower_bound=floor,
            overhead=state.requests / max(1, floor),
            unreachable=missing,
            reasons=tuple(_reasons(state, missing)),
            notes=tuple(state.notes),
            facts=state.facts,
        )

    @property
    def proved(self) -> bool:
        """Was every product that lived through the walk certainly delivered?"""
        return not self.reasons


def _reasons(state: State, missing: int) -> list[str]:
    """Why the walk does not prove that it is complete."""
    reasons = list(state.reasons)
    if state.tasks:
        reasons.append("the walk is not finished")
    if missing:
        reasons.append(f"{missing} products are counted by the server and shown by no question")
    elif state.before == state.after is not None and state.unique < state.after:
        reasons.append(f"{state.after - state.unique} of {state.after} products were shown by no question")
    uncounted = sum(each.proof == "uncounted" for each in state.certificates)
    if uncounted:
        reasons.append(f"{uncounted} windows hold more than the server counts")
    moving = sum(each.proof == "none" and not each.missing for each in state.certificates)
    if moving:
        reasons.append(f"{moving} windows changed faster than they could be read")
    if state.facts.mode in ("blind", "plain") and state.after is not None:  # nothing else tells how bounds are read
        counted = sum(each.total for each in state.certificates)
        if (lost := min(state.before or 0, state.after) - counted) > 0:
            reasons.append(f"{lost} products lie in no window that was read")
        if state.facts.capped or counted > max(state.before or 0, state.after):
            reasons.append("nothing shows how the server reads bounds of time: it neither sorts by it nor counts all")
    still = state.before == state.after == sum(each.total for each in state.certificates)
    if state.facts.mode == "units" and not (still and all(each.proof == "constant" for each in state.certificates)):
        reasons.append("cut by price and category, which change, while the catalogue changed")
    return reasons
