"""The planner against the simulated server: what a walk costs, what it misses (nothing), what it says at its end.

Bounds are for N products and pages of 200: a share of ceil(N/200), plus one question for what is cut and read twice.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cjasync.catalog.planner import Planner
from cjasync.catalog.planning.borders import windows
from cjasync.catalog.planning.question import Answer, Question, Region
from tests.simulator.catalogue import START, Catalogue, catalogue
from tests.simulator.server import Server
from tests.simulator.walk import Walk, walk

N = 60_000
PAGES = N // 200
BESIDE = 1
TO_FIND_IT = 24  # questions: the zone by halves, and what had been read before it was known
FEW = 20_000  # where cost is not the point


def go(products: Catalogue, *, window: int | None = 6000, told: int | None = -1, **options: object) -> Walk:
    """Walk it; `told`: the window that the planner is told, if not the true one."""
    names = ("in_flight", "seconds", "crash", "bursts", "seed", "gap")
    how = {name: options.pop(name) for name in names if name in options}
    planner = Planner.start(now=START, window=window if told == -1 else told)
    server = Server(products, window=window, **options)  # type: ignore[arg-type]
    return walk(planner, server, products, **{"in_flight": 8, **how})  # type: ignore[arg-type]


class Shrinking(Server):
    """It reaches half as far from some answer on."""

    left = 0

    def answer(self, question: Question) -> Answer:
        self.left -= 1
        self.window = 200 if self.left > 0 else 100
        return super().answer(question)


def nothing_lost(result: Walk) -> None:
    assert result.missed == set()
    assert result.doubled == 0
    assert result.report.reasons == ()
    assert result.report.unreachable == 0


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        ("uniform", 1.002),
        ("growth", 1.002),
        ("halfday", 1.002),
        ("bursty", 1.02),
        ("ties201", 1.03),
        ("onesecond", 1.03),
        ("loguniform", 1.03),
        ("cantor", 1.03),
        ("ties6001", 1.15),
    ],
)
def test_a_first_walk_costs_hardly_more_than_its_pages(shape: str, share: float) -> None:
    result = go(catalogue(N, shape))
    nothing_lost(result)
    assert result.report.requests <= share * PAGES + BESIDE
    assert result.report.unique == N
    assert result.report.counted == N


@pytest.mark.parametrize(
    ("window", "shape", "share"),
    [
        (2000, "growth", 1.002),
        (2000, "bursty", 1.065),
        (10_000, "growth", 1.002),
        (10_000, "bursty", 1.015),
        (None, "growth", 1.002),
    ],
)
def test_the_size_of_the_window_hardly_matters(window: int | None, shape: str, share: float) -> None:
    result = go(catalogue(N, shape), window=window)
    nothing_lost(result)
    assert result.report.requests <= share * PAGES + BESIDE


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        ("uniform", 1.0),
        ("growth", 1.0),
        ("halfday", 1.0),
        ("bursty", 1.004),
        ("loguniform", 1.004),
        ("ties201", 1.03),
        ("ties6001", 1.15),
    ],
)
def test_from_the_second_walk_on_borders_are_known(shape: str, share: float) -> None:
    products = catalogue(N, shape)
    first = Planner.start(now=START)
    walk(first, Server(products), products, in_flight=8)
    second = Planner.start(now=START + 86400, facts=first.report().facts, earlier=first.report().certificates)
    result = walk(second, Server(products), products, in_flight=8)
    nothing_lost(result)
    assert result.report.requests <= share * PAGES
    assert result.report.total_before == result.report.total_after == N


@pytest.mark.parametrize("odd", [{"after": True}, {"before": True}, {"zone": 11 * 3600}])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_what_has_come_on_the_borders_of_the_first_walk_is_not_missed(odd: dict[str, object], beside: int) -> None:
    products = catalogue(2000)
    planner = Planner.start(now=START, page_size=20, window=200)
    first = walk(planner, Server(products, size=20, window=200, **odd), products).report  # type: ignore[arg-type]
    old = products.products[0]
    for start, _, _ in windows(first.certificates, first.facts, None, START + 86400):
        if start is not None:
            products.products.append(replace(old, number=len(products.products), created=start + beside))
    second = Planner.start(now=START + 86400, page_size=20, window=200, facts=first.facts, earlier=first.certificates)
    nothing_lost(walk(second, Server(products, size=20, window=200, **odd), products))  # type: ignore[arg-type]


def test_a_first_window_that_came_to_hold_more_than_the_server_counts_is_cut_again() -> None:
    products, odd = catalogue(1880), {"size": 20, "window": 200, "cap": 200}
    planner = Planner.start(now=START, page_size=20, window=200)
    first = walk(planner, Server(products, **odd), products).report  # type: ignore[arg-type]
    _, _, rows = windows(first.certificates, first.facts, None, START + 86400)[0]
    oldest = min(products.products, key=lambda product: product.created or START)
    products.products += [replace(oldest, number=1880 + n) for n in range(210 - rows)]
    second = Planner.start(now=START + 86400, page_size=20, window=200, facts=first.facts, earlier=first.certificates)
    nothing_lost(walk(second, Server(products, **odd), products))  # type: ignore[arg-type]


@pytest.mark.parametrize("churn", [1, 10, 50])
@pytest.mark.parametrize("shape", ["growth", "bursty"])
def test_nothing_is_missed_while_the_catalogue_changes(churn: int, shape: str) -> None:
    # 300 calls at one per 86.4 seconds: seven hours, in which up to 3 % vanish and 4.5 % are new.
    products = catalogue(N, shape, churn=churn, days=0.4, seed=churn)
    result = go(products, seconds=86.4, crash=0.03)
    nothing_lost(result)
    assert result.crashes > 2
    assert result.report.modes.keys() == {"seek"}  # no search for products without a create time, where there are none
    assert result.report.requests <= 1.1 * PAGES + BESIDE + 8 * result.crashes


@pytest.mark.parametrize("seed", range(12))
def test_small_results_are_complete_under_heavy_churn(seed: int) -> None:
    products = catalogue(150 + 480 * seed, "growth", churn=50, days=1, seed=seed)
    nothing_lost(go(products, seconds=20, seed=seed))


def test_a_window_smaller_than_thought_is_found_and_remembered() -> None:
    result = go(catalogue(N, "growth"), window=2000, told=6000)
    nothing_lost(result)
    assert result.report.facts.window <= 2000
    # Two refusals, and what has no create time is counted twice.
    assert result.report.requests <= 1.002 * PAGES + BESIDE + 8


@pytest.mark.parametrize("shape", ["growth", "ties201"])
def test_a_window_that_shrinks_between_two_answers_ends_no_walk(shape: str) -> None:
    products = catalogue(700, shape, seed=2, churn=20, days=0.02)
    for answers in range(2, 40, 3):
        server = Shrinking(products, size=20, window=200)
        server.left = answers
        result = walk(Planner.start(now=START, page_size=20, window=200), server, products, in_flight=5)
        assert result.missed == set()
        assert result.report.proved


@pytest.mark.parametrize("hours", [0, 8, -5, 5.5, 12.75])
def test_the_filters_clock_is_found_out(hours: float) -> None:
    result = go(catalogue(FEW, "growth"), zone=int(hours * 3600))
    nothing_lost(result)
    assert result.report.facts.zone == hours * 3600
    assert result.report.requests <= 1.01 * FEW // 200 + TO_FIND_IT


@pytest.mark.parametrize("hours", [8, 0])
@pytest.mark.parametrize("shape", ["growth", "halfday"])
def test_noon_read_as_midnight_loses_nothing(hours: int, shape: str) -> None:
    nothing_lost(go(catalogue(FEW, shape), zone=hours * 3600, noon=True, window=2000))


@pytest.mark.parametrize("excluded", ["after", "before"])
def test_bounds_that_exclude_their_own_second_lose_nothing(excluded: str) -> None:
    result = go(catalogue(FEW, "bursty"), window=2000, **{excluded: True})
    nothing_lost(result)


def test_the_newest_page_of_all_does_not_show_how_a_bound_is_read() -> None:
    """It shows products of the last window's first second, which the bound excludes."""
    for seed in range(10, 12):
        products = catalogue(1060, "ties500", seed=seed)
        nothing_lost(go(products, window=None, told=600, after=True, size=100))


@pytest.mark.parametrize("nulls", ["first", "last", "low", "high"])
@pytest.mark.parametrize("share", [0.001, 0.15])
def test_products_without_a_create_time_are_found_wherever_they_are_listed(nulls: str, share: float) -> None:
    result = go(catalogue(FEW, "growth", nulls=share), nulls=nulls, window=2000)
    nothing_lost(result)
    assert result.report.hidden == int(FEW * share)
    assert result.report.unique == FEW


@pytest.mark.parametrize(
    ("weakness", "mode"),
    [
        ({"ignore": ("sort",)}, "plain"),
        ({"ignore": ("time",)}, "units"),
        ({"ignore": ("time", "category")}, "units"),
        ({"hide": True}, "blind"),
        ({"hide": True, "ignore": ("sort",)}, "plain"),
        ({"replicas": 2}, "keyset"),
        ({"cap": 4000}, "hidden"),
        ({"cap": 4000, "beyond": False}, "hidden"),
    ],
)
def test_what_the_server_lacks_is_noticed_and_the_next_mode_takes_over(weakness: dict[str, object], mode: str) -> None:
    result = go(catalogue(FEW, "bursty"), **weakness)
    nothing_lost(result)
    assert mode in result.report.modes
    assert result.report.notes


@pytest.mark.parametrize("nulls", [0, 0.01])
@pytest.mark.parametrize("cap", [6000, 10_000])
def test_a_total_that_stops_counting_does_no_harm(cap: int, nulls: float) -> None:
    result = go(catalogue(N, "growth", nulls=nulls), cap=cap, beyond=False)
    nothing_lost(result)
    assert result.report.modes.keys() == {"seek", "hidden"}
    # Nobody says whether products without a create time are left: every price band is looked into.
    assert result.report.requests <= 1.01 * PAGES + 3 + (1 + 3 * (nulls > 0)) * N / (0.8 * 6000)


@pytest.mark.parametrize("products", [4000, 4001, 6000, 9000])
def test_a_total_that_stops_within_a_window_is_seen_through(products: int) -> None:
    result = go(catalogue(products, "growth", nulls=0.01), cap=4000, beyond=False)
    nothing_lost(result)
    assert result.report.unique == products


@pytest.mark.parametrize("one_price", [False, True])
@pytest.mark.parametrize("products", [800, 4000, 20_000])
def test_a_total_that_stops_at_the_products_with_a_time_is_seen_through(products: int, one_price: bool) -> None:
    # All totals agree, and nothing that is shown lacks: only parts tell that there are more.
    cap = products - products // 50
    result = go(catalogue(products, "growth", nulls=0.02, one_price=one_price), cap=cap)
    assert not result.report.proved or not result.missed
    assert one_price or result.report.unique == products


@pytest.mark.parametrize("odd", [-1000, 10**12])
def test_prices_that_nobody_can_ask_for_end_no_walk(odd: int) -> None:
    products = catalogue(500, "uniform", nulls=1.0)
    products.products[:] = [
        replace(product, price=odd + number % 2) if number % 3 else product
        for number, product in enumerate(products.products)
    ]
    result = go(products)
    assert result.report.proved
    assert not result.missed


def test_a_few_such_prices_hide_no_total_that_stops() -> None:
    products = catalogue(3000, "growth", nulls=0.02)
    products.products[::20] = [replace(product, price=10**12) for product in products.products[::20]]
    assert not go(products, cap=2940).missed


@pytest.mark.parametrize("odd", [-1000, 10**12])
def test_nor_do_such_prices_alone(odd: int) -> None:
    products = catalogue(3000, "growth", nulls=0.02)
    products.products[:] = [replace(product, price=odd) for product in products.products]
    assert not go(products, cap=2940).missed


def test_a_total_that_stops_in_one_order_is_asked_for_in_that_order() -> None:
    result = go(catalogue(1500, "growth"), cap=1000, beyond=False, capped=lambda question: question.sort == "asc")
    assert result.report.unique == 1500 or not result.report.proved


@pytest.mark.parametrize("hidden", ["first", "last"])
def test_what_only_one_order_counts_is_found(hidden: str) -> None:
    products = catalogue(2000, nulls=0.1, one_price=True)
    server = Server(products, size=20, window=200, nulls=hidden, cap=1800, capped=lambda asked: asked.sort == "desc")
    nothing_lost(walk(Planner.start(now=START, page_size=20, window=200), server, products))


def test_a_total_that_only_the_other_order_exceeds_proves_nothing() -> None:
    products = catalogue(433, "cantor", seed=761, nulls=0.02)
    server = Server(products, size=20, window=None, nulls="first", cap=60, capped=lambda asked: asked.sort == "asc")
    result = walk(Planner.start(now=START, page_size=20, window=120), server, products)
    assert not (result.missed and result.report.proved)


def test_a_catalogue_that_nothing_divides_is_not_called_proved() -> None:
    result = go(catalogue(FEW, "growth", one_price=True), ignore=("inventory",))
    assert not result.missed
    assert result.report.reasons == ("1 windows hold more than the server counts",)


def test_times_are_read_from_ids_where_rows_hide_them() -> None:
    products = catalogue(FEW, "growth")

    def snowflake(product: object) -> str:
        return str(((product.created * 1000 - 1_288_834_974_657) << 22) + product.number)  # type: ignore[attr-defined]

    result = go(products, hide=True, pid=snowflake)
    nothing_lost(result)
    assert result.report.modes == {"seek": result.report.windows}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bounds_that_exclude_a_windows_start_are_found_out_with_two_windows_open_and_no_third(seed: int) -> None:
    """All that are open then have been read in vain."""
    result = go(catalogue(FEW, "uniform"), window=1000, after=True, seed=seed)
    nothing_lost(result)
    assert result.report.requests <= FEW / 200 + 18


@pytest.mark.parametrize("one_price", [False, True])
def test_a_second_larger_than_a_window_is_cut_by_other_filters(one_price: bool) -> None:
    products = catalogue(FEW, "onesecond", one_price=one_price)
    result = go(products, window=2000)
    nothing_lost(result)


def test_what_no_filter_separates_is_counted() -> None:
    products = catalogue(FEW, "onesecond", one_price=True)
    result = go(products, window=2000, ignore=("price", "inventory", "category"))
    assert result.missed
    assert result.report.unreachable == len(result.missed) == FEW // 5 - 2000
    assert not result.report.proved
    assert "2000 products" in result.report.reasons[0]


def test_a_filter_that_matches_nothing_takes_one_question() -> None:
    result = go(Catalogue([]))
    assert result.report.proved
    assert (result.report.requests, result.report.unique, result.report.total_before) == (1, 0, 0)


def test_one_page_takes_one_question() -> None:
    result = go(catalogue(150))
    assert (result.report.requests, result.report.unique) == (1, 150)


def test_a_catalogue_that_vanishes_ends_the_walk() -> None:
    products = catalogue(FEW, "growth")
    for product in products.products:
        product.dies = START + 30.5
    result = go(products)
    nothing_lost(result)
    assert result.report.total_before == FEW
    assert result.report.total_after == 0


def test_a_part_of_the_catalogue_is_walked_within_its_bounds() -> None:
    products = catalogue(FEW, "growth")
    start, end = START - 2 * 365 * 86400, START - 365 * 86400
    planner = Planner.start(now=START, window=2000, within=Region(start=start, end=end, category="C000"))
    result = walk(planner, Server(products, window=2000), products, in_flight=4)
    wanted = {p.pid for p in products.products if start <= (p.created or 0) <= end and p.category == "C000"}
    assert set(result.delivered) == wanted
    assert result.report.proved


def test_pages_that_come_back_short_are_asked_for_again() -> None:
    products = catalogue(5000, "growth")
    server = Server(products)
    whole, asked = server.answer, set()

    def short_at_first(question: object) -> object:
        answer = whole(question)  # type: ignore[arg-type]
        seen = question.id in asked  # type: ignore[attr-defined]
        asked.add(question.id)  # type: ignore[attr-defined]
        return answer if seen else type(answer)(answer.total, answer.rows[:-1], answer.page_size)

    server.answer = short_at_first  # type: ignore[assignment,method-assign]
    result = walk(Planner.start(now=START), server, products, in_flight=4)
    nothing_lost(result)
    assert result.report.unique == 5000


def test_a_page_that_stays_short_is_no_proof() -> None:
    products = catalogue(5000, "growth")
    server = Server(products)
    whole = server.answer

    def page_seven_lacks_one(question: object) -> object:
        answer = whole(question)  # type: ignore[arg-type]
        short = question.page == 7  # type: ignore[attr-defined]
        return type(answer)(answer.total, answer.rows[1:], answer.page_size) if short else answer

    server.answer = page_seven_lacks_one  # type: ignore[assignment,method-assign]
    result = walk(Planner.start(now=START), server, products, in_flight=4)
    assert not result.report.proved
    assert any("page 7" in reason for reason in result.report.reasons)


def test_totals_that_promise_what_nobody_shows_end_the_walk() -> None:
    products = catalogue(300, "growth")
    server = Server(products, window=50, size=10)
    whole = server.answer
    server.answer = lambda question: Answer(10**12, whole(question).rows, 10)  # type: ignore[method-assign]
    result = walk(Planner.start(now=START, page_size=10, window=50), server, products, in_flight=8, most=20_000)
    assert not result.report.proved
    assert result.report.reasons
