"""One valid token for everybody: callers, event loops, processes and restarts.

A token is replaced in the background a day ahead (advisory: a failure hurts nobody while the token is good), or before
use when its end is near or CJ has refused it (mandatory: callers wait, or get the error). Both are one task that all
callers share, and the store's lock makes it one among processes, of which the others find the result in the store.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from math import inf
from typing import Any, TypeVar

from msgspec.structs import replace

from cjasync._clock import Clock
from cjasync.auth._shared import SharedTasks
from cjasync.auth._vault import Vault
from cjasync.auth.store import TokenStore
from cjasync.auth.tokens import TokenRecord, Tokens
from cjasync.errors import (
    APIError,
    AuthError,
    CJError,
    ClosedError,
    ConfigError,
    ConnectError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    WaitTooLongError,
)

_log = logging.getLogger("cjasync.auth")

# How long callers wait for the next login that CJ allows, unless they say otherwise: longer is an error at once.
SHORT_WAIT = 5.0
# Who waits longer looks into the store meanwhile: another process or a person may have got a token.
LOOK_AGAIN = 5.0
# A token that CJ refused is not believed for so long, even if CJ hands it out again; nor is what failed repeated.
# After that both are tried anew: CJ may have been wrong.
REFUSAL_MEMORY = 60.0
# Pauses between background refreshes that fail: the first, and the longest after doubling. A day holds many.
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0

_NEVER_SENT = (ConnectError, WaitTooLongError, ClosedError, ConfigError)
_PASSING = (RateLimitedError, QuotaExhaustedError, UnavailableError)
_GET_ANOTHER = "pass api_key= (CJ_API_KEY), or a new access_token= (CJ_ACCESS_TOKEN)"

_Error = TypeVar("_Error", bound=CJError)


class TokenManager:
    """Hands out the token of one account.

    account: the store's name for it; without secrets, and different for every API key and base URL.
    authenticate, renew, revoke: getAccessToken, refreshAccessToken (takes the refresh token), logout (takes the access
    token). `authenticate` is None without an API key; it makes at most one request that reaches CJ.
    access_token: used until CJ refuses it, if the store holds no successor.
    login_interval: seconds between two getAccessToken calls, kept over restarts by the store; None = no limit.
    """

    def __init__(
        self,
        *,
        account: str,
        authenticate: Callable[[], Awaitable[Tokens]] | None,
        renew: Callable[[str], Awaitable[Tokens]],
        revoke: Callable[[str], Awaitable[object]],
        store: TokenStore,
        clock: Clock,
        access_token: str | None = None,
        login_interval: float | None = 300.0,
    ) -> None:
        self._authenticate = authenticate
        self._renew = renew
        self._revoke = revoke
        self._vault = Vault(store, account)
        self._clock = clock
        self._login_interval = login_interval or 0.0
        self._given = Tokens(access_token=access_token) if access_token else None
        self._tokens: Tokens | None = None
        self._calm_until = -inf  # before this moment the tokens need no thought
        self._refused: dict[str, float] = {}  # access token -> until when it is not believed
        self._failure: AuthError | None = None
        self._failure_holds_until = -inf
        self._ahead_failures = 0
        self._ahead_from = -inf
        self._tasks: SharedTasks[Tokens | None] = SharedTasks()
        self._closed = False

    def current(self) -> str | None:
        """A token that is good now, or None: then `await get()`. Called from a coroutine.

        Starts a refresh in the background when the token's end is near.
        """
        now = self._clock.time()
        tokens = self._tokens
        if tokens is None:
            return None
        if now < self._calm_until:
            return tokens.access_token
        if not self._is_good(tokens, now):
            return None
        if now >= tokens.renew_from and self._clock.monotonic() >= self._ahead_from:
            self._tasks.start("renew", self._replace_ahead)
        return tokens.access_token

    async def get(self, max_wait: float | None = SHORT_WAIT) -> str:
        """A good token: the current one, the store's, a refreshed one, or that of a new login, in this order.

        Raises AuthError when CJ refuses all of them, WaitTooLongError when the next login is further away than
        `max_wait` seconds (None = any), and whatever went wrong with the requests.
        """
        give_up = self._give_up(max_wait)
        while (token := self.current()) is None:
            await self._shared("renew", self._replace_now, give_up)
        return token

    async def rejected(self, token: str, max_wait: float | None = SHORT_WAIT) -> str:
        """What to use instead of a token that CJ has refused; errors as of `get`.

        One refresh per refused token: who reports one that was replaced meanwhile gets the replacement.
        """
        now = self._clock.monotonic()
        for old in [old for old, until in list(self._refused.items()) if until <= now]:
            self._refused.pop(old, None)
        self._refused[token] = now + REFUSAL_MEMORY
        if self._tokens is not None and self._tokens.access_token == token:
            self._tokens = None  # should CJ take it again, the store has it
        return await self.get(max_wait)

    async def login(self, max_wait: float | None = SHORT_WAIT) -> Tokens:
        """Ask CJ for tokens now. Within `login_interval` of the last time: the stored ones, if they are good.

        Errors as of `get`; ConfigError without an API key.
        """
        if self._authenticate is None:
            raise ConfigError("a login needs an API key: give `api_key`, or set CJ_API_KEY")
        give_up = self._give_up(max_wait)
        while (tokens := await self._shared("login", self._log_in_now, give_up)) is None:
            pass
        return tokens

    async def logout(self) -> None:
        """End both tokens, for all processes, and forget them. The next call that needs a token logs in again.

        When the request fails, nothing is forgotten: log out again.
        """
        self._check_open()
        async with self._vault.alone():
            record = await self._vault.load()
            tokens = record.tokens or self._tokens or self._given
            if tokens is not None:
                try:
                    await self._revoke(tokens.access_token)
                except AuthError:
                    _log.info("logged out with a token that CJ did not take any more")
            await self._vault.save(replace(record, tokens=None))
            self._forget()

    async def aclose(self, grace: float = 2.0) -> None:
        """Let a refresh under way end within `grace` seconds (its tokens would be lost), then cancel it."""
        self._closed = True
        try:
            await self._tasks.aclose(grace)
        finally:
            self._forget()

    # Getting other tokens: one task at a time, alone among processes.

    async def _shared(
        self, name: str, work: Callable[[], Coroutine[Any, Any, Tokens | None]], give_up: float
    ) -> Tokens | None:
        """What the task brings; None when the caller has to look again."""
        self._check_open()
        try:
            return await self._tasks.result(name, work)
        except WaitTooLongError as error:
            wait = error.retry_at.timestamp() - self._clock.time()
            if self._clock.monotonic() + wait > give_up:
                raise _own(error) from error.__cause__
        except CJError as error:
            raise _own(error) from error.__cause__
        await self._clock.sleep(min(max(wait, 0.05), LOOK_AGAIN))
        return None

    async def _replace_ahead(self) -> Tokens | None:
        try:
            return await self._replace(ahead=True)
        except Exception as error:  # none may hurt, and none may make the next call try again at once
            pause = min(FIRST_PAUSE * 2**self._ahead_failures, LONGEST_PAUSE)
            self._ahead_failures += 1
            self._ahead_from = self._clock.monotonic() + pause
            name = type(error).__name__
            _log.warning("could not refresh the token ahead of its end (%s); again in %.0f s", name, pause)
            return None

    async def _replace_now(self) -> Tokens:
        return await self._replace(ahead=False)

    async def _replace(self, *, ahead: bool) -> Tokens:
        # A look before taking the lock: at the start of a process the store mostly knows a good token.
        if (tokens := self._adopt((await self._vault.load()).tokens, ahead=ahead)) is not None:
            return tokens
        async with self._vault.alone():
            record = await self._vault.load()
            if (tokens := self._adopt(record.tokens, ahead=ahead)) is not None:
                return tokens
            if ahead and record.tokens is None:
                raise AuthError("somebody has logged out")  # and wants no login before a call needs one
            if self._failure is not None and self._clock.monotonic() < self._failure_holds_until:
                raise _own(self._failure)
            return await self._refresh_or_log_in(record)

    async def _refresh_or_log_in(self, record: TokenRecord) -> Tokens:
        refused: APIError | None = None
        old, now = record.tokens, self._clock.time()
        if old is not None and old.refresh_token and old.can_refresh(now):
            try:
                renewed = self._received(await self._renew(old.refresh_token)).replacing(old)
            except _PASSING:
                raise
            except APIError as refusal:
                refused = refusal
                left = old.without_refresh() if self._is_good(old, now) else None
                record = await self._vault.save(replace(record, tokens=left))
            else:
                record = await self._vault.save(replace(record, tokens=renewed))
                if (tokens := self._adopt(renewed)) is not None:
                    return tokens
        if self._authenticate is None:
            error = AuthError(f"no access token that CJ takes is left: {_GET_ANOTHER}")
            raise self._remembered(error) from refused
        if (tokens := self._adopt(await self._log_in(record))) is not None:
            return tokens
        error = AuthError(f"CJ hands out a token that it refuses; make a new API key in My CJ, then {_GET_ANOTHER}")
        raise self._remembered(error)

    async def _log_in_now(self) -> Tokens:
        async with self._vault.alone():
            record = await self._vault.load()
            if (
                record.login_wait(self._clock.time(), self._login_interval) > 0
                and (tokens := self._adopt(record.tokens)) is not None
            ):
                return tokens
            return self._take(await self._log_in(record))

    async def _log_in(self, record: TokenRecord) -> Tokens:
        assert self._authenticate is not None, "only called with an API key"
        wait = record.login_wait(self._clock.time(), self._login_interval)
        if wait > 0:
            if self._failure is not None:
                raise _own(self._failure)  # tells more than that it is too early
            text = f"CJ allows one login in {self._login_interval:g} s; the next in {wait:.0f} s"
            raise WaitTooLongError(text, retry_at=_moment(self._clock.time() + wait))
        # Noted before asking: a process killed meanwhile has asked all the same.
        noted = await self._vault.save(replace(record, login_at=_moment(self._clock.time())))
        try:
            tokens = self._received(await self._authenticate())
        except _NEVER_SENT:
            await self._vault.save(record)
            raise
        except AuthError as error:
            self._remembered(error)
            raise
        await self._vault.save(replace(noted, tokens=tokens))
        return tokens

    def _received(self, tokens: Tokens) -> Tokens:
        self._given = None
        return replace(tokens, received_at=_moment(self._clock.time()))

    # What is known.

    def _is_good(self, tokens: Tokens, now: float) -> bool:
        return now < tokens.renew_by and self._clock.monotonic() >= self._refused.get(tokens.access_token, -inf)

    def _adopt(self, found: Tokens | None, *, ahead: bool = False) -> Tokens | None:
        """Use these, or what the user gave, if they are good; `ahead`: good for long."""
        now = self._clock.time()
        for tokens in (found, self._given):
            if tokens is not None and self._is_good(tokens, now) and not (ahead and now >= tokens.renew_from):
                return self._take(tokens)
        return None

    def _take(self, tokens: Tokens) -> Tokens:
        self._failure = None
        if tokens != self._tokens:
            self._ahead_failures, self._ahead_from = 0, -inf
        self._tokens = tokens
        self._calm_until = tokens.renew_from
        return tokens

    def _forget(self) -> None:
        self._given = self._tokens = None
        self._calm_until = -inf

    def _remembered(self, error: AuthError) -> AuthError:
        self._failure = _own(error)
        self._failure_holds_until = self._clock.monotonic() + REFUSAL_MEMORY
        return error

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the client is closed")

    def _give_up(self, max_wait: float | None) -> float:
        return inf if max_wait is None else self._clock.monotonic() + max_wait


def _own(error: _Error) -> _Error:
    """A copy for each who raises it: callers add their endpoint to it, and raising adds to its traceback."""
    return copy.copy(error)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
