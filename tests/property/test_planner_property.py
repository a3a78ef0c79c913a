"""On any small catalogue, whatever the server's habits: all that lived through the walk came, or was counted as missing."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cjasync.catalog.planner import Planner
from tests.simulator.catalogue import START, Catalogue, Product
from tests.simulator.server import Server
from tests.simulator.walk import Walk, walk

few = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def catalogues(draw: st.DrawFn, *, nulls: bool = False, most: int = 300) -> Catalogue:
    """Groups of products that share a second, near each other or years apart."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, most))
    spread = draw(st.sampled_from([30, 3000, 90_000, 10**7, 2 * 10**8]))
    ties = draw(st.sampled_from([1, 1, 2, 5, 30, 150]))
    prices = draw(st.sampled_from([1, 3, 1000]))
    moments: list[int] = []
    while len(moments) < n:
        moments += [START - 100 - rng.randrange(spread)] * rng.randint(1, ties)
    products = [
        Product(i, moment, 1000 + rng.randrange(prices), f"C{rng.randrange(4)}", rng.choice([0, 1, 7, 90, 4000]))
        for i, moment in enumerate(moments[:n])
    ]
    share = draw(st.sampled_from([0.0, 0.02, 0.3])) if nulls else 0.0
    for product in products:
        if rng.random() < share:
            product.created = None
    return Catalogue(products)


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    """(page size, window)"""
    size = draw(st.integers(5, 20))
    return size, size * draw(st.integers(3, 6))


def run(
    catalogue: Catalogue, shape: tuple[int, int], *, in_flight: int = 4, crash: float = 0.1, **server: object
) -> Walk:
    size, window = shape
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
@given(catalogues(nulls=True), sizes(), st.integers(1, 8), st.sampled_from(["first", "last", "low", "high"]))
def test_a_catalogue_that_stands_still(catalogue: Catalogue, shape: tuple[int, int], flying: int, nulls: str) -> None:
    complete(run(catalogue, shape, in_flight=flying, nulls=nulls))


@few
@given(
    catalogues(),
    sizes(),
    st.integers(-56, 56),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_a_filter_with_any_clock(
    catalogue: Catalogue, shape: tuple[int, int], quarters: int, noon: bool, after: bool, before: bool
) -> None:
    complete(run(catalogue, shape, zone=quarters * 900, noon=noon, after=after, before=before))


@few
@given(
    catalogues(),
    sizes(),
    st.sampled_from([("sort",), ("time",), ("price",), ("inventory",), ("price", "inventory", "category"), ()]),
    st.booleans(),
    st.integers(1, 2),
)
def test_a_server_with_weaknesses(
    catalogue: Catalogue, shape: tuple[int, int], ignore: tuple[str, ...], hide: bool, replicas: int
) -> None:
    complete(run(catalogue, shape, ignore=ignore, hide=hide, replicas=replicas))


@few
@given(catalogues(), sizes(), st.integers(1, 6), st.integers(1, 3), st.data())
def test_a_window_that_is_not_what_was_said(
    catalogue: Catalogue, shape: tuple[int, int], pages: int, smaller: int, data: st.DataObject
) -> None:
    size, window = shape
    planner = Planner.start(
        now=START, page_size=size * smaller, window=data.draw(st.sampled_from([None, window, 60 * size]))
    )
    server = Server(catalogue, window=size * pages, size=size)
    complete(walk(planner, server, catalogue, in_flight=3, most=20_000))
