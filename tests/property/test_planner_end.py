"""Every walk ends soon, whatever the server answers: rows, totals and refusals at random."""

from __future__ import annotations

import random

import pytest

from cjasync.catalog.planner import Planner
from cjasync.catalog.planning.question import Answer, Question, Row
from tests.simulator.catalogue import START

IN_FLIGHT = 4
SIZE = 5


class Nonsense:
    """Answers at random out of some products: more or less in order, and more or less as many as announced."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.products = self.rng.choice([1, 20, 200])
        self.total = self.rng.choice([1, self.products, 10 * self.products, 10**12])
        self.moving = self.rng.choice([0, 0.01, 0.3, 1])
        self.refusing = self.rng.choice([0, 0.05, 0.5])
        self.sorted = self.rng.random() < 0.7

    def answer(self, question: Question) -> Answer:
        """One page."""
        rng = self.rng
        if rng.random() < self.refusing:
            return Answer(error="max_offset")
        total = rng.choice([0, SIZE, rng.randint(0, self.products)]) if rng.random() < self.moving else self.total
        due = max(0, min(SIZE, total - (question.page - 1) * SIZE))
        start, end = question.region.start or START - 10**7, min(question.region.end or START, START)
        times = [rng.randint(start, max(start, end)) if rng.random() < 0.98 else None for _ in range(due)]
        if self.sorted:
            times.sort(key=lambda time: (time is None, time), reverse=question.sort == "desc")
        rows = [Row(f"{rng.randrange(self.products):032x}", time, rng.randint(0, 10**5), None) for time in times]
        return Answer(total, tuple(rows), SIZE)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_any_answers_end_the_walk(first: int) -> None:
    """Its questions are bounded by the products that it brought; one that is given up says so, and is not proved."""
    for seed in range(first, first + 10):
        server, planner = Nonsense(seed), Planner.start(now=START, page_size=SIZE, window=6 * SIZE)
        flying: list[Question] = []
        while flying := flying + planner.next(IN_FLIGHT - len(flying)):
            question = flying.pop(server.rng.randrange(len(flying)))
            planner.feed(question.id, server.answer(question))
            report = planner.report()
            bound = 1000 + 10 * -(-report.unique // SIZE)
            assert report.requests <= bound + IN_FLIGHT
        assert planner.done
        assert report.requests <= bound or any("questions brought only" in reason for reason in report.reasons)
