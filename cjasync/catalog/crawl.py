"""The walk at work: questions out, answers in, each written down before anybody sees its rows."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Awaitable, Iterable, Set

from cjasync._to_the_end import to_the_end
from cjasync.catalog.asking import Asker, Page
from cjasync.catalog.bursts import Bursts
from cjasync.catalog.checkpoint import PAUSE
from cjasync.catalog.delivered import Delivered
from cjasync.catalog.entry import Entry, Part, Skip, encode_rows
from cjasync.catalog.planner import Planner
from cjasync.catalog.planning.question import Question, Region, key
from cjasync.catalog.staging import Arrival, Staging
from cjasync.catalog.turns import Turns
from cjasync.models.product import ListedProduct

SNAPSHOT = 64  # answers after which the planner's state is written whole
LAST_WORDS = 60.0  # seconds that questions in flight get to be answered when one has failed


class Crawl:
    """Carries the planner's questions, as many at a time as rate times latency needs.

    room: pages that may wait to be taken before no further window is begun. turns: note the products, because they are
    to be asked for one by one, and let that have its turns.
    """

    def __init__(
        self, planner: Planner, asker: Asker, bursts: Bursts, staging: Staging, *, room: int, turns: Turns | None
    ) -> None:
        self.planner = planner
        self._asker = asker
        self._bursts = bursts
        self._staging = staging
        self._room = room
        self._turns = turns
        self._held: list[Question] = []
        self._flying: dict[asyncio.Task[Page], Question] = {}
        self._since_snapshot = 0
        self._short_beside: Set[int] | None = None  # open windows beside which there was too little for another
        self._categories: asyncio.Future[list[str]] | None = None

    def begin(self, delivered: Awaitable[Delivered], skipped: Iterable[Skip] = ()) -> None:
        """Tell what was delivered before, and which rows could not be read."""
        self._delivered = asyncio.ensure_future(delivered)
        self.skipped = {skip.pid: skip for skip in skipped}

    def ask_beside(self, categories: Awaitable[list[str]]) -> None:
        """Let the planner know the categories before it hears the second answer."""
        self._categories = asyncio.ensure_future(categories)

    async def unseen(self, pids: Iterable[str]) -> list[str]:
        """Those of the products that this walk has not met; one whose row could not be read was met."""
        delivered = await asyncio.shield(self._delivered)
        return [pid for pid in pids if key(pid) not in delivered and pid not in self.skipped]

    async def aclose(self) -> None:
        """Nobody will ask any more what was delivered."""
        ending = [task for task in (self._delivered, self._categories) if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.wait(ending)

    async def hear(self, question: Question, page: Page) -> None:
        """Take in an answer that was asked for elsewhere."""
        arrivals: list[Arrival] = []
        snapshot = self._feed(question, page, await self._delivered, arrivals)
        await self._save(arrivals, snapshot)

    async def run(self) -> None:
        """Until there is nothing left to ask. Raises what cannot be waited out; what came before is safe."""
        try:
            while not self.planner.done:
                self._ask(0)
                if self._held and await self._begin_window():
                    continue
                if self._turns is not None:
                    self._turns.reading = bool(self._flying)
                if self._flying:
                    done, _ = await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
                    await self._take(done)
                else:
                    assert self._held, "the planner has a question or is done"
        finally:
            if self._turns is not None:
                self._turns.over = True
                self._turns.changed()
            await self._abandon()

    def _ask(self, unsaved: int) -> None:
        """Send what may be sent. What was answered and is not written down yet counts as in flight."""
        limit = self._asker.engine.services.concurrency() + len(self._held) - unsaved
        for question in self.planner.next(limit):
            if self._bursts.is_open(question.window):
                self._send(question)
            else:
                self._held.append(question)

    def _send(self, question: Question) -> None:
        self._bursts.asked(question)
        self._flying[asyncio.ensure_future(self._asker.page(question))] = question

    async def _begin_window(self) -> bool:
        """Begin the window that has waited longest, if there is room and budget for it, and it is our turn."""
        if self._turns is not None and self._turns.details_due:
            if self._flying:
                return False
            self._turns.reading = False
            await self._turns.for_windows()
        if not self._staging.has_room(self._room):
            if self._flying:
                return False
            await self._staging.room(self._room)
        window = self._held[0].window
        flying = Counter(question.window for question in self._flying.values())
        if flying and flying.keys() == self._short_beside:
            return False
        if not await self._bursts.open(self._held[0], flying):
            self._short_beside = flying.keys()
            return False
        self._short_beside = None
        for question in [held for held in self._held if held.window == window]:
            self._held.remove(question)
            self._send(question)
        return True

    async def _take(self, done: Iterable[asyncio.Task[Page]]) -> None:
        delivered = await asyncio.shield(self._delivered)
        if self._categories is not None:
            self.planner.know(await asyncio.shield(self._categories))
            self._categories, self._since_snapshot = None, SNAPSHOT
        failure: BaseException | None = None
        arrivals: list[Arrival] = []
        snapshot: tuple[int, bytes] | None = None
        for task in sorted(done, key=lambda task: 0.0 if task.exception() else task.result().fetched_at):
            question = self._flying.pop(task)
            failure = failure or task.exception()
            if task.exception() is None:
                snapshot = self._feed(question, task.result(), delivered, arrivals) or snapshot
        if failure is None and self._asker.patient:
            self._ask(len(arrivals))
        await self._save(arrivals, snapshot)
        if failure is not None:
            await self._last_words()
            raise failure

    async def _save(self, arrivals: list[Arrival], snapshot: tuple[int, bytes] | None) -> None:
        await self._staging.save(arrivals, snapshot)
        if self._turns is not None:
            self._turns.new = self._turns.new or any(arrival.rows for arrival in arrivals)
            self._turns.count(pages=len(arrivals))

    async def _last_words(self) -> None:
        """What is in flight was paid for."""
        self._asker.patient = False
        if self._flying:
            done, _ = await asyncio.wait(self._flying, timeout=LAST_WORDS)
            answered = [task for task in done if task.exception() is None]
            if answered:
                await self._take(answered)
        self._asker.patient = True

    async def _abandon(self) -> None:
        for task in self._flying:
            task.cancel()
        if self._flying:
            await to_the_end(asyncio.wait(self._flying))
        for task in self._flying:
            if not task.cancelled():
                task.exception()  # seen

    def _feed(
        self, question: Question, page: Page, delivered: Delivered, arrivals: list[Arrival]
    ) -> tuple[int, bytes] | None:
        """Let the planner hear an answer, and put down all that follows; the planner's state, now and then."""
        staging, planner = self._staging, self.planner
        if self._bursts.answered(question):
            planner.paused()
            arrivals.append(Arrival(Entry(staging.number(), question=PAUSE)))
        events = planner.feed(question.id, page.answer)
        rows, skipped, mended = self._new(page, events.new, delivered)
        regions = [each.region for each in events.certified if each.proven and _by_time(each.region)]
        part = Part("list", page.fetched_at, encode_rows(rows), regions) if rows or regions else None
        entry = Entry(
            staging.number(),
            question=question.id,
            answer=page.answer,
            part=part,
            keys=array("Q", [key(row.pid) for row in rows]).tobytes(),
            skipped=skipped,
            mended=mended,
            todo=[row.pid for row in rows] if self._turns is not None else [],
        )
        arrivals.append(Arrival(entry, rows))
        tally = staging.tally
        tally.requests += page.requests
        tally.delivered += len(rows)
        tally.skipped = len(self.skipped)
        tally.answered_at = page.fetched_at
        self._since_snapshot += 1
        if self._since_snapshot < SNAPSHOT and not planner.done:
            return None
        self._since_snapshot = 0
        return entry.seq, planner.to_bytes()

    def _new(
        self, page: Page, positions: Iterable[int], delivered: Delivered
    ) -> tuple[list[ListedProduct], list[Skip], list[str]]:
        """Rows to hand on; rows that cannot be read; ids of such rows that could be read this time."""
        rows: list[ListedProduct] = []
        unread: list[Skip] = []
        mended = {row.pid for row in page.rows if isinstance(row, ListedProduct)} & self.skipped.keys()
        wanted = set(positions) | {n for n, row in enumerate(page.rows) if row.pid in mended}
        for pid in mended:
            del self.skipped[pid]
        for position in sorted(wanted):
            row = page.rows[position]
            if isinstance(row, ListedProduct):
                if delivered.add(key(row.pid)):
                    rows.append(row)
            elif row.pid not in self.skipped and key(row.pid) not in delivered:
                self.skipped[row.pid] = row
                unread.append(row)
        return rows, unread, sorted(mended)


def _by_time(region: Region) -> bool:
    """Is the region a stretch of create time, and nothing else?"""
    return region == Region(region.start, region.end) and region.end is not None
