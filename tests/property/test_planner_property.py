"""Whatever the catalogue and the server's habits: all that lived through the walk came, or was counted as missing."""

from __future__ import annotations

import random
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cjasync.catalog.planner import Planner
from tests.simulator.catalogue import START, Catalogue, Product
from tests.simulator.server import Server
from tests.simulator.walk import Walk, walk

few = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


class Recipe(NamedTuple):
    """What a small catalogue is made of: short enough to read in a failure."""

    seed: int
    products: int
    spread: int  # seconds over which they were created
    ties: int  # products that share a second, at most
    prices: int  # different ones
    hidden: float = 0.0  # share without a create time

    def cook(self) -> Catalogue:
        rng = random.Random(self.seed)
        moments: list[int] = []
        while len(moments) < self.products:
            moments += [START - 100 - rng.randrange(self.spread)] * rng.randint(1, self.ties)
        products = [
            Product(
                i, moment, 1000 + rng.randrange(self.prices), f"C{rng.randrange(4)}", rng.choice([0, 1, 7, 90, 4000])
            )
            for i, moment in enumerate(moments[: self.products])
        ]
        for product in products:
            if rng.random() < self.hidden:
                product.created = None
        return Catalogue(products)


def recipes(*, hidden: bool = False) -> st.SearchStrategy[Recipe]:
    """Products near each other or years apart, alone in their second or in crowds."""
    return st.builds(
        Recipe,
        st.integers(0, 10**6),
        st.integers(0, 300),
        st.sampled_from([30, 3000, 90_000, 10**7, 2 * 10**8]),
        st.sampled_from([1, 2, 5, 30, 150]),
        st.sampled_from([1, 3, 1000]),
        st.sampled_from([0.0, 0.02, 0.3] if hidden else [0.0]),
    )


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """(page size, window)"""
    size = draw(st.integers(5, 20))
    return size, size * draw(st.integers(3, 6))


def run(recipe: Recipe, shape: tuple[int, int], *, in_flight: int = 4, crash: float = 0.1, **server: object) -> Walk:
    size, window = shape
    catalogue = recipe.cook()
    planner = Planner.start(now=START, page_size=size, window=window)
    simulated = Server(catalogue, window=window, size=size, **server)  # type: ignore[arg-type]
    return walk(planner, simulated, catalogue, in_flight=in_flight, crash=crash, most=20_000)


def complete(result: Walk) -> None:
    report = result.report
    assert len(result.missed) <= report.unreachable
    assert result.doubled == 0
    assert report.unique == len(result.delivered)
    assert report.proved or report.reasons


@few
@given(recipes(hidden=True), sizes(), st.integers(1, 8), st.sampled_from(["first", "last", "low", "high"]))
def test_a_catalogue_that_stands_still(recipe: Recipe, shape: tuple[int, int], flying: int, nulls: str) -> None:
    complete(run(recipe, shape, in_flight=flying, nulls=nulls))


@few
@given(recipes(), sizes(), st.integers(-56, 56), st.booleans(), st.booleans())
def test_a_filter_with_any_clock(
    recipe: Recipe, shape: tuple[int, int], quarters: int, after: bool, before: bool
) -> None:
    complete(run(recipe, shape, zone=quarters * 900, after=after, before=before))


@few
@given(recipes(), sizes(), st.sampled_from([8, 0]))
def test_a_filter_that_reads_noon_as_midnight(recipe: Recipe, shape: tuple[int, int], zone: int) -> None:
    complete(run(recipe, shape, zone=zone * 3600, noon=True))


@few
@given(
    recipes(),
    sizes(),
    st.sampled_from([("sort",), ("time",), ("price",), ("inventory",), ("price", "inventory", "category"), ()]),
    st.booleans(),
    st.integers(1, 2),
)
def test_a_server_with_weaknesses(
    recipe: Recipe, shape: tuple[int, int], ignore: tuple[str, ...], hide: bool, replicas: int
) -> None:
    complete(run(recipe, shape, ignore=ignore, hide=hide, replicas=replicas))


@few
@given(recipes(), sizes(), st.integers(1, 6), st.integers(1, 3), st.data())
def test_a_window_that_is_not_what_was_said(
    recipe: Recipe, shape: tuple[int, int], pages: int, smaller: int, data: st.DataObject
) -> None:
    size, window = shape
    planner = Planner.start(
        now=START, page_size=size * smaller, window=data.draw(st.sampled_from([None, window, 60 * size]))
    )
    catalogue = recipe.cook()
    server = Server(catalogue, window=size * pages, size=size)
    complete(walk(planner, server, catalogue, in_flight=3, most=20_000))
