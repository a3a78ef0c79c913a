"""The catalogue: the same from the same seed, ids of three kinds, and a memory of what happened to it."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync.config import CHINA_TIME
from cjasync.errors import ConfigError
from cjasync.sandbox import traits
from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.categories import category_tree
from cjasync.sandbox.ids import SNOWFLAKE_EPOCH_MS
from cjasync.sandbox.listing import NO_TIME
from cjasync.sandbox.shapes import SHAPES, SPAN, creation_times

UNTIL = 1_748_736_000


def catalogue(n=600, *, seed=1, shape="market", null_times=0.05, delisted=0.05, now=lambda: 1_760_000_000.0):
    times = creation_times(shape, n, seed=seed, until=UNTIL)
    return Catalogue(times, seed=seed, null_times=null_times, delisted=delisted, now=now)


def test_same_seed_same_products_and_another_seed_others():
    once, again, other = list(catalogue().truth()), list(catalogue().truth()), list(catalogue(seed=2).truth())
    assert once == again
    assert len(once) == 600
    assert not {product.pid for product in once} & {product.pid for product in other}


def test_the_tree_has_cjs_numbers():
    leaves = category_tree()
    assert len(leaves) == len({leaf.id for leaf in leaves}) == 577
    assert len({leaf.two_id for leaf in leaves}) == 89
    assert len({leaf.one_id for leaf in leaves}) == 14
    assert sum(len(leaf.id) == 36 for leaf in leaves) == 419
    assert sum(leaf.id.isdecimal() and len(leaf.id) == 19 for leaf in leaves) == 158


def test_three_kinds_of_ids_of_which_two_tell_the_time():
    kinds = Counter()
    for product in catalogue(3000, null_times=0).truth():
        assert product.created_ms is not None
        created = datetime.fromtimestamp(product.created_ms / 1000, UTC)
        if "-" in product.pid:
            kinds["guid"] += 1
            assert len(product.pid) == 36
            assert product.pid == product.pid.upper()
            continue
        assert len(product.pid) == 19
        if created < datetime(2024, 1, 1, tzinfo=UTC):
            kinds["snowflake"] += 1
            milliseconds = (int(product.pid) >> 22) + SNOWFLAKE_EPOCH_MS
            assert milliseconds // 1000 * 1000 == product.created_ms
        else:
            kinds["dated"] += 1
            assert datetime.strptime(product.pid[:12], "%y%m%d%H%M%S").replace(tzinfo=CHINA_TIME) == created
    assert min(kinds[kind] for kind in ("guid", "snowflake", "dated")) > 100


def test_ids_are_unique_even_when_all_come_in_one_second():
    held = Catalogue([UNTIL - 1] * 30_000, seed=3, null_times=0, delisted=0, now=lambda: 0.0)
    assert len(held.pids_now()) == 30_000
    older = Catalogue([1_650_000_000] * 30_000, seed=3, null_times=0, delisted=0, now=lambda: 0.0)
    assert len(older.pids_now()) == 30_000


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_that_many_sorted_times_within_its_span(shape):
    times = creation_times(shape, 2000, seed=5, until=UNTIL)
    assert len(times) == 2000
    assert times == sorted(times)
    assert UNTIL - SPAN <= times[0] <= times[-1] < UNTIL
    assert times == creation_times(shape, 2000, seed=5, until=UNTIL)


def test_shapes_are_what_they_say():
    def counts(shape, n=20_000):
        return Counter(creation_times(shape, n, seed=1, until=UNTIL))

    assert max(counts("uniform").values()) <= 4
    assert max(counts("one_second").values()) >= 4000
    assert max(Counter(second // 86_400 for second in counts("half_in_a_day").elements()).values()) >= 5000
    assert set(counts("ties_201").values()) <= {201, 20_000 % 201}
    assert max(counts("ties_6001").values()) == 6001
    assert max(counts("bursty").values()) > 100
    assert max(counts("market").values()) > 100
    weeks = Counter(second // (7 * 86_400) for second in counts("market").elements())
    assert max(weeks.values()) > 20 * sorted(weeks.values())[len(weeks) // 10]


def test_an_unknown_shape_says_which_there_are():
    with pytest.raises(ConfigError, match="market, uniform"):
        creation_times("square", 1, seed=1, until=UNTIL)


def test_a_shape_of_ones_own():
    times = creation_times(lambda n, rng: [7] * n, 3, seed=1, until=UNTIL)
    assert times == [UNTIL - SPAN + 7] * 3


def test_traits_fill_their_bits_and_do_not_overlap():
    taken = 0
    names = [name for name, value in vars(traits).items() if isinstance(value, traits.Trait) and name != "NAMES_ZH"]
    for name in names:
        trait = getattr(traits, name)
        size = len(trait.values)
        assert size & (size - 1) == 0, f"{name} has {size} values, not a power of two"
        bits = trait.mask << trait.shift
        assert not taken & bits, f"{name} shares bits with another trait"
        taken |= bits
    assert taken < 1 << 64


def test_lookups_by_pid_and_sku():
    held = catalogue(300)
    for number in range(0, 300, 17):
        product = held.product(number)
        assert held.get(product.pid) == product
        assert held.by_sku(product.sku) == product
    assert held.get("nothing") is None
    for wrong in ("", "CJ", "CJNSSY0000300", "XX" + held.sku_of(5)[2:], held.sku_of(5) + "01"):
        assert held.by_sku(wrong) is None


def test_null_times_and_delisted_products_are_some():
    held = catalogue(2000)
    missing = sum(product.created_ms is None for product in held.truth())
    assert 50 < missing < 200
    assert 50 < sum(product.delisted for product in held.truth()) < 200
    assert sum(1 for _ in held.truth(delisted=False)) == 2000 - sum(product.delisted for product in held.truth())


def test_changes_show_and_are_remembered():
    clock = iter(range(1_760_000_000, 1_770_000_000))
    held = catalogue(50, now=lambda: float(next(clock)))
    before = held.mark()
    pid, other = held.pids[3], held.pids[4]
    price = held.product(4).price_low, held.product(4).price_high
    held.delete(pid)
    held.reprice(other, Decimal("1.25"), Decimal("2.50"))
    new = held.add()
    middle = held.mark()
    assert held.get(pid) is None
    assert len(held) == 50
    assert held.get(other).price_high == Decimal("2.50")
    assert held.get(new).created_ms == 1_760_000_002_000
    held.relist(pid)
    assert held.get(pid) is not None
    assert held.held_throughout(before) == held.pids_now() - {pid, new}
    assert held.held_throughout(before, before) == held.pids_now() - {new}
    assert held.held_throughout(middle) == held.pids_now() - {pid}
    assert held.held_at_some_time(before) == held.pids_now()
    assert held.held_at_some_time(middle, middle) == held.pids_now() - {pid}
    now = (Decimal("1.25"), Decimal("2.50"))
    assert held.prices(other, before) == {price, now}
    assert held.prices(other, before, before) == {price}
    assert held.prices(other, middle) == {now}
    with pytest.raises(KeyError):
        held.delete("nothing")


@given(
    st.lists(
        st.tuples(st.integers(0, 39), st.sampled_from(["delete", "relist", "delist", "reprice", "add"])), max_size=60
    )
)
@settings(deadline=None, max_examples=60)
def test_listings_follow_every_change(changes):
    held = catalogue(40, shape="ties_201", null_times=0.2)
    cheap = held.listing("cheap", lambda number: held.low[number] < 700)
    for place, kind in changes:
        pid = held.pids[place]
        if kind == "reprice":
            held.reprice(pid, Decimal(place * 37 % 1400 + 1) / 100)
        elif kind == "add":
            held.add(1_600_000_000 + place)
        else:
            getattr(held, kind)(pid)
    fresh = catalogue(0)
    fresh.created, fresh.low = held.created, held.low
    for listing, condition in ((held.all, lambda number: True), (cheap, lambda number: held.low[number] < 700)):
        alive = [number for number, status in enumerate(held.status) if status and condition(number)]
        timed = sorted((number for number in alive if held.created[number] != NO_TIME), key=held.created.__getitem__)
        assert list(listing.numbers) == timed
        assert list(listing.times) == [held.created[number] for number in timed]
        assert list(listing.nulls) == [number for number in alive if held.created[number] == NO_TIME]


def test_a_clock_at_the_end_of_the_catalogue_is_after_every_product():
    newest = max(product.created_ms or 0 for product in catalogue().truth())
    assert newest < UNTIL * 1000
    assert datetime.fromtimestamp(UNTIL, UTC) - datetime.fromtimestamp(newest / 1000, UTC) < timedelta(days=60)
