"""Who may ask: accounts, their keys and their tokens."""

from __future__ import annotations

from dataclasses import dataclass

from cjasync.config import Plan


@dataclass(eq=False)
class Account:
    """A user of CJ. `number` is the N of CJN in keys and tokens."""

    number: int
    plan: Plan
    api_key: str
    open_id: int
