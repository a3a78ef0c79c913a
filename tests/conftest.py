"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

pytest_plugins = ["tests.written"]


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
