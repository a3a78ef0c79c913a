"""What comes in: which rows are new, whether an answer can be believed, and what may be forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

import cjasync.catalog.planning.prices as prices
from cjasync.catalog.planning.borders import Settled
from cjasync.catalog.planning.listing import Ask, Breach, Certified, Learnt
from cjasync.catalog.planning.question import Answer, Reply, Row, created_from_id, key
from cjasync.catalog.planning.state import Job, State, Task
from cjasync.catalog.planning.untimed import Hidden

LOOKING = frozenset({"newest", "share", "tail"})  # questions that only look around
NO_COUNT = "the server counts no products where it shows some"
PATIENCE = 3  # times a page that comes back short is asked for again
GENERATIONS = 3  # windows whose products are remembered where create times do not tell them


class Intake:
    """The gate that every answer passes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._settled = Settled(state.certificates)
        self._categories = set(state.categories)

    def deliver(self, rows: Sequence[Row], ask: Ask, job: Job) -> list[int]:
        """The positions of rows that were not delivered yet."""
        state, new = self._state, []
        state.received += len(rows)
        timed = ask.region.within(state.base).timed
        for position, row in enumerate(rows):
            item, moment = key(row.pid), self._moment(row)
            if item in state.held or self._settled.covers(moment):
                continue
            if moment is None:
                if ask.kind in LOOKING:
                    continue  # it will be looked for
            elif moment <= state.end and (ask.kind in LOOKING or isinstance(job, Hidden)):
                continue  # its window has brought it, or will
            state.held[item] = moment
            new.append(position)
            if moment is not None or timed:
                state.times_shown |= moment is not None
                prices.count(state.price_bins, row.price)
            state.unpriced |= row.price is None
            if row.category is not None:
                self.note(row.category)
        state.unique += len(new)
        return new

    def note(self, category: str) -> None:
        """There is such a category."""
        if category not in self._categories:
            self._categories.add(category)
            self._state.categories.append(category)

    def judge(self, question: int, task: Task, ask: Ask, answer: Answer) -> Reply | None:
        """The answer as the strategies see it; None to ask again: a page must be as full as its total says."""
        state, rows, error = self._state, answer.rows, answer.error
        assert task.facts is not None
        size = task.facts.size
        if ask.kind == "head":
            state.readable_ids = all(created_from_id(row.pid) is not None for row in rows)
            if answer.page_size is not None and 0 < answer.page_size < size:
                raise _smaller(answer.page_size)
        depth = ask.region.depth
        asc = ask.sort == "asc"
        for highest in (state.highest, state.highest_asc) if asc else (state.highest,):
            highest[depth] = max(highest[depth], answer.total)
        counted = max((state.highest_asc if asc else state.highest)[: depth + 1])
        if rows and answer.total <= 0 and NO_COUNT not in state.reasons:
            state.reasons.append(NO_COUNT)
        due = min(size, max(0, answer.total - (ask.page - 1) * size))
        if error is None and len(rows) < due:
            state.short[question] = state.short.get(question, 0) + 1
            if state.short[question] <= PATIENCE:
                return None
            if ask.kind == "head" and rows:
                raise _smaller(len(rows))
            if not rows and ask.page > 1:
                error = "max_offset"
            else:
                state.reasons.append(f"page {ask.page} of a window had {len(rows)} rows where the total promises {due}")
        if len(rows) > due and error is None and state.facts.mode == "seek":
            state.facts = replace(state.facts, capped=True)
            raise Breach("keyset", f"the total says {answer.total}, and the pages hold more")
        if error is not None:
            self._refused(ask.page, size)
        return Reply(
            total=answer.total,
            keys=[key(row.pid) for row in rows],
            times=[self._moment(row) for row in rows],
            prices=[row.price for row in rows],
            era=state.era,
            error=error,
            seq=state.requests,
            exact=not answer.total or answer.total < counted or self._once_counted(answer.total, depth),
        )

    def settle(self, certified: Certified) -> None:
        """Keep a certificate, and forget its products: at once where create times tell them, else a little later."""
        state, certificate = self._state, certified.certificate
        state.certificates.append(certificate)
        self._settled.add(certificate)
        if not certificate.proven:
            return  # other questions may show them again
        state.held = {item: moment for item, moment in state.held.items() if not self._settled.covers(moment)}
        state.fading.append([item for item in certified.keys if item in state.held])
        if len(state.fading) > GENERATIONS:
            for item in state.fading.pop(0):
                state.held.pop(item, None)

    def _moment(self, row: Row) -> int | None:
        return created_from_id(row.pid) if self._state.facts.times == "id" else row.created

    def _once_counted(self, total: int, depth: int) -> bool:
        """Did the server count further before? That as many were all products then says nothing of a part of them."""
        facts = self._state.facts
        return not facts.capped and (total < facts.counts or (total == facts.counts and not depth))

    def _refused(self, page: int, size: int) -> None:
        """The window is smaller than was thought; jobs that begin later go by that."""
        state, reach = self._state, max(1, page // 2)
        if page == 1:
            state.reasons.append("the server refuses even a first page")
        elif reach * size < state.facts.window:
            state.facts = replace(state.facts, window=reach * size)
            state.notes.append(f"the server refuses page {page} of {size}: trying {reach}")


def _smaller(size: int) -> Learnt:
    return Learnt({"size": size}, f"the server gives {size} rows a page")
