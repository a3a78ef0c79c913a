"""What tests and demos may ask the sandbox itself; CJ has nothing like it, and nothing here is counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
from aiohttp import web

from cjasync.sandbox.product import Product
from cjasync.sandbox.state import STATE, State

_CHUNK = 2000


def routes(state: State) -> list[web.RouteDef]:
    """GET /_sandbox/stats and /_sandbox/truth."""
    return [web.get("/_sandbox/stats", stats), web.get("/_sandbox/truth", truth)]


async def stats(request: web.Request) -> web.StreamResponse:
    """Requests, refusals and the fullest seconds, as JSON."""
    return web.Response(body=msgspec.json.encode(request.app[STATE].report()), content_type="application/json")


async def truth(request: web.Request) -> web.StreamResponse:
    """Every product held now, one JSON object a line; `?delisted=0` without those off the shelves."""
    catalogue = request.app[STATE].catalogue
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    lines = _lines(catalogue.truth(delisted=request.query.get("delisted") != "0"))
    while chunk := list(islice(lines, _CHUNK)):
        await response.write(b"".join(chunk))
    return response


def _lines(products: Iterator[Product]) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    for product in products:
        yield encode(truth_of(product)) + b"\n"


def truth_of(product: Product) -> dict[str, Any]:
    """A product in plain values: money as text, category as its id and name."""
    values = msgspec.structs.asdict(product)
    category = values.pop("category")
    return values | {"category_id": category.id, "category_name": category.name}
