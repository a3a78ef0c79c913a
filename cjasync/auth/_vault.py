"""One account's place in a token store, robust against the store."""

from __future__ import annotations

import asyncio
import logging
from builtins import TimeoutError as WaitedEnough
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from cjasync.auth.store import TokenStore
from cjasync.auth.tokens import TokenRecord
from cjasync.errors import CJError, ConfigError

_log = logging.getLogger("cjasync.auth")

# A holder of the lock makes one or two requests. One that is frozen (a stopped process) must not stop the others.
LOCK_PATIENCE = 60.0


class Vault:
    """Loads, saves and locks the record of an account.

    A store that cannot be read or locked is a ConfigError, unless it could before: a service whose disk fails in its
    third month goes on with what it knows.
    """

    def __init__(self, store: TokenStore, account: str) -> None:
        self._store = store
        self._account = account
        self._unsaved: TokenRecord | None = None  # newer than the store's, which could not be written
        self._known = TokenRecord()  # as last read or written
        self._worked = False

    async def load(self) -> TokenRecord:
        """What is kept; an empty record if nothing is."""
        if self._unsaved is not None:
            return self._unsaved
        try:
            with _typed("read"):
                self._known = await self._store.load(self._account) or TokenRecord()
        except CJError as error:
            self._bear(error, "going on with what was in it")
        return self._known

    async def save(self, record: TokenRecord) -> TokenRecord:
        """Keep it, in memory at least: callers need the token, not the file. Returns the record."""
        try:
            with _typed("written"):
                await self._store.save(self._account, record)
        except CJError as error:
            _log.warning("%s; until it can, other processes do not see new tokens", error)
            self._unsaved = record
        else:
            self._unsaved, self._known = None, record
        return record

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be the only one that asks CJ for tokens, except for holders that are frozen."""
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(LOCK_PATIENCE):
                    with _typed("locked"):
                        await held.enter_async_context(self._store.lock(self._account))
                self._worked = True
            except CJError as error:
                self._bear(error, "going on without its lock")
            except WaitedEnough:
                _log.warning("another process has held the token lock for %.0f s; going on without it", LOCK_PATIENCE)
            yield

    def _bear(self, error: CJError, instead: str) -> None:
        if not self._worked:
            raise error
        _log.warning("%s; %s", error, instead)


@contextmanager
def _typed(verb: str) -> Iterator[None]:
    try:
        yield
    except CJError:
        raise
    except Exception as error:
        # Only the type is told: a store of the user's may put what it was given into its error.
        raise ConfigError(f"the token store cannot be {verb} ({type(error).__name__})") from error
