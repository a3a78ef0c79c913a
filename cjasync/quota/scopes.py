"""Which buckets a request takes from: the plan, spelt out for one account, one address and one endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo
from hashlib import blake2b
from math import ceil
from typing import Any, Literal

from cjasync._endpoint import Endpoint
from cjasync.config import Plan, Presumed, Priority
from cjasync.errors import ConfigError
from cjasync.quota.bucket import DAY, SECOND, Budget, Claim, Rate, Seats
from cjasync.quota.facts import Refusal

LOGIN = "authentication/getAccessToken"
SOURCING = "product/sourcing/create"

_CJ_NUMBER = re.compile(r"CJ\d+")


def account_key(credential: str) -> str:
    """A stable name for the account behind an API key or an access token, which tells nothing about either.

    Both carry the account's CJ number (`CJ123456@api@...`, `API@CJ123456@CJ:...`), so both give the same name.
    """
    number = _CJ_NUMBER.search(credential.partition(":")[0])
    return blake2b((number[0] if number else credential).encode(), digest_size=12, person=b"cjasync").hexdigest()


def rate_of(qps: float | None) -> tuple[int | None, int]:
    """(tokens, nanoseconds). A rate that is no whole number is kept by spacing: 2.5 is one every 0.4 s."""
    if qps is None:
        return None, SECOND
    return (int(qps), SECOND) if qps == int(qps) else (1, ceil(SECOND / qps))


def _of_day(told: int | None, presumed: Presumed, share: float) -> dict[str, Any]:
    """What is believed to be the server's limit until it says, and the user's own; `share` of each stays for others."""
    if told is None:
        return {"limit": None}
    limit = max(told, presumed.value)  # who states more than is presumed knows more
    spared = {"limit": limit, "keep": int(limit * share)}
    return spared if isinstance(told, Presumed) else {**spared, "cap": told, "cap_keep": int(told * share)}


class Scopes:
    """The buckets of one account at one address."""

    def __init__(self, plan: Plan, account: str, egress: str, reserve: float, zone: tzinfo = UTC) -> None:
        self.plan = plan
        ahead = zone.utcoffset(None)
        if ahead is None:
            raise ConfigError(f"`day_zone` must have the same offset from UTC all year, which {zone} has not")
        self.offset = round(-ahead.total_seconds()) * SECOND % DAY
        self.account = account
        self.prefix = f"account:{account}:"
        self.address = f"ip:{egress}:"
        self.reserve = reserve
        rates = [(limit, per) for limit, per in map(rate_of, (plan.qps, plan.ip_qps)) if limit is not None]
        #: (tokens, nanoseconds) of the rate that sets the pace
        self.pace: tuple[int, int] = max(rates, key=lambda rate: rate[1] / rate[0], default=(1, 0))

    def cost(self, endpoint: Endpoint[Any]) -> int:
        """Points of one call."""
        return self.plan.costs.get(endpoint.path, endpoint.points)

    def claims(self, endpoint: Endpoint[Any], priority: Priority = "interactive") -> tuple[Claim, ...]:
        """What one request takes. Budgets come first: an exhausted day is told before any waiting."""
        plan, path = self.plan, endpoint.path
        share = self.reserve if priority == "background" else 0.0
        claims: list[Claim] = []
        if plan.accounts_per_ip is not None:
            claims.append(Seats(self.address + "accounts", self.account, plan.accounts_per_ip))
        if path == SOURCING:
            claims.append(Budget(self.prefix + "sourcing", "sourcing", plan.sourcing_daily, offset=self.offset))
        if path != LOGIN:
            of_day = {**_of_day(plan.daily_calls, Presumed.CALLS, share), "offset": self.offset}
            claims.append(Budget(f"{self.prefix}calls:{path}", "calls", until_points=True, **of_day))
        if cost := self.cost(endpoint):
            of_day = {**_of_day(plan.daily_points, Presumed.POINTS, share), "offset": self.offset}
            claims.append(Budget(self.prefix + "points", "points", cost=cost, trickles=True, **of_day))
        if path == LOGIN:
            limit = None if plan.login_interval is None else 1
            claims.append(Rate(self.prefix + "login", "login", limit, ceil((plan.login_interval or 1) * SECOND)))
        jitter = round(plan.jitter * SECOND)
        claims.append(Rate(self.address + "rate", "ip", *rate_of(plan.ip_qps), jitter))
        claims.append(Rate(self.prefix + "rate", "account", *rate_of(plan.qps), jitter))
        return tuple(claims)

    def scope_of(self, refusal: Refusal) -> Literal["account", "ip", "login"] | None:
        """Which rate a refusal is about. CJ does not name it, only, at times, the figure."""
        if refusal.kind == "login":
            return "login"
        if refusal.kind != "qps":
            return None
        by_address = refusal.times is not None and refusal.times == self.plan.ip_qps != self.plan.qps
        return "ip" if by_address else "account"

    def known(self, keys: Iterable[str]) -> list[Claim]:
        """The buckets of the plan, and those of endpoints that have been called."""
        paths = [path for key in keys if (path := key.removeprefix(self.prefix + "calls:")) != key]
        found: dict[str, Claim] = {}
        for path in (*sorted(paths), SOURCING, LOGIN):
            endpoint: Endpoint[Any] = Endpoint(method="GET", path=path, answer=None, points=1)
            found.update(
                (claim.key, claim) for claim in self.claims(endpoint) if claim.scope != "calls" or path in paths
            )
        return list(found.values())
