"""Running a test's coroutine on other event loops, and looking for what it left behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import uvloop

from cjasync.testing.clock import VirtualLoop

Kind = Literal["asyncio", "debug", "uvloop", "virtual"]
MAKERS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "debug": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
    "virtual": VirtualLoop,
}


def run_clean(main: Coroutine[Any, Any, Any], kind: Kind = "debug") -> Any:
    """Run it, by default in debug mode; no task, complaint of the loop, unclosed thing or warning may be left."""
    complaints: list[dict[str, Any]] = []
    gc.freeze()  # what was there before need not be looked through afterwards

    async def alone() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        result = await main
        for _ in range(5):  # what was cancelled ends, what was closed is gone
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert left == set()
        return result

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with asyncio.Runner(loop_factory=MAKERS[kind], debug=kind == "debug") as runner:
            result = runner.run(alone())
        gc.collect()
        gc.unfreeze()
    assert not complaints, complaints
    return result
