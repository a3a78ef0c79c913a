"""When products were created: the shapes that a catalogue can have over time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from itertools import islice, repeat

from cjasync.errors import ConfigError

DAY = 86_400
SPAN = 8 * 365 * DAY
"""Seconds from the first product to the last."""

Shape = Callable[[int, random.Random], list[int]]
"""How many products, and dice: seconds after the first moment, each below SPAN, in any order."""


def uniform(n: int, rng: random.Random) -> list[int]:
    """Evenly over eight years."""
    return [int(rng.random() * SPAN) for _ in range(n)]


def growth(n: int, rng: random.Random) -> list[int]:
    """Twice as many every year."""
    return [max(0, int(SPAN * (1 + math.log(1 - rng.random()) / 5.5))) for _ in range(n)]


def half_in_a_day(n: int, rng: random.Random) -> list[int]:
    """Half of everything within one day."""
    day = int(SPAN * 0.61)
    return uniform(n - n // 2, rng) + [day + int(rng.random() * DAY) for _ in range(n // 2)]


def bursty(n: int, rng: random.Random) -> list[int]:
    """Imports only: batches of up to 5,000, each within one second."""

    def batches() -> Iterator[int]:
        while True:
            yield from repeat(int(rng.random() * SPAN), min(5000, max(1, int(rng.lognormvariate(3.0, 1.5)))))

    return list(islice(batches(), n))


def one_second(n: int, rng: random.Random) -> list[int]:
    """A fifth of everything in one second."""
    return growth(n - n // 5, rng) + [int(SPAN * 0.77)] * (n // 5)


def log_uniform(n: int, rng: random.Random) -> list[int]:
    """Clusters at every scale, which halving the range does not split."""
    return [int(math.exp(rng.random() * math.log(SPAN - 1))) for _ in range(n)]


def cantor(n: int, rng: random.Random) -> list[int]:
    """Half of the mass in a sixteenth of the range, and so on inwards."""
    return [
        int(sum(15 * rng.getrandbits(1) * 16.0**-level for level in range(1, 8)) * (SPAN - 2)) + rng.getrandbits(1)
        for _ in range(n)
    ]


def _ties(size: int) -> Shape:
    def shape(n: int, rng: random.Random) -> list[int]:
        seconds = rng.sample(range(SPAN), -(-n // size))
        return [second for second in seconds for _ in range(size)][:n]

    return shape


def market(n: int, rng: random.Random) -> list[int]:
    """As a live catalogue may be: growth, imports of up to thousands within a second, weeks in which little happens."""
    quiet = {rng.randrange(SPAN // (7 * DAY)) for _ in range(60)}

    def moments() -> Iterator[int]:
        while True:
            moment = max(0, int(SPAN * (1 + math.log(1 - rng.random()) / 4)))
            if moment // (7 * DAY) in quiet and rng.random() < 0.95:
                continue
            size = 1 if rng.random() < 0.98 else min(max(2, n // 50), 5000, int(rng.lognormvariate(4.0, 1.5)))
            yield from repeat(moment, size)

    return list(islice(moments(), n))


SHAPES: dict[str, Shape] = {
    "market": market,
    "uniform": uniform,
    "growth": growth,
    "half_in_a_day": half_in_a_day,
    "bursty": bursty,
    "one_second": one_second,
    "log_uniform": log_uniform,
    "cantor": cantor,
    "ties_201": _ties(201),
    "ties_6001": _ties(6001),
}


def shape_named(name: str) -> Shape:
    """The shape of that name; ConfigError if there is none."""
    if name not in SHAPES:
        raise ConfigError(f"unknown shape {name!r}: choose one of {', '.join(SHAPES)}")
    return SHAPES[name]


def creation_times(shape: str | Shape, n: int, *, seed: int, until: float) -> list[int]:
    """`n` creation times in ascending order, in seconds since 1970, the last moment being `until`."""
    if isinstance(shape, str):
        shape = shape_named(shape)
    first = int(until) - SPAN
    return sorted(first + second for second in shape(n, random.Random(f"times {seed}")))
