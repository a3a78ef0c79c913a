"""The planner's memory: all of it, as it goes into a checkpoint."""

from __future__ import annotations

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from cjasync.catalog.planning.ends import Closing, Opening
from cjasync.catalog.planning.listing import Range, Unit
from cjasync.catalog.planning.question import Certificate, Facts, Region, Reply, Sort
from cjasync.catalog.planning.untimed import Hidden
from cjasync.errors import CheckpointError

VERSION = 1
Job = Opening | Range | Unit | Hidden | Closing


class Task(Struct):
    """A job, and the answers it has had: its strategy, fed with them again, is where it was.

    facts, categories: what it was begun with (None: not begun); later findings are for later jobs.
    end: where the job that follows it begins, less one.
    """

    id: int
    job: Job
    facts: Facts | None = None
    categories: int = 0
    log: dict[int, Reply] = field(default_factory=dict)
    end: int | None = None


class State(Struct):
    """Everything a walk knows.

    held: products delivered whose window is not certified yet, with their create time, so that none comes twice.
    fading: those without a create time of the windows certified last: a neighbour may still show them.
    readable_ids: the ids on the first page all carry a create time. times_shown: some row showed its own.
    price_bins: timed products per price bin. unpriced: some row showed no price, so no ranges of prices show all.
    short: how often a question was answered with too few rows.
    in_vain: answers since the last one that brought something new.
    highest: the highest totals that the server has given: of all, of a stretch of time, of what is cut by more than
    time. In the smaller ones it may count further. highest_asc: those of questions from old to new.
    untimed: products without a create time when it began; untimed_sure: the totals behind that held still.
    newest: the newest page, if it was read with the last window.
    front: the order that begins with products without a create time. hidden: how many there are at the end. sweep:
    whether to look for them.
    """

    base: Region
    end: int
    facts: Facts
    open_windows: int
    tasks: list[Task]
    version: int = VERSION
    next_id: int = 1
    era: int = 0
    stage: str = "walk"
    held: dict[int, int | None] = field(default_factory=dict)
    fading: list[list[int]] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    price_bins: dict[int, int] = field(default_factory=dict)
    unpriced: bool = False
    certificates: list[Certificate] = field(default_factory=list)
    short: dict[int, int] = field(default_factory=dict)
    before: int | None = None
    after: int | None = None
    highest: list[int] = field(default_factory=lambda: [0, 0, 0])
    highest_asc: list[int] = field(default_factory=lambda: [0, 0, 0])
    untimed: int | None = None
    untimed_sure: bool = False
    newest: Reply | None = None
    front: Sort | None = None
    hidden: int = 0
    sweep: bool = False
    unstable: int = 0
    in_vain: int = 0
    readable_ids: bool = True
    times_shown: bool = False
    requests: int = 0
    received: int = 0
    unique: int = 0
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, job: Job, position: int | None = None) -> None:
        """Put a job in the queue, at its end if no position is given."""
        self.tasks.insert(len(self.tasks) if position is None else position, Task(self.next_id, job))
        self.next_id += 1

    def end_at(self, end: int) -> None:
        """Let the walk end there, as far as its last window is not begun."""
        last, end = self.end, self.facts.clear_of_lunch(end)
        self.end = end if self.base.end is None else min(end, self.base.end)
        for task in self.tasks:
            if isinstance(task.job, Range) and task.job.end == last and task.facts is None:
                task.job = replace(task.job, end=self.end)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


def to_bytes(state: State) -> bytes:
    """The state as MessagePack."""
    return _encoder.encode(state)


def from_bytes(data: bytes) -> State:
    """The state again. Raises `CheckpointError` where it is damaged or of another version."""
    try:
        state = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise CheckpointError(f"this checkpoint cannot be read ({error}); start anew with `fresh=True`") from None
    if state.version != VERSION:
        raise CheckpointError(
            f"this checkpoint is of version {state.version}, not {VERSION}; start anew with `fresh=True`"
        )
    return state
