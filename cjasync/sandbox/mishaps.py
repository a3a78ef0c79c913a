"""What can go wrong on the wire, one function a kind; `faults.py` decides which request it happens to."""

from __future__ import annotations

import asyncio
import gzip
import random
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, Literal, TypeVar

import msgspec
from aiohttp import web
from msgspec import Raw, Struct

from cjasync.sandbox.scene import REQUEST_ID, Said, Scene

PIECE = 64 * 1024


class Kind(Struct, frozen=True):
    """A mishap: what it does, whether CJ carries the request out first, and whether it needs a reused connection."""

    act: Callable[..., Awaitable[Outcome]]
    executes: bool
    reused_only: bool


Outcome = web.StreamResponse
Act = TypeVar("Act", bound=Callable[..., Awaitable[Outcome]])
KINDS: dict[str, Kind] = {}


def kind(*, executes: bool, reused_only: bool = False) -> Callable[[Act], Act]:
    """Register a mishap under its function's name."""

    def register(act: Act) -> Act:
        KINDS[act.__name__] = Kind(act, executes, reused_only)
        return act

    return register


def spoil(body: bytes, field: str, raw: bytes) -> bytes:
    """The JSON object with the value of every `field`, or of a new one, replaced by these raw bytes."""
    found = False

    def walk(value: Any) -> Any:
        nonlocal found
        if isinstance(value, dict):
            found = found or field in value
            return {key: Raw(raw) if key == field else walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    document = walk(msgspec.json.decode(body))
    return msgspec.json.encode(document if found else {**document, field: Raw(raw)})


@lru_cache(maxsize=2)
def bomb(size: int) -> bytes:
    """Gzip of a JSON answer with a text of that many bytes: about a thousandth of it on the wire."""
    squeeze = zlib.compressobj(1, wbits=31)
    parts = [squeeze.compress(b'{"code":200,"result":true,"data":"')]
    parts += [squeeze.compress(b"a" * min(1 << 20, size - start)) for start in range(0, size, 1 << 20)]
    parts += [squeeze.compress(b'"}'), squeeze.flush()]
    return b"".join(parts)


# --- refusals and other people's answers


@kind(executes=False)
async def refuse(
    scene: Scene,
    *,
    code: int = 1600000,
    message: str | None = "System busy, please try again later.",
    status: int = 200,
    fields: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> Outcome:
    """CJ says no, in any form: `fields` are added to the envelope, those named in `without` are left out."""
    envelope = {"code": code, "result": False, "message": message, "data": None, "requestId": REQUEST_ID}
    envelope |= {"success": False, **(fields or {})}
    return web.json_response({key: value for key, value in envelope.items() if key not in without}, status=status)


@kind(executes=False)
async def status(
    scene: Scene,
    *,
    status: int = 503,
    body: str = "",
    content_type: str = "text/plain",
    headers: Mapping[str, str] | None = None,
) -> Outcome:
    """An HTTP status from a gateway; with a `Location` header a redirect."""
    return web.Response(status=status, text=body, content_type=content_type, headers=headers)


@kind(executes=False)
async def html(scene: Scene, *, status: int = 200) -> Outcome:
    """A page for people: a login, a challenge, a maintenance notice."""
    page = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body><h1>Checking</h1></body></html>"
    return web.Response(status=status, text=page, content_type="text/html")


@kind(executes=False)
async def not_json(scene: Scene, *, text: str = "DNS resolution failure", status: int = 200) -> Outcome:
    """Bare text, as a proxy was seen to answer."""
    return web.Response(status=status, text=text)


@kind(executes=False)
async def not_http(scene: Scene) -> Outcome:
    """Bytes that are no HTTP at all."""
    return Said(b"\x15\x03\x01\x00\x02\x02\x50 these are not the headers you look for\r\n\r\n")


@kind(executes=False)
async def empty(scene: Scene, *, status: int = 200) -> Outcome:
    """A status and no body."""
    return web.Response(status=status, content_type="application/json")


@kind(executes=False)
async def transient_empty(scene: Scene, *, data: Any = None) -> Outcome:
    """Success with nothing in it, for something that exists."""
    return web.json_response(
        {"code": 200, "result": True, "message": "Success", "data": data, "requestId": REQUEST_ID, "success": True}
    )


# --- connections that end


@kind(executes=False)
async def close_before(scene: Scene, *, reset: bool = False) -> Outcome:
    """The connection ends without a byte: orderly, or with a reset."""
    transport = scene.request.transport
    if reset and transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return Said()


@kind(executes=True)
async def execute_then_drop(scene: Scene, *, reset: bool = False) -> Outcome:
    """The request was carried out, and no byte of the answer comes back."""
    return await close_before(scene, reset=reset)


@kind(executes=False, reused_only=True)
async def drop_kept_alive(scene: Scene) -> Outcome:
    """An idle connection ends as the next request arrives on it: aiohttp sends a GET again without a word."""
    return Said()


@kind(executes=True)
async def close_headers(scene: Scene) -> Outcome:
    """The connection ends behind the head."""
    return Said(scene.head(length=len(scene.body)))


@kind(executes=True)
async def close_body(scene: Scene, *, fraction: float = 0.5) -> Outcome:
    """The connection ends in the middle of a chunk."""
    part = scene.body[: int(len(scene.body) * fraction)]
    return Said(scene.head("Transfer-Encoding: chunked") + f"{len(scene.body):x}\r\n".encode() + part)


@kind(executes=True)
async def close_after(scene: Scene) -> Outcome:
    """A complete answer that promises to keep the connection, which then ends at once."""
    return Said(scene.head(length=len(scene.body)) + scene.body)


@kind(executes=True)
async def truncate(scene: Scene, *, fraction: float = 0.5, announced: bool = True) -> Outcome:
    """Part of the body, then the end; not `announced`, there was no length and nothing looks amiss to HTTP."""
    part = scene.body[: int(len(scene.body) * fraction)]
    if announced:
        return Said(scene.head(length=len(scene.body)) + part)
    return Said(scene.head("Connection: close") + part)


@kind(executes=True)
async def wrong_length(scene: Scene, *, by: int = -5) -> Outcome:
    """A length that is off: too short leaves rubbish on the kept connection, too long is waited for in vain."""
    message = scene.head(length=max(0, len(scene.body) + by)) + scene.body
    return Said(message, keep=True) if by <= 0 else await scene.hold(message)


# --- slow, late, never


@kind(executes=True)
async def delay(scene: Scene, *, seconds: float = 1.0) -> Outcome:
    """The true answer, that much later."""
    await scene.clock.sleep(seconds)
    return scene.answer


@kind(executes=True)
async def slow_drip(scene: Scene, *, size: int = 1, pause: float = 0.05) -> Outcome:
    """The true answer, `size` bytes at a time with a pause between."""
    response = web.StreamResponse(status=scene.answer.status, headers={"Content-Type": "application/json"})
    response.content_length = len(scene.body)
    await response.prepare(scene.request)
    for start in range(0, len(scene.body), size):
        await response.write(scene.body[start : start + size])
        await scene.clock.sleep(pause)
    return response


@kind(executes=False)
async def stall(scene: Scene, *, after_headers: bool = False) -> Outcome:
    """No answer, and no end."""
    return await scene.hold(scene.head(length=len(scene.body)) if after_headers else b"")


# --- bodies that cannot be read, or should not be


@kind(executes=True)
async def bad_gzip(scene: Scene, *, form: Literal["garbage", "truncated", "checksum"] = "garbage") -> Outcome:
    """Declared gzip that is none, ends too early, or fails its checksum."""
    whole = gzip.compress(scene.body, 1, mtime=0)
    forms = {
        "garbage": random.Random(0).randbytes(len(whole)),
        "truncated": whole[: len(whole) // 2],
        "checksum": whole[:-8] + bytes(byte ^ 0xFF for byte in whole[-8:-4]) + whole[-4:],
    }
    return Said(scene.head("Content-Encoding: gzip", length=len(forms[form])) + forms[form], keep=True)


@kind(executes=False)
async def gzip_bomb(scene: Scene, *, size: int = 64 * 2**20) -> Outcome:
    """Few bytes on the wire, `size` bytes once unpacked."""
    packed = await asyncio.to_thread(bomb, size)
    return Said(scene.head("Content-Encoding: gzip", length=len(packed)) + packed, keep=True)


@kind(executes=False)
async def huge_body(scene: Scene, *, size: int = 200 * 2**20, announced: bool = True) -> Outcome:
    """Valid JSON of about `size` bytes, streamed; not `announced`, in chunks without a length."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    before, after = b'{"code":200,"result":true,"data":"', b'"}'
    if announced:
        response.content_length = len(before) + size + len(after)
    else:
        response.enable_chunked_encoding()
    await response.prepare(scene.request)
    await response.write(before)
    for start in range(0, size, PIECE):
        await response.write(b"a" * min(PIECE, size - start))
    await response.write(after)
    return response


def _altered(scene: Scene, body: bytes) -> web.Response:
    return web.Response(status=scene.answer.status, body=body, content_type="application/json")


@kind(executes=True)
async def wrong_content_type(scene: Scene, *, content_type: str = "text/html") -> Outcome:
    """The true answer under a false label."""
    return web.Response(status=scene.answer.status, body=scene.body, content_type=content_type)


@kind(executes=True)
async def bad_utf8(scene: Scene, *, field: str = "message") -> Outcome:
    """Bytes that are no UTF-8 in the text of `field`, wherever it occurs."""
    return _altered(scene, spoil(scene.body, field, b'"caf\xe9 \xff\xfe"'))


@kind(executes=True)
async def duplicate_keys(scene: Scene, *, first: bool = True) -> Outcome:
    """A refusal and the true answer in one object, key by key; the refusal's keys `first`, or last."""
    refusal = b'"code":1600000,"result":false,"success":false,"data":null'
    inner = scene.body.strip()[1:-1]
    return _altered(scene, b"{" + (refusal + b"," + inner if first else inner + b"," + refusal) + b"}")


@kind(executes=True)
async def deep_json(scene: Scene, *, depth: int = 10_000, field: str = "data", keys: bool = False) -> Outcome:
    """Arrays within arrays in the place of `field`, or keys within keys."""
    nested = b'{"a":' * depth + b"1" + b"}" * depth if keys else b"[" * depth + b"]" * depth
    return _altered(scene, spoil(scene.body, field, nested))


@kind(executes=True)
async def huge_number(scene: Scene, *, digits: int = 400, field: str = "code") -> Outcome:
    """A number of that many digits in the place of `field`."""
    return _altered(scene, spoil(scene.body, field, b"7" * digits))
