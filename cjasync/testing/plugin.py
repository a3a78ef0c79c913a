"""pytest fixtures: an embedded CJ and a client that talks to it. Needs pytest-asyncio in its mode "auto".

Example::

    from cjasync.testing.plugin import sandbox_client

    async def test_my_import(cj):
        page = await cj.products.list_v2(key_word="hoodie")

    async def test_many(make_sandbox):
        async with make_sandbox(products=5000, list_window=None) as sandbox:
            async with sandbox_client(sandbox) as cj: ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from cjasync import CJClient
    from cjasync.sandbox import Sandbox

F = TypeVar("F", bound=Callable[..., Any])


def _async_fixture(function: F) -> F:
    """A fixture of pytest-asyncio; this module is loaded by every pytest, also where nobody tests asyncio."""
    fixture: Any = pytest.fixture
    with suppress(ImportError):
        fixture = import_module("pytest_asyncio").fixture
    return cast("F", fixture(function))


def sandbox_client(sandbox: Sandbox, **settings: Any) -> CJClient:
    """A client of that sandbox under the sandbox's own plan, with limits and tokens kept in memory."""
    from cjasync import CJClient

    told = {
        "quota": "memory",
        "token_store": "memory",
        "plan": sandbox.settings.plan,
        "base_url": sandbox.base_url,
        **settings,
    }
    if "api_key" not in told:
        told.setdefault("access_token", sandbox.access_token)
    return CJClient(**told)


@pytest.fixture
def make_sandbox() -> Callable[..., Sandbox]:
    """Make a sandbox: `async with make_sandbox(products=..., seed=..., plan=...)`; without a plan it has no limits."""
    from cjasync import Plan
    from cjasync.sandbox import Sandbox

    def make(**settings: Any) -> Sandbox:
        free = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)
        return Sandbox(**{"products": 500, "seed": 1, "plan": free, **settings})

    return make


@_async_fixture
async def cj_sandbox(make_sandbox: Callable[..., Sandbox]) -> AsyncIterator[Sandbox]:
    """An embedded CJ with 500 products and no limits."""
    async with make_sandbox() as sandbox:
        yield sandbox


@_async_fixture
async def cj(cj_sandbox: Sandbox) -> AsyncIterator[CJClient]:
    """A client of `cj_sandbox`."""
    async with sandbox_client(cj_sandbox) as client:
        yield client
