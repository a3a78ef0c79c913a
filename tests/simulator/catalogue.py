"""Catalogues: when products were created, what they cost, and how they come and go while a walk runs."""

from __future__ import annotations

import math
import random
from bisect import bisect
from dataclasses import dataclass, field, replace
from itertools import accumulate

YEAR = 365 * 86400
START = 1_640_995_200  # 2022-01-01 UTC: the walk begins here
SPAN = 8 * YEAR
OLDEST = START - SPAN


@dataclass
class Product:
    number: int
    created: int | None
    price: int | None  # thousandths of a dollar
    category: str
    inventory: int
    born: float = -math.inf  # when it appears in listings
    dies: float = math.inf

    @property
    def pid(self) -> str:
        return f"P{self.number:07d}"


@dataclass
class Catalogue:
    products: list[Product] = field(repr=False)
    reprices: list[tuple[float, int, int]] = field(default_factory=list)  # (when, product number, new price)

    def alive(self, since: float, until: float) -> set[str]:
        """Products that existed during that whole time."""
        return {p.pid for p in self.products if p.born <= since and p.dies > until}

    def change(self, when: float, gone: float, come: float, rng: random.Random) -> None:
        """Let these shares of the products go and come at that moment, some next to older ones, and prices change."""
        known = [product for product in self.products if product.dies > when]
        for product in rng.sample(known, int(len(known) * gone)):
            product.dies = when
        for like in rng.choices(known, k=int(len(known) * come)):
            beside = None if like.created is None else like.created + rng.choice([-1, 0, 0, 1])
            created = rng.choice([beside, beside, int(when) - rng.randrange(86400)])
            number = len(self.products)
            self.products.append(replace(like, number=number, created=created, born=when, dies=math.inf))
            self.reprices.append((when, rng.choice(known).number, max(100, int(rng.lognormvariate(8.9, 1.0)))))


def moments(shape: str, n: int, rng: random.Random) -> list[int]:
    """Seconds since OLDEST at which n products were created."""
    if shape == "uniform":
        return [rng.randrange(SPAN) for _ in range(n)]
    if shape == "growth":  # doubles about every year
        return [max(0, min(SPAN - 1, int(SPAN + SPAN / 5.5 * math.log(rng.random() or 0.5)))) for _ in range(n)]
    if shape == "halfday":
        day = int(SPAN * 0.61)
        return [rng.randrange(SPAN) if i % 2 else day + rng.randrange(86400) for i in range(n)]
    if shape == "bursty":  # imports: batches share a second
        found: list[int] = []
        while len(found) < n:
            found += [rng.randrange(SPAN)] * min(n - len(found), 5000, max(1, int(rng.lognormvariate(3.0, 1.5))))
        return found
    if shape == "onesecond":  # a fifth in a single second
        return moments("growth", n - n // 5, rng) + [int(SPAN * 0.77)] * (n // 5)
    if shape == "loguniform":
        return [int(math.exp(rng.random() * math.log(SPAN - 1))) for _ in range(n)]
    if shape == "cantor":
        found = []
        for _ in range(n):
            x = sum(rng.randrange(2) * 15 / 16.0**k for k in range(1, 8))
            found.append(int(x * (SPAN - 2)) + rng.randrange(2))
        return found
    if shape.startswith("ties"):  # groups of so many in one second
        size = int(shape[4:])
        seconds = rng.sample(range(SPAN), -(-n // size))
        return [second for second in seconds for _ in range(size)][:n]
    raise ValueError(shape)


def catalogue(
    n: int,
    shape: str = "uniform",
    *,
    seed: int = 1,
    churn: float = 0,
    days: float = 0,
    nulls: float = 0,
    one_price: bool = False,
    leaves: int = 60,
) -> Catalogue:
    """`churn` times 0.3 % new, 0.2 % gone, 0.05 % listed again with an old time, 5 % repriced, a day for `days`."""
    rng = random.Random(seed)
    weights = list(accumulate(1 / k**1.05 for k in range(1, leaves + 1)))
    names, last = [f"C{leaf:03d}" for leaf in range(leaves)], leaves - 1
    horizon = days * 86400

    def product(number: int, created: int) -> Product:
        return Product(
            number,
            created,
            9990 if one_price else max(100, int(rng.lognormvariate(8.9, 1.0))),
            names[bisect(weights, rng.random() * weights[-1], 0, last)],
            0 if rng.random() < 0.06 else int(rng.lognormvariate(5, 2.5)),
        )

    products = [product(i, OLDEST + t) for i, t in enumerate(moments(shape, n, rng))]
    for gone in rng.sample(products, int(n * 0.002 * churn * days)):
        gone.dies = START + rng.random() * horizon
    for _ in range(int(n * 0.003 * churn * days)):
        born = START + rng.random() * horizon
        products.append(product(len(products), int(born)))
        products[-1].born = born
    for _ in range(int(n * 0.0005 * churn * days)):
        products.append(product(len(products), products[rng.randrange(n)].created or 0))
        products[-1].born = START + rng.random() * horizon
    for hidden in rng.sample(products[:n], int(n * nulls)):
        hidden.created = None
    changes = sorted(
        (START + rng.random() * horizon, rng.randrange(n), max(100, int(rng.lognormvariate(8.9, 1.0))))
        for _ in range(int(n * 0.05 * min(churn, 10) * days))
    )
    return Catalogue(products, changes)
