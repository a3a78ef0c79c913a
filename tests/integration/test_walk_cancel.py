"""A walk that is cancelled anywhere: the CancelledError passes, nothing is left, and it goes on without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from loops import run_clean

from cjasync import CJClient
from cjasync.catalog import walk
from cjasync.catalog.sinks import open_sink, read_rows
from cjasync.models import ListedProduct
from tests.integration.walking import shop

PRODUCTS, WINDOW, PAGE = 900, 400, 200


async def by_hand(cj: CJClient, folder: Path, found: list[str]) -> None:
    """Products one by one."""
    async with walk(cj, checkpoint=folder / "walk.db") as walked:
        async for product in walked:
            found.append(product.pid)  # noqa: PERF401 - what came before a cancellation counts


async def by_itself(cj: CJClient, folder: Path, found: list[str]) -> None:
    """The same, and nobody closes it but the loop."""
    async for product in walk(cj, checkpoint=folder / "walk.db"):
        found.append(product.pid)  # noqa: PERF401 - the same


async def into_a_file(cj: CJClient, folder: Path, found: list[str]) -> None:
    """All into a file, which is looked into when the walk is over."""
    file = folder / "products.jsonl"
    async with (
        walk(cj, checkpoint=folder / "walk.db") as walked,
        await open_sink(file, ListedProduct, question=walked.question) as sink,
    ):
        await walked.into(sink)
    found.extend(row["pid"] for row in read_rows(file, ListedProduct))


class Canceller:
    """A hook that cancels a task a few turns of the loop after so many events."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.left = 0

    def __call__(self, event: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self._cancel(event.call * 7 % 40)

    def _cancel(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._cancel, turns - 1)
        elif self.task is not None:
            self.task.cancel()


@pytest.mark.parametrize(("way", "start"), [(by_hand, 1), (by_itself, 4), (into_a_file, 7)])
def test_cancelled_anywhere_it_goes_on_without_a_gap(way: Callable[..., Any], start: int) -> None:
    async def main() -> None:
        canceller = Canceller()
        async with shop(PRODUCTS, window=WINDOW, client={"hooks": [canceller]}) as (sandbox, cj):
            truth = sandbox.catalogue.pids_now()
            for after in count(start, 9):
                with TemporaryDirectory() as folder:
                    found: list[str] = []
                    canceller.left = after
                    task = canceller.task = asyncio.ensure_future(way(cj, Path(folder), found))
                    await asyncio.wait((task,))
                    canceller.task = None
                    if not task.cancelled():
                        assert sorted(found) == sorted(truth)
                        assert after > 30, "many were cancelled"
                        return
                    before = len(found)
                    await way(cj, Path(folder), found)
                    assert set(found) == truth
                    # The page that was being handed out comes again; a walk that was over is walked anew.
                    assert len(found) <= len(truth) + PAGE or before == len(truth)

    run_clean(main())


async def test_cancelled_while_it_opens_its_checkpoint_it_lets_go_of_the_file(tmp_path: Path) -> None:
    async def opened(cj: CJClient) -> None:
        async with walk(cj, checkpoint=tmp_path / "walk.db"):
            await asyncio.Event().wait()

    async with shop(10) as (_, cj):
        for turns in range(8):
            task = asyncio.ensure_future(opened(cj))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with walk(cj, checkpoint=tmp_path / "walk.db"):
                pass
