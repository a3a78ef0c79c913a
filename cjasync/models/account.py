"""The account: what setting/get tells."""

from __future__ import annotations

from typing import ClassVar

from cjasync.models._model import Id, Model, wire


class QuotaLimit(Model):
    """A limit that CJ states for one path. Live values are far from what is enforced: show it, do not steer by it."""

    quota_url: str | None = None  #: the path
    quota_limit: int | None = None  #: calls per period
    quota_type: int | None = None  #: period: 0 total, 1 year, 2 quarter, 3 month, 4 day, 5 hour


class AccountLimits(Model):
    """Limits that CJ states for the account."""

    quota_limits: tuple[QuotaLimit, ...] = ()  #: calls per path
    qps_limit: int | None = None  #: requests per second; 100 was seen where 1 is enforced


class Callback(Model):
    """A webhook subscription."""

    type: str | None = wire("type", "productType")  #: ENABLE or CANCEL; ALL in older answers
    urls: tuple[str, ...] = wire("urls", "productCallbackUrls")  #: where CJ sends it


class Callbacks(Model):
    """The account's webhooks."""

    product: Callback | None = None  #: about products
    order: Callback | None = None  #: about orders


class AccountSettings(Model):
    """The account behind the token. Its repr shows neither `open_id` nor `open_email`."""

    __secret__: ClassVar[tuple[str, ...]] = ("open_id", "open_email")

    open_id: Id | None = None  #: the account; also the key that signs webhooks
    open_name: str | None = None  #: the account's name
    open_email: str | None = None  #: its address
    setting: AccountLimits | None = None  #: limits as CJ states them
    callback: Callbacks | None = None  #: webhooks
    root: str | None = None  #: NO_PERMISSION, GENERAL, VIP or ADMIN
    is_sandbox: bool | None = None  #: whether it is a test account
