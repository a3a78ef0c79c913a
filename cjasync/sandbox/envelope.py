"""What CJ wraps its answers in, and how it says no."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import web

from cjasync.sandbox.refusal import Refusal as Refusal
from cjasync.sandbox.settings import Envelope
from cjasync.sandbox.state import ACCOUNT, STATE

_ENDINGS: dict[Envelope, tuple[bytes, bytes]] = {
    "both": (b'{"code":200,"result":true,', b',"success":true'),
    "result": (b'{"code":200,"result":true,', b""),
    "success": (b'{"code":200,"success":true,', b""),
    "zero": (b'{"code":0,', b',"success":true'),
}


class Pieces(list[bytes]):
    """JSON in pieces. A page is two hundred kilobytes: each time it is put together costs more than its rows do."""


def success(
    request: web.Request, data: Any, *, envelope: Envelope = "both", message: str | None = "Success"
) -> web.Response:
    """Answer with `data` (anything msgspec encodes; `bytes` and `Pieces` are taken as JSON) in CJ's envelope.

    `envelope` is the shape that the live endpoint uses; the setting `envelopes` overrides it by path.
    """
    state = request.app[STATE]
    path = request.path.removeprefix(state.prefix)
    head, tail = _ENDINGS[state.settings.envelopes.get(path, envelope)]
    if not isinstance(data, Pieces):
        data = Pieces([data if isinstance(data, bytes) else msgspec.json.encode(data)])
    body = b"".join(
        (
            head,
            b'"message":',
            msgspec.json.encode(message),
            b',"data":',
            *data,
            tail,
            b',"requestId":"',
            str(uuid4()).encode(),
            b'"',
            _points(request),
            b"}",
        )
    )
    return web.Response(body=body, content_type="application/json", charset="utf-8")


def refused(request: web.Request, refusal: Refusal) -> web.Response:
    """The answer that a Refusal stands for."""
    body = b"".join(
        (
            b'{"code":%d,' % refusal.code,
            b'"result":false,' if refusal.result else b"",
            b'"message":',
            msgspec.json.encode(refusal.message),
            b',"data":null,"requestId":"',
            uuid4().hex.encode(),
            b'"',
            _points(request),
            b"}",
        )
    )
    return web.Response(body=body, status=refusal.status, content_type="application/json", charset="utf-8")


def _points(request: web.Request) -> bytes:
    state = request.app[STATE]
    account = request.get(ACCOUNT)
    if account is None or not state.settings.points_info:
        return b""
    info = state.limits.points_info(account)
    return b"" if info is None else b',"pointsInfo":' + msgspec.json.encode(info)
