"""CancelledError passes at every await of a walk and of its sinks, and the walk goes on as if nothing had been.

Each scene is begun, cancelled where nobody was cancelled so far, also while it is ending for an earlier cancellation,
and begun again on the files that are left, until it gets through: then everything is there, once.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from loops import run_clean

from cjasync import AuthError, CJClient, CJError
from cjasync.catalog import walk
from cjasync.catalog.delivered import Delivered
from cjasync.catalog.details import DETAILS
from cjasync.catalog.sinks import Batch, open_sink, read_rows
from cjasync.models import ListedProduct
from cjasync.quota import MemoryStore
from cjasync.sandbox import Fault, Sandbox
from cjasync.sandbox.faults import every
from tests.integration import cancelling
from tests.integration.walking import LeapingClock, Shelf, shop, unlimited
from tests.sink_rows import NOON, batch

PRODUCTS, WINDOW = 450, 400


@pytest.fixture(autouse=True)
def _small_and_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # To read what was delivered before takes so long that answers come first.
    cancelling.without_threads(monkeypatch, lambda work: 300 if Delivered.of in getattr(work, "args", ()) else 2)
    monkeypatch.setattr(sys.modules[walk.__module__], "LEAST_PAGES", 1)


async def by_hand(cj: CJClient, folder: Path, found: list[str], **arguments: Any) -> None:
    """Products one by one, and nobody closes the walk but the loop."""
    async for product in walk(cj, checkpoint=folder / "walk.db", **arguments):
        found.append(product.pid)  # noqa: PERF401 - what came before a cancellation counts


async def broken_off(cj: CJClient, folder: Path, found: list[str]) -> None:
    """The same, a few at a time."""
    before = len(found)
    async with aclosing(aiter(walk(cj, checkpoint=folder / "walk.db"))) as products:
        async for product in products:
            found.append(product.pid)
            if len(found) == before + 210:
                break
    if len(found) >= before + 210:
        await by_hand(cj, folder, found)


async def kept_waiting(cj: CJClient, folder: Path, found: list[str]) -> None:
    """Pages that are not told to be safe until there are too many of them."""
    async with walk(cj, checkpoint=folder / "walk.db") as walked, aclosing(walked.batches()) as batches:
        async for delivery in batches:
            found += [row.pid for row in delivery.rows]
            for _ in range(300):
                await asyncio.sleep(0)
            walked.commit(delivery.token)
        await walked.finish()


def into(suffix: str, **arguments: Any) -> Callable[..., Any]:
    """All into files."""

    async def act(cj: CJClient, folder: Path, found: list[str]) -> None:
        file, beside = folder / f"products{suffix}", folder / f"details{suffix}"
        async with AsyncExitStack() as stack:
            walked = walk(cj, checkpoint=folder / "walk.db", **arguments)
            told: dict[str, Any] = {}
            sink = await stack.enter_async_context(await open_sink(file, ListedProduct, question=walked.question))
            if details := arguments.get("with_"):
                model = DETAILS[details].model
                told["details"] = await stack.enter_async_context(
                    await open_sink(beside, model, question=walked.question)
                )
            await walked.into(sink, **told)
        pids = [row["pid"] for row in read_rows(file, ListedProduct)]
        assert len(pids) == len(set(pids))
        if told:
            asked = [row["pid"] for row in read_rows(beside, model)]
            assert len(asked) == len(set(asked)) > 0.8 * len(pids)
        found += pids

    return act


def into_a_slow_shelf() -> Callable[..., Any]:
    """Into a sink of the user's, which takes its time."""
    shelf = Slow()

    async def act(cj: CJClient, folder: Path, found: list[str]) -> None:
        await walk(cj, checkpoint=folder / "walk.db").into(shelf)
        found += shelf.rows

    return act


class Slow(Shelf):
    async def write(self, rows: Batch[Any]) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        await super().write(rows)


class SlowStore(MemoryStore):
    """Limits that take a moment to look at."""

    async def read(self, *args: Any) -> Any:
        await asyncio.sleep(0)
        return await super().read(*args)


async def side_by_side(cj: CJClient, folder: Path, found: list[str]) -> None:
    """Many use one file at once, with more rows at a time than the loop could bear."""
    many = batch(*map(str, range(2100)))
    async with await open_sink(folder / "things.sqlite", type(many[0])) as sink:
        await asyncio.gather(sink.write(many), sink.write(many), sink.held("fetched_at", None, None))
        await asyncio.gather(sink.commit(b"1"), sink.tombstone(["1"], NOON), sink.commit(b"1"), sink.abort())
    async with await open_sink(folder / "things.sqlite", type(many[0])) as sink:
        await sink.write(many)
        await asyncio.gather(sink.commit(b"2"), sink.finish())
    assert len([*read_rows(folder / "things.sqlite", type(many[0]))]) == 2100


class Scene:
    """What is done with which shop, and what has been done before."""

    def __init__(
        self,
        act: Callable[..., Any],
        *,
        before: Callable[[Sandbox, CJClient, Path], Any] | None = None,
        faults: Callable[[Sandbox], list[Fault]] = lambda _: [],
        walks: bool = True,
        products: int = PRODUCTS,
        errors: tuple[type[CJError], ...] = (),
        shop: dict[str, Any] | None = None,
        **client: Any,
    ) -> None:
        self.act = act
        self.before = before
        self.faults = faults
        self.walks = walks
        self.products = products
        self.errors = errors  # after which one goes on, as after a cancellation
        self.shop = shop or {}
        self.client = client


async def an_earlier_walk(sandbox: Sandbox, cj: CJClient, folder: Path) -> None:
    """Some of what it found is gone by now."""
    await into(".sqlite")(cj, folder, [])
    for pid in sandbox.catalogue.pids[::50]:
        sandbox.catalogue.delete(pid)


def without_stock(sandbox: Sandbox) -> list[Fault]:
    """CJ is never able to say it of those that are asked about first and last."""
    pids = sandbox.catalogue.pids
    doubtful = {*pids[:2], *pids[-2:]}
    return [Fault("status", "product/stock/*", when=lambda request: request.query["pid"] in doubtful, status=503)]


USED_UP = {"code": 16900500, "message": "Insufficient API points"}
NOTHING = {"total": 0, "list": []}
TIMES = frozenset({"createTimeFrom", "createTimeTo"})
LATE = Fault("delay", "product/list", seconds=0.01)
SCENES = {
    "by hand": Scene(by_hand),
    "broken off": Scene(broken_off),
    "kept waiting": Scene(kept_waiting, products=2500),
    "into a file": Scene(into(".jsonl")),
    "into a database": Scene(into(".sqlite")),
    "into a database of an earlier walk": Scene(into(".sqlite"), before=an_earlier_walk, shop={"null_times": 0.1}),
    "into a database of an earlier walk that was one question": Scene(
        into(".sqlite"), before=an_earlier_walk, products=150, shop={"window": 6000}
    ),
    "into a database of an earlier walk, whose times were not looked at": Scene(
        into(".sqlite"), before=an_earlier_walk, shop={"null_times": 0.0, "ignored": TIMES}
    ),
    "into a slow sink": Scene(into_a_slow_shelf()),
    "while the categories are long in coming": Scene(
        by_hand, faults=lambda _: [Fault("delay", "product/getCategory", seconds=0.03)]
    ),
    # Nearly all points for details: those of one window are all there before the next brings more products.
    "with products": Scene(into(".jsonl", with_="query", details_share=0.99), shop={"window": 200, "null_times": 0.0}),
    "with stock that CJ is in doubt about": Scene(
        into(".jsonl", with_="stock"),
        products=60,
        faults=without_stock,
    ),
    "while CJ is down": Scene(by_hand, faults=lambda _: [Fault("status", "product/list", nth=range(3, 9), status=503)]),
    "what CJ knows a moment later": Scene(
        by_hand, faults=lambda _: [Fault("transient_empty", "product/list", times=2, data=NOTHING)]
    ),
    "until there are more points": Scene(
        partial(by_hand, wait=True), faults=lambda _: [Fault("refuse", "product/list", times=1, **USED_UP)]
    ),
    "until there are more calls": Scene(
        partial(by_hand, wait=True), quota=SlowStore, plan=unlimited(list_window=WINDOW, daily_calls=4)
    ),
    "refused while others are under way": Scene(
        by_hand,
        products=1500,
        faults=lambda _: [Fault("status", "product/list", nth=every(4), times=9, status=403), LATE],
        errors=(AuthError,),
    ),
    "side by side": Scene(side_by_side, walks=False),
}


played: set[str] = set()


@pytest.mark.parametrize("name", SCENES)
def test_cancelled_everywhere_it_goes_on_and_gets_through(name: str, tmp_path: Path) -> None:
    scene = SCENES[name]
    played.add(name)

    async def main() -> None:
        client = {name: value() if callable(value) else value for name, value in scene.client.items()}
        told: dict[str, Any] = {"window": WINDOW, "client": {"clock": LeapingClock(), **client}, **scene.shop}
        async with shop(scene.products, **told) as (sandbox, cj):
            if scene.before is not None:
                await scene.before(sandbox, cj, tmp_path)
            truth = sandbox.catalogue.pids_now()
            sandbox.faults.add(*scene.faults(sandbox))
            found: list[str] = []
            through = False
            while not through:
                task = await cancelling.cancelled_at_new_places(
                    lambda: scene.act(cj, tmp_path, found), cancelling.WALKS
                )
                assert open_files(tmp_path) == []
                through = not task.cancelled() and not isinstance(task.exception(), scene.errors)
                if through:
                    task.result()
            assert set(found) >= truth or not scene.walks

    run_clean(main())


def open_files(folder: Path) -> list[Path]:
    """Those in the folder that this process holds."""
    held = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            held.append(each.readlink())
    return [path for path in held if path.is_relative_to(folder)]


def test_that_was_every_await_there_is(tmp_path: Path) -> None:
    """Says what the scenes have missed; it plays those that were not played yet."""
    for number, name in enumerate(sorted(SCENES.keys() - played)):
        (folder := tmp_path / str(number)).mkdir()
        test_cancelled_everywhere_it_goes_on_and_gets_through(name, folder)
    assert cancelling.missed(cancelling.WALKS) == []
