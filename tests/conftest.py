"""Fixtures for all tests."""

from __future__ import annotations

import asyncio.constants
import logging
import os
import traceback
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

pytest_plugins = ["tests.written"]

# All loops run in debug mode, those of processes too. Noting where each task, future and handle was made costs more
# than all its checks together, so nothing is noted: raise the 0 to see where something was made that was left behind.
os.environ["PYTHONASYNCIODEBUG"] = "1"
asyncio.constants.DEBUG_STACK_DEPTH = 0  # type: ignore[misc]
traceback.extract_stack.__defaults__ = (None, 0)  # what tasks and futures call
# Debug mode also complains of steps that took long, by the wall clock: of a busy machine, that is.
logging.getLogger("asyncio").addFilter(lambda record: not str(record.msg).startswith("Executing %s took"))


class _Mocked(aioresponses):
    """aioresponses 0.7.9 does not know that responses are made with their request's `stream_writer` by now."""

    def add(self, url: Any, *args: Any, **kwargs: Any) -> None:
        sent = SimpleNamespace(output_size=0)
        kwargs["response_class"] = partial(aiohttp.ClientResponse, stream_writer=sent)
        super().add(url, *args, **kwargs)


@pytest.fixture
def mocked() -> Iterator[aioresponses]:
    """Answers instead of a server: `mocked.get(url, body=...)`."""
    with _Mocked() as answers:
        yield answers


@pytest.fixture(params=["wire", "session"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice: as clients send on their own, and over aiohttp's session, as under an aiohttp that is not known."""
    if request.param == "session":
        monkeypatch.setattr("cjasync._transport.wire._KNOWN_VERSION", False)
