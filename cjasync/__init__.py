"""cjasync: an asyncio client for CJ Dropshipping's product API.

async with CJClient.from_env() as cj:
    async for product in cj.products.list_v2(key_word="hoodie"):
        print(product.name_en, product.sell_price)
"""

__version__ = "0.1.0"

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
from cjasync.pagination import Cursor, OutOfReachWarning, Page, Pager

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
