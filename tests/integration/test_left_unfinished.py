"""Who leaves an `async for` early leaves nothing behind, also where nobody but the collector or the loop closes it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from loops import Kind, run_clean

from cjasync import CJClient
from cjasync.catalog import walk
from tests.integration.cancelling import tasks
from tests.integration.walking import pids, shop

Rows = AsyncGenerator[Any, None]


async def endless() -> AsyncIterator[str]:
    for number in count():
        await asyncio.sleep(0)
        yield str(number)


LEFT: dict[str, Callable[[CJClient, Path], Rows]] = {
    "rows": lambda cj, _: aiter(cj.products.list(page_size=5)),
    "pages": lambda cj, _: cj.products.list(page_size=5).pages(),
    "bulk": lambda cj, _: cj.bulk(cj.products.query, endless(), key="pid"),
    "bulk in order": lambda cj, _: cj.bulk(cj.products.query, map(str, range(1000)), key="pid", ordered=True),
    "walk": lambda cj, folder: aiter(walk(cj, checkpoint=folder / "walk.db")),
}


async def broken_off(rows: list[Rows]) -> None:
    """By a plain `break`."""
    taken = 0
    async for _ in rows.pop():
        taken += 1
        if taken == 9:
            break


async def collected(rows: list[Any]) -> None:
    """By the collector, which finds what it is made of in any order."""
    for _ in range(9):
        await anext(rows[0])
    rows.append(rows)
    del rows
    gc.collect()


@pytest.mark.parametrize("kind", ["debug", "uvloop"])
@pytest.mark.parametrize("leave", [broken_off, collected])
@pytest.mark.parametrize("left", LEFT)
def test_nothing_is_left_and_it_may_begin_again_at_once(
    left: str, leave: Callable[[list[Any]], Any], kind: Kind, tmp_path: Path
) -> None:
    async def main() -> None:
        async with shop(450, window=400) as (sandbox, cj):
            before = tasks()
            for _ in range(2):
                await leave([LEFT[left](cj, tmp_path)])
            if left == "walk":
                found = await pids(cj, checkpoint=tmp_path / "walk.db")
                assert set(found) == sandbox.catalogue.pids_now()
            async with asyncio.timeout(5):
                while tasks() - before:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.001)
            assert not cj.engine.services.transport._session.connector._acquired

    run_clean(main(), kind)


@pytest.mark.parametrize("left", LEFT)
def test_the_end_of_the_loop_closes_it(left: str, tmp_path: Path) -> None:
    held: list[Rows] = []
    complaints: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with shop(450, window=400) as (_, cj):
            held.append(LEFT[left](cj, tmp_path))
            for _ in range(9):
                await anext(held[0])

    asyncio.run(main())
    held.clear()
    gc.collect()
    assert complaints == []
