"""What time cannot cut: a second with more products than one question reaches, and catalogues without a time filter.

The region is cut along the next dimension that still divides it: price at the quantiles of the rows already seen, then
inventory, then category. (Inventory before category: numbers can be cut into full pages, a category tree cannot.)
Prices and stock change, so what counts is the sum: as many distinct products as the region's own total says.
What no filter separates is counted as missing, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cjasync.catalog.planning.listing import Ask, Certified, Listing, Outgrown, Spawn, Steps, Unit
from cjasync.catalog.planning.question import Certificate, Facts, Proof, Region, Reply, Span, narrower

DEAR, MANY = 1_000_000_000, 100_000_000  # a price, a stock: beyond them only what rows show tells where to cut
FILL = 0.85  # of a window, where a part is aimed at
AT_ONCE = 8  # categories asked for together before looking whether the totals add up


class Cover:
    """The reading of one region in parts: what was found, and what the server counts."""

    def __init__(self, region: Region, facts: Facts, categories: Sequence[str] = ()) -> None:
        self.region = region
        self.facts = facts
        self.categories = categories
        self.first: Reply | None = None
        self.total = 0
        self.keys: dict[int, int | None] = {}
        self.requests = 0
        self.repaired = 0
        self.constant = True
        self.uncounted = False  # is there a part whose size nobody knows?

    @property
    def missing(self) -> int:
        """Products counted and not found."""
        return max(0, self.total - len(self.keys))

    def certified(self) -> Certified:
        """What has been proved of the region."""
        proof: Proof = "constant" if self.constant else "ordered"
        if self.uncounted or self.missing:
            proof = "uncounted" if self.uncounted else "none"
        mode, found = self.facts.mode, len(self.keys)
        return Certified(
            Certificate(self.region, self.total, found, self.requests, self.repaired, mode, proof), self.keys
        )

    def look(self) -> Steps:
        """Read the first page, which tells how large the region is."""
        (self.first,) = yield from self._ask([Ask(self.region, 1, "tie")])
        self.total = self.first.total

    def read(self, prices: Sequence[int] = ()) -> Steps:
        """Read the region; `prices` are of some of its rows."""
        if self.first is None:
            yield from self.look()
        assert self.first is not None
        yield from self._whole(self.region, self.first, [*prices, *seen_prices(self.first)], self.facts.window)

    def _ask(self, asks: list[Ask]) -> Steps:
        replies: list[Reply] = (yield asks) if asks else []
        self.requests += len(asks)
        for reply in replies:
            self.keys.update(zip(reply.keys, reply.times, strict=True))
        return replies

    def _whole(self, region: Region, first: Reply, prices: list[int], leaf: int) -> Steps:
        """Read `region`, whose first page is `first`, in parts of at most `leaf` rows. Returns whether all is read."""
        total = first.total
        if first.exact and total <= leaf and first.keys:
            listing = Listing(region, self.facts)
            listing.take(1, first)
            if (yield from self._certify(listing, total)):
                return True
            leaf = self.facts.size  # numbered pages do not hold still here, single pages do
        for batches in (
            by_price(region, total, leaf, prices),
            by_inventory(region),
            by_category(region, self.categories),
        ):
            if batches and (self.missing or not first.exact):
                adds_up, complete = yield from self._parts(batches, first, prices, leaf)
                if adds_up:
                    return complete
        if not self.missing and first.exact:
            return True
        self.uncounted = self.uncounted or not first.exact
        if total > leaf or not first.exact:
            pages = range(min(self.facts.reach, self.facts.pages(total)), 1, -1)
            yield from self._ask([Ask(region, page, "tie", burst=len(pages)) for page in pages])
            self.constant = False
        return False

    def _certify(self, listing: Listing, total: int) -> Steps:
        """Finish a listing that fits; returns whether it is complete."""
        asked = listing.asked
        try:
            yield from listing.finish(self.facts.pages(total))
        except Outgrown:
            return False
        finally:
            self.keys |= listing.keys
            self.requests += listing.asked - asked
            self.repaired += listing.repairs
            self.constant = self.constant and listing.proof == "constant"
        return listing.proof != "none" or total <= self.facts.size

    def _parts(self, batches: list[list[Region]], whole: Reply, prices: list[int], leaf: int) -> Steps:
        """Read the parts of a region; returns whether they add up to its total, and whether all were read."""
        counted, complete, total = 0, True, whole.total
        for parts in batches:
            firsts: list[Reply] = yield from self._ask([Ask(part, 1, "part") for part in parts])
            counted += sum(reply.total for reply in firsts)
            if ignored([reply.total for reply in firsts], total):
                return False, False
            listings = []
            for part, reply in zip(parts, firsts, strict=True):
                if reply.exact and reply.total <= leaf:
                    listings.append(Listing(part, self.facts))
                    listings[-1].take(1, reply)
            yield from self._fill(listings)
            for part, reply in zip(parts, firsts, strict=True):
                if not reply.exact or reply.total > leaf:
                    sample = prices if len(prices) > self.facts.size else [*prices, *seen_prices(reply)]
                    complete &= yield from self._whole(part, reply, sample, leaf)
            for listing in listings:
                if not (yield from self._certify(listing, listing.total)):
                    first = Reply(listing.total, [], [], [])
                    complete &= yield from self._whole(listing.region, first, prices, self.facts.size)
            if counted >= total and whole.exact:
                break
        if counted > total and not whole.exact:  # then nobody knows whether the parts are all there is
            self.uncounted = True
            self.total += counted - total
        return counted >= total, complete

    def _fill(self, listings: list[Listing]) -> Steps:
        """Read the other pages of these small regions, all in flight together."""
        wanted = [(listing, n) for listing in listings for n in range(self.facts.pages(listing.total), 1, -1)]
        replies = yield from self._ask([Ask(listing.region, n, "part", burst=len(wanted)) for listing, n in wanted])
        for (listing, n), reply in zip(wanted, replies, strict=True):
            listing.take(n, reply)


def unit(job: Unit, facts: Facts, categories: Sequence[str]) -> Steps:
    """Read all of `job.region`, or hand it out in parts."""
    if job.spread and (yield from _spread(job, facts, categories)):
        return
    cover = Cover(job.region, facts, categories)
    yield from cover.read(job.prices)
    yield cover.certified()


def _spread(job: Unit, facts: Facts, categories: Sequence[str]) -> Steps:
    """A job per category, or else per price band: whichever adds up. Returns whether one of them has an effect."""
    by_name = [narrower(job.region, category=name) for name in categories if job.region.category is None]
    best: tuple[int, list[Region], list[Reply]] | None = None
    whole, exact = job.rows, True
    for parts in (by_name, *by_price(job.region, job.rows, facts.window, job.prices)):
        if not parts:
            continue
        last, *replies = yield [Ask(job.region, 1, "part"), *(Ask(part, 1, "part") for part in parts)]
        whole, exact = last.total, last.exact
        totals = [reply.total for reply in replies]
        if ignored(totals, whole):
            continue
        left = max(0, whole - sum(totals))
        if best is None or left < best[0]:
            best = left, parts, replies
        if not left:
            break
    if best is None:
        return False
    left, parts, replies = best
    if not exact and sum(reply.total for reply in replies) > whole:
        yield Certified(Certificate(job.region, 0, 0, 0, 0, facts.mode, "uncounted"))
    for part, reply in zip(parts, replies, strict=True):
        if reply.total:
            yield Spawn(Unit(part, reply.total, tuple(seen_prices(reply))))
    if left:
        yield Certified(Certificate(job.region, left, 0, 0, 0, facts.mode, "none"))
    return True


def ignored(totals: list[int], whole: int) -> bool:
    """Do parts of a region that are all as large as the whole show that the filter is not looked at?"""
    return len(totals) > 1 and whole > 0 and all(total >= 0.9 * whole for total in totals)


def by_price(region: Region, total: int, leaf: int, prices: Sequence[int]) -> list[list[Region]]:
    """Bands cut at the quantiles of the prices seen; a price that many share gets a band of its own."""
    low, high = region.price or (None, None)
    least, most = low or 0, DEAR if high is None else high
    inside = sorted(price for price in prices if least <= price and (high is None or price <= high))
    bands = max(2, min(len(inside), -(-total // max(1, int(FILL * leaf)))))  # a total may be nonsense
    cuts: set[int] = set()
    for n in range(1, bands if inside else 0):
        value = inside[n * len(inside) // bands]
        crowded = inside.count(value) * total > len(inside) * leaf / 2
        cuts |= {value - 1, value} if crowded else {value}
    spans = divide(region.price, cuts) or divide(region.price, [(least + most) // 2])
    return [[narrower(region, price=span) for span in spans]] if spans else []


def by_inventory(region: Region) -> list[list[Region]]:
    """Bands of equal ratio: stock is spread over orders of magnitude, and rows do not show it."""
    low, high = region.inventory or (None, None)
    cuts = [0, 10, 100, 1000, 10000]
    if region.inventory is not None:
        least, most = low or 0, MANY if high is None else high
        cuts = [min(max(int(((least + 1) * (most + 1)) ** 0.5) - 1, least), most - 1)]
    spans = divide(region.inventory, cuts)
    return [[narrower(region, inventory=span) for span in spans]] if spans else []


def divide(span: Span | None, cuts: Iterable[int]) -> list[Span]:
    """Spans that make up `span`, each up to one of the cuts, the last to its end; none where no cut lies inside.

    What has no bound keeps none: it may hold numbers that nobody expects. (No question can name one below 0.)
    """
    low, high = span or (None, None)
    inner = sorted(cut for cut in set(cuts) if cut >= (low or 0) and (high is None or cut < high))
    return list(zip([low, *(cut + 1 for cut in inner)], [*inner, high], strict=True)) if inner else []


def by_category(region: Region, categories: Sequence[str]) -> list[list[Region]]:
    """One part per category, the most frequent first, in batches so that it can stop when the totals add up."""
    if region.category is not None:
        return []
    parts = [narrower(region, category=category) for category in categories]
    return [parts[n : n + AT_ONCE] for n in range(0, len(parts), AT_ONCE)]


def seen_prices(reply: Reply) -> list[int]:
    """The prices that rows of this page show."""
    return [price for price in reply.prices if price is not None]
