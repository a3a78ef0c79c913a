"""The limits of an account: booked before sending, settled after the answer, shared by all who open the same store."""

from __future__ import annotations

import os

from cjasync.config import without_password
from cjasync.errors import ConfigError
from cjasync.quota.facts import PointsInfo, Refusal
from cjasync.quota.limiter import Limiter
from cjasync.quota.memory import MemoryStore
from cjasync.quota.scopes import account_key
from cjasync.quota.sqlite import SQLiteStore
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
    "SQLiteStore",
    "Ticket",
    "Usage",
    "account_key",
    "open_store",
]


def open_store(where: str | QuotaStore) -> QuotaStore:
    """The store that a name or URL means; a store is passed through. Nothing is opened yet.

    memory: this process only. sqlite: a file in the user's state directory; sqlite:///path: another file.
    redis://host:port/db: shared by machines (extra `redis`).
    """
    if not isinstance(where, str):
        return where
    scheme, _, rest = where.partition("://")
    if scheme == "memory":
        return MemoryStore()
    if scheme == "sqlite":
        path = rest.removeprefix("/") if os.name == "nt" else rest
        return SQLiteStore(path or None)
    if scheme in ("redis", "rediss") and rest:
        from cjasync.quota.redis import RedisStore

        return RedisStore(where)
    told = without_password(where)
    raise ConfigError(f"unknown quota store {told!r}: choose memory, sqlite, sqlite:///path or redis://host:port/db")
