"""How a command ends: exit codes, and errors in words.

0 done. 2 something to put right in what was asked: an option, a setting, which file, the id of a product.
3 authentication. 4 a quota is used up. 5 CJ, the way to it, the ledger of the limits, or writing failed; or not all is
there. 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from cjasync.cli.flags import in_flags
from cjasync.errors import (
    APIError,
    AuthError,
    CheckpointError,
    CJError,
    ConfigError,
    NotFoundError,
    ParameterError,
    QuotaExhaustedError,
    RateLimitedError,
    TooManyAccountsError,
    WaitTooLongError,
)

DONE, USAGE, AUTH, QUOTA, FAILED, INTERRUPTED = 0, 2, 3, 4, 5, 130

_ASKED = (ConfigError, CheckpointError, TooManyAccountsError, NotFoundError)


class NoCredentialsError(ConfigError):
    """Nothing to log in with."""


def exit_code(error: CJError) -> int:
    """What the shell is told."""
    if isinstance(error, AuthError | NoCredentialsError):
        return AUTH
    if isinstance(error, QuotaExhaustedError | WaitTooLongError):
        return QUOTA
    if isinstance(error, _ASKED) or (isinstance(error, ParameterError) and error.code is None):
        return USAGE
    return FAILED


def goes_on_at(error: CJError) -> datetime | None:
    """When the same may be tried again, where the error knows."""
    match error:
        case QuotaExhaustedError():
            return error.resets_at
        case WaitTooLongError() | RateLimitedError():
            return error.retry_at
        case _:
            return None


def in_words(error: CJError, options: Collection[str]) -> str:
    """What happened, and where; for a command that has these `options`."""
    told = str(error)
    return in_flags(told if error.endpoint is None or error.endpoint in told else f"{told} ({error.endpoint})", options)


def as_json(error: CJError, options: Collection[str]) -> dict[str, Any]:
    """An error as `--json` prints it."""
    words, code = in_words(error, options), exit_code(error)
    told: dict[str, Any] = {"error": type(error).__name__, "message": words, "exit_code": code}
    if isinstance(error, APIError):
        told["code"] = error.code
    if isinstance(error, QuotaExhaustedError):
        told["source"] = error.source
    if (at := goes_on_at(error)) is not None:
        told["goes_on_at"] = at.astimezone(UTC)
    return told
