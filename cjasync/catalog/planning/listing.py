"""One closed region, read by numbered pages, and the proof that nothing fell between two of them.

A strategy is a generator: it yields the questions it wants answered together and is resumed with their replies; others
it can ask ahead. It sees nothing else, so replies alone bring it back to where it was: that is how a walk is resumed.

A product that lives through the reading has a rank in the list; ranks move when others come and go. It can escape
pages p and p+1 only if the total was higher when p was answered than when p+1 was, whichever came first, or rose and
fell in between. So every answer's total is evidence, also of other pages answered between the two; where it fails, the
two are read again, back to back, until it holds. (What is left: an arrival and a departure that cancel out between two
answers in a row, hence bursts.)
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from cjasync.catalog.planning.borders import marks
from cjasync.catalog.planning.question import Certificate, Facts, Mode, Proof, Region, Reply, Sort

MAX_REPAIRS = 200  # of one region; a list that moves faster than it can be read is left, and reported


class Ask(Struct, frozen=True):
    """A question of a strategy. `burst` announces how many calls the region will need, this one included."""

    region: Region
    page: int
    kind: str = "page"
    sort: Sort = "asc"
    burst: int = 1


class Range(Struct, frozen=True, tag="range"):
    """Read everything created in [start, end]; about `rows` are there. The mode of the walk says how.

    known: keys of products created at `start`, in the server's order, that were read before, in `known_era`.
    density: rows per second before `start`, for the modes that have to guess where a window ends.
    seen_start: a product was certainly created at `start`.
    head: the first page of all products, for the window that begins with it. walk_end: where the walk ends, then.
    rank: about so many were created before `start`.
    last: the walk ends with it. prices: of some before it.
    """

    start: int | None
    end: int
    rows: int
    known: tuple[int, ...] = ()
    known_era: int = 0
    density: float | None = None
    seen_start: bool = False
    head: Reply | None = None
    walk_end: int | None = None
    rank: int = 0
    last: bool = False
    prices: tuple[int, ...] = ()


class Unit(Struct, frozen=True, tag="unit"):
    """Read everything in `region`, which time cannot cut: by price, inventory and category.

    prices: of some of its products. spread: it is the whole catalogue, hand out its parts as jobs.
    """

    region: Region
    rows: int = 0
    prices: tuple[int, ...] = ()
    spread: bool = False


class Ahead(Struct, frozen=True):
    """Questions to send beside the next ones; it returns what to yield when their replies are needed."""

    asks: list[Ask]


class Spawn(Struct, frozen=True):
    """Effect: another job, which may start now."""

    job: Range | Unit


class Learn(Struct, frozen=True):
    """Effect: facts about the server, for the jobs that start later."""

    changes: dict[str, Any]


class Certified(Struct, frozen=True):
    """Effect: a region is read; `keys` are its products."""

    certificate: Certificate
    keys: Collection[int] = ()


Effect = Spawn | Learn | Certified
Step = list[Ask] | Ahead | range | Effect
Steps = Generator[Step, Any, Any]


class Breach(Exception):
    """The server does not keep to what this mode needs: go on in another one."""

    def __init__(self, mode: Mode, why: str) -> None:
        super().__init__(why)
        self.mode = mode


class Learnt(Exception):
    """The bounds mean something else than was thought: what is open has to be asked again."""

    def __init__(self, changes: dict[str, Any], why: str) -> None:
        super().__init__(why)
        self.changes = changes


class Outgrown(Exception):
    """The region now holds more than one question can reach."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.total = total


class Listing:
    """What has been read of one region, page by page."""

    def __init__(self, region: Region, facts: Facts, sort: Sort = "asc", rank: int = 0) -> None:
        self.region = region
        self.rank = rank  # products before the region, if it is a stretch of time
        self.facts = facts
        self.sort = sort
        self.floor = 0  # pages up to here are known from elsewhere
        self.totals: dict[int, tuple[int, int]] = {}  # page -> (total, era) of its last reading
        self.heard: dict[int, int] = {}  # page -> number of the answer that its last reading was
        self.history: dict[int, int] = {}  # number of an answer -> total
        self.joints: set[int] = set()  # pages between which and the next nothing fell
        self.keys: dict[int, int | None] = {}  # product -> create time
        self.moments: dict[int, list[int]] = {}  # page -> the create times that it shows, oldest first
        self.priced = True  # do all rows show a price?
        self.lent: set[int] = set()  # pages read before, of more than the region: their totals are none of its own
        self.steady = True
        self.exact = True  # has the server counted further than each of these totals?
        self.asked = self.repairs = 0
        self.newest: Reply | None = None  # the newest page of all products, which may stand for the last one
        self.whole = False  # and was read as one page, not in parts

    def take(self, page: int, reply: Reply, rows: int | None = None, total: int | None = None) -> None:
        """Note a reading of `page`; of its rows only the first `rows`, where it was read with a later end."""
        count = reply.total if total is None else total
        self.keys.update(zip(reply.keys[:rows], reply.times[:rows], strict=True))
        self.priced = self.priced and None not in reply.prices[:rows]
        if shown := [moment for moment in reply.times[:rows] if moment is not None]:
            self.moments[page] = sorted(shown)
        self.steady = self.steady and count == next(iter(self.history.values()), count)
        self.exact = self.exact and (reply.exact or total is not None)
        self.totals[page] = count, reply.era
        self.heard[page] = reply.seq
        self.history[reply.seq] = count
        self.asked += 1

    def end_with(self, newest: Reply, *, whole: bool) -> bool:
        """Note the newest page of all products, read as one page or in parts; False if it is not newest first."""
        moments = [moment for moment in newest.times if moment is not None]
        if not moments or len(moments) < len(newest.times) or any(a < b for a, b in pairwise(moments)):
            return False
        self.newest, self.whole = newest, whole
        self.keys.update(
            (item, moment)
            for item, moment in zip(newest.keys, newest.times, strict=True)
            if moment is not None and moment <= (self.region.end or moment) and moment >= (self.region.start or moment)
        )
        return True

    def ends_after(self, page: int) -> bool:
        """Is all that lies behind `page` surely on the newest page of all?

        That one shows everything that is newer than its oldest row. Or else nothing moved. And nothing is missing where
        two price ranges have shown it: a product whose price changed may have escaped both.
        """
        newest = self.newest
        if newest is None or page not in self.moments or (not self.whole and len(self.keys) < self.totals[page][0]):
            return False
        shown = [moment for moment in newest.times if moment is not None]
        if min(shown) < self.moments[page][-1] <= max(shown):
            return True
        total, era = self.totals[page]
        between = min(self.history) < newest.seq < max(self.history)
        return between and self.unmoved and newest.era == era and len(self.keys) == total

    def evident(self, page: int) -> bool:
        """Do the answers prove that nothing fell between `page` and the next? Not across a pause.

        A product falls past both where its rank grows after the upper page was read, or shrinks after the lower one:
        the total must not have moved that way in any answer from the one to the other.
        """
        if page not in self.totals or page + 1 not in self.totals or self.totals[page][1] != self.totals[page + 1][1]:
            return False
        first, last = sorted((self.heard[page], self.heard[page + 1]))
        between = [self.history[seq] for seq in sorted(self.history) if first <= seq <= last]
        upper_first = self.heard[page + 1] == first
        return all(b <= a if upper_first else a <= b for a, b in pairwise(between))

    def ask(self, pages: Sequence[int], kind: str = "page", burst: int = 0) -> Steps:
        """Read these pages, all in flight together."""
        if pages:
            replies = yield [Ask(self.region, page, kind, self.sort, max(burst, len(pages))) for page in pages]
            self.read(pages, replies)

    def read(self, pages: Sequence[int], replies: Sequence[Reply]) -> None:
        """Note the answers to the questions for these pages."""
        for page, reply in zip(pages, replies, strict=True):
            if reply.error:  # the window has shrunk meanwhile
                raise Outgrown(max(self.facts.window, self.lowest or 0) + 1)
            self.take(page, reply)
        self.joints.update(lower for page in pages for lower in (page - 1, page) if self.evident(lower))

    def finish(self, top: int) -> Steps:
        """Read what is left of pages `top` down to 1, and on while the list is longer; repair every doubtful border."""
        yield from self.ask([page for page in range(top, self.floor, -1) if page not in self.totals])
        yield from self.join()
        while self.totals and self.repairs < MAX_REPAIRS:
            top = max(self.totals)
            total = self.totals[top][0]
            fits = total <= top * self.facts.size
            if self.ends_after(top) or (fits and (self.exact or not self.region.depth)):
                return
            if fits:
                raise Outgrown(total)  # there may be more than the server counts
            if top >= self.facts.reach:
                if self.newest is not None and not self.whole:  # a page costs less than the region does
                    (newest,) = yield [Ask(Region(), 1, "last", "desc")]
                    if self.end_with(newest, whole=True) and self.ends_after(top):
                        yield Learn({"newest": newest})
                        return
                raise Outgrown(total)
            yield from self.ask([top + 1])
            yield from self.join()

    def join(self) -> Steps:
        """Read pages again until nothing can have fallen between any two that were read."""
        self.joints.update(page for page in self.totals if self.evident(page))
        while self.repairs < MAX_REPAIRS:
            doubtful = [page for page in self.totals if page + 1 in self.totals and page not in self.joints]
            if not doubtful:
                return
            yield from self.mend(doubtful)

    def mend(self, doubtful: list[int]) -> Steps:
        """Read what is needed to join each of these pages with the next.

        Of two pages the one read earlier is read again; both, if there was a pause since. A joint once proved stays:
        between two readings of one page a product would have to pass a whole page of others to escape both. That can
        happen only during a long pause, after which everything is read again.
        """
        self.repairs += len(doubtful)
        if any(self._drifted(page) for page in doubtful):
            self.joints.clear()
            yield from self.ask(sorted(self.totals, reverse=True), "repair")
            return
        pairs = {each for page in doubtful for each in (page, page + 1)}
        first = min(doubtful[0], doubtful[0] + 1, key=self.heard.__getitem__)
        yield from self.ask([first], "repair", burst=len(pairs))
        era = self.totals[first][1]
        left = [page for page in doubtful if page not in self.joints]
        earlier = {min(page, page + 1, key=self.heard.__getitem__) for page in left}
        stale = {each for page in left for each in (page, page + 1) if self.totals[each][1] != era}
        yield from self.ask(sorted((earlier | stale) - {first}, reverse=True), "repair")

    def _drifted(self, page: int) -> bool:
        """Was there a pause between this page and the next, and a change so large that others may be affected?"""
        (low, low_era), (high, high_era) = self.totals[page], self.totals[page + 1]
        return low_era != high_era and abs(low - high) >= self.facts.size // 2

    @property
    def lowest(self) -> int | None:
        """The lowest total of those that each page was last read with."""
        return min((total for page, (total, _) in self.totals.items() if page not in self.lent), default=None)

    @property
    def unmoved(self) -> bool:
        """Had all answers one total, without a pause between them?"""
        return self.steady and len({era for _, era in self.totals.values()}) == 1

    @property
    def proof(self) -> Proof:
        """Equal totals and as many products prove completeness in any order; else ordered totals must do."""
        if len(self.keys) < (self.lowest or 0) or self.repairs >= MAX_REPAIRS:
            return "none"
        return "constant" if self.steady else "ordered"

    @property
    def times(self) -> list[int]:
        """The create times of its products, as far as they show."""
        return [moment for moment in self.keys.values() if moment is not None]

    @property
    def oldest(self) -> int | None:
        """The first create time that its own pages show."""
        return min((shown[0] for shown in self.moments.values()), default=None)

    @property
    def untimed(self) -> list[int]:
        """Products that hide their create time."""
        return [item for item, moment in self.keys.items() if moment is None]

    @property
    def total(self) -> int:
        """The server's count in the last reading of the lowest page."""
        return self.totals[min(self.totals)][0] if self.totals else 0

    @property
    def in_order(self) -> bool:
        """Do the pages go from old to new? (Neighbours may overlap where the catalogue moved.)"""
        shown = [self.moments[page] for page in sorted(self.moments)]
        return not shown or (shown[0][0] <= shown[-1][0] and shown[0][-1] <= shown[-1][-1])

    def certified(self, mode: str) -> Certified:
        """What has been proved."""
        counts = self.total, len(self.keys), self.asked, self.repairs
        borders = marks(self.times, self.facts, self.rank) if self.region.timed else ()
        return Certified(Certificate(self.region, *counts, mode, self.proof, borders), self.keys)
