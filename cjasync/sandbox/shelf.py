"""What users wrote: My Products and sourcing requests, and a log that tells how often each write was carried out."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from msgspec import Struct

SEARCH_AFTER = 3_600.0
DONE_AFTER = 86_400.0
PENDING, SEARCHING, FOUND, FAILED = "1", "2", "3", "5"


class Write(Struct, frozen=True):
    """A write that reached CJ: whose, what, at which time, and whether it changed anything."""

    account: int
    path: str
    key: str
    at: float
    accepted: bool


class Entry(Struct, frozen=True):
    """A product among My Products, and when it came there (seconds since 1970)."""

    pid: str
    added_at: float


class Sourcing(Struct, frozen=True):
    """A sourcing request as it was made. What comes of it, time decides: every third fails."""

    id: str
    account: int
    form: dict[str, Any]
    created_at: float

    @property
    def succeeds(self) -> bool:
        """Whether CJ will find the product."""
        return int(self.id) % 3 != 0

    def status_at(self, now: float) -> str:
        """PENDING, an hour later SEARCHING, a day later FOUND or FAILED."""
        age = now - self.created_at
        if age < SEARCH_AFTER:
            return PENDING
        if age < DONE_AFTER:
            return SEARCHING
        return FOUND if self.succeeds else FAILED


class Shelf:
    """What the accounts of one sandbox have written."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.my_products: defaultdict[int, dict[str, Entry]] = defaultdict(dict)
        self.sourcing: dict[str, Sourcing] = {}

    def add_product(self, account: int, pid: str, now: float) -> bool:
        """Put a product among the account's; False if it is there already."""
        mine = self.my_products[account]
        new = pid not in mine
        if new:
            mine[pid] = Entry(pid, now)
        self.writes.append(Write(account, "product/addToMyProduct", pid, now, new))
        return new

    def request_sourcing(self, account: int, form: dict[str, Any], now: float) -> Sourcing:
        """Take a sourcing request down; asking twice makes two."""
        made = Sourcing(str(285 + len(self.sourcing)), account, form, now)
        self.sourcing[made.id] = made
        self.writes.append(Write(account, "product/sourcing/create", form["productName"], now, True))
        return made

    def counts(self) -> Counter[tuple[str, str]]:
        """How often each write reached CJ, by path and key (a pid, the name of a product to source)."""
        return Counter((write.path, write.key) for write in self.writes)
