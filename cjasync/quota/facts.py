"""What CJ's answers say about limits, as facts: plain data, shared by the protocol and the limiter."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Source = Literal["local", "server", "user"]
"""Whose figure a limit is: presumed and counted here until the server says; the server's; the user's own."""


class PointsInfo(Struct, frozen=True, rename="camel"):
    """The `pointsInfo` of an answer, in points.

    `remaining` is a bucket that refills at total/1440 a minute, so it is not `total - used_today`.
    """

    total: int | None = None
    used_today: int | None = None
    remaining: int | None = None


BUCKETS = {"daily": "calls", "points": "points", "sourcing": "sourcing"}
"""Kinds of refusals to the bucket that they say is empty."""


class Refusal(Struct, frozen=True, kw_only=True):
    """A refusal for a limit's sake, with the figures that its text states; or "account": CJ does not let it in.

    times, seconds: "QPS limit is `times` time/`seconds` second".
    used, remaining, required, limit: of the day's budget, in points or calls; or the accounts an address may have.
    """

    kind: Literal["qps", "daily", "points", "login", "sourcing", "account"]
    times: int | None = None
    seconds: float | None = None
    used: int | None = None
    remaining: int | None = None
    required: int | None = None
    limit: int | None = None
