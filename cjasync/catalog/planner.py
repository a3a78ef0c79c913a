"""Which question comes next, on the way to a whole catalogue: answers in, questions out, no clock, no socket, no file::

    planner = Planner.start(now=now)  # or Planner.from_bytes(saved)
    while not planner.done:
        for question in planner.next(1):  # or as many as shall be in flight; their answers may come in any order
            events = planner.feed(question.id, await ask(question))  # write events.new and planner.to_bytes() together
    report = planner.report()

The walk is cut into windows of create time, each read as one burst and certified by the totals that its own answers
carry (`windows`). Where an answer breaks what a mode relies on, the next one of the ladder takes over for what is not
certified yet: SEEK, KEYSET (`windows`), BLIND, PLAIN (`guess`), UNITS (`cover`). Strategies are generators (`listing`);
a checkpoint holds the replies of the open ones, and replaying them brings each back to where it was. So the state is a
function of the answers fed and their order: an older checkpoint plus the answers since gives the same walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from cjasync.catalog.planning import borders, ladder, prices
from cjasync.catalog.planning.ends import Closing, Opening
from cjasync.catalog.planning.intake import Intake
from cjasync.catalog.planning.listing import Ask, Breach, Certified, Effect, Learnt, Outgrown, Range, Spawn, Unit
from cjasync.catalog.planning.question import Answer, Certificate, Events, Facts, Question, Region
from cjasync.catalog.planning.report import Report
from cjasync.catalog.planning.run import STRIDE, Run
from cjasync.catalog.planning.state import State, Task, from_bytes, to_bytes
from cjasync.catalog.planning.untimed import Hidden

DEFAULT_WINDOW = 10_000  # where the server sets no limit: larger windows gain nothing and hold bursts open longer
EAST = 14 * 3600  # no clock is further ahead of UTC
# What strategies find out of `Facts`.
FOUND = frozenset({"checked", "checked_end", "checked_start", "capped", "counts", "window"})
IN_VAIN = 1000  # questions in a row, and half of all: more than any search takes that has something to find
MOST = 10  # questions for each page that the products fill; those in vain come on top
SLACK = 60  # seconds that the server's clock may be ahead of ours


class Planner:
    """A walk over everything that matches a filter."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._runs: dict[int, Run] = {}
        self._flying: set[int] = set()
        self._intake = Intake(state)
        for task in state.tasks:
            if task.facts is not None:
                self._begin(task)
        self._open()

    @classmethod
    def start(
        cls,
        *,
        now: int,
        page_size: int = 200,
        window: int | None = 6000,
        within: Region | None = None,
        categories: Sequence[str] = (),
        facts: Facts | None = None,
        earlier: Sequence[Certificate] = (),
        open_windows: int = 2,
    ) -> Planner:
        """A new walk.

        now: seconds since 1970. What is created while the walk runs, it may bring or leave to the next one.
        window: rows that one question reaches, if known; None where there is no limit.
        within: the part of the user's filter that the planner itself uses (time, price, category, inventory).
        categories: ids of all categories, if at hand: the last resort of cutting.
        facts, earlier: `report().facts` and `.certificates` of a walk before this one: its borders are used again.
        open_windows: windows read at the same time; two are enough while a window has more pages than are in flight.
        """
        base = within or Region()
        facts = facts or Facts(size=page_size, window=max(page_size, window or DEFAULT_WINDOW))
        # The end must not come before now by any clock that the filter may go by.
        end = facts.clear_of_lunch(now + SLACK + EAST - facts.zone)
        if base.end is not None:
            end = min(end, base.end)
        opening = Task(0, Opening(end, base.start, base.timed, borders.windows(earlier, facts, base.start, end)))
        return cls(State(base, end, facts, open_windows, [opening], categories=list(categories)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Planner:
        """The walk as it was saved; questions that were in flight are asked again. Raises `CheckpointError`."""
        return cls(from_bytes(data))

    def to_bytes(self) -> bytes:
        """All the planner knows."""
        return to_bytes(self._state)

    @property
    def done(self) -> bool:
        """Is there nothing left to ask?"""
        return not self._state.tasks

    def next(self, limit: int) -> list[Question]:
        """Questions to send now, the most urgent first, so that at most `limit` are in flight."""
        wanted = [(run, index, ask) for run in self._runs.values() for index, ask in run.waiting.items()]
        wanted.sort(key=lambda each: each[2].kind != "spine")
        questions = []
        for run, index, ask in wanted:
            if len(self._flying) >= limit:
                break
            number = run.task.id * STRIDE + index
            if number not in self._flying:
                self._flying.add(number)
                questions.append(self._question(number, run, ask))
        return questions

    def know(self, categories: Sequence[str]) -> None:
        """Tell all categories, before the second answer: the last resort of cutting. They are part of the state."""
        for category in categories:
            self._intake.note(category)
        for run in self._runs.values():
            run.categories[:] = self._state.categories
            run.task.categories = len(run.categories)

    def paused(self) -> None:
        """Tell that a burst was broken by a minute or more: pages read before and after it no longer join."""
        self._state.era += 1

    def feed(self, question: int, answer: Answer) -> Events:
        """Take in the answer to a question. An answer that nobody waits for any more changes nothing."""
        state = self._state
        task, index = divmod(question, STRIDE)
        run = self._runs.get(task)
        self._flying.discard(question)
        state.requests += 1
        if run is None or index not in run.waiting:
            return Events(notes=("an answer that is not needed any more",))
        certified, said = len(state.certificates), len(state.notes)
        new = self._intake.deliver(answer.rows, run.waiting[index], run.task.job)
        state.in_vain = 0 if new else state.in_vain + 1
        self._hear(question, run, answer)
        self._open()
        if not self.done and (why := self._hopeless()):
            self._give_up(why)
        return Events(
            new=tuple(new),
            repeated=len(answer.rows) - len(new),
            certified=tuple(state.certificates[certified:]),
            notes=tuple(state.notes[said:]),
        )

    def _hear(self, question: int, run: Run, answer: Answer) -> None:
        """Let the strategy that asked go on with the answer."""
        state, index = self._state, question % STRIDE
        ask = run.waiting[index]
        try:
            reply = self._intake.judge(question, run.task, ask, answer)
            if reply is not None:
                run.answer(index, reply)
                run.advance(self._apply)
        except Learnt as found:
            self._leave()
            ladder.learn(state, found)
            if ask.kind == "head" and len(answer.rows) <= state.facts.size:
                self._hear_again(answer)
        except Breach as breach:
            self._leave()
            ladder.descend(state, breach)
        except Outgrown:  # the window has shrunk between two answers: what is open has to be cut smaller
            self._leave()
            ladder.cut_anew(state)
        if run.finished:
            self._finish(run.task)

    def _hear_again(self, answer: Answer) -> None:
        """The first page is the same, whatever size was asked for."""
        self._open()
        (run,) = self._runs.values()
        self._hear(run.task.id * STRIDE, run, answer)

    def report(self) -> Report:
        """What the walk has to show so far."""
        return Report.of(self._state)

    def _begin(self, task: Task) -> None:
        run = self._runs[task.id] = Run(task, self._state.categories[: task.categories])
        run.advance(self._ignore)

    def _ignore(self, task: Task, step: Any) -> None:
        """Effects of a replay have happened already."""

    def _open(self) -> None:
        """Begin jobs while there is room: one window until its bounds are understood, then two or more.

        Beside one that is nearly over another begins: a late answer must not keep the next window's spine from being
        asked for while there still are pages to read. Not before a window's start has been seen to hold what it should:
        where it does not, all open windows are read in vain.
        """
        state = self._state
        while True:
            if not state.tasks and not self._last_stage():
                return
            room = state.open_windows if state.facts.checked or state.facts.mode not in ("seek", "keyset") else 1
            waiting = next((task for task in state.tasks if task.facts is None), None)
            windows = [run for run in self._runs.values() if isinstance(run.task.job, Range)]
            late = state.facts.checked_start and any(run.nearly_over for run in windows)
            begun = len(windows) - late
            if waiting is None or (isinstance(waiting.job, Range | Unit) and begun >= room):
                return
            waiting.facts, waiting.categories = state.facts, len(state.categories)
            run = self._runs[waiting.id] = Run(waiting, state.categories)
            try:
                run.advance(self._apply)
            except Breach as breach:
                self._leave()
                ladder.descend(state, breach)
            if run.finished:
                self._finish(waiting)

    def _last_stage(self) -> bool:
        """Add what remains to be done when all windows are certified; False when nothing does."""
        state = self._state
        if state.stage == "walk":
            state.stage = "closing"
            if state.after is None:
                counted = sum(each.total for each in state.certificates)
                before = state.before or 0
                # Totals were exact at the start if the server has counted further since.
                none = state.untimed == 0 and state.untimed_sure and state.highest[0] > before
                newest, some = state.newest, tuple(prices.sample(state.price_bins))
                if state.unpriced:
                    newest, some = None, ()
                state.add(Closing(state.end, before, counted, state.untimed, state.base.timed, none, newest, some))
                return True
        if state.stage == "closing":
            state.stage = "hidden"
            if state.sweep:
                told_apart = state.times_shown or state.hidden == state.after
                bands = prices.bands(state.price_bins, state.hidden, state.facts, still=state.before == state.after)
                count, priced = state.hidden or None, not state.unpriced
                hidden = Hidden(count, state.end, state.front, bands, told_apart, priced, state.after or 0)
                state.add(hidden)
                return True
        state.stage = "done"
        return False

    def _apply(self, task: Task, step: Effect) -> None:
        """An effect of a strategy."""
        state = self._state
        if isinstance(step, Certified):
            self._intake.settle(step)
        elif isinstance(step, Spawn):
            if isinstance(step.job, Range) and isinstance(task.job, Range) and step.job.start != task.job.start:
                assert step.job.start is not None
                task.end = step.job.start - 1
            position = state.tasks.index(task) + 1 if isinstance(task.job, Range) else None
            state.add(step.job, position)
        else:
            self._learn(step.changes)

    def _learn(self, changes: dict[str, Any]) -> None:
        state = self._state
        for name, value in changes.items():
            if name == "unstable":
                state.unstable += 1
                if state.unstable == 2 and state.facts.mode == "seek":
                    state.notes.append("rows of one second change their order: going on page by page")
                    state.facts = replace(state.facts, mode="keyset")
            elif name in FOUND:
                state.facts = replace(state.facts, **{name: value})
                if name == "capped" and not any(note.startswith("the server stops") for note in state.notes):
                    state.notes.append(f"the server stops counting at {max(state.highest[:2])}")
            else:
                setattr(state, name, value)

    def _finish(self, task: Task) -> None:
        """Forget what a job that is done needed to remember."""
        state = self._state
        del self._runs[task.id]
        state.tasks.remove(task)
        for question in [number for number in state.short if number // STRIDE == task.id]:
            del state.short[question]

    def _hopeless(self) -> str | None:
        """Why to go on is in vain, if it is: the totals promise what no question shows, or the answers go round."""
        state = self._state
        if state.in_vain > IN_VAIN + state.requests // 2:
            return f"{state.in_vain} questions in a row brought nothing new: totals cannot be believed"
        if state.requests > IN_VAIN + MOST * state.facts.pages(state.unique):
            return f"{state.requests} questions brought only {state.unique} products: the answers contradict each other"
        return None

    def _give_up(self, why: str) -> None:
        """End the walk here, unproved."""
        state = self._state
        state.reasons.append(why)
        state.tasks.clear()
        state.stage = "done"
        self._leave()

    def _leave(self) -> None:
        """Nobody waits for the open questions any more."""
        self._runs.clear()
        self._flying.clear()

    def _question(self, number: int, run: Run, ask: Ask) -> Question:
        facts = self._state.facts
        region = ask.region.within(self._state.base)
        return Question(
            id=number,
            window=run.task.id,
            kind=ask.kind,
            burst=max(ask.burst, len(run.waiting)),
            region=region,
            page=ask.page,
            page_size=run.task.facts.size if run.task.facts else facts.size,
            sort=ask.sort,
            created_from=facts.from_text(region.start),
            created_to=facts.to_text(region.end),
        )
