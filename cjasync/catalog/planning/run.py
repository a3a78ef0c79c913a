"""A strategy at work: the generator, and the questions whose answers it waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cjasync.catalog.planning.cover import unit
from cjasync.catalog.planning.ends import Closing, Opening, closing, opening
from cjasync.catalog.planning.guess import blind, plain
from cjasync.catalog.planning.keyset import keyset
from cjasync.catalog.planning.listing import Ahead, Ask, Effect, Range, Steps
from cjasync.catalog.planning.question import Reply
from cjasync.catalog.planning.state import Task
from cjasync.catalog.planning.untimed import Hidden, hidden
from cjasync.catalog.planning.windows import seek

STRIDE = 1 << 20  # questions of one task are numbered from task.id * STRIDE on

Apply = Callable[[Task, Effect], None]
RANGES: dict[str, Any] = {"seek": seek, "keyset": keyset, "blind": blind, "plain": plain}
OTHERS: dict[type, Any] = {Opening: opening, Hidden: hidden, Closing: closing}


class Run:
    """One task that has begun."""

    def __init__(self, task: Task, categories: Sequence[str]) -> None:
        assert task.facts is not None
        self.task = task
        strategy = (
            RANGES.get(task.facts.mode, unit) if isinstance(task.job, Range) else OTHERS.get(type(task.job), unit)
        )
        self.categories = list(categories)
        self._steps: Steps = strategy(task.job, task.facts, self.categories)
        self._batch: range | None = None
        self._ahead: list[range] = []
        self._asked = 0
        self.waiting: dict[int, Ask] = {}
        self.finished = False

    @property
    def nearly_over(self) -> bool:
        """Is at most half of its last questions without an answer?"""
        if self._batch is None:
            return False
        return 2 * len(self.waiting) <= len(self._batch) + sum(map(len, self._ahead))

    def answer(self, index: int, reply: Reply) -> None:
        """Keep the reply to question `index`."""
        del self.waiting[index]
        self.task.log[index] = reply

    def advance(self, apply: Apply) -> None:
        """Go on until an answer is missing, or to the end."""
        log, beside = self.task.log, range(0)
        value: list[Reply] | range | None = None
        while True:
            if self._batch is not None:
                if any(index in self.waiting for index in self._batch):
                    return
                value = [log[index] for index in self._batch]
                self._batch = None
            try:
                step = self._steps.send(value)
            except StopIteration:
                self.finished = True
                return
            value = None
            if isinstance(step, Ahead):
                value, asks = self._number(step.asks)
                self._ahead.append(value)
                self.waiting |= asks
                beside = value
            elif isinstance(step, list):
                self._batch, asks = self._number(step)
                later = {index: self.waiting.pop(index) for index in beside if index in self.waiting}
                self.waiting |= asks | later
                beside = range(0)
            elif isinstance(step, range):
                self._ahead.remove(step)
                self._batch = step
            else:
                apply(self.task, step)

    def _number(self, asks: list[Ask]) -> tuple[range, dict[int, Ask]]:
        """The numbers of these questions, and those that have no answer yet."""
        numbers = range(self._asked, self._asked + len(asks))
        self._asked += len(asks)
        return numbers, {n: ask for n, ask in zip(numbers, asks, strict=True) if n not in self.task.log}
