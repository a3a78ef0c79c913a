"""When a window may begin: when the budget can pay for all of it, and the sink has room for it.

A window that is read without a pause holds still; one whose budget runs out halfway stays open for hours, and pages
of it have to be read again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from cjasync._endpoint import Endpoint
from cjasync.catalog.asking import Asker
from cjasync.catalog.question import Question
from cjasync.errors import QuotaExhaustedError
from cjasync.quota import BucketUsage, Usage

PAUSE = 60.0  # seconds between two answers of a window that count as a pause


class Bursts:
    """Holds questions of new windows back.

    endpoint: what a question costs. room: pages that may wait for the sink. kept: the share of each budget that is
    left to others.
    """

    def __init__(self, asker: Asker, endpoint: Endpoint, *, room: int, kept: float) -> None:
        self.room = room
        self._asker = asker
        self._endpoint = endpoint
        self._kept = kept
        self._turn = asyncio.Lock()
        self._open: dict[int, int] = {}  # window -> calls that it still needs
        self._flying: Counter[int] = Counter()
        self._last: dict[int, float] = {}  # window -> its last answer
        self._waiting = 0  # parts that the sink has not committed
        self._drained = asyncio.Event()

    @property
    def held_back(self) -> int:
        """Questions that wait here."""
        return self._flying.total() - sum(self._flying[window] for window in self._open)
