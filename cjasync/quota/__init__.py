"""The limits of an account: booked before sending, settled after the answer, shared by all who open the same store."""

from __future__ import annotations

from cjasync.errors import ConfigError
from cjasync.quota.facts import PointsInfo, Refusal
from cjasync.quota.limiter import Limiter
from cjasync.quota.memory import MemoryStore
from cjasync.quota.scopes import account_key
from cjasync.quota.store import QuotaStore
from cjasync.quota.tickets import Ticket
from cjasync.quota.usage import BucketUsage, Estimate, HourUsage, Usage

__all__ = [
    "BucketUsage",
    "Estimate",
    "HourUsage",
    "Limiter",
    "MemoryStore",
    "PointsInfo",
    "QuotaStore",
    "Refusal",
    "Ticket",
    "Usage",
    "account_key",
    "open_store",
]


def open_store(where: str | QuotaStore) -> QuotaStore:
    """The store that a name or URL means; a store is passed through. Nothing is opened yet.

    `memory` or `memory://`: this process only.
    """
    if not isinstance(where, str):
        return where
    scheme, _, _rest = where.partition("://")
    if scheme == "memory":
        return MemoryStore()
    raise ConfigError(f"unknown quota store {where!r}: choose memory, sqlite, sqlite:///path or redis://host:port/db")
