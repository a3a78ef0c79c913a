"""The bodies that are read and decoded, as the sandbox makes them: account, stock, and pages of both listings."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.frame.fresh import in_fresh_process
from cjasync.config import Plan

LIST, SEARCH = "product/list", "product/listV2"
ACCOUNT, STOCK = "setting/get", "product/stock/queryByVid"
NO_LIMITS = Plan(
    qps=None,
    ip_qps=None,
    accounts_per_ip=None,
    daily_calls=None,
    daily_points=None,
    list_window=None,
    listv2_window=None,
)


def file_of(folder: Path, path: str, number: int = 0) -> Path:
    """Where the body of a call lies: `product.list`, further pages `product.list.1` and so on."""
    return folder / (path.replace("/", ".") + (f".{number}" if number else ""))


@contextmanager
def bodies(*, list_pages: int = 1, search_pages: int = 1) -> Iterator[Path]:
    """A folder with one body of each call, or with that many pages (200 rows of LIST, 100 of SEARCH)."""
    with tempfile.TemporaryDirectory(prefix="cjasync-bench-") as folder:
        in_fresh_process(make, folder, list_pages, search_pages, core=None)
        yield Path(folder)


def pages(folder: Path, path: str = LIST) -> Iterator[bytes]:
    """All pages of a listing in the folder, one after another."""
    number = 0
    while (file := file_of(folder, path, number)).exists():
        yield file.read_bytes()
        number += 1


def make(folder: str, list_pages: int, search_pages: int) -> None:
    """Ask a sandbox for the bodies."""
    asyncio.run(_make(Path(folder), list_pages, search_pages))


async def _make(folder: Path, list_pages: int, search_pages: int) -> None:
    import aiohttp

    from cjasync.sandbox import Sandbox

    products = max(2_000, 200 * list_pages, 100 * search_pages)
    async with (
        Sandbox(products=products, plan=NO_LIMITS, list_window=None, listv2_window=None) as sandbox,
        aiohttp.ClientSession(headers={"CJ-Access-Token": sandbox.access_token}) as session,
    ):

        async def fetch(path: str, number: int = 0, **params: Any) -> bytes:
            async with session.get(f"{sandbox.base_url}/{path}", params=params) as response:
                body = await response.read()
            assert b'"code":200' in body, body[:200]
            file_of(folder, path, number).write_bytes(body)
            return body

        for n in range(list_pages):
            await fetch(LIST, n, pageNum=n + 1, pageSize=200)
        for n in range(search_pages):
            await fetch(SEARCH, n, page=n + 1, size=100)
        await fetch(ACCOUNT)
        for row in msgspec.json.decode(next(pages(folder)))["data"]["list"]:
            variants = msgspec.json.decode(await fetch("product/variant/query", pid=row["pid"]))["data"]
            if variants:  # not every product has some
                await fetch(STOCK, vid=variants[0]["vid"])
                return
