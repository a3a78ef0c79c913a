"""How many products lie where on the price scale, in bins of half a percent: bounded however large the catalogue."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cjasync.catalog.planning.question import Facts, Span

FINENESS = 200  # bins per factor e
HIGHEST = 10**15  # price that has a bin of its own: beyond, a bin is narrower than floating point
FULL = 0.95  # of a window, that a band is made: prices change between the windows and the search
FULL_STILL = 0.98  # where nothing else did


def count(bins: dict[int, int], price: int | None) -> None:
    """Note one product."""
    if price is not None:
        number = _bin(price)
        bins[number] = bins.get(number, 0) + 1


def bands(bins: Mapping[int, int], hidden: int, facts: Facts, *, still: bool = False) -> tuple[tuple[Span, int], ...]:
    """Bands of prices that leave none out, and the products in each, with room for its share of `hidden`.

    still: as many products as when the walk began.
    """
    timed = sum(bins.values())
    most = (FULL_STILL if still else FULL) * facts.window * timed / max(1, timed + hidden)
    found: list[tuple[Span, int]] = []
    low: int | None = None
    held = 0
    for number in sorted(bins):
        if held and held + bins[number] > most:
            border = _lowest(number)
            found.append(((low, border - 1), held))
            low, held = border, 0
        held += bins[number]
    return (*found, ((low, None), held))


def sample(bins: Mapping[int, int]) -> list[int]:
    """At most about a thousand prices that are spread as the products are."""
    step = max(1, sum(bins.values()) // 1000)
    return [_lowest(number) for number in sorted(bins) for _ in range(math.ceil(bins[number] / step))]


def _bin(price: int) -> int:
    return int(math.log1p(min(max(0, price), HIGHEST)) * FINENESS)


def _lowest(number: int) -> int:
    """The lowest price of a bin."""
    price = math.ceil(math.expm1(number / FINENESS))
    while _bin(price) < number:
        price += 1
    while price and _bin(price - 1) >= number:
        price -= 1
    return price
