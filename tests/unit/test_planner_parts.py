"""The planner's parts, each by itself."""

from __future__ import annotations

import random
from itertools import accumulate, count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync.catalog.planner import Planner
from cjasync.catalog.planning import prices
from cjasync.catalog.planning.borders import Settled, marks, windows
from cjasync.catalog.planning.cover import by_category, by_inventory, by_price
from cjasync.catalog.planning.listing import Ask, Listing, Outgrown
from cjasync.catalog.planning.outgrown import divide
from cjasync.catalog.planning.question import (
    Answer,
    Certificate,
    Facts,
    Region,
    Reply,
    Row,
    created_from_id,
    key,
)
from tests.simulator.catalogue import START

FACTS = Facts(size=10, window=50)
ANSWERS = count(1)
some = settings(deadline=None, max_examples=60)


def test_a_bound_is_text_of_the_filters_clock() -> None:
    moment = 1_615_788_446  # 2021-03-15 06:07:26 UTC
    assert FACTS.from_text(moment) == FACTS.to_text(moment) == "2021-03-15 14:07:26"
    odd = Facts(size=10, window=50, zone=0, after=True, before=True)
    assert (odd.from_text(moment), odd.to_text(moment)) == ("2021-03-15 06:07:25", "2021-03-15 06:07:27")
    assert FACTS.from_text(None) is None


def test_the_lunch_hour_is_one_unit_where_noon_is_read_as_midnight() -> None:
    noon = 1_615_780_800  # 12:00:00 in China
    trapped = Facts(size=10, window=50, noon=True)
    assert FACTS.unit(noon + 5) == (noon + 5, noon + 5)
    for moment in (noon - 1, noon, noon + 1800, noon + 3600):
        assert trapped.unit(moment) == (noon - 1, noon + 3600)
    for moment in (noon - 2, noon + 3601):
        assert trapped.unit(moment) == (moment, moment)
    assert FACTS.at_lunch(noon)
    assert not FACTS.at_lunch(noon - 1)
    assert FACTS.clear_of_lunch(noon) == noon + 3600


@pytest.mark.parametrize(
    ("pid", "moment"),
    [
        ("1371342252697325568", 1_615_788_446),  # CJ's documents print 2021-03-15T14:07:26 for it, in China time
        ("2502251050461617500", 1_740_451_846),  # 2025-02-25 10:50:46 in China
        ("9999999999999999999", None),
        ("04A22450-67F0-4617-A132-E7AE7F8963B0", None),
        ("12345", None),
        ("", None),
    ],
)
def test_some_ids_carry_their_create_time(pid: str, moment: int | None) -> None:
    assert created_from_id(pid) == moment


def test_a_question_says_what_to_ask() -> None:
    planner = Planner.start(now=START, within=Region(price=(1500, 20_000), inventory=(1, 9), category="C"))
    (head,) = planner.next(5)
    assert head.params() == {
        "page_num": 1,
        "page_size": 200,
        "sort": "asc",
        "order_by": "createAt",
        "category_id": "C",
        "min_price": "1.500",
        "max_price": "20.000",
        "start_inventory": 1,
        "end_inventory": 9,
    }
    planner.feed(head.id, Answer(total=90_000, rows=tuple(Row(f"P{n}", START - 9000 + n) for n in range(200))))
    (spine,) = planner.next(1)
    assert spine.kind == "spine"
    assert spine.params()["create_time_to"] > "2022-01-01"
    assert "create_time_from" not in spine.params()


def test_a_part_without_a_bound_keeps_to_the_users_own() -> None:
    halves = [Region(price=(None, 7), inventory=(3, None)), Region(price=(8, None))]
    own = Region(price=(5, None), inventory=(None, 2))
    lower, upper = (half.within(own) for half in halves)
    assert (lower.price, upper.price) == ((5, 7), (8, None))
    assert lower.empty
    assert not upper.empty
    assert halves[1].within(Region(price=(None, 7))).empty


def test_the_spine_comes_first_and_announces_its_burst() -> None:
    planner = Planner.start(now=START)
    (head,) = planner.next(8)
    planner.feed(head.id, Answer(total=90_000, rows=tuple(Row(f"P{n}", n) for n in range(200))))
    (spine,) = planner.next(8)
    assert (spine.page, spine.burst) == (30, 30)
    planner.feed(spine.id, Answer(total=90_000, rows=tuple(Row(f"Q{n}", 5800 + n) for n in range(200))))
    page, second = planner.next(8)
    assert page.page == 29  # shows whether the bounds mean what they should
    # Of all products, as the first: had one more or less a create time, it would show.
    assert (second.page, second.created_to, second.window) == (2, None, spine.window)
    planner.feed(second.id, Answer(total=90_000, rows=tuple(Row(f"S{n}", 200 + n) for n in range(200))))
    assert planner.next(8) == []
    planner.feed(page.id, Answer(total=5999, rows=tuple(Row(f"R{n}", 5600 + n) for n in range(200))))
    more = planner.next(12)
    assert [question.kind for question in more] == ["spine", *["page"] * 11]
    assert [question.page for question in more] == [30, *range(28, 17, -1)]
    assert more[0].burst == 30
    assert planner.next(12) == []
    assert [question.page for question in planner.next(40)] == [
        *range(17, 2, -1)
    ]  # the first two are known: nothing moved


def test_nothing_is_asked_ahead_while_it_is_in_doubt_how_bounds_are_read() -> None:
    planner = Planner.start(now=START)
    (head,) = planner.next(8)
    planner.feed(head.id, Answer(total=90_000, rows=tuple(Row(f"P{n}", n) for n in range(200))))
    (spine,) = planner.next(8)
    planner.feed(spine.id, Answer(total=90_000, rows=tuple(Row(f"Q{n}", 5800 + n) for n in range(200))))
    page, second = planner.next(8)
    planner.feed(page.id, Answer(total=5900, rows=tuple(Row(f"R{n}", 5600 + n) for n in range(200))))
    assert planner.next(8) == []
    planner.feed(second.id, Answer(total=90_000, rows=tuple(Row(f"S{n}", 200 + n) for n in range(200))))
    (trial,) = planner.next(8)
    assert trial.kind == "bounds"


def listing_of(pages: dict[int, int], answers: dict[int, list[int]]) -> Listing:
    """A listing whose pages were read with these totals; repairs are answered from `answers`."""
    listing = Listing(Region(1, 2), FACTS)
    for page, total in pages.items():
        listing.take(page, reply(page, total))
    steps = listing.finish(max(pages))
    wanted = next(steps, None)
    while wanted is not None:
        replies = [reply(ask.page, answers[ask.page].pop(0)) for ask in wanted if isinstance(ask, Ask)]
        try:
            wanted = steps.send(replies)
        except StopIteration:
            wanted = None
    assert not any(answers.values())
    return listing


def reply(page: int, total: int, era: int = 0) -> Reply:
    rows = range((page - 1) * 10, min(page * 10, total))
    return Reply(total, list(rows), [1] * len(rows), [None] * len(rows), era, seq=next(ANSWERS))


def test_equal_totals_and_as_many_products_are_proof() -> None:
    listing = listing_of({3: 25, 2: 25, 1: 25}, {})
    assert (listing.proof, listing.repairs, listing.total) == ("constant", 0, 25)


def test_a_total_that_fell_from_page_to_page_is_proof_too() -> None:
    listing = listing_of({3: 25, 2: 24, 1: 24}, {})
    assert (listing.proof, listing.repairs) == ("ordered", 0)


def test_a_total_that_rose_makes_two_pages_be_read_again() -> None:
    listing = listing_of({3: 25, 2: 25, 1: 26}, {2: [25], 1: [25]})
    assert (listing.proof, listing.repairs) == ("ordered", 1)


def test_one_page_is_enough_where_it_goes_with_the_other() -> None:
    listing = listing_of({3: 25, 2: 25, 1: 26}, {2: [26]})
    assert (listing.proof, listing.repairs) == ("ordered", 1)


def test_a_pair_is_read_until_it_holds() -> None:
    listing = listing_of({2: 15, 1: 16}, {2: [15, 17], 1: [17]})
    assert (listing.proof, listing.repairs) == ("ordered", 2)


def test_pages_before_and_after_a_pause_do_not_join() -> None:
    listing = Listing(Region(1, 2), FACTS)
    listing.take(2, reply(2, 15))
    listing.take(1, reply(1, 15, era=1))
    (ask,) = next(listing.finish(2))
    assert (ask.page, ask.kind, ask.burst) == (2, "repair", 2)


def test_totals_of_other_pages_count_too() -> None:
    listing = Listing(Region(1, 2), FACTS)
    for page, total in ((3, 25), (1, 24), (2, 25)):  # one gone and one come between the answers for pages 3 and 2
        listing.take(page, reply(page, total))
    (ask,) = next(listing.finish(3))
    assert (ask.page, ask.kind) == (3, "repair")


def test_pages_may_be_answered_in_any_order() -> None:
    listing = Listing(Region(1, 2), FACTS)
    for page, total in ((1, 23), (3, 24), (2, 24)):
        listing.take(page, reply(page, total))
    assert next(listing.finish(3), None) is None
    assert listing.proof == "ordered"


def test_a_list_that_grew_is_read_on() -> None:
    listing = listing_of({2: 19, 1: 19}, {})
    assert listing.proof == "constant"
    listing = listing_of({2: 20, 1: 21}, {2: [21], 3: [21]})
    assert len(listing.keys) == 21


def test_a_list_that_outgrew_the_window_is_given_back() -> None:
    listing = Listing(Region(1, 2), FACTS)
    for page in range(5, 0, -1):
        listing.take(page, reply(page, 51))
    with pytest.raises(Outgrown):
        next(listing.finish(5))


@pytest.mark.parametrize(
    ("totals", "shift", "kept"),
    [
        ([51, 51, 51, 51, 52], 0, 44),
        ([52, 52, 52, 52, 51], 0, None),  # one may have moved from the last page to one read before
        ([51, 51, 51, 51, 51], 1, None),  # the second page repeats a row of the first: ties that change their order
    ],
)
def test_what_was_read_of_a_window_that_outgrew_its_reach_stands(
    totals: list[int], shift: int, kept: int | None
) -> None:
    listing = Listing(Region(1, 99), FACTS)
    for page, total in zip((4, 3, 2, 1, 5), totals, strict=True):
        keys = [number - shift * (page == 2) for number in range(10 * page - 10, 10 * page)]
        times: list[int | None] = [min(45, number + 1) for number in keys]  # the last six share a second
        listing.take(page, Reply(total, keys, times, [None] * 10, seq=next(ANSWERS)))
    listing.joints.update(page for page in range(1, 5) if listing.evident(page))
    steps = divide(listing, 52, seen_start=True)
    rest = next(steps).job
    with pytest.raises(StopIteration) as end:
        next(steps)
    part = end.value.value
    if kept is None:
        assert (part, rest.start, rest.rows) == (None, 1, 52)
    else:
        assert (part.region.end, len(part.keys), part.total, part.proof) == (44, kept, kept, "ordered")
        assert (rest.start, rest.end, rest.rows, rest.rank) == (45, 99, 52 - kept, kept)
        assert rest.seen_start


def test_missing_products_are_no_proof() -> None:
    listing = Listing(Region(1, 2), FACTS)
    listing.take(1, Reply(12, list(range(10)), [1] * 10, [None] * 10))
    listing.take(2, Reply(12, [8, 9], [1] * 2, [None] * 2, seq=1))
    assert listing.proof == "none"


@some
@given(st.lists(st.integers(0, 60), max_size=80), st.lists(st.integers(1, 50), max_size=90), st.integers(0, 4))
def test_windows_of_a_second_walk_leave_no_gap(gaps: list[int], counts: list[int], start: int) -> None:
    moments = [sum(gaps[: n + 1]) + n + 1 for n in range(len(gaps))]
    certificates = []
    for (a, b), rows in zip(pairwise([0, *moments]), counts, strict=False):
        certificates.append(Certificate(Region(a or None, b - 1), rows, rows, 1, 0, "seek", "constant"))
    found = windows(certificates, FACTS, start or None, 10**6)
    if found:
        assert found[0][0] == (start or None)
        assert found[-1][1] == 10**6
        for (_, end, _), (begin, _, _) in pairwise(found):
            assert end + 1 == begin
        assert all(rows <= 45 for _, _, rows in found) or max(counts) > 45 or start


@some
@given(st.lists(st.integers(1, 70), min_size=1, max_size=40))
def test_a_second_walk_takes_the_fewest_pages(counts: list[int]) -> None:
    ranks = [0, *accumulate(counts)]
    certificate = Certificate(
        Region(None, len(counts) - 1), ranks[-1], ranks[-1], 1, 0, "seek", "constant", tuple(enumerate(ranks))[1:-1]
    )
    fewest = [0]
    for n in range(1, len(ranks)):
        reached = [k for k in range(n) if ranks[n] - ranks[k] <= 45] or [n - 1]
        fewest.append(min(fewest[k] + FACTS.pages(ranks[n] - ranks[k]) for k in reached))
    assert sum(FACTS.pages(rows) for _, _, rows in windows([certificate], FACTS, None, 10**6)) == fewest[-1]


def test_a_second_walk_cuts_at_full_pages() -> None:
    found = ((107, 9), (114, 18), (121, 30), (128, 38))  # a window has room for 45, but 38 do not fill their pages
    certificate = Certificate(Region(None, 199), 59, 59, 6, 0, "seek", "constant", found)
    assert windows([certificate], FACTS, None, 500) == ((None, 120, 30), (121, 500, 29))


def test_a_second_walk_cuts_at_no_moment_that_servers_may_read_in_two_ways() -> None:
    noon = 1_615_780_800  # 12:00:00 in China
    found = ((noon - 1, 10), (noon, 20), (noon + 1800, 25), (noon + 3600, 30), (noon + 3601, 40))
    certificate = Certificate(Region(None, noon + 9000), 50, 50, 5, 0, "seek", "constant", found)
    narrow = Facts(size=10, window=20)
    begins = [start for start, _, _ in windows([certificate], narrow, None, noon + 90_000)]
    assert begins == [None, noon - 1, noon + 3601]
    known = Facts(size=10, window=20, noon=True)  # then it is one unit, and no mark lies inside
    assert len(windows([certificate], known, None, noon + 90_000)) > 3


def test_no_window_ends_in_a_second_of_products_before_a_bound_is_seen_to_include_it() -> None:
    times = [100, 200, 201, 201, 300, 400, 401, 500, 600, 601]
    found = dict(marks(times, Facts(size=8, window=80), 0))
    assert found == {200: 1, 300: 4, 400: 5, 500: 7, 600: 8}
    found = dict(marks(times, Facts(size=8, window=80, checked_end=True), 0))
    assert found == {200: 1, 201: 2, 300: 4, 400: 5, 401: 6, 500: 7, 600: 8, 601: 9}


def test_marks_lie_in_every_eighth_of_a_page_of_the_whole_walk() -> None:
    times = [5 * n for n in range(30)]
    facts = Facts(size=16, window=80, checked_end=True)
    assert marks(times, facts, rank=0) == tuple((5 * n, n) for n in range(2, 30, 2))
    assert marks(times, facts, rank=93) == tuple((5 * n, n) for n in range(1, 30, 2))
    assert marks([*range(8), *[8] * 7, 9, 10], facts, rank=0) == ((2, 2), (4, 4), (6, 6), (8, 8), (10, 16))


def test_doubtful_borders_are_mended_together_by_the_pages_read_before() -> None:
    listing = Listing(Region(1, 2), FACTS)
    for page, total in ((5, 50), (3, 50), (1, 50), (4, 49), (2, 49)):  # one was deleted after three answers
        listing.take(page, reply(page, total))
    steps = listing.finish(5)
    (ask,) = next(steps)
    assert (ask.page, ask.burst) == (3, 4)  # a row may have moved from page 4 to page 3, from page 2 to page 1
    (ask,) = steps.send([reply(3, 49)])
    assert ask.page == 1
    with pytest.raises(StopIteration):
        steps.send([reply(1, 49)])
    assert (listing.proof, listing.repairs) == ("ordered", 2)


@some
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 20)), max_size=20), st.integers(-5, 600))
def test_what_is_settled(spans: list[tuple[int, int]], moment: int) -> None:
    taken: list[tuple[int, int]] = []
    for start, length in spans:  # certified regions do not overlap
        if all(start + length < a or b < start for a, b in taken):
            taken.append((start, start + length))
    settled = Settled([Certificate(Region(a, b), 1, 1, 1, 0, "seek", "constant") for a, b in taken])
    assert settled.covers(moment) == any(a <= moment <= b for a, b in taken)
    assert not settled.covers(None)


@some
@given(
    st.lists(st.integers(0, 3000), max_size=300),
    st.integers(60, 5000),
    st.tuples(st.integers(0, 2000), st.integers(0, 2000)),
)
def test_price_bands_leave_no_price_out(seen: list[int], total: int, span: tuple[int, int]) -> None:
    low, high = min(span), max(span)
    parts = by_price(Region(price=(low, high)), total, 50, seen)
    if low == high:
        assert parts == []
        return
    bands = [part.price for part in parts[0]]
    assert len(bands) > 1
    assert (bands[0][0], bands[-1][1]) == (low, high)  # type: ignore[index]
    assert all(a[1] + 1 == b[0] for a, b in pairwise(bands))  # type: ignore[index]


def test_a_price_that_many_share_gets_a_band_of_its_own() -> None:
    (parts,) = by_price(Region(), 100, 50, [5] * 3 + [999] * 95 + [2000] * 2)
    assert [part.price for part in parts] == [(None, 998), (999, 999), (1000, None)]


def test_a_band_holds_a_row_at_least() -> None:
    (parts,) = by_price(Region(), 3, 1, [5, 7, 9])
    assert [part.price for part in parts] == [(None, 6), (7, 7), (8, 8), (9, 9), (10, None)]


def test_inventory_is_cut_by_orders_of_magnitude_down_to_single_numbers() -> None:
    (parts,) = by_inventory(Region())
    assert parts[0].inventory == (None, 0)
    assert parts[-1].inventory == (10_001, None)
    region = Region(inventory=(11, 100))
    while (cut := by_inventory(region)) and cut[0][0].inventory != cut[0][-1].inventory:
        assert cut[0][0].inventory[1] + 1 == cut[0][-1].inventory[0]  # type: ignore[index]
        region = cut[0][0]
    assert region.inventory == (11, 11)


def test_categories_come_in_batches() -> None:
    assert [len(batch) for batch in by_category(Region(), [str(n) for n in range(20)])] == [8, 8, 4]
    assert by_category(Region(category="x"), ["y"]) == []


@some
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=400), st.integers(0, 500))
def test_price_bins_count_every_product_once(values: list[int], hidden: int) -> None:
    bins: dict[int, int] = {}
    for value in values:
        prices.count(bins, value)
    found = prices.bands(bins, hidden, FACTS)
    assert (found[0][0][0], found[-1][0][1]) == (None, None)
    assert all(a[1] + 1 == b[0] for (a, _), (b, _) in pairwise(found))  # type: ignore[operator]
    for (low, high), held in found:
        assert held == sum((low or 0) <= value and (high is None or value <= high) for value in values)
    assert len(prices.sample(bins)) <= 1000 + len(bins)


def test_keys_tell_products_apart() -> None:
    rng = random.Random(1)
    pids = {str(rng.getrandbits(64)) for _ in range(50_000)}
    assert len({key(pid) for pid in pids}) == len(pids)
    assert max(map(key, pids)) < 1 << 64
