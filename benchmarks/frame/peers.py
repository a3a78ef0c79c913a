"""The clients that are compared: each opens, for one path of one origin, a function that makes one call.

They all read the same bytes from the same origin in the same loop. Imports are inside, so that a peer that is not
installed is only left out.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from benchmarks.frame.bodies import LIST, SEARCH
from benchmarks.frame.plain import Unopened, data_of, envelope_of, pydantic_of
from cjasync import CJClient, Plan

Call = Callable[[], Awaitable[Any]]
Opened = AbstractAsyncContextManager[Call]

TOKEN = "x" * 32
PARAMS = {
    LIST: {"pageNum": 1, "pageSize": 200, "productNameEn": "hoodie"},
    SEARCH: {"page": 1, "size": 100, "keyWord": "hoodie"},
    "product/stock/queryByVid": {"vid": "4422587242448157440"},
}
# Every limit is there and booked; none is ever reached.
PLENTY = Plan(qps=1_000_000, ip_qps=1_000_000, daily_calls=10**12, daily_points=10**12)


@asynccontextmanager
async def bare(base: str, path: str) -> AsyncIterator[Call]:
    """aiohttp's `get` and `read`, of a fixed URL, with nothing set."""
    import aiohttp

    url = f"{base}/{path}"
    async with aiohttp.ClientSession() as session:

        async def one() -> bytes:
            async with session.get(url) as response:
                return await response.read()

        yield one


@asynccontextmanager
async def bare_typed(base: str, path: str) -> AsyncIterator[Call]:
    """The same, and one pass of msgspec."""
    decode = msgspec.json.Decoder(envelope_of(path)).decode
    async with bare(base, path) as read:

        async def one() -> Any:
            return decode(await read())

        yield one


@asynccontextmanager
async def bare_json(base: str, path: str) -> AsyncIterator[Call]:
    """The same with aiohttp's own `json()`."""
    import aiohttp

    url = f"{base}/{path}"
    async with aiohttp.ClientSession() as session:

        async def one() -> Any:
            async with session.get(url) as response:
                return await response.json()

        yield one


@asynccontextmanager
async def bare_pydantic(base: str, path: str) -> AsyncIterator[Call]:
    """The same with pydantic."""
    validate = pydantic_of(path).model_validate_json
    async with bare(base, path) as read:

        async def one() -> Any:
            return validate(await read())

        yield one


@asynccontextmanager
async def written(base: str, path: str) -> AsyncIterator[Call]:
    """aiohttp as people write it: parameters and the token with each call, a typed answer."""
    import aiohttp

    url, params = f"{base}/{path}", PARAMS[path]
    decode = msgspec.json.Decoder(envelope_of(path)).decode
    async with aiohttp.ClientSession() as session:

        async def one() -> Any:
            async with session.get(url, params=params, headers={"CJ-Access-Token": TOKEN}) as response:
                response.raise_for_status()
                return decode(await response.read())

        yield one


@asynccontextmanager
async def cheapest(base: str, path: str) -> AsyncIterator[Call]:
    """aiohttp with every setting that saves something: a ready URL, headers on the session, no timeout, no cookies."""
    import aiohttp
    from yarl import URL

    url = URL(f"{base}/{path}?{'&'.join(f'{name}={value}' for name, value in PARAMS[path].items())}", encoded=True)
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"CJ-Access-Token": TOKEN, "Accept": "application/json", "User-Agent": "bench"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=15),
    ) as session:

        async def one() -> bytes:
            async with session.get(url, allow_redirects=False) as response:
                return await response.read()

        yield one


@asynccontextmanager
async def stacked(base: str, path: str) -> AsyncIterator[Call]:
    """backoff, two aiolimiters, parameters, headers and a two-stage decode, simply put on top of each other."""
    import asyncio

    import aiohttp
    import backoff
    from aiolimiter import AsyncLimiter

    url, params = f"{base}/{path}", PARAMS[path]
    rate, day = AsyncLimiter(1_000_000, 1), AsyncLimiter(1_000_000_000, 86_400)
    open_envelope = msgspec.json.Decoder(Unopened).decode
    decode = msgspec.json.Decoder(data_of(path)).decode
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        @backoff.on_exception(backoff.expo, (aiohttp.ClientError, asyncio.TimeoutError), max_tries=4)
        async def one() -> Any:
            async with (
                rate,
                day,
                session.get(url, params=params, headers={"CJ-Access-Token": TOKEN}) as response,
            ):
                response.raise_for_status()
                body = await response.read()
            envelope = open_envelope(body)
            if envelope.code != 200:
                raise RuntimeError(envelope.message)
            return decode(envelope.data)

        yield one


@asynccontextmanager
async def httpx_pydantic(base: str, path: str) -> AsyncIterator[Call]:
    """httpx and pydantic."""
    import httpx

    url, params = f"{base}/{path}", PARAMS[path]
    validate = pydantic_of(path).model_validate_json
    async with httpx.AsyncClient(headers={"CJ-Access-Token": TOKEN}) as client:

        async def one() -> Any:
            return validate((await client.get(url, params=params)).content)

        yield one


def ours(**settings: Any) -> Callable[[str, str], Opened]:
    """cjasync as it comes: admission, retries, deadline, token, envelope, typed rows; limits in memory."""

    @asynccontextmanager
    async def opened(base: str, path: str) -> AsyncIterator[Call]:
        told = {"quota": "memory", "token_store": "memory", "plan": PLENTY, **settings}
        async with CJClient(access_token=TOKEN, base_url=base, **told) as cj:
            yield _calls(cj, path)

    return opened


def _calls(cj: CJClient, path: str) -> Call:
    # Equal reads in flight at the same time would be one request, so each asks something else.
    numbers = itertools.count(1)
    if path == LIST:

        async def one() -> Any:
            return await cj.products.list(page_num=next(numbers), page_size=200, product_name_en="hoodie")

    elif path == SEARCH:

        async def one() -> Any:
            return await cj.products.list_v2(page=next(numbers) % 1000 + 1, size=100, key_word="hoodie")

    else:

        async def one() -> Any:
            return await cj.stock.query_by_vid(str(4422587242448157440 + next(numbers)))

    return one
