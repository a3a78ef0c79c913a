"""Filters and pages against brute force over the truth."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict

from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.filters import list_clauses, search_clauses, select
from cjasync.sandbox.order import Sorter, Span
from cjasync.sandbox.query import Query
from cjasync.sandbox.refusal import Refusal
from cjasync.sandbox.shapes import creation_times

HELD = Catalogue(
    creation_times("market", 1500, seed=4, until=1_748_736_000), seed=4, null_times=0.05, delisted=0.1, now=lambda: 0.0
)
EVERY = list(HELD.truth())
SAMPLE = EVERY[:: len(EVERY) // 40]


def some(values):
    return st.sampled_from(list(values))


# What each parameter means, said once more and in another way.
LIST_MEANING = {
    "categoryId": lambda p, v: p.category.id == v,
    "pid": lambda p, v: p.pid == v,
    "productSku": lambda p, v: p.sku == v,
    "productName": lambda p, v: any(v in name for name in p.names_zh),
    "productNameEn": lambda p, v: any(word in p.name_en.lower() for word in v.lower().split()),
    "productType": lambda p, v: p.product_type == v,
    "countryCode": lambda p, v: v in p.countries,
    "deliveryTime": lambda p, v: p.delivery_hours is not None and str(p.delivery_hours) == v,
    "verifiedWarehouse": lambda p, v: v == "0" or str(p.verified) == v,
    "startInventory": lambda p, v: p.verified_stock + p.factory_stock >= int(v),
    "endInventory": lambda p, v: p.verified_stock + p.factory_stock <= int(v),
    "brandOpenId": lambda p, v: str(p.brand_id) == v,
    "minPrice": lambda p, v: float(p.price_low) >= float(v),
    "maxPrice": lambda p, v: float(p.price_low) <= float(v),
    "searchType": lambda p, v: v == "0" or 0 in p.flags,
    "minListedNum": lambda p, v: p.listed >= int(v),
    "maxListedNum": lambda p, v: p.listed <= int(v),
    "isSelfPickup": lambda p, v: p.self_pickup == (v == "1"),
    "supplierId": lambda p, v: p.supplier_id == v,
    "isFreeShipping": lambda p, v: p.free_shipping == (v == "1"),
    "customizationVersion": lambda p, v: str(p.customization) == v,
}
LIST_VALUES = {
    "categoryId": some({p.category.id for p in SAMPLE}),
    "pid": some([p.pid for p in SAMPLE] + ["none"]),
    "productSku": some([p.sku for p in SAMPLE] + ["CJNONE"]),
    "productName": some(["定制", "卫衣", "LED", "zzz"]),
    "productNameEn": some(["hoodie", "flower pot", "Women's", "12", "café", "zzz"]),
    "productType": some(["ORDINARY_PRODUCT", "SUPPLIER_PRODUCT", "NONE"]),
    "countryCode": some(["CN", "US", "GB", "XX"]),
    "deliveryTime": some(["24", "48", "72"]),
    "verifiedWarehouse": some("012"),
    "startInventory": some(["0", "1", "300", "1000000"]),
    "endInventory": some(["0", "20", "5000"]),
    "brandOpenId": some(["1371342252697325568", "1"]),
    "minPrice": some(["0", "2.5", "11.85", "99"]),
    "maxPrice": some(["1", "9.99", "30"]),
    "searchType": some(["0", "2", "21"]),
    "minListedNum": some(["0", "3", "50"]),
    "maxListedNum": some(["0", "10"]),
    "isSelfPickup": some("01"),
    "supplierId": some({p.supplier_id for p in EVERY if p.supplier_id}),
    "isFreeShipping": some("01"),
    "customizationVersion": some("012345"),
}
SEARCH_MEANING = {
    "keyWord": lambda p, v: all(word in p.name_en.lower() for word in v.lower().split()) or p.sku == v,
    "categoryId": lambda p, v: p.category.id == v,
    "lv2categoryList": lambda p, v: p.category.two_id in v.split(","),
    "lv3categoryList": lambda p, v: p.category.id in v.split(","),
    "countryCode": lambda p, v: v in p.countries,
    "startSellPrice": lambda p, v: float(p.price_low) >= float(v),
    "endSellPrice": lambda p, v: float(p.price_low) <= float(v),
    "addMarkStatus": lambda p, v: p.free_shipping == (v == "1"),
    "productType": lambda p, v: {
        "4": (p.product_type or "").startswith("SUPPLIER"),
        "10": p.video,
        "11": not p.video,
    }[v],
    "productFlag": lambda p, v: p.video if v == "2" else int(v) in p.flags,
    "startWarehouseInventory": lambda p, v: p.verified_stock + p.factory_stock >= int(v),
    "endWarehouseInventory": lambda p, v: p.verified_stock + p.factory_stock <= int(v),
    "verifiedWarehouse": lambda p, v: v == "0" or str(p.verified) == v,
    "zonePlatform": lambda p, v: v in p.zones,
    "isWarehouse": lambda p, v: v == "false" or bool(set(p.countries) - {"CN"}),
    "supplierId": lambda p, v: p.supplier_id == v,
    "hasCertification": lambda p, v: p.certified == (v == "1"),
    "isSelfPickup": lambda p, v: p.self_pickup == (v == "1"),
    "customization": lambda p, v: bool(p.customization) == (v == "1"),
}
SEARCH_VALUES = {
    "keyWord": some(["hoodie", "portable wooden", "zzz"] + [p.sku for p in SAMPLE]),
    "categoryId": LIST_VALUES["categoryId"],
    "lv2categoryList": st.lists(some({p.category.two_id for p in EVERY}), min_size=1, max_size=5).map(",".join),
    "lv3categoryList": st.lists(some({p.category.id for p in EVERY}), min_size=1, max_size=5).map(",".join),
    "countryCode": LIST_VALUES["countryCode"],
    "startSellPrice": LIST_VALUES["minPrice"],
    "endSellPrice": LIST_VALUES["maxPrice"],
    "addMarkStatus": some("01"),
    "productType": some(["4", "10", "11"]),
    "productFlag": some("0123"),
    "startWarehouseInventory": LIST_VALUES["startInventory"],
    "endWarehouseInventory": LIST_VALUES["endInventory"],
    "verifiedWarehouse": some("012"),
    "zonePlatform": some(["shopify", "tiktok", "none"]),
    "isWarehouse": some(["true", "false"]),
    "supplierId": LIST_VALUES["supplierId"],
    "hasCertification": some("01"),
    "isSelfPickup": some("01"),
    "customization": some("01"),
}


def questions(values):
    return st.lists(some(values), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: values[name] for name in names})
    )


def found(clauses):
    return set(Span(select(HELD, clauses), None, None, inclusive=True).numbers())


def test_every_filter_has_a_meaning_and_values():
    assert LIST_MEANING.keys() == LIST_VALUES.keys()
    assert SEARCH_MEANING.keys() == SEARCH_VALUES.keys()


@given(questions(LIST_VALUES))
@settings(deadline=None, max_examples=250)
def test_list_filters(question):
    wanted = {p.number for p in EVERY if all(LIST_MEANING[name](p, value) for name, value in question.items())}
    assert found(list_clauses(Query(MultiDict(question)))) == wanted


@given(questions(SEARCH_VALUES))
@settings(deadline=None, max_examples=250)
def test_search_filters_leave_the_delisted_out(question):
    wanted = {
        p.number
        for p in EVERY
        if not p.delisted and all(SEARCH_MEANING[name](p, value) for name, value in question.items())
    }
    assert found(search_clauses(Query(MultiDict(question)))) == wanted


@pytest.mark.parametrize("name", LIST_VALUES)
def test_each_list_filter_alone_finds_some_but_not_all(name):
    values = [p for p in SAMPLE if p.supplier_id]
    value = {
        "categoryId": SAMPLE[3].category.id,
        "pid": SAMPLE[3].pid,
        "productSku": SAMPLE[3].sku,
        "productName": "定制",
        "productNameEn": "wooden",
        "productType": "SUPPLIER_PRODUCT",
        "countryCode": "US",
        "brandOpenId": "1371342252697325568",
        "startInventory": "300",
        "endInventory": "300",
        "minPrice": "9",
        "maxPrice": "9",
        "minListedNum": "5",
        "maxListedNum": "5",
        "searchType": "2",
        "supplierId": values[0].supplier_id,
        "deliveryTime": "48",
    }.get(name, "1")
    assert 0 < len(found(list_clauses(Query(MultiDict({name: value}))))) < len(EVERY)


def test_what_is_unknown_is_ignored_and_what_cannot_be_read_is_refused():
    assert list_clauses(Query(MultiDict({"categoryName": "Dresses", "keyWord": "x", "minPrice": ""}))) == []
    assert list_clauses(Query(MultiDict({"minPrice": "5"}), ignored={"minPrice"})) == []
    for name, value in (("minPrice", "cheap"), ("minPrice", "nan"), ("deliveryTime", "24h"), ("isSelfPickup", "yes")):
        with pytest.raises(Refusal, match=name) as caught:
            list_clauses(Query(MultiDict({name: value})))
        assert caught.value.code == 1600300


def test_lists_come_repeated_bracketed_or_joined():
    for parameters in ([("a", "x,y"), ("a", "z")], [("a[]", "x"), ("a[]", "y"), ("a", "z")]):
        assert Query(MultiDict(parameters)).texts("a") == ("x", "y", "z")


times = st.integers(1_560_000_000, 1_750_000_000)


@given(st.none() | times, st.none() | times, st.booleans(), st.booleans(), st.booleans(), st.integers(1, 300))
@settings(deadline=None, max_examples=80)
def test_pages_by_time_are_slices_of_one_order(start, end, descending, nulls_first, inclusive, size):
    span = Span(HELD.all, start, end, inclusive=inclusive)
    least, most = (start, end) if inclusive else (start and start + 1, end and end - 1)
    timed = [
        p
        for p in EVERY
        if p.created_ms is not None
        and (least is None or p.created_ms >= least * 1000)
        and (most is None or p.created_ms <= most * 1000)
    ]
    timed.sort(key=lambda p: (p.created_ms, p.number), reverse=descending)
    nulls = [p.number for p in EVERY if p.created_ms is None] if start is None and end is None else []
    if descending:
        nulls.reverse()
    numbers = [p.number for p in timed]
    wanted = nulls + numbers if nulls_first else numbers + nulls
    pages = []
    for offset in range(0, len(span) + size, size):
        pages += span.by_time(offset, size, descending=descending, nulls_first=nulls_first, replica=0)
    assert len(span) == len(wanted)
    assert pages == wanted


@given(st.booleans(), st.integers(1, 50), st.integers(0, 1600))
@settings(deadline=None, max_examples=40)
def test_the_second_replica_differs_in_ties_only(descending, size, offset):
    span = Span(HELD.all, None, None, inclusive=True)
    every = [
        span.by_time(0, len(span), descending=descending, nulls_first=False, replica=replica) for replica in (0, 1)
    ]
    assert every[0] != every[1]
    assert sorted(every[0]) == sorted(every[1])
    assert [HELD.created[n] for n in every[0]] == [HELD.created[n] for n in every[1]]
    cut = span.by_time(offset, size, descending=descending, nulls_first=False, replica=1)
    assert cut == every[1][offset : offset + size]


def test_sorting_by_another_column_follows_changes():
    held = Catalogue([1_700_000_000] * 20, seed=1, null_times=0, delisted=0, now=lambda: 0.0)
    sorter = Sorter()

    def cheapest_first():
        span = Span(held.all, None, None, inclusive=True)
        return sorter.by("low", held.low.__getitem__, span, descending=False, replica=0)

    first = cheapest_first()
    assert first == sorted(range(20), key=lambda number: (held.low[number], number))
    assert cheapest_first() is first
    held.reprice(held.pids[first[0]], held.product(first[-1]).price_low + 1)
    assert cheapest_first() == [*first[1:], first[0]]


def test_text_times_are_in_their_zone_and_may_fall_into_the_twelve_hour_trap():
    def read(text, hours=8.0, *, twelve_hours=False):
        seconds = Query(MultiDict({"t": text})).moment("t", hours, twelve_hours=twelve_hours)
        return datetime.fromtimestamp(seconds, UTC)

    noon = datetime(2024, 5, 6, 12, 30, 5, tzinfo=timezone(timedelta(hours=8)))
    assert read("2024-05-06 12:30:05") == noon
    assert read("2024-05-06 12:30:05", 0.0) == noon + timedelta(hours=8)
    assert read("2024-05-06 12:30:05", twelve_hours=True) == noon - timedelta(hours=12)
    assert read("2024-05-06 13:30:05", twelve_hours=True) == noon + timedelta(hours=1)
    for wrong in ("2024-05-06", "2024-05-06T12:30:05", "1700000000000"):
        with pytest.raises(Refusal, match="yyyy-MM-dd"):
            read(wrong)
