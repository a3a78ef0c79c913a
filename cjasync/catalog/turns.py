"""Whose turn it is: pages of the listing, or the details of the products that they brought."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Turns:
    """Lets windows and details alternate, so that a window stays one burst and each has its share of the points.

    share: of the points, for details. Costs are points, or anything else that both are measured in.
    """

    def __init__(self, share: float, *, page_cost: int, detail_cost: int) -> None:
        self._share = share
        self._page_cost = page_cost or 1
        self._detail_cost = detail_cost or 1
        self._pages = 0
        self._details = 0
        self._changed = asyncio.Event()
        self.new = False  # products came whose details are to be asked for
        self.waiting = False  # there are details to be asked for
        self.reading = False  # a window is open
        self.over = False  # there will be no more windows, or none today

    def count(self, *, pages: int = 0, details: int = 0) -> None:
        """Calls that were made."""
        self._pages += pages * self._page_cost
        self._details += details * self._detail_cost
        self.changed()

    def changed(self) -> None:
        """Let those who wait look again."""
        self._changed.set()

    @property
    def details_due(self) -> bool:
        """Have details less than their share, and something to do with it?"""
        return self.waiting and self._details < self._share * (self._pages + self._details)

    async def for_windows(self) -> None:
        """Return when another window may begin."""
        await self._until(lambda: not self.details_due)

    @property
    def details_may_go(self) -> bool:
        """May details be asked for now?"""
        return self.over or (self.details_due and not self.reading)

    async def for_details(self) -> None:
        """Return when details may be asked for."""
        await self._until(lambda: self.details_may_go)

    async def for_products(self) -> None:
        """Return when there are more products, or will be none."""
        await self._until(lambda: self.new or self.over)

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._changed.clear()
            await self._changed.wait()
