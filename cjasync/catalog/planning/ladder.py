"""What happens when a mode does not hold, or a bound means something else: what is not certified is cut anew."""

from __future__ import annotations

from msgspec.structs import replace

import cjasync.catalog.planning.prices as prices
from cjasync.catalog.planning.ends import Opening
from cjasync.catalog.planning.listing import Breach, Learnt, Range, Unit
from cjasync.catalog.planning.question import Mode, Region
from cjasync.catalog.planning.state import State

LADDER: tuple[Mode, ...] = ("seek", "keyset", "blind", "plain", "units")


def descend(state: State, breach: Breach) -> None:
    """Go on in a mode that needs less from the server."""
    mode, now = breach.mode, state.facts.mode
    if mode == "blind" and state.facts.times == "row" and state.readable_ids:
        state.notes.append(f"{breach}: going by the times that ids carry")
        state.facts = replace(state.facts, times="id", mode="seek", checked=False)
    else:
        if LADDER.index(mode) <= LADDER.index(now):
            mode = LADDER[min(LADDER.index(now) + 1, len(LADDER) - 1)]
        state.notes.append(f"{breach}: going on in mode {mode}")
        state.facts = replace(state.facts, mode=mode, times="row", checked=False)
    cut_anew(state)


def learn(state: State, found: Learnt) -> None:
    """Go on with what was found out about the filter."""
    state.notes.append(str(found))
    state.facts = replace(state.facts, **found.changes)
    cut_anew(state)


def cut_anew(state: State) -> None:
    """Begin every open job again, with what is known now. What was delivered is remembered."""
    old, state.tasks = state.tasks, []
    facts = state.facts
    unread: list[Range] = []
    child = False  # does the next range follow one that was cut off it? Then they are cut anew together
    for task in old:
        job = task.job
        if isinstance(job, Opening) and state.before is not None:
            if len(old) > 1:
                continue  # it has handed out what there is to do
            job = Range(job.start, job.end, max(state.before, facts.window + 1), last=True)
        if isinstance(job, Range):
            if child and unread[-1].end + 1 == job.start:
                before = unread.pop()
                job = replace(job, start=before.start, rows=before.rows, seen_start=before.seen_start)
            child = task.end is not None
            unread.append(job if task.end is None else replace(job, end=task.end, last=False))
        else:
            state.add(job)
    if facts.mode == "units":
        if not any(isinstance(task.job, Unit) for task in state.tasks):
            state.add(Unit(Region(), state.before or 0, tuple(prices.sample(state.price_bins)), spread=True))
        return
    whole = facts if facts.mode in ("seek", "keyset") else replace(facts, noon=True)
    for job in unread:
        start = job.start if job.start is None else whole.unit(job.start)[0]
        end = job.end if job.end == state.end else whole.unit(job.end + 1)[0] - 1
        state.add(Range(start, end, job.rows, seen_start=job.seen_start and start == job.start, last=job.last))
    state.end_at(state.end)
