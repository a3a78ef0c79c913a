"""Tokens: what logging in gives. None of it is ever shown by a repr."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from cjasync.models._model import Id, Model


class Tokens(Model):
    """A pair of tokens with their ends. Use the dates: CJ's documents disagree about lifetimes (15 or 180 days)."""

    __secret__: ClassVar[tuple[str, ...]] = ("access_token", "refresh_token", "open_id")

    access_token: str  #: sent with every call, about 600 characters
    access_token_expiry_date: datetime | None = None  #: when it ends
    refresh_token: str | None = None  #: buys the next pair
    refresh_token_expiry_date: datetime | None = None  #: when it ends
    create_date: datetime | None = None  #: when CJ made the pair; the same pair is handed out for 24 hours
    open_id: Id | None = None  #: the account, and the key that signs webhooks; not in refresh answers
