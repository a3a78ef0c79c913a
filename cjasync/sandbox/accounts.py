"""Who may ask: accounts, their keys and their tokens."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import Struct

from cjasync._clock import Clock
from cjasync.config import Plan
from cjasync.sandbox.refusal import Refusal
from cjasync.sandbox.settings import Settings

_PAIR_KEPT = 86_400.0
# Digits that nothing else has, so that whoever looks for an openId where it should not be can tell it.
_OPEN_IDS = 8_088 * 10**12


class Tokens(Struct, frozen=True):
    """A pair of tokens and when each ends (seconds since 1970)."""

    access: str
    access_until: float
    refresh: str
    refresh_until: float
    created: float


@dataclass(eq=False)
class Account:
    """A user of CJ. `number` is the N of CJN in its key and its tokens."""

    number: int
    plan: Plan
    api_key: str = field(repr=False)
    open_id: int = field(repr=False)
    tokens: Tokens | None = field(default=None, repr=False)


class Accounts:
    """All accounts of one sandbox, and which token belongs to whom."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = random.Random(f"accounts {settings.seed}")
        self._by_key: dict[str, Account] = {}
        self._access: dict[str, tuple[Account, float]] = {}
        self._refresh: dict[str, tuple[Account, float]] = {}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_key.values())

    def add(self, plan: Plan) -> Account:
        """A new account on that plan."""
        number = 1_000_001 + len(self._by_key)
        key = f"CJ{number}@api@{self._rng.getrandbits(128):032x}"
        account = Account(number, plan, key, _OPEN_IDS + self._rng.randrange(10**12))
        self._by_key[key] = account
        return account

    def of_key(self, api_key: str) -> Account | None:
        """The account with that API key."""
        return self._by_key.get(api_key)

    def of_token(self, access_token: str | None) -> Account:
        """The account that a request speaks for; refuses tokens that are missing, unknown or expired."""
        if not access_token:
            raise Refusal(1600002, "Access token is empty", kind="token")
        account, until = self._access.get(access_token, (None, 0.0))
        if account is None or until <= self._clock.time():
            status = self._settings.bad_token_status
            raise Refusal(1600001, "Invalid API key or access token", status=status, kind="token")
        return account

    def login(self, account: Account) -> Tokens:
        """Its pair of tokens: the same for a day, then a new one; older ones stay good until they end."""
        now = self._clock.time()
        kept = account.tokens
        if (
            kept is not None
            and kept.created + _PAIR_KEPT > now
            and kept.access_until > now
            and kept.access in self._access
        ):
            return kept
        return self._issue(account, None)

    def refresh(self, refresh_token: str) -> Tokens:
        """A new access token for a refresh token that is good."""
        account, until = self._refresh.get(refresh_token, (None, 0.0))
        if account is None or until <= self._clock.time():
            raise Refusal(1600003, "Invalid refresh token", kind="token")
        if self._settings.refresh_revokes and account.tokens is not None:
            self._access.pop(account.tokens.access, None)
        return self._issue(account, refresh_token)

    def logout(self, account: Account) -> None:
        """End all tokens of the account."""
        self._access = {token: (who, until) for token, (who, until) in self._access.items() if who is not account}
        self._refresh = {token: (who, until) for token, (who, until) in self._refresh.items() if who is not account}
        account.tokens = None

    def expire_access(self, account: Account) -> None:
        """End its access tokens now; the refresh token stays good."""
        self._access = {token: (who, until) for token, (who, until) in self._access.items() if who is not account}

    def _issue(self, account: Account, refresh_token: str | None) -> Tokens:
        now = self._clock.time()
        access_until = now + self._settings.access_lifetime
        refresh_until = now + self._settings.refresh_lifetime
        if refresh_token is None:
            refresh_token = self._token(account)
            self._refresh[refresh_token] = (account, refresh_until)
        else:
            refresh_until = self._refresh[refresh_token][1]
        account.tokens = Tokens(self._token(account), access_until, refresh_token, refresh_until, now)
        self._access[account.tokens.access] = (account, access_until)
        return account.tokens

    def _token(self, account: Account) -> str:
        """As live ones look: `API@CJN@CJ:` and a JWT, some 590 characters in all."""
        header, payload, signature = (
            base64.urlsafe_b64encode(self._rng.randbytes(size)).rstrip(b"=").decode() for size in (24, 338, 64)
        )
        return f"API@CJ{account.number}@CJ:eyJ{header}.eyJ{payload}.{signature}"
