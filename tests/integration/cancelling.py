"""Every place where the library may wait, read from its source, and whether a test has cancelled it there.

To see their list: `python -m tests.integration.cancelling`.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType
from typing import Any, NamedTuple

import pytest

import cjasync

HOUSE = Path(cjasync.__file__).parent
# What is for people and for tests; they are cancelled in tests of their own.
APART = ("cli/", "sandbox/", "testing/")
WALKS = ("catalog/", "_to_the_end")
QUOTA, REDIS = "quota/", "quota/redis"

# Where nobody is cancelled, and why: module and function, or the text of the one `await`.
NEVER = {
    "_clock": "the machine's own; the scenes' clock makes a pause of a few turns",
    "await self._gate.acquire()": "there is room for one more",
    "async with AsyncExitStack() as held": "lets go of the lock, which takes no time",
    "async with asyncio.timeout(LOCK_PATIENCE)": "lets nobody wait by itself",
    "await asyncio.wait(mine)": "waits for tasks that are cancelled already",
    "await self._work": "the walk's work is over when no more comes of it",
    "await job": "the job is over",
    "async with aclosing(self._walk.batches())": "the walk is over, or its end was waited for within",
}


class Place(NamedTuple):
    """A line of the library's."""

    module: str
    function: str
    line: int


class Await(NamedTuple):
    """One `await`, `async for` or `async with`."""

    module: str
    function: str
    first: int
    last: int
    text: str

    def why_never(self) -> str:
        """Why nobody is cancelled here; empty where somebody is."""
        here = (self.module, f"{self.module} {self.function}")
        return next((why for never, why in NEVER.items() if never in here or self.text.startswith(never)), "")

    def is_covered(self) -> bool:
        """Was somebody cancelled here?"""
        return any((self.module, self.function, line) in covered for line in range(self.first, self.last + 1))


covered: set[tuple[str, str, int]] = set()


def awaits(rooms: str | tuple[str, ...] = "", *, apart: tuple[str, ...] = APART) -> Iterator[Await]:
    """All of them in the modules whose paths begin so, but for those `apart`."""
    for path in sorted(HOUSE.rglob("*.py")):
        module = _module(path)
        if module.startswith(rooms) and not module.startswith(apart):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.AsyncFunctionDef):
                    for node in _own_nodes(function):
                        for place in _waits(node):
                            last, text = place.end_lineno or place.lineno, ast.unparse(node).splitlines()[0]
                            yield Await(module, function.name, place.lineno, last, text)


def missed(rooms: str | tuple[str, ...] = "", *, apart: tuple[str, ...] = APART) -> list[str]:
    """Those where somebody should have been cancelled, and nobody was."""
    return [
        f"{each.module}:{each.first} in {each.function}: {each.text}"
        for each in awaits(rooms, apart=apart)
        if not each.why_never() and not each.is_covered()
    ]


def note(error: BaseException) -> None:
    """Which lines of the house the CancelledError has passed."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if (place := _place(frame, line)) is not None:
            covered.add(place)


def note_end(task: asyncio.Task[Any]) -> None:
    """The same of a task that is over, if it was cancelled."""
    if task.cancelled():
        try:
            task.result()
        except asyncio.CancelledError as error:
            note(error)


def waiting_at(task: asyncio.Task[Any]) -> set[Place]:
    """Where it waits now: a traceback lacks what was waited for in an `except` or `finally` clause."""
    found = set()
    waiting: Any = task.get_coro()
    while waiting is not None:
        if isinstance(waiting, CoroutineType):
            frame, inner = waiting.cr_frame, waiting.cr_await
        elif isinstance(waiting, AsyncGeneratorType):
            frame, inner = waiting.ag_frame, waiting.ag_await
        else:  # what stands between `async for` and its generator: it tells the collector whom it holds
            held = gc.get_referents(waiting)
            waiting = next((one for one in held if isinstance(one, CoroutineType | AsyncGeneratorType)), None)
            continue
        if frame is not None and (place := _place(frame, frame.f_lineno)) is not None:
            found.add(place)
        waiting = inner
    return found


async def cancelled_at_new_places(
    act: Callable[[], Any], rooms: str | tuple[str, ...], *, whom: Callable[[asyncio.Task[Any]], set[Any]] | None = None
) -> asyncio.Task[Any]:
    """Begin `act`, and cancel it whenever it, or what it began, waits where nobody was cancelled so far.

    Returns its task, which is over.
    """
    before = tasks()
    task = asyncio.ensure_future(act())
    begun: set[asyncio.Task[Any]] = {task}
    while not task.done():
        await asyncio.sleep(0)
        begun |= tasks() - before
        waiting = set().union(*(waiting_at(one) for one in begun if not one.done()))
        new = {place for place in waiting - covered if place.module.startswith(rooms)}
        if new and not task.done():
            covered.update(new)
            for one in whom(begun) if whom else (task,):
                one.cancel()
    for _ in range(10):  # what was cancelled beside it ends
        await asyncio.sleep(0)
    left = tasks() - before
    assert left == set(), [repr(one) for one in left]
    return task


def tasks() -> set[asyncio.Task[Any]]:
    """All but those of a server in the same loop, which may keep a connection."""
    return {task for task in asyncio.all_tasks() if not _serves(task)}


def _serves(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_filename.endswith("web_protocol.py")


def without_threads(patch: pytest.MonkeyPatch, turns: Callable[[Any], int] = lambda work: 2) -> None:
    """What is done in a thread takes some turns of the loop, so that the same turn is always the same place.

    A cancelled caller does not stop a thread: it is done all the same.
    """

    def done_here(loop: Any, _executor: Any, work: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = loop.create_future()
        try:
            told, outcome = done.set_result, work(*args)
        except Exception as error:
            told, outcome = done.set_exception, error

        def end(left: int) -> None:
            if left:
                loop.call_soon(end, left - 1)
            elif not done.cancelled():
                told(outcome)

        end(turns(work))
        return done

    patch.setattr(asyncio.BaseEventLoop, "run_in_executor", done_here)


def _place(frame: Any, line: int) -> Place | None:
    module = _module_of_ours(frame.f_code.co_filename)
    return None if module is None else Place(module, frame.f_code.co_name, line)


@cache
def _module_of_ours(path: str) -> str | None:
    return _module(Path(path)) if path.startswith(str(HOUSE)) else None


def _module(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").as_posix()


def _waits(node: ast.AST) -> list[ast.expr]:
    """The expressions that are waited for."""
    if isinstance(node, ast.Await):
        return [node]
    if isinstance(node, ast.AsyncFor) or (isinstance(node, ast.comprehension) and node.is_async):
        return [node.iter]
    if isinstance(node, ast.AsyncWith):
        return [item.context_expr for item in node.items]
    return []


def _own_nodes(function: ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """Its nodes without those of functions within it."""
    stack = list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


if __name__ == "__main__":
    for each in awaits():
        why = each.why_never()
        print(f"{each.module} {each.function}: {each.text}" + f"   (not cancelled: {why})" * bool(why))
