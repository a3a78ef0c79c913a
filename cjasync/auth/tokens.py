"""The pair of tokens that CJ hands out, and when to replace it. Pure: no clock, no file, no socket."""

from __future__ import annotations

from datetime import datetime
from math import inf
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from cjasync.config import CHINA_TIME
from cjasync.errors import BadResponseError

# Replaced in the background a day before the end: an outage of CJ that lasts for hours then hurts nobody, and a token
# of 15 days has still served 93 % of its life.
AHEAD = 86_400.0
# Not used in its last minute: CJ's clock and this machine's differ, and a request takes its time to arrive.
LAST_MOMENT = 60.0
# A token that lives for less than these margins would be replaced at once and for ever; they shrink with its life.
AHEAD_SHARE = 0.2
LAST_MOMENT_SHARE = 0.1


Moment = Annotated[datetime, Meta(tz=True)]  # one without an offset in a store's file is damage


class Tokens(Struct, frozen=True, kw_only=True):
    """What logging in or refreshing gave. No repr shows the tokens or the openId; as JSON they are in the clear.

    access_expires_at, refresh_expires_at: aware datetimes; None = CJ did not say, good until CJ refuses.
    created_at: when CJ made the pair. It hands out the same pair for 24 hours.
    received_at: when it arrived here, by this machine's clock.
    open_id: names the account, and is the key that signs webhooks.
    """

    access_token: str
    access_expires_at: Moment | None = None
    refresh_token: str | None = None
    refresh_expires_at: Moment | None = None
    created_at: Moment | None = None
    received_at: Moment | None = None
    open_id: str | None = None

    @classmethod
    def from_answer(
        cls,
        *,
        access_token: str | None,
        access_expires_at: datetime | None = None,
        refresh_token: str | None = None,
        refresh_expires_at: datetime | None = None,
        created_at: datetime | None = None,
        open_id: str | int | None = None,
    ) -> Tokens:
        """What CJ answered. Dates without an offset are China time. Raises BadResponseError without an access token."""
        if not access_token:
            raise BadResponseError("CJ's answer holds no access token")
        return cls(
            access_token=access_token,
            access_expires_at=_aware(access_expires_at),
            refresh_token=refresh_token or None,
            refresh_expires_at=_aware(refresh_expires_at),
            created_at=_aware(created_at),
            open_id=None if open_id is None else str(open_id),
        )

    @property
    def renew_from(self) -> float:
        """Seconds since 1970 from which on another pair is worth having; infinite when no end is known."""
        return self._before_end(AHEAD, AHEAD_SHARE)

    @property
    def renew_by(self) -> float:
        """Seconds since 1970 from which on the access token is not used any more; infinite when no end is known."""
        return self._before_end(LAST_MOMENT, LAST_MOMENT_SHARE)

    def can_refresh(self, now: float) -> bool:
        """Whether there is a refresh token that has not ended (`now`: seconds since 1970)."""
        return self.refresh_token is not None and now < _end(self.refresh_expires_at, self.received_at)

    def replacing(self, older: Tokens) -> Tokens:
        """With what a refresh does not repeat: CJ leaves out the openId, and may leave out the refresh token."""
        kept = replace(self, open_id=self.open_id or older.open_id)
        if kept.refresh_token is None:
            kept = replace(kept, refresh_token=older.refresh_token, refresh_expires_at=older.refresh_expires_at)
        return kept

    def without_refresh(self) -> Tokens:
        """After CJ has refused the refresh token."""
        return replace(self, refresh_token=None, refresh_expires_at=None)

    def _before_end(self, most: float, share: float) -> float:
        end = _end(self.access_expires_at, self.received_at)
        if self.received_at is None or end == inf:
            return end - most
        return end - min(most, share * (end - self.received_at.timestamp()))

    def __repr__(self) -> str:
        return f"Tokens({', '.join(f'{name}={value}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, _shown(getattr(self, name))) for name in ("access_expires_at", "refresh_expires_at")]


class TokenRecord(Struct, frozen=True, kw_only=True):
    """What a store keeps of an account; `msgspec.json` encodes and decodes it.

    tokens: None before the first login and after a logout.
    login_at: when getAccessToken was last asked, whatever came of it (aware datetime).
    """

    tokens: Tokens | None = None
    login_at: Moment | None = None

    def login_wait(self, now: float, interval: float) -> float:
        """Seconds from `now` (seconds since 1970) until another login, `interval` seconds after the last."""
        if self.login_at is None:
            return 0.0
        since = now - self.login_at.timestamp()
        if since < -interval:
            return 0.0  # noted by a clock that was far ahead
        return max(0.0, interval - max(0.0, since))


def _end(expires_at: datetime | None, received_at: datetime | None) -> float:
    """A pair that arrives expired says that a clock is wrong: its dates are then worth nothing."""
    if expires_at is None or (received_at is not None and expires_at <= received_at):
        return inf
    return expires_at.timestamp()


def _aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=CHINA_TIME) if when is not None and when.tzinfo is None else when


def _shown(when: datetime | None) -> str:
    return when.isoformat() if when is not None else "unknown"
