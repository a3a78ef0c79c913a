"""Carries a planner's question to CJ and brings back what it said: rows, and the answer as the planner reads it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from cjasync._decode import PageRows
from cjasync._engine import Engine
from cjasync._rows import Skipped
from cjasync.catalog.entry import Skip
from cjasync.catalog.filters import Wanted
from cjasync.catalog.planning.question import Answer, Question, Row
from cjasync.errors import (
    APIError,
    CJError,
    ParameterError,
    QuotaExhaustedError,
    RateLimitedError,
    TransportError,
    UnavailableError,
)
from cjasync.models.product import ListedProduct
from cjasync.resources._product_endpoints import LIST

T = TypeVar("T")

PATIENCE = 900.0  # seconds for which a CJ that is down is asked again and again
LONGEST = 60.0  # seconds between two such attempts
MARGIN = 0.5  # seconds that a budget may come back later than it was said
STEP = 3600.0  # seconds of sleep at a time, because wall clocks are set
MAY_BE_EMPTY = ("part", "share", "hidden")  # kinds of questions
DOUBTS = (0.0,)  # seconds before "nothing" is asked again: CJ was seen to say it and to know better a moment later
FIRST_DOUBTS = (1.0, 3.0)  # the same while nothing was seen yet that could contradict it
PASSING = (TransportError, UnavailableError, RateLimitedError)

_TOO_FAR = re.compile("offset|result window", re.IGNORECASE)


class Page(Struct, frozen=True):
    """A page as it came: `rows` in CJ's order, with a `Skip` for each that could not be read."""

    answer: Answer
    rows: tuple[ListedProduct | Skip, ...]
    fetched_at: float
    requests: int


class Asker:
    """Asks, and asks again where that helps.

    wait: sleep to the reset when a budget is used up, instead of raising QuotaExhaustedError.
    """

    def __init__(self, engine: Engine, wanted: Wanted, *, wait: bool) -> None:
        self.engine = engine.with_options(msgspec.structs.replace(engine.options, max_wait=None, deadline=None))
        self.clock = engine.services.clock
        self.wait = wait
        self.patient = engine.options.retries > 0
        self._answered = False  # what has never answered may not be CJ at all, and is not waited for
        self._shown = False  # what could contradict an answer of nothing
        self.waiting_until: datetime | None = None
        self._fixed = wanted.fixed

    async def page(self, question: Question) -> Page:
        """The answer to a question. Raises what cannot be waited out."""
        if question.region.empty:
            return Page(Answer(), (), self.clock.time(), 0)
        params = {LIST.params[name].wire: value for name, value in question.params().items()} | self._fixed
        requests = 1
        try:
            got = await self.call(lambda: self.engine.call(LIST, params))
            for pause in DOUBTS if self._shown else FIRST_DOUBTS:
                if question.kind in MAY_BE_EMPTY or _says_something(got):
                    break
                await self.clock.sleep(pause)
                requests += 1
                got = await self.call(lambda: self.engine.call(LIST, params))
        except APIError as error:
            if question.page == 1 or not (isinstance(error, ParameterError) or _TOO_FAR.search(error.message)):
                raise
            return Page(Answer(error="max_offset"), (), self.clock.time(), requests)
        self._shown = self._shown or _says_something(got)
        return _page(got, self.clock.time(), requests)

    async def call(self, make: Callable[[], Awaitable[Any]], *, settled: tuple[type[CJError], ...] = ()) -> Any:
        """Make a call; wait out what passes. `settled`: errors that are passed on at once."""
        pause, give_up_at = 1.0, self.clock.monotonic() + PATIENCE
        while True:
            try:
                answer = await make()
            except QuotaExhaustedError as error:
                if not self.wait or error.resets_at is None:
                    raise
                await self.sleep_until(error.resets_at)
            except PASSING as error:
                waits = self.patient and self._answered and self.clock.monotonic() < give_up_at
                if isinstance(error, settled) or not waits:
                    raise
                await self.clock.sleep(pause)
                pause = min(2 * pause, LONGEST)
            else:
                self._answered = True
                return answer

    async def sleep_until(self, moment: datetime) -> None:
        """Return a little after that moment of the wall clock."""
        self.waiting_until = moment
        try:
            while (left := moment.timestamp() + MARGIN - self.clock.time()) > 0:
                await self.clock.sleep(min(left, STEP))
        finally:
            self.waiting_until = None


def _says_something(got: PageRows) -> bool:
    return bool(got.rows or got.skipped or (got.data is not None and got.data.total))


def _page(got: PageRows, now: float, requests: int) -> Page:
    """The answer for the planner. A row that cannot be read counts as seen: the page is as full as its total says."""
    rows: list[ListedProduct | Skip] = list(got.rows)
    for skipped in got.skipped:  # they come in the order of the page
        rows.insert(skipped.index, _skip(skipped))
    data = got.data
    answer = Answer(
        total=(data.total if data is not None else None) or 0,
        rows=tuple(map(_row, rows)),
        page_size=data.page_size if data is not None else None,
    )
    return Page(answer, tuple(rows), now, requests)


def _row(row: ListedProduct | Skip) -> Row:
    if isinstance(row, Skip):
        return Row(row.pid, _hint(row.raw).created)
    created, price = row.create_time, row.sell_price
    return Row(
        row.pid,
        None if created is None else int(created.timestamp()),
        None if price is None else int(price.low * 1000),
        row.category_id,
    )


class _Hint(Struct, rename="camel"):
    """What can often be read of a row that cannot be read."""

    pid: str | None = None
    create_time: Any = None

    @property
    def created(self) -> int | None:
        """Seconds since 1970."""
        return self.create_time // 1000 if isinstance(self.create_time, int) else None


def _hint(raw: bytes) -> _Hint:
    try:
        return msgspec.json.decode(raw, type=_Hint)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Hint()


def _skip(skipped: Skipped) -> Skip:
    pid = _hint(skipped.raw).pid or "unreadable-" + blake2b(skipped.raw, digest_size=12).hexdigest()
    return Skip(pid, skipped.raw, skipped.path, skipped.reason)
