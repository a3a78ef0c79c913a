"""A strategy at work: the generator, and the questions whose answers it waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cjasync.catalog.planning.cover import unit
from cjasync.catalog.planning.ends import Closing, Opening, closing, opening
from cjasync.catalog.planning.guess import blind, plain
from cjasync.catalog.planning.keyset import keyset
from cjasync.catalog.planning.listing import Ask, Effect, Range, Steps
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
        self._steps: Steps = strategy(task.job, task.facts, list(categories))
        self._batch: range | None = None
        self._asked = 0
        self.waiting: dict[int, Ask] = {}
        self.finished = False

    @property
    def nearly_over(self) -> bool:
        """Is at most a quarter of its last questions without an answer?"""
        return self._batch is not None and 4 * len(self.waiting) <= len(self._batch)

    def answer(self, index: int, reply: Reply) -> None:
        """Keep the reply to question `index`."""
        del self.waiting[index]
        self.task.log[index] = reply

    def advance(self, apply: Apply) -> None:
        """Go on until an answer is missing, or to the end."""
        log = self.task.log
        while not self.waiting:
            value = None if self._batch is None else [log[index] for index in self._batch]
            self._batch = None
            try:
                step = self._steps.send(value)
            except StopIteration:
                self.finished = True
                return
            if isinstance(step, list):
                self._batch = range(self._asked, self._asked + len(step))
                self._asked += len(step)
                self.waiting = {n: ask for n, ask in zip(self._batch, step, strict=True) if n not in log}
            else:
                apply(self.task, step)
