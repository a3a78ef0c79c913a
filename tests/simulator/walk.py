"""Carry a planner's questions to a simulated server: many in flight, answered in any order, under a budget."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from cjasync.catalog.planner import Planner
from cjasync.catalog.planning.question import Question
from cjasync.catalog.planning.report import Report
from tests.simulator.catalogue import Catalogue
from tests.simulator.server import Server

PAUSE = 60  # seconds after which the pages of a window do not join any more


@dataclass
class Walk:
    """What came of a walk."""

    report: Report
    delivered: list[str] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    doubled: int = 0
    lived: int = 0  # products that existed during the whole of it
    ended: float = 0.0
    saved: int = 0  # bytes of the largest checkpoint
    crashes: int = 0


class Budget:
    """Calls that trickle in, one per so many seconds; a window's burst is set aside as a whole before it begins."""

    def __init__(self, seconds: float, bursts: bool) -> None:
        self.seconds = seconds
        self.bursts = bursts
        self.calls = 1.0
        self.aside: dict[int, int] = {}  # window -> calls it has paid and not used

    def price(self, question: Question) -> int:
        """What has to be paid before this question goes out."""
        if not self.seconds or self.aside.get(question.window, 0) > 0:
            return 0
        return question.burst if self.bursts else 1

    def pays(self, question: Question) -> bool:
        return self.price(question) <= self.calls

    def earn(self, seconds: float) -> None:
        if self.seconds:
            self.calls += seconds / self.seconds

    def wait(self, question: Question) -> float:
        """Wait until it can be paid; returns the seconds."""
        seconds = max(0.0, (self.price(question) - self.calls) * self.seconds)
        self.earn(seconds)
        return seconds

    def spend(self, question: Question) -> None:
        price = self.price(question)
        self.calls -= price
        if self.seconds:
            self.aside[question.window] = self.aside.get(question.window, 0) + price - 1


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
    budget = Budget(seconds, bursts)
    flying: list[Question] = []
    begun = server.now
    for _ in range(most):
        flying += planner.next(in_flight)
        if not flying:
            break
        budget.earn(gap)
        ready = [n for n, question in enumerate(flying) if budget.pays(question)]
        pause = gap
        if not ready:
            ready = [min(range(len(flying)), key=lambda n: budget.price(flying[n]))]
            pause += budget.wait(flying[ready[0]])
        question = flying.pop(rng.choice(ready))
        budget.spend(question)
        if pause > PAUSE:
            planner.paused()
        server.advance(server.now + pause)
        answer = server.answer(question)
        events = planner.feed(question.id, answer)
        result.delivered += [answer.rows[n].pid for n in events.new]
        if crash and rng.random() < crash:
            saved = planner.to_bytes()
            result.saved = max(result.saved, len(saved))
            planner, flying = Planner.from_bytes(saved), []
            result.crashes += 1
    else:
        raise AssertionError(f"no end after {most} questions")
    result.report, result.ended = planner.report(), server.now
    lived = {server.pid(p) for p in catalogue.products if p.born <= begun and p.dies > server.now}
    result.lived, result.missed = len(lived), lived
    result.missed -= set(result.delivered)
    result.doubled = len(result.delivered) - len(set(result.delivered))
    return result
