"""The pager: order, bounds, cancellation, resuming, and lists that change while they are walked."""

from __future__ import annotations

import asyncio
import math
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cjasync import (
    BadResponseError,
    Cursor,
    OutOfReachError,
    OutOfReachWarning,
    Pager,
    ParameterError,
    Plan,
    UnavailableError,
)
from cjasync._decode import PageRows
from cjasync._endpoint import Endpoint, Paging
from cjasync.models._pages import ListData

PATH = "shop/list"
SIZE = 10


class Shop:
    """An engine that answers from a list of numbers, each page after as many turns of the loop as `turns` says.

    It counts what is asked, how many pages are in flight, and how many lie between asking and `consumed`.
    """

    def __init__(
        self,
        rows: int = 0,
        *,
        turns: Callable[[int], int] = lambda page: 1,
        window: int | None = None,
        max_page: int | None = None,
        concurrency: int | Callable[[], int] = 2,
        fixed_size: int | None = None,
        tells_size: bool = True,
        tells_total: bool = True,
    ) -> None:
        self.rows = list(range(rows))
        self.total: Callable[[], int] = lambda: len(self.rows)
        self.answer: Callable[[int, int], list[int] | Exception] = self.cut
        self.turns = turns
        self.fixed_size = fixed_size
        self.tells_size = tells_size
        self.tells_total = tells_total
        self.asked: list[int] = []
        self.in_flight = self.most_in_flight = 0
        self.fetched = 0
        wanted = concurrency if callable(concurrency) else lambda: concurrency
        plan = Plan(list_window=window)
        self.services = SimpleNamespace(concurrency=wanted, plan=plan, hooks=(), calls=0)
        paging = Paging(
            page="page", size="size", default_size=SIZE, max_size=SIZE, window="list_window", max_page=max_page
        )
        self.endpoint: Endpoint[Any] = Endpoint(method="GET", path=PATH, answer=None, paging=paging)

    def cut(self, page: int, size: int) -> list[int] | Exception:
        return self.rows[(page - 1) * size : page * size]

    async def call(self, endpoint: Endpoint[Any], params: dict[str, Any]) -> PageRows:
        page, size = params["page"], self.fixed_size or params["size"]
        self.asked.append(page)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for _ in range(self.turns(page)):
                await asyncio.sleep(0)
        finally:
            self.in_flight -= 1
        rows = self.answer(page, size)
        if isinstance(rows, Exception):
            raise rows
        self.fetched += 1
        told = size if self.tells_size else None
        return PageRows(ListData(page, told, self.total() if self.tells_total else None), tuple(rows))

    def pager(self, *, page: int = 1, size: int = SIZE, cursor: Any = None, **filters: Any) -> Pager[int]:
        return Pager.start(self, self.endpoint, {"page": page, "size": size, **filters}, cursor)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run it, and let nothing behind: no task, no warning."""

    async def alone() -> Any:
        async with asyncio.timeout(10):
            result = await main
        for _ in range(3):  # what was cancelled gets the chance to end
            await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert left == []
        return result

    return asyncio.run(alone())


async def every(pager: Any) -> list[Any]:
    return [item async for item in pager]


turns = st.lists(st.integers(0, 5), min_size=1, max_size=7).map(lambda each: lambda page: each[page % len(each)])
quick = settings(deadline=None, max_examples=60)


@given(st.integers(0, 180), st.integers(1, 6), turns)
@quick
def test_every_row_once_and_in_order(rows: int, workers: int, wait: Callable[[int], int]) -> None:
    shop = Shop(rows, turns=wait)
    assert run(every(shop.pager().concurrently(workers))) == shop.rows
    assert sorted(shop.asked) == list(range(1, max(1, math.ceil(rows / SIZE)) + 1))  # each page once, and no other
    assert shop.most_in_flight <= workers


@given(st.integers(0, 180), st.integers(1, 6), turns)
@quick
def test_the_pages_are_those_of_the_items(rows: int, workers: int, wait: Callable[[int], int]) -> None:
    shop = Shop(rows, turns=wait)
    pages = run(every(shop.pager().concurrently(workers).pages()))
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert [row for page in pages for row in page] == shop.rows
    assert all(page.total == rows for page in pages)
    assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]
    if rows:
        assert (len(pages[0]), pages[0][0], pages[0].size) == (min(rows, SIZE), 0, SIZE)


@given(st.integers(1, 5), st.lists(st.integers(0, 20), min_size=30, max_size=30), turns)
@quick
def test_memory_is_bounded_however_slow_the_consumer(
    workers: int, pauses: list[int], wait: Callable[[int], int]
) -> None:
    shop = Shop(30 * SIZE, turns=wait)

    async def consume() -> None:
        had = 0
        async for _ in shop.pager().concurrently(workers).pages():
            had += 1
            for _ in range(pauses[had - 1]):
                held = shop.fetched - had + 1  # with the one that the consumer has in hand
                assert held <= 2 * workers + 1
                assert len(shop.asked) - had <= 2 * workers
                await asyncio.sleep(0)

    run(consume())


def test_a_straggler_does_not_stop_the_others_at_a_batch_s_end() -> None:
    """A sliding window: while page 2 takes its time, the others go on as far as the window reaches."""
    gate = asyncio.Event()
    shop = Shop(30 * SIZE)

    async def consume() -> None:
        original = shop.call

        async def call(endpoint: Any, params: dict[str, Any]) -> Any:
            if params["page"] == 2:
                shop.asked.append(2)
                await gate.wait()
                return PageRows(ListData(2, SIZE, 300), tuple(shop.rows[10:20]))
            return await original(endpoint, params)

        shop.call = call  # type: ignore[method-assign]
        pages = shop.pager().concurrently(3).pages()
        await anext(pages)
        second = asyncio.ensure_future(anext(pages))
        for _ in range(50):
            await asyncio.sleep(0)
        assert shop.asked == [1, 2, 3, 4, 5, 6, 7]  # 2k of them, two workers doing all but one
        gate.set()
        assert (await second).number == 2
        assert [page.number async for page in pages] == list(range(3, 31))

    run(consume())


@given(st.integers(1, 6), st.lists(st.integers(1, 6), min_size=1, max_size=10), turns)
@quick
def test_concurrency_may_change_under_way(start: int, later: list[int], wait: Callable[[int], int]) -> None:
    calls = iter([start, *later * 30])
    shop = Shop(200, turns=wait, concurrency=lambda: next(calls, 2))
    assert run(every(shop.pager())) == shop.rows


def test_fewer_are_in_flight_once_fewer_are_wanted() -> None:
    wanted = 5
    shop = Shop(400, turns=lambda page: 3, concurrency=lambda: wanted)

    async def main() -> None:
        nonlocal wanted
        pages = shop.pager().pages()
        for _ in range(10):
            await anext(pages)
        assert shop.most_in_flight == 5
        wanted = 1
        for _ in range(10):  # until those that were under way have ended
            await anext(pages)
        shop.most_in_flight = 0
        assert [page.number async for page in pages] == list(range(21, 41))
        assert shop.most_in_flight == 1

    run(main())


@given(st.integers(0, 200), st.integers(1, 5), turns)
@quick
def test_who_stops_early_has_fetched_no_more_than_the_window(
    take: int, workers: int, wait: Callable[[int], int]
) -> None:
    shop = Shop(300, turns=wait)

    async def consume() -> list[int]:
        had = []
        if take == 0:
            return had
        async for row in shop.pager().concurrently(workers):
            had.append(row)
            if len(had) == take:
                break
        return had

    async def main() -> None:
        assert await consume() == shop.rows[:take]
        for _ in range(3):
            await asyncio.sleep(0)
        asked = len(shop.asked)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(shop.asked) == asked  # nothing goes on behind the back of who has left
        assert shop.in_flight == 0
        pages = math.ceil(take / SIZE)
        assert asked <= (pages + 2 * workers if pages > 1 else pages)

    run(main())


def test_nothing_is_fetched_before_anybody_asks() -> None:
    shop = Shop(100)

    async def main() -> None:
        pager = shop.pager()
        pages = pager.pages()
        await asyncio.sleep(0)
        assert shop.asked == []
        await anext(pages)
        for _ in range(5):
            await asyncio.sleep(0)
        assert shop.asked == [1]  # the first page does not say that a second is wanted
        await pages.aclose()

    run(main())


def test_awaiting_gives_the_first_page_only() -> None:
    shop = Shop(100)
    page = run(_await(shop.pager(page=3)))
    assert list(page) == shop.rows[20:30]
    assert shop.asked == [3]
    assert page.cursor == Cursor(PATH, {}, 4, SIZE)


async def _await(pager: Pager[int]) -> Any:
    return await pager


@given(st.integers(0, 60), st.integers(1, 5), turns)
@quick
def test_cancelling_at_any_moment_leaves_nothing_behind(after: int, workers: int, wait: Callable[[int], int]) -> None:
    shop = Shop(200, turns=wait)

    async def main() -> None:
        task = asyncio.ensure_future(every(shop.pager().concurrently(workers)))
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError) or outcome == shop.rows
        assert shop.in_flight == 0

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main())


@given(st.lists(st.integers(-25, 25), min_size=12, max_size=12), st.integers(1, 4), turns)
@quick
def test_totals_that_grow_and_shrink(changes: list[int], workers: int, wait: Callable[[int], int]) -> None:
    """Every row that stays where it is comes once; the walk ends where the latest total says."""
    shop = Shop(100, turns=wait)
    served = iter(changes)

    def answer(page: int, size: int) -> list[int] | Exception:
        length = max(30, len(shop.rows) + next(served, 0))
        shop.rows = list(range(length))
        return shop.cut(page, size)

    shop.answer = answer
    got = run(every(shop.pager().concurrently(workers)))
    assert got == list(range(len(got)))
    assert len(got) >= 30


def test_a_list_that_grows_is_walked_to_its_new_end() -> None:
    shop = Shop(20)

    async def main() -> list[int]:
        had = []
        async for row in shop.pager():
            had.append(row)
            if row == 5:
                shop.rows = list(range(57))
        return had

    assert run(main()) == list(range(57))


def test_a_list_that_shrinks_ends_early_and_asks_no_further() -> None:
    shop = Shop(100)

    async def main() -> list[int]:
        had = []
        async for row in shop.pager().concurrently(1):
            had.append(row)
            if row == 5:
                shop.rows = list(range(15))
        return had

    assert run(main()) == list(range(15))
    assert max(shop.asked) <= 3  # one page was under way when the new total came


# --- pages that repeat, lie or are short


@given(st.integers(1, 4))
@quick
def test_a_page_that_repeats_ends_in_an_error_that_says_so(workers: int) -> None:
    shop = Shop(10_000)
    shop.answer = lambda page, size: shop.rows[:size]
    with pytest.raises(BadResponseError, match="page 2 repeats page 1 although CJ counts 10000 records") as caught:
        run(every(shop.pager().concurrently(workers)))
    assert caught.value.cursor == Cursor(PATH, {}, 2, SIZE)
    assert len(shop.asked) <= 2 * workers + 1


def test_without_a_total_pages_come_until_one_is_short() -> None:
    shop = Shop(57, tells_total=False)
    assert run(every(shop.pager())) == shop.rows
    assert shop.asked == [1, 2, 3, 4, 5, 6]
    even = Shop(40, tells_total=False)
    assert run(every(even.pager())) == even.rows
    assert even.asked == [1, 2, 3, 4, 5]


def test_without_a_total_a_page_that_repeats_is_the_end_and_not_doubled() -> None:
    shop = Shop(40, tells_total=False)
    shop.answer = lambda page, size: shop.rows[(min(page, 4) - 1) * size :][:size]
    pager = shop.pager()
    assert run(every(pager)) == shop.rows
    assert pager.cursor is None
    assert shop.asked == [1, 2, 3, 4, 5]


@given(st.integers(0, 3), st.integers(1, 4))
@quick
def test_without_a_total_pages_that_go_round_in_circles_end_and_are_not_doubled(before: int, around: int) -> None:
    shop = Shop((before + around) * SIZE, tells_total=False)
    shop.answer = lambda page, size: shop.cut(
        page if page <= before else before + (page - before - 1) % around + 1, size
    )
    pager = shop.pager()
    assert run(every(pager)) == shop.rows
    assert pager.cursor is None
    assert shop.asked == list(range(1, before + around + 2))


@given(st.integers(0, 90), st.booleans(), st.integers(1, 4), turns)
@quick
def test_pages_shorter_than_asked_for(rows: int, tells_size: bool, workers: int, wait: Callable[[int], int]) -> None:
    """CJ's document says "20, fixed" beside "200 at most"."""
    shop = Shop(rows, fixed_size=4, tells_size=tells_size, turns=wait)
    pager = shop.pager().concurrently(workers)
    assert run(every(pager)) == shop.rows
    assert len(shop.asked) == max(1, math.ceil(rows / 4))
    assert pager.cursor is None


def test_a_short_first_page_does_not_shorten_the_others() -> None:
    shop = Shop(60, tells_size=False)
    shop.answer = lambda page, size: shop.rows[3:10] if page == 1 else shop.cut(page, size)
    assert run(every(shop.pager().concurrently(1))) == shop.rows[3:]


@given(st.integers(1, 6), st.integers(1, 3))
@quick
def test_an_empty_page_that_contradicts_its_total_is_asked_for_again(page: int, times: int) -> None:
    shop = Shop(60)
    empty = Counter({page: times})

    def answer(number: int, size: int) -> list[int] | Exception:
        if empty[number]:
            empty[number] -= 1
            return []
        return shop.cut(number, size)

    shop.answer = answer
    if times <= 2:
        assert run(every(shop.pager())) == shop.rows
        return
    with pytest.raises(BadResponseError, match=f"page {page} is empty although CJ counts 60 records") as caught:
        run(every(shop.pager()))
    assert caught.value.cursor == Cursor(PATH, {}, page, SIZE)


def test_an_empty_list_is_no_contradiction() -> None:
    shop = Shop(0)
    assert run(every(shop.pager())) == []
    assert shop.asked == [1]
    assert run(every(shop.pager(page=7))) == []


# --- failures and going on


@given(st.integers(1, 8), st.integers(1, 4), turns)
@quick
def test_a_failure_comes_in_its_place_and_says_where_to_go_on(
    page: int, workers: int, wait: Callable[[int], int]
) -> None:
    shop = Shop(80, turns=wait)
    shop.answer = lambda number, size: UnavailableError("busy") if number == page else shop.cut(number, size)
    had: list[int] = []

    async def consume(pager: Pager[int]) -> None:
        async for row in pager:
            had.append(row)  # noqa: PERF401 - what was had before the failure counts

    async def main() -> None:
        with pytest.raises(UnavailableError) as caught:
            await consume(shop.pager().concurrently(workers))
        assert had == shop.rows[: (page - 1) * SIZE]
        cursor = caught.value.cursor
        assert cursor == Cursor(PATH, {}, page, SIZE)
        shop.answer = shop.cut
        await consume(shop.pager(cursor=cursor))
        assert had == shop.rows

    run(main())


def test_nothing_more_is_asked_for_once_a_page_has_failed() -> None:
    shop = Shop(300)
    shop.answer = lambda number, size: UnavailableError("busy") if number == 4 else shop.cut(number, size)

    async def main() -> None:
        pages = shop.pager().concurrently(3).pages()
        for _ in range(2):
            await anext(pages)
        for _ in range(20):
            await asyncio.sleep(0)
        assert 4 in shop.asked
        asked = len(shop.asked)
        assert (await anext(pages)).number == 3
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(shop.asked) == asked
        with pytest.raises(UnavailableError):
            await anext(pages)

    run(main())


def test_a_failure_right_after_resuming_does_not_lose_what_was_taken() -> None:
    shop = Shop(30)
    shop.answer = lambda number, size: UnavailableError("busy")
    start = Cursor(PATH, {}, 2, SIZE, 7)
    with pytest.raises(UnavailableError) as caught:
        run(every(shop.pager(cursor=start)))
    assert caught.value.cursor == start
    with pytest.raises(UnavailableError) as awaited:
        run(_await(shop.pager(cursor=start)))
    assert awaited.value.cursor == start


@given(st.integers(0, 75), st.integers(1, 4), st.sampled_from([1, 3, 10]))
@quick
def test_resuming_in_the_middle_of_a_page_equals_going_on(take: int, workers: int, size: int) -> None:
    shop = Shop(75)

    async def main() -> None:
        had: list[int] = []
        first = shop.pager(size=size, colour="red").concurrently(workers)
        assert first.cursor == Cursor(PATH, {"colour": "red"}, 1, size)
        while len(had) < take:
            async for row in first:
                had.append(row)
                if len(had) == take:
                    break
        text = str(first.cursor) if first.cursor is not None else None
        if text is None:
            assert had == shop.rows
            return
        second = shop.pager(cursor=text)
        async for row in second:
            had.append(row)  # noqa: PERF401
        assert had == shop.rows
        assert second.cursor is None

    run(main())


@given(
    st.builds(
        Cursor,
        st.text(st.characters(codec="utf-8"), max_size=20),
        st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(-(2**53), 2**53), max_size=3),
        st.integers(1, 10**6),
        st.integers(1, 200),
        st.integers(0, 200),
    )
)
@quick
def test_a_cursor_is_text_that_reads_back(cursor: Cursor) -> None:
    text = str(cursor)
    assert Cursor.parse(text) == cursor
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


def spoilt(**fields: Any) -> str:
    cursor = {"path": PATH, "params": {}, "page": 1, "size": 10, "offset": 0, **fields}
    return str(Cursor(**cursor))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "\u00e9",
        "....",
        str(Cursor(PATH, {}, 1, 10))[:-3],
        spoilt(page=0),
        spoilt(page=-1),
        spoilt(size=0),
        spoilt(offset=-1),
        spoilt(page="1"),
        spoilt(params={"a": [1]}),
        spoilt(path=5),
        None,
        5,
    ],
)
def test_what_is_no_cursor_is_refused(text: Any) -> None:
    with pytest.raises(ParameterError, match="`cursor`: not one that this library wrote"):
        Cursor.parse(text)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: msgspec.json.encode(b).decode()))
@quick
def test_any_text_is_a_cursor_or_a_parameter_error(text: str) -> None:
    with pytest.raises(ParameterError):
        Cursor.parse(text)


def test_a_cursor_belongs_to_its_question() -> None:
    shop = Shop(10)
    cursor = Cursor(PATH, {"colour": "red"}, 2, SIZE)
    with pytest.raises(ParameterError, match="belongs to another question"):
        shop.pager(cursor=cursor, colour="blue")
    with pytest.raises(ParameterError, match="belongs to another question"):
        shop.pager(cursor=Cursor("other/list", {}, 2, SIZE))
    assert shop.pager(cursor=cursor, colour="red").cursor == cursor


def test_who_prints_a_pager_is_told_what_it_asks_and_how() -> None:
    shown = repr(Shop(10).pager(cursor=Cursor(PATH, {"colour": "red"}, 2, SIZE)))
    assert shown == (
        f"<Pager {PATH} from page 2, {SIZE} rows a page, colour='red': await it for a page, iterate it for all rows>"
    )


def test_concurrency_is_at_least_one() -> None:
    with pytest.raises(ParameterError, match="`concurrency` must be 1 or more, not 0"):
        Shop(1).pager().concurrently(0)


# --- the window that CJ shows


@given(st.integers(0, 120) | st.sampled_from([49, 50, 51]), st.integers(1, 4), st.sampled_from([50, 53, 59]))
@quick
@example(51, 2, 50)
def test_a_walk_that_the_window_cuts_says_how_much_is_missing(rows: int, workers: int, window: int) -> None:
    shop = Shop(rows, window=window)
    had: list[int] = []

    async def main() -> None:
        async for row in shop.pager().concurrently(workers):
            had.append(row)  # noqa: PERF401

    if rows <= 50:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(main())
        assert [warning.category for warning in caught] == ([OutOfReachWarning] if rows == 50 else [])
        assert had == shop.rows
    else:
        with pytest.raises(OutOfReachError, match=f"{rows - 50} are out of reach") as failed:
            run(main())
        assert (failed.value.reachable, failed.value.total) == (50, rows)
        assert had == shop.rows[:50]
    assert max(shop.asked) <= 5
    assert run(_await(shop.pager(page=2))).unreachable == max(0, rows - 50)  # any page tells


def test_listv2_shows_no_page_beyond_its_last_number() -> None:
    shop = Shop(100, max_page=4)
    with pytest.raises(OutOfReachError) as failed:
        run(every(shop.pager()))
    assert failed.value.reachable == 40
    assert max(shop.asked) == 4


def test_the_window_without_limit() -> None:
    shop = Shop(500, window=None)
    assert run(every(shop.pager())) == shop.rows
