"""What a sandbox is told: its size, its plan, and in which way it is odd."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from cjasync.config import Plan
from cjasync.errors import ConfigError
from cjasync.sandbox.churn import Churn

Envelope = Literal["both", "result", "success", "zero"]
"""Success on the wire: `both` (code 200, result, success), `result` only, `success` only, `zero` (code 0, success)."""

MOST_PRODUCTS = 20_000_000  # some ten gigabytes of memory
LONGEST_WAY = 3600


class Settings(Struct, frozen=True, kw_only=True):
    """Everything about a sandbox that can be written down, so that another process can make the same one.

    products, seed, shape: the catalogue; the same three make the same products. The shapes are in `shapes.SHAPES`.
    null_times: share of products without a creation time. delisted: share off the shelves (still in product/list).
    until: no product is created after this moment (seconds since 1970), nor after the sandbox's clock.
    plan: the limits of the first account, enforced strictly.
    latency, jitter: a message takes latency ± jitter seconds one way. churn: how the catalogue changes meanwhile.

    list_window, listv2_window: rows that one question can reach; None for all.
    list_total, listv2_total: whether totals count beyond the window or end there.
    listv2_sparse: many of listV2's fields are null, as seen live, createAt among them.
    fixed_page_size: product/list ignores pageSize.
    nulls_first: where a sort by time puts products without one. unstable_ties: two replicas with ties in other orders.
    ignored: parameters without any effect. zone_hours: the zone of text dates. twelve_hours: 12:xx is read as 00:xx.
    inclusive: whether time bounds belong to the range.

    envelopes: the success shape of single paths. points_info: whether answers carry pointsInfo,
    and points replace the daily count of calls.
    refusal_status: HTTP status of refused requests, 200 or 429. refusal_result: whether a QPS refusal has `result`.
    refusal_text: how refusals for speed begin ("Too much request" in older answers).
    points_code: 16900500 as seen live, 429 as documented. daily_code: of an exhausted daily count (always HTTP 429).
    bad_token_status: 401 or 200.
    count_refused: whether a refused request counts against the rate. point_refill: whether points trickle back.
    access_lifetime, refresh_lifetime: seconds. refresh_revokes: a refresh ends the old access token.
    """

    products: int = 50_000
    seed: int = 1
    shape: str = "market"
    null_times: float = 0.002
    delisted: float = 0.005
    until: float = 1_748_736_000.0
    plan: Plan = msgspec.field(default_factory=Plan)
    latency: float = 0.0
    jitter: float = 0.0
    churn: Churn | None = None

    list_window: int | None = 6000
    listv2_window: int | None = 6000
    list_total: Literal["exact", "capped"] = "exact"
    listv2_total: Literal["exact", "capped"] = "exact"
    listv2_sparse: bool = True
    fixed_page_size: int | None = None
    nulls_first: bool = False
    unstable_ties: bool = False
    ignored: frozenset[str] = frozenset()
    zone_hours: float = 8.0
    twelve_hours: bool = False
    inclusive: bool = True

    envelopes: dict[str, Envelope] = msgspec.field(default_factory=dict)
    points_info: bool = True
    refusal_status: Literal[200, 429] = 200
    refusal_result: bool = True
    refusal_text: str = "Too Many Requests"
    points_code: Literal[16900500, 429] = 16900500
    daily_code: Literal[1600200, 1600201] = 1600200
    bad_token_status: Literal[200, 401] = 401
    count_refused: bool = False
    point_refill: bool = True
    access_lifetime: float = 15 * 86_400.0
    refresh_lifetime: float = 180 * 86_400.0
    refresh_revokes: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.products <= MOST_PRODUCTS:
            raise ConfigError(f"products must be 0 to {MOST_PRODUCTS:,}, not {self.products:,}")
        if not 0 <= self.latency <= LONGEST_WAY:
            raise ConfigError(f"latency must be 0 to {LONGEST_WAY} seconds, not {self.latency}")
        if not 0 <= self.jitter <= self.latency:
            raise ConfigError(f"jitter must be from 0 to latency seconds, not {self.jitter} of {self.latency}")
