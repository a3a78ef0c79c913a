"""How a crawl begins: anew, with what an earlier walk has learnt, or where the checkpoint ends."""

from __future__ import annotations

import asyncio
import secrets
from functools import partial

from cjasync._clock import Clock
from cjasync.catalog.asking import Asker
from cjasync.catalog.bursts import PAUSE, Bursts
from cjasync.catalog.checkpoint import PAUSE as PAUSED
from cjasync.catalog.crawl import Crawl
from cjasync.catalog.delivered import Delivered
from cjasync.catalog.entry import Entry
from cjasync.catalog.filters import Wanted
from cjasync.catalog.planner import Planner
from cjasync.catalog.staging import Arrival, Staging
from cjasync.catalog.turns import Turns
from cjasync.errors import CJError
from cjasync.resources.categories import Categories

_HEAD_START = 0.1  # seconds


async def new_crawl(
    staging: Staging, asker: Asker, bursts: Bursts, wanted: Wanted, room: int, turns: Turns | None
) -> Crawl:
    """A walk that has asked its first question; the file knows of it once that is answered."""
    checkpoint = staging.checkpoint
    earlier = (await staging.open()).earlier
    begun = asker.clock.time()
    start = partial(
        Planner.start,
        now=int(begun),
        window=asker.engine.services.plan.list_window,
        within=wanted.within,
        facts=earlier.facts if earlier is not None else None,
        earlier=earlier.certificates if earlier is not None else (),
    )
    planner = start()
    (question,) = planner.next(1)
    page = await asker.page(question)
    known = planner.report().facts.mode == "units" and wanted.within.category is None
    if known:  # the first questions go by them
        planner = start(categories=await _categories(asker))
        (question,) = planner.next(1)
    name, state = secrets.token_hex(8), planner.to_bytes()
    await staging.run(lambda: checkpoint.begin(name, state))
    await staging.resume()
    staging.tally.started_at = begun
    crawl = Crawl(planner, asker, bursts, staging, room=room, turns=turns)
    crawl.begin(_nothing())
    await crawl.hear(question, page)
    if not known:
        _ask_categories(crawl, asker, wanted, page.answer.total)
    return crawl


async def resumed_crawl(
    staging: Staging, asker: Asker, bursts: Bursts, wanted: Wanted, room: int, turns: Turns | None
) -> Crawl:
    """The walk of the checkpoint, as it was after the last answer in it."""
    checkpoint = staging.checkpoint
    await staging.resume()
    planner = Planner.from_bytes(await staging.run(lambda: checkpoint.planner))
    for question, answer in await staging.run(lambda: list(checkpoint.answers())):
        if answer is None:
            planner.paused()
        else:
            planner.feed(question, answer)
    if turns is not None:
        turns.count(pages=staging.tally.requests, details=staging.tally.detail_requests)
    crawl = Crawl(planner, asker, bursts, staging, room=room, turns=turns)
    if asker.clock.time() - staging.tally.answered_at > PAUSE:
        planner.paused()
        await staging.save([Arrival(Entry(staging.number(), question=PAUSED))])
    skipped = await staging.run(checkpoint.skipped)
    keys = await staging.run(checkpoint.keys)
    crawl.begin(_sorted_later(keys, asker.clock), skipped)
    report = planner.report()
    if report.requests == 0:  # it ended before the first answer was written down, and nobody knows how much there is
        _ask_categories(crawl, asker, wanted, None)
    elif report.requests == 1:
        _ask_categories(crawl, asker, wanted, report.total_before or 0)
    return crawl


async def _sorted_later(keys: bytes, clock: Clock) -> Delivered:
    """Up to a second of work, which slows the loop: the first questions go out before it."""
    await clock.sleep(_HEAD_START)
    return await asyncio.to_thread(Delivered.of, keys)


async def _nothing() -> Delivered:
    return Delivered()


def _ask_categories(crawl: Crawl, asker: Asker, wanted: Wanted, total: int | None) -> None:
    """Ask for all categories beside the next question, where one window does not hold everything, or may not."""
    if wanted.within.category is None and (total is None or total > crawl.planner.report().facts.window):
        crawl.ask_beside(_categories(asker))


async def _categories(asker: Asker) -> list[str]:
    """All categories: free, and the last resort where neither time nor price divides what there is."""
    try:
        tree = await Categories(asker.engine).get()
    except CJError:
        return []  # those that rows show will do in nearly all cases
    return [leaf.category_id for first in tree for leaf in first.leaves()]
