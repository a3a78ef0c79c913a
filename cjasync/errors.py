"""Every error that cjasync raises on purpose.

CJError
├── ConfigError                a setting that cannot work (missing token, base URL, plan, store, file)
├── ClosedError                the client is used after it was closed
├── StoreError                 the quota store cannot be read or written (nothing is sent while it cannot)
├── TooManyAccountsError       more accounts behind one IP address than CJ allows (limit, frees_at)
├── TransportError             the request or its answer was lost on the way
│   ├── ConnectError           nothing reached CJ
│   ├── TimeoutError           no whole answer in time
│   └── BadResponseError       an answer came, and it cannot be read (the bytes are kept)
├── APIError                   CJ answered with a refusal
│   ├── AuthError              key or token refused
│   ├── ParameterError         a parameter CJ does not take; also raised here, before anything is sent
│   ├── NotFoundError          no such product, variant or path
│   │   └── DelistedError      it existed and was taken off the shelves
│   ├── RateLimitedError       too fast (retry_at)
│   ├── QuotaExhaustedError    a budget is used up (bucket, used, limit, resets_at)
│   ├── AlreadyExistsError     the write had been done before
│   └── UnavailableError       CJ is busy or broken; trying later may work
├── OutcomeUnknownError        a write that may or may not have happened
├── WaitTooLongError           the wait would pass max_wait (retry_at); nothing was booked
├── OutOfReachError            a listing larger than the window CJ shows (reachable, total)
├── CheckpointError            a checkpoint that cannot be resumed
└── OutputError                a file that cannot be written

Every one can carry `endpoint`, and a failed walk `cursor`: where to go on.
"""

from __future__ import annotations

import base64
import builtins
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct


class Cursor(Struct, frozen=True):
    """Where a listing goes on: the question, the next page, and how many of its items were taken already.

    `str(cursor)` is URL-safe text, `Cursor.parse` reads it back. It holds filters only, nothing secret.
    """

    path: str
    params: dict[str, str | int]
    page: Annotated[int, Meta(ge=1)]
    size: Annotated[int, Meta(ge=1)]
    offset: Annotated[int, Meta(ge=0)] = 0

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """The cursor that `str` wrote; ParameterError if the text is something else."""
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=cls)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ParameterError(f"`cursor`: not one that this library wrote ({error})") from None


class CJError(Exception):
    """The root: `except CJError` catches all that this library raises on purpose."""

    endpoint: str | None
    cursor: Cursor | None

    def __init__(self, message: str, *, endpoint: str | None = None) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.cursor = None

    @property
    def message(self) -> str:
        """What happened, in a sentence."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments would make the default unpickling fail in another process.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: type[CJError], args: tuple[Any, ...], state: dict[str, Any]) -> CJError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(CJError):
    """A setting that cannot work; nothing was sent."""


class ClosedError(CJError):
    """The client was closed."""


class StoreError(CJError):
    """The quota store cannot be read or written. Nothing is sent meanwhile: a limit is never silently lifted."""


class TooManyAccountsError(CJError):
    """More accounts behind one IP address than the plan's `accounts_per_ip`, or than CJ lets in.

    `frees_at` (aware datetime) is when one of the `limit` accounts seen there is forgotten, and nothing was sent; None
    where it was CJ that refused, which does not say.
    """

    def __init__(
        self, message: str, *, limit: int, frees_at: datetime | None = None, endpoint: str | None = None
    ) -> None:
        super().__init__(message, endpoint=endpoint)
        self.limit = limit
        self.frees_at = frees_at


class TransportError(CJError):
    """The request or its answer was lost on the way."""


class ConnectError(TransportError):
    """No connection: nothing reached CJ, so even a write may be sent again."""


class TimeoutError(TransportError, builtins.TimeoutError):
    """No whole answer within the time allowed."""


class BadResponseError(TransportError):
    """An answer came that cannot be read. `body` holds its first bytes, `http_status` its status."""

    def __init__(
        self,
        message: str,
        *,
        body: bytes = b"",
        http_status: int | None = None,
        path: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        super().__init__(message, endpoint=endpoint)
        self.body = body
        self.http_status = http_status
        self.path = path


class APIError(CJError):
    """CJ answered with a refusal.

    `code` is CJ's (or None when the refusal is ours), `points` the pointsInfo that the answer carried.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        points: Any = None,
        endpoint: str | None = None,
    ) -> None:
        super().__init__(message, endpoint=endpoint)
        self.code = code
        self.http_status = http_status
        self.request_id = request_id
        self.points = points

    def __str__(self) -> str:
        facts = [
            f"{name} {value}"
            for name, value in (
                ("code", self.code),
                ("HTTP", self.http_status),
                ("endpoint", self.endpoint),
                ("request", self.request_id),
            )
            if value is not None
        ]
        return f"{self.message} ({', '.join(facts)})" if facts else self.message


class AuthError(APIError):
    """The API key or the access token was refused."""


class ParameterError(APIError):
    """A parameter outside what CJ documents. Raised before sending where that is possible (`code` is None)."""


class NotFoundError(APIError):
    """CJ knows no such product, variant, user or path."""


class DelistedError(NotFoundError):
    """The product or variant was taken off the shelves."""


class RateLimitedError(APIError):
    """Too many requests; `retry_at` (aware datetime) is when the next may go out."""

    def __init__(self, message: str, *, retry_at: datetime | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.retry_at = retry_at


class QuotaExhaustedError(APIError):
    """A budget is used up: `used` of `limit`, with enough again at `resets_at` (aware datetime).

    `bucket` is "points", "calls" (a day, of this endpoint) or "sourcing". `source` says whose limit it is: "server"
    (CJ's own figure, or its refusal), "user" (a cap that the plan states) or "local" (what is presumed until CJ says).
    """

    def __init__(
        self,
        message: str,
        *,
        bucket: str,
        used: int | None = None,
        limit: int | None = None,
        resets_at: datetime | None = None,
        source: Literal["local", "server", "user"] = "server",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.bucket = bucket
        self.used = used
        self.limit = limit
        self.resets_at = resets_at
        self.source = source


class AlreadyExistsError(APIError):
    """The write had been done before (a product that is in My Products already)."""


class UnavailableError(APIError):
    """CJ is busy or broken; the same request may work later."""


class OutcomeUnknownError(CJError):
    """A write whose answer was lost: it may have happened. The text names the call that tells."""


class WaitTooLongError(CJError):
    """The wait would have been longer than `max_wait`; nothing was booked. `retry_at` is an aware datetime."""

    def __init__(self, message: str, *, retry_at: datetime, endpoint: str | None = None) -> None:
        super().__init__(message, endpoint=endpoint)
        self.retry_at = retry_at


class OutOfReachError(CJError):
    """A listing of `total` records of which CJ's window shows `reachable`."""

    def __init__(self, message: str, *, reachable: int, total: int, endpoint: str | None = None) -> None:
        super().__init__(message, endpoint=endpoint)
        self.reachable = reachable
        self.total = total


class CheckpointError(CJError):
    """A checkpoint that cannot be resumed: another question, another version, or damaged."""


class OutputError(CJError):
    """A file that cannot be written: the disk is full, its folder is not ours, another process is writing it."""


CODES: dict[int, type[APIError]] = {
    400: ParameterError,
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    429: RateLimitedError,
    1600000: UnavailableError,
    1600001: AuthError,
    1600002: AuthError,
    1600003: AuthError,
    1600004: AuthError,
    1600005: AuthError,
    1600006: AuthError,
    1600007: AuthError,
    1600008: AuthError,
    1600009: AuthError,
    1600010: ParameterError,
    1600011: ParameterError,
    1600012: AuthError,
    1600013: NotFoundError,
    1600030: AuthError,
    1600031: AuthError,
    1600100: ParameterError,  # the documents' examples say "Param error", the code table "interface offline"
    1600101: NotFoundError,
    1600200: RateLimitedError,
    1600201: QuotaExhaustedError,
    1600300: ParameterError,
    1600301: UnavailableError,
    1601000: NotFoundError,
    1602000: NotFoundError,
    1602001: NotFoundError,
    1602002: DelistedError,
    1602003: DelistedError,
    16900202: ParameterError,
    16900203: ParameterError,
    16900204: ParameterError,
    16900205: ParameterError,
    16900403: ParameterError,
    16900500: QuotaExhaustedError,
}
"""CJ's codes (body, or HTTP status mirrored in the body) to what they mean here. Any other code is an APIError."""
