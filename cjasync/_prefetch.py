"""Numbered pages fetched ahead by a few workers and handed out in order.

A sliding window, not batches: a worker takes the next page as soon as it is done with one, as long as fewer than
twice the workers' number of pages lie between the page handed out last and the newest asked for. Workers end when the
window is full and are hired anew when the consumer moves on, so a slow consumer holds back the fetching.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Generic, Protocol, TypeVar, cast

P = TypeVar("P")


class Listing(Protocol[P]):
    """What is walked, from page `first` to page `last`; `last` may move with each page that is delivered."""

    first: int
    last: int

    def concurrency(self) -> int:
        """How many pages to have in flight now."""
        ...

    async def fetch(self, number: int) -> P:
        """One page."""
        ...

    def delivered(self, page: P) -> bool:
        """Called with each page in order; whether the consumer is to get it, or the listing ended before it."""
        ...

    def failed(self, number: int, error: Exception) -> None:
        """Called before the error of a page is raised."""
        ...

    def finished(self) -> None:
        """Called when the last page was delivered; may raise."""
        ...


async def in_order(listing: Listing[P]) -> AsyncGenerator[P, None]:
    """The pages in order. When the consumer stops, fails or is cancelled, so do the fetches."""
    window = Window(listing)
    try:
        while (page := await window.next()) is not None:
            yield page
    finally:
        await window.aclose()
    listing.finished()


class Window(Generic[P]):
    """The pages that are being fetched or wait to be handed out.

    No generator: one within another is closed beside it, not by it, where the loop or the collector closes both.
    """

    def __init__(self, listing: Listing[P]) -> None:
        self._listing = listing
        self._number = listing.first  # the page that the consumer is to get
        self._next = listing.first + 1  # the page to hand out
        self._asked = listing.first + 1  # the page to ask for
        self._ready: dict[int, P | BaseException] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._arrival: asyncio.Future[None] | None = None

    async def next(self) -> P | None:
        """The next page, or None at the end."""
        listing, number = self._listing, self._number
        if number > listing.last:
            return None
        try:
            # Of the first page nothing is known yet, least of all whether anybody wants a second.
            page = await (listing.fetch(number) if number == listing.first else self.take(number))
            wanted = listing.delivered(page)
        except Exception as error:
            listing.failed(number, error)
            raise
        if not wanted:
            return None
        self._number = number = number + 1
        if number > listing.first + 1:
            self.hire(number)
        return page

    async def take(self, number: int) -> P:
        """That page, when it is there."""
        if number not in self._ready:
            self.hire(number)
        while number not in self._ready:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        page = self._ready.pop(number)
        if isinstance(page, BaseException):
            raise page
        return page

    def hire(self, number: int) -> None:
        """Have as many workers as there is room for when `number` is to be handed out next."""
        self._next = number
        wanted = self._listing.concurrency()
        while len(self._workers) < wanted and self._has_room(wanted):
            task = asyncio.ensure_future(self._work(self._asked))
            self._asked += 1
            self._workers.add(task)

    def _has_room(self, workers: int) -> bool:
        return self._asked <= self._listing.last and self._asked < self._next + 2 * workers

    async def _work(self, number: int) -> None:
        """Fetch that page, and further ones while there is room for them."""
        try:
            while True:
                try:
                    self._ready[number] = await self._listing.fetch(number)
                except BaseException as error:
                    self._ready[number] = error  # raised when the consumer comes to this page
                    self._asked = 1 << 62  # nothing beyond a failure will be handed out
                    if not isinstance(error, Exception):
                        raise
                finally:
                    self._arrived(number)
                workers = self._listing.concurrency()
                if not self._has_room(workers) or len(self._workers) > workers:
                    return
                number = self._asked
                self._asked = number + 1
        finally:
            # At once, not when the loop comes to it: the consumer must not count on a worker that has gone.
            self._workers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _arrived(self, number: int) -> None:
        if number == self._next and self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def aclose(self) -> None:
        """End the fetches that are under way."""
        workers = tuple(self._workers)
        for task in workers:
            task.cancel()
        if workers:
            await asyncio.wait(workers)
