"""Windows whose end has to be guessed: the modes BLIND (rows hide their create time) and PLAIN (nor are they sorted).

BLIND: all ends tried from one start share a prefix of the sorted list, so every try asks for the next page not read
yet: it is data, and its total steers the end towards a full window.
PLAIN: the density of the window before says where the next should end; page 1 of a window that proves too large is
all that is wasted.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from cjasync.catalog.planning.cover import Cover, seen_prices
from cjasync.catalog.planning.listing import Ask, Breach, Certified, Learn, Listing, Outgrown, Range, Spawn, Steps
from cjasync.catalog.planning.question import Certificate, Facts, Region, Reply

FLOOR = 1_262_304_000  # 2010: no product is older, as far as arithmetic on ends is concerned
FULL = 0.93  # of a window, where BLIND stops looking for a better end
PLAIN_FILL = 0.85  # of a window, where PLAIN aims
TRIES = 64
SUSPICIOUS = 6  # ends with one and the same total


class Hunt:
    """The search for the end of a window: ends known to fit, ends known to be too far."""

    def __init__(self, job: Range, facts: Facts) -> None:
        self.unit = replace(facts, noon=True).unit  # whatever the server makes of 12:xx, no end lies there
        self.window = facts.reach * facts.size
        self.size = facts.size
        self.first = FLOOR if job.start is None else job.start
        self.end = job.end
        self.fits: tuple[int, int] = (self.first - 1, 0)  # (end, rows)
        self.over: tuple[int, int] | None = None
        self.tries = 0

    def fit(self, reply: Reply) -> bool:
        """Can all that it announces be reached, and is that all?"""
        return reply.exact and reply.total <= self.window

    def note(self, end: int, reply: Reply) -> None:
        """Take in what one question found."""
        self.tries += 1
        rows = reply.total
        if not self.fit(reply):
            self.over = end, max(rows, self.window + 1)
        elif end >= self.fits[0]:
            self.fits = end, rows

    @property
    def stuck(self) -> bool:
        """Is there no end between the one that fits and the one that is too far?"""
        return self.over is not None and self.unit(self.fits[0] + 1)[1] >= self.over[0]

    def settled(self, read: int) -> bool:
        """Is the best end good enough, after `read` pages of the window?"""
        end, rows = self.fits
        if rows == 0 or end < self.first:
            return end >= self.end
        nearly_full_page = rows % self.size == 0 or rows % self.size >= 0.88 * self.size
        return (
            end >= self.end
            or self.stuck
            or (rows >= FULL * self.window and (nearly_full_page or self.tries > 18 or read * self.size > 0.6 * rows))
            or (self.tries > 10 and rows >= 0.6 * self.window)
            or (self.tries > 16 and rows >= 0.3 * self.window)
            or read * self.size >= 0.9 * rows > 0.2 * self.window
            or self.tries >= TRIES
        )

    def next_end(self) -> int:
        """Where to look next."""
        end, rows = self.fits
        if self.over is None:
            if not rows:
                return self.end
            grown = self.first + int((end - self.first + 1) * 1.05 * self.window / rows)
            return min(self.end, self.whole(max(end + 1, grown)))
        over, too_many = self.over
        goal = (FULL + (0.995 - FULL) * ((0.3 + self.tries * 0.618) % 1)) * self.window
        at = end + (over - end) * (goal - rows) / max(1, too_many - rows)
        if self.tries % 3 == 2 or (too_many > 40 * self.window and self.tries % 2):
            at = (end + over) / 2
        found = self.whole(int(min(max(at, end + 1), over - 1)))
        return found if found < over else self.unit(end + 1)[1]

    def whole(self, end: int) -> int:
        """That end, or one close to it that cuts no unit of time in two."""
        low, high = self.unit(end)
        if low == high or end in (high, self.end):
            return end
        return low - 1 if low - 1 > max(self.fits[0], self.first) else min(high, self.end)


def blind(job: Range, facts: Facts, categories: Sequence[str]) -> Steps:
    """Read one window from `job.start` on, and hand on the rest."""
    hunt = Hunt(job, facts)
    prefix: list[tuple[int, Reply]] = []  # pages 1, 2, ... of the list, and the end they were read under
    end = job.end
    if job.density is not None:
        end = min(end, hunt.whole(hunt.first + int(1.03 * hunt.window / job.density)))
    totals: set[int] = set()
    asked = 0
    while True:
        page = min(len(prefix) + 1, facts.reach)
        (reply,) = yield [Ask(Region(job.start, end), page, "probe", burst=facts.reach)]
        asked += 1
        totals.add(reply.total)
        if len(reply.keys) == facts.size and page == len(prefix) + 1:
            prefix.append((end, reply))
        hunt.note(end, reply)
        if hunt.tries == SUSPICIOUS and len(totals) == 1:
            yield from _check_filter(reply.total)
        if hunt.stuck and not hunt.fits[1]:
            break
        if hunt.settled(len(prefix)):
            break
        end = hunt.next_end()
    end, rows = hunt.fits
    if hunt.stuck and not rows:
        yield from _single(hunt.unit(end + 1), job, hunt, facts, categories)
        return
    density = rows / (end - hunt.first + 1) if rows else None
    if end < job.end:
        yield Spawn(Range(end + 1, job.end, max(0, job.rows - rows), density=density))
    yield from _window(Region(job.start, end), rows, prefix, asked, facts, categories)


def _check_filter(total: int) -> Steps:
    """All ends gave this total: is the filter looked at?"""
    (reply,) = yield [Ask(Region(end=FLOOR), 1, "bounds")]
    if reply.total >= total:
        raise Breach("units", "the total is the same whatever the time filter says")


def _single(unit: tuple[int, int], job: Range, hunt: Hunt, facts: Facts, categories: Sequence[str]) -> Steps:
    """Nothing lies before this stretch, and it alone is larger than a window."""
    first, last = max(unit[0], hunt.first), min(unit[1], job.end)
    if first > hunt.first:
        yield Certified(Certificate(Region(job.start, first - 1), 0, 0, hunt.tries, 0, facts.mode, "constant"))
    cover = Cover(Region(job.start if first == hunt.first else first, last), facts, categories)
    yield from cover.read()
    if last < job.end:
        yield Spawn(Range(last + 1, job.end, max(0, job.rows - cover.total), density=job.density))
    yield cover.certified()


def _window(
    region: Region, rows: int, prefix: list[tuple[int, Reply]], asked: int, facts: Facts, categories: Sequence[str]
) -> Steps:
    """Read the pages that the search did not, and prove the whole."""
    listing = Listing(region, facts)
    assumed: dict[int, Reply] = {}
    for page, (end, reply) in enumerate(prefix[: rows // facts.size], 1):
        if end == region.end:
            listing.take(page, reply)
        else:
            assumed[page] = reply
    if assumed and not facts.checked:  # once: do different ends share a prefix?
        yield from listing.ask(list(assumed))
        shared = sum(item in listing.keys for reply in assumed.values() for item in reply.keys)
        if shared < 0.9 * len(assumed) * facts.size:
            raise Breach("plain", "the server does not sort by the time that it filters by")
        yield Learn({"checked": True})
        assumed.clear()
    for reply in assumed.values():
        listing.keys.update(zip(reply.keys, reply.times, strict=True))
    listing.floor = whole = max(assumed, default=0)
    listing.asked += asked
    try:
        if whole < facts.pages(rows):
            yield from listing.finish(facts.pages(rows))
        if listing.floor and (listing.proof != "constant" or not listing.totals):
            listing.floor = 0  # the prefix was read under other ends: only equal totals vouch for it
            yield from listing.finish(facts.pages(rows))
    except Outgrown as grown:
        assert region.end is not None
        yield Spawn(Range(region.start, region.end, grown.total))
        return
    if listing.proof != "none":
        yield listing.certified(facts.mode)
        return
    cover = Cover(region, facts, categories)
    yield from cover.read()
    yield cover.certified()


def plain(job: Range, facts: Facts, categories: Sequence[str]) -> Steps:
    """Read one window from `job.start` on, and hand on the rest."""
    hunt = Hunt(job, facts)
    width = None if job.density is None else PLAIN_FILL * hunt.window / job.density
    end = job.end if width is None else min(job.end, hunt.whole(hunt.first + int(max(0.0, width - 1))))
    totals: set[int] = set()
    while True:
        (first,) = yield [Ask(Region(job.start, end), 1, "probe", burst=facts.reach)]
        totals.add(first.total)
        hunt.note(end, first)
        if hunt.tries == SUSPICIOUS and len(totals) == 1:
            yield from _check_filter(first.total)
        if hunt.fit(first) or end <= hunt.unit(hunt.first)[1]:
            break
        shrink = PLAIN_FILL * hunt.window / max(first.total, hunt.window + 1)
        end = hunt.first + int((end - hunt.first) * (shrink if hunt.tries < 4 else min(shrink, 0.5)))
        end = hunt.whole(end)
    if not hunt.fit(first):
        yield from _single((hunt.first, end), job, hunt, facts, categories)
        return
    wide = end - hunt.first + 1
    density = PLAIN_FILL * hunt.window / (wide * min(8.0, PLAIN_FILL * hunt.window / max(1, first.total)))
    if hunt.over is not None and hunt.over[0] - end <= 2 * wide:  # a denser stretch follows
        density = max(density, (hunt.over[1] - first.total) / max(1, hunt.over[0] - end))
    if end < job.end:
        yield Spawn(Range(end + 1, job.end, max(0, job.rows - first.total), density=density))
    listing = Listing(Region(job.start, end), facts)
    listing.asked = hunt.tries - 1
    listing.take(1, first)
    try:
        yield from listing.finish(facts.pages(first.total))
    except Outgrown as grown:
        yield Spawn(Range(job.start, end, grown.total))
        return
    if listing.proof != "none" or first.total <= facts.size:
        yield listing.certified(facts.mode)
        return
    cover = Cover(listing.region, facts, categories)
    yield from cover.read(seen_prices(first))
    yield cover.certified()
