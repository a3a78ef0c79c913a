"""Settings and plans: what the user says once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta, timezone

import msgspec
from msgspec import Struct

from cjasync.errors import ConfigError

CHINA_TIME = timezone(timedelta(hours=8), "UTC+8")


class Plan(Struct, frozen=True, kw_only=True):
    """The limits of an account. `None` lifts a limit.

    qps: requests per second of the account, over all endpoints.
    ip_qps: requests per second of one public IP address, over all accounts behind it.
    accounts_per_ip: accounts that may use one IP address.
    daily_calls: calls per endpoint and UTC day (accounts that are not on points yet).
    daily_points: points per UTC day; they trickle back at daily_points/1440 a minute.
    costs: points per call by path; overrides what the endpoint declares.
    login_interval: seconds between two getAccessToken calls.
    sourcing_daily: sourcing requests per day.
    list_window, listv2_window: rows that one question to product/list or product/listV2 can reach.
    """

    qps: float | None = 1
    ip_qps: float | None = 10
    accounts_per_ip: int | None = 3
    daily_calls: int | None = 1000
    daily_points: int | None = 50_000
    costs: Mapping[str, int] = msgspec.field(default_factory=dict)
    login_interval: float | None = 300
    sourcing_daily: int | None = 5
    list_window: int | None = 6000
    listv2_window: int | None = 6000

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "costs":
                bad = {path: cost for path, cost in value.items() if not isinstance(cost, int) or cost < 0}
                if bad:
                    raise ConfigError(f"Plan.costs must map paths to points of 0 or more, not {bad}")
            elif value is not None and (isinstance(value, bool) or not value > 0):
                raise ConfigError(f"Plan.{name} must be above 0, or None for no limit; not {value!r}")
        msgspec.structs.force_setattr(self, "costs", dict(self.costs))

    @classmethod
    def free(cls) -> Plan:
        """Free accounts, sales levels 0 and 1: 1 request a second."""
        return cls(qps=1)

    @classmethod
    def plus(cls) -> Plan:
        """Plus, or level 2: 2 requests a second."""
        return cls(qps=2)

    @classmethod
    def prime(cls) -> Plan:
        """Prime, or level 3: 4 requests a second."""
        return cls(qps=4)

    @classmethod
    def advanced(cls) -> Plan:
        """Advanced, or levels 4 and 5: 6 requests a second."""
        return cls(qps=6)

    @classmethod
    def named(cls, name: str) -> Plan:
        """The plan of that name: free, plus, prime or advanced."""
        makers = {"free": cls.free, "plus": cls.plus, "prime": cls.prime, "advanced": cls.advanced}
        try:
            return makers[name.lower()]()
        except KeyError:
            raise ConfigError(f"unknown plan {name!r}: choose one of {', '.join(makers)}") from None
