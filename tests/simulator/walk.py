"""Carry a planner's questions to a simulated server: many in flight, answered in any order, under a budget."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from cjasync.catalog.planner import Planner
from cjasync.catalog.report import Report
from tests.simulator.catalogue import START, Catalogue
from tests.simulator.server import Server


@dataclass
class Walk:
    """What came of a walk."""

    report: Report
    delivered: list[str] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    doubled: int = 0
    ended: float = 0.0
    saved: int = 0  # bytes of the largest checkpoint


def walk(
    planner: Planner,
    server: Server,
    catalogue: Catalogue,
    *,
    in_flight: int = 1,
    seconds: float = 0.0,
    gap: float = 1.0,
    bursts: bool = True,
    seed: int = 3,
    crash: float = 0.0,
    most: int = 1_000_000,
) -> Walk:
    """Run a walk to its end.

    in_flight: questions under way, answered in random order. seconds: budget between two calls (0: no budget).
    gap: seconds between calls while the budget lasts. bursts: wait until the budget pays a window's whole burst.
    crash: chance after every answer that the process is lost and the walk goes on from its checkpoint.
    """
    rng = random.Random(seed)
    result = Walk(planner.report())
    tokens, paid = 1.0, set()
    flying = []
    for _ in range(most):
        flying += planner.next(in_flight)
        if not flying:
            break
        question = flying.pop(rng.randrange(len(flying)))
        pause = gap
        if seconds:
            needed = float(question.burst) if bursts and question.window not in paid else 1.0
            paid.add(question.window)
            tokens += gap / seconds
            if tokens < needed:
                pause += (needed - tokens) * seconds
                tokens = needed
            tokens -= 1
        if pause > 60 and question.burst < 2:
            planner.paused()
        server.advance(server.now + pause)
        answer = server.answer(question)
        events = planner.feed(question.id, answer)
        result.delivered += [answer.rows[n].pid for n in events.new]
        if crash and rng.random() < crash:
            saved = planner.to_bytes()
            result.saved = max(result.saved, len(saved))
            planner, flying = Planner.from_bytes(saved), []
    else:
        raise AssertionError(f"no end after {most} questions")
    result.report, result.ended = planner.report(), server.now
    result.missed = {server.pid(p) for p in catalogue.products if p.born <= START and p.dies > server.now}
    result.missed -= set(result.delivered)
    result.doubled = len(result.delivered) - len(set(result.delivered))
    return result
