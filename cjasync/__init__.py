"""cjasync: an asyncio client for CJ Dropshipping's product API.

Example::

    async with CJClient.from_env() as cj:
        async for product in cj.products.list_v2(key_word="hoodie"):
            print(product.name_en, product.sell_price)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cjasync._version import __version__

if TYPE_CHECKING:
    from cjasync._decode import Rows
    from cjasync._raw import RawAnswer
    from cjasync._rows import Skipped
    from cjasync.bulk import Done
    from cjasync.client import CJClient
    from cjasync.config import Plan, RequestOptions, Settings
    from cjasync.errors import (
        AlreadyExistsError,
        APIError,
        AuthError,
        BadResponseError,
        CheckpointError,
        CJError,
        ClosedError,
        ConfigError,
        ConnectError,
        Cursor,
        DelistedError,
        NotFoundError,
        OutcomeUnknownError,
        OutOfReachError,
        OutputError,
        ParameterError,
        QuotaExhaustedError,
        RateLimitedError,
        StoreError,
        TimeoutError,
        TooManyAccountsError,
        TransportError,
        UnavailableError,
        WaitTooLongError,
    )
    from cjasync.models.common import Price, Weight
    from cjasync.pagination import OutOfReachWarning, Page, Pager

__all__ = [
    "APIError",
    "AlreadyExistsError",
    "AuthError",
    "BadResponseError",
    "CJClient",
    "CJError",
    "CheckpointError",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "Cursor",
    "DelistedError",
    "Done",
    "NotFoundError",
    "OutOfReachError",
    "OutOfReachWarning",
    "OutcomeUnknownError",
    "OutputError",
    "Page",
    "Pager",
    "ParameterError",
    "Plan",
    "Price",
    "QuotaExhaustedError",
    "RateLimitedError",
    "RawAnswer",
    "RequestOptions",
    "Rows",
    "Settings",
    "Skipped",
    "StoreError",
    "TimeoutError",
    "TooManyAccountsError",
    "TransportError",
    "UnavailableError",
    "WaitTooLongError",
    "Weight",
    "__version__",
]

# Where the public names live; each of these needs those before it, not those after it.
_HOMES = ("errors", "config", "models.common", "_rows", "_decode", "_raw", "pagination", "bulk", "client")


def __getattr__(name: str) -> Any:
    """A public name, loaded when it is first used: `cjasync --help` needs none of them."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
