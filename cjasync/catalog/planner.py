"""Which question comes next, on the way to a whole catalogue: answers in, questions out, no clock, no socket, no file.

    planner = Planner.start(now=...)                 # or Planner.from_bytes(saved)
    while not planner.done:
        for question in planner.next(in_flight): send(question)
        events = planner.feed(question.id, answer)   # in any order; write events.new and planner.to_bytes() together
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

from cjasync.catalog import borders, prices
from cjasync.catalog.borders import Settled
from cjasync.catalog.ends import Closing, Hidden, Opening
from cjasync.catalog.listing import Ask, Breach, Certified, Effect, Learnt, Newer, Range, Spawn, Unit
from cjasync.catalog.question import Answer, Certificate, Events, Facts, Mode, Question, Region, Reply, Row
from cjasync.catalog.question import created_from_id, key
from cjasync.catalog.report import Report
from cjasync.catalog.run import STRIDE, Run
from cjasync.catalog.state import Job, State, Task, from_bytes, to_bytes

LADDER: tuple[Mode, ...] = ("seek", "keyset", "blind", "plain", "units")
DEFAULT_WINDOW = 10_000  # where the server sets no limit: larger windows gain nothing and hold bursts open longer
LOOKING = frozenset({"newest", "tail"})
PATIENCE = 3  # times a page that comes back short is asked for again
EAST = 14 * 3600  # no clock is further ahead of UTC
SLACK = 60  # seconds that the server's clock may be ahead of ours
GENERATIONS = 3  # windows for which products without a create time are remembered


class Planner:
    """A walk over everything that matches a filter."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._runs: dict[int, Run] = {}
        self._flying: set[int] = set()
        self._certified: list[Certificate] = []
        self._said: list[str] = []
        self._settled = Settled(state.certificates)
        self._categories = set(state.categories)
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

        now: seconds since 1970; products created later belong to the next walk.
        window: rows that one question reaches, if known; None where there is no limit.
        within: the part of the user's filter that the planner itself uses (time, price, category, inventory).
        categories: ids of all categories, if at hand: the last resort of cutting.
        facts, earlier: `report().facts` and `.certificates` of a walk before this one: its borders are used again.
        open_windows: windows read at the same time; two are enough while a window has more pages than are in flight.
        """
        base = within or Region()
        facts = facts or Facts(size=page_size, window=max(page_size, window or DEFAULT_WINDOW))
        # Until the filter's clock is known, the end must not come before now by any clock.
        end = facts.clear_of_lunch(now + SLACK + (0 if facts.checked else EAST - facts.zone))
        if base.end is not None:
            end = min(end, base.end)
        known = tuple(each for each in borders.windows(earlier, facts) if each[1] < end)
        opening = Task(0, Opening(end, base.start, base.timed, known))
        return cls(State(base, now, end, facts, open_windows, [opening], categories=list(categories)))

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
        ask = run.waiting[index]
        new = self._deliver(answer.rows, ask)
        try:
            reply = self._judged(question, run, ask, answer)
            if reply is not None:
                run.answer(index, reply)
                run.advance(self._apply)
        except Learnt as found:
            self._note(str(found))
            state.facts = replace(state.facts, **found.changes)
            self._restart()
        except Breach as breach:
            self._descend(breach)
        if run.finished:
            self._finish(run.task)
        self._open()
        certified, self._certified = self._certified, []
        said, self._said = self._said, []
        return Events(tuple(new), len(answer.rows) - len(new), tuple(certified), tuple(said))

    def report(self) -> Report:
        """What the walk has to show so far."""
        return Report.of(self._state)

    # -- answers ---------------------------------------------------------------------------------------------------

    def _deliver(self, rows: Sequence[Row], ask: Ask) -> list[int]:
        """The positions of rows that were not delivered yet."""
        state, new = self._state, []
        state.received += len(rows)
        timed = ask.region.within(state.base).timed
        for position, row in enumerate(rows):
            item, moment = key(row.pid), self._moment(row)
            if item in state.held or self._settled.covers(moment):
                continue
            if ask.kind in LOOKING and (moment is None or moment <= state.end):
                continue  # its window will bring it, or has
            state.held[item] = moment
            new.append(position)
            if moment is not None or timed:
                prices.count(state.price_bins, row.price)
            if row.category is not None and row.category not in self._categories:
                self._categories.add(row.category)
                state.categories.append(row.category)
        state.unique += len(new)
        return new

    def _moment(self, row: Row) -> int | None:
        return created_from_id(row.pid) if self._state.facts.times == "id" else row.created

    def _judged(self, question: int, run: Run, ask: Ask, answer: Answer) -> Reply | None:
        """The answer as the strategies see it; None to ask again: a page must be as full as its total says (I3)."""
        state, rows = self._state, answer.rows
        assert run.task.facts is not None
        size = run.task.facts.size
        error = answer.error
        if ask.kind == "head":
            state.readable_ids = all(created_from_id(row.pid) is not None for row in rows)
            if answer.page_size is not None and 0 < answer.page_size < size:
                raise Learnt({"size": answer.page_size}, f"the server gives {answer.page_size} rows a page")
        due = min(size, max(0, answer.total - (ask.page - 1) * size))
        if error is None and len(rows) < due:
            state.short[question] = state.short.get(question, 0) + 1
            if state.short[question] <= PATIENCE:
                return None
            if ask.kind == "head" and rows:
                raise Learnt({"size": len(rows)}, f"the server gives {len(rows)} rows a page")
            if not rows and ask.page > 1:
                error = "max_offset"
            else:
                state.reasons.append(f"page {ask.page} of a window had {len(rows)} rows where the total promises {due}")
        if len(rows) > due and error is None and state.facts.mode == "seek" and ask.kind != "beyond":
            raise Breach("keyset", f"the total says {answer.total}, and the pages hold more")
        if error is not None and ask.page > 1:
            reach = max(1, ask.page // 2)
            if reach * size < state.facts.window:
                state.facts = replace(state.facts, window=reach * size)
                self._note(f"the server refuses page {ask.page} of {size}: trying {reach}")
        elif error is not None:
            state.reasons.append("the server refuses even the first page")
        return Reply(
            total=answer.total,
            keys=[key(row.pid) for row in rows],
            times=[self._moment(row) for row in rows],
            prices=[row.price for row in rows],
            era=state.era,
            error=error,
        )

    # -- strategies ------------------------------------------------------------------------------------------------

    def _begin(self, task: Task) -> None:
        run = self._runs[task.id] = Run(task, self._state.categories[: task.categories])
        run.advance(self._ignore)

    def _ignore(self, task: Task, step: Any) -> None:
        """Effects of a replay have happened already."""

    def _open(self) -> None:
        """Begin jobs while there is room: one window until its bounds are understood, then two or more."""
        state = self._state
        while True:
            if not state.tasks and not self._last_stage():
                return
            room = state.open_windows if state.facts.checked or state.facts.mode not in ("seek", "keyset") else 1
            waiting = next((task for task in state.tasks if task.facts is None), None)
            windows = sum(isinstance(run.task.job, Range) for run in self._runs.values())
            if waiting is None or (isinstance(waiting.job, Range | Unit) and windows >= room):
                return
            waiting.facts, waiting.categories = state.facts, len(state.categories)
            run = self._runs[waiting.id] = Run(waiting, state.categories)
            try:
                run.advance(self._apply)
            except Breach as breach:
                self._descend(breach)
            if run.finished:
                self._finish(waiting)

    def _last_stage(self) -> bool:
        """Add what remains to be done when all windows are certified; False when nothing does."""
        state = self._state
        if state.stage == "walk":
            state.stage = "closing"
            if state.after is None:
                self._add(Closing(state.end))
                return True
        if state.stage == "closing":
            state.stage = "hidden"
            if state.hidden and state.facts.mode != "units":
                self._add(Hidden(state.hidden, state.end, prices.bands(state.price_bins, state.hidden, state.facts)))
                return True
        state.stage = "done"
        return False

    def _add(self, job: Job, position: int | None = None) -> None:
        task = Task(self._state.next_id, job)
        self._state.next_id += 1
        self._state.tasks.insert(len(self._state.tasks) if position is None else position, task)

    def _apply(self, task: Task, step: Effect) -> None:
        """An effect of a strategy."""
        state = self._state
        if isinstance(step, Certified):
            state.certificates.append(step.certificate)
            self._settled.add(step.certificate)
            self._certified.append(step.certificate)
            self._forget(step)
        elif isinstance(step, Spawn):
            if isinstance(step.job, Range) and isinstance(task.job, Range) and step.job.start != task.job.start:
                assert step.job.start is not None
                task.end = step.job.start - 1
            position = state.tasks.index(task) + 1 if isinstance(task.job, Range) else None
            self._add(step.job, 0 if isinstance(step.job, Newer) else position)
        else:
            self._learn(step.changes)

    def _learn(self, changes: dict[str, Any]) -> None:
        state = self._state
        for name, value in changes.items():
            if name == "unstable":
                state.unstable += 1
                if state.unstable == 2 and state.facts.mode == "seek":
                    self._note("rows of one second change their order: going on page by page")
                    state.facts = replace(state.facts, mode="keyset")
            elif name in ("checked", "checked_start", "capped"):
                state.facts = replace(state.facts, **{name: value})
                if state.facts.checked:
                    self._end_at(state.now + SLACK)
            else:
                setattr(state, name, value)

    def _finish(self, task: Task) -> None:
        """Forget what a job that is done needed to remember."""
        state = self._state
        del self._runs[task.id]
        state.tasks.remove(task)
        for question in [number for number in state.short if number // STRIDE == task.id]:
            del state.short[question]

    def _forget(self, certified: Certified) -> None:
        """Products of a certified region need not be held: at once where create times tell them, else a little later."""
        state, keys = self._state, certified.keys
        if certified.certificate.proof == "none":
            return  # other questions may show them again
        state.held = {item: moment for item, moment in state.held.items() if not self._settled.covers(moment)}
        state.fading.append([item for item in keys if item in state.held])
        if len(state.fading) > GENERATIONS:
            for item in state.fading.pop(0):
                state.held.pop(item, None)

    # -- the ladder ------------------------------------------------------------------------------------------------

    def _descend(self, breach: Breach) -> None:
        """Go on in a mode that needs less from the server."""
        state = self._state
        mode = breach.mode
        if mode == "blind" and state.facts.times == "row" and state.readable_ids:
            self._note(f"{breach}: going by the times that ids carry")
            state.facts = replace(state.facts, times="id", mode="seek", checked=False)
        else:
            if LADDER.index(mode) <= LADDER.index(state.facts.mode):
                mode = LADDER[min(LADDER.index(state.facts.mode) + 1, len(LADDER) - 1)]
            self._note(f"{breach}: going on in mode {mode}")
            state.facts = replace(state.facts, mode=mode, times="row", checked=False)
        self._restart()

    def _restart(self) -> None:
        """Begin every open job again, with what is known now. What was delivered is remembered."""
        state = self._state
        self._runs.clear()
        self._flying.clear()
        old, state.tasks = state.tasks, []
        ranges: list[Range] = []
        cut = False  # the range before was cut off this one: they are cut anew together
        for task in old:
            job = task.job
            if isinstance(job, Range):
                if cut and ranges[-1].end + 1 == job.start:
                    job = replace(job, start=ranges[-1].start, rows=ranges.pop().rows)
                cut = task.end is not None
                ranges.append(replace(job, end=job.end if task.end is None else task.end))
            elif not (isinstance(job, Opening) and len(old) > 1):
                self._add(job)
        whole = state.facts if state.facts.mode in ("seek", "keyset") else replace(state.facts, noon=True)
        for job in ranges if state.facts.mode != "units" else ():
            start = job.start if job.start is None else whole.unit(job.start)[0]
            end = job.end if job.end == state.end else whole.unit(job.end + 1)[0] - 1
            self._add(Range(start, end, job.rows))
        self._end_at(state.end)
        if state.facts.mode == "units" and not any(isinstance(task.job, Unit) for task in state.tasks):
            sample = tuple(prices.sample(state.price_bins))
            self._add(Unit(Region(), state.before or 0, sample, spread=True))

    def _end_at(self, end: int) -> None:
        """Let the walk end earlier, or elsewhere, as far as its last window is not begun."""
        state = self._state
        last, end = state.end, state.facts.clear_of_lunch(end)
        state.end = end if state.base.end is None else min(end, state.base.end)
        for task in state.tasks:
            if isinstance(task.job, Range) and task.job.end == last and task.facts is None:
                task.job = replace(task.job, end=state.end)

    def _note(self, what: str) -> None:
        self._state.notes.append(what)
        self._said.append(what)

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
