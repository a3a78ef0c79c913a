"""Every fault of the sandbox, seen from the other end of the socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync.errors import ConfigError
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault, Faults, every
from cjasync.sandbox.mishaps import KINDS, REQUEST_ID, bomb, spoil

ANSWER = {
    "code": 200,
    "result": True,
    "message": "Success",
    "data": {"total": 2, "list": [{"pid": "1", "sellPrice": "1.50"}, {"pid": "2", "sellPrice": "2.50"}]},
    "requestId": "abc",
}
BODY = json.dumps(ANSWER).encode()
PATH = "/api2.0/v1/product/list"
PATIENCE = 5


class Virtual:
    """A clock on which every wait is over at once, and written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return sum(self.slept)

    def time(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(*rules: Fault, clock: object | None = None) -> AsyncIterator[SimpleNamespace]:
    """A service that answers ANSWER, behind these faults; it counts what really reached it."""
    faults = Faults(clock) if clock is not None else Faults()
    faults.add(*rules)
    executed: Counter[str] = Counter()
    arrived: Counter[str] = Counter()

    @web.middleware
    async def through_faults(request, handler):
        call = arrived.total() + 1
        arrived[request.path] += 1
        response = await faults.before(request, call)
        if response is None:
            response = await handler(request)
        return await faults.after(request, call, response)

    async def answer(request):
        executed[request.method] += 1
        return web.Response(body=BODY, content_type="application/json")

    app = web.Application(middlewares=[through_faults])
    app.router.add_route("*", "/{path:.*}", answer)
    app.on_shutdown.append(faults.close)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=PATIENCE)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with asyncio.timeout(4 * PATIENCE):
            yield SimpleNamespace(
                faults=faults, executed=executed, arrived=arrived, host=host, port=port, url=f"http://{host}:{port}"
            )
    finally:
        async with asyncio.timeout(PATIENCE):
            await runner.cleanup()


class Wire:
    """A connection without any HTTP cleverness of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, method: str = "GET", path: str = PATH, body: bytes = b"") -> None:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nHost: sandbox\r\n{length}\r\n".encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        first, *rest = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        return int(first.split()[1]), {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in rest)
        }

    async def whole(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def ended(self) -> bytes:
        """What comes until the other side closes."""
        return await self.reader.read()


@asynccontextmanager
async def wire(server: SimpleNamespace) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


async def idle(faults: Faults) -> None:
    while faults.acting:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def busy(faults: Faults) -> None:
    while not faults.acting:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def ask(rule: Fault, **clock: object) -> tuple[int, dict[str, str], bytes]:
    """One request with a whole answer, and then another on the same connection, to see that it still serves."""
    async with serving(rule, **clock) as server, wire(server) as line:
        line.send()
        result = await line.whole()
        server.faults.clear()
        line.send()
        assert (await line.whole())[2] == BODY
        return result


# --- answers that are not CJ's


async def test_refusals_come_in_any_form():
    status, _, body = await ask(
        Fault("refuse", code=1600200, message="QPS limit is 1 time/1second", without=("result",))
    )
    assert status == 200
    assert json.loads(body) == {
        "code": 1600200,
        "message": "QPS limit is 1 time/1second",
        "data": None,
        "requestId": REQUEST_ID,
        "success": False,
    }
    status, _, body = await ask(Fault("refuse", code=429, status=429, fields={"pointsInfo": {"remaining": 0}}))
    assert (status, json.loads(body)["code"], json.loads(body)["pointsInfo"]) == (429, 429, {"remaining": 0})


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
async def test_statuses(status):
    seen, headers, body = await ask(Fault("status", status=status, body="upstream", headers={"X-From": "gateway"}))
    assert (seen, headers["x-from"], body) == (status, "gateway", b"upstream")


async def test_a_redirect_leads_to_another_host():
    async with (
        serving() as elsewhere,
        serving(Fault("status", status=302, headers={"Location": f"{elsewhere.url}/stolen"})) as server,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(server.url + PATH) as answer:
            assert await answer.read() == BODY
        assert elsewhere.arrived == {"/stolen": 1}
        assert not server.executed


@pytest.mark.parametrize(
    ("rule", "content_type", "start"),
    [
        (Fault("html"), "text/html", b"<!DOCTYPE html>"),
        (Fault("not_json"), "text/plain", b"DNS resolution failure"),
        (Fault("empty"), "application/json", b""),
        (Fault("wrong_content_type"), "text/html", BODY),
    ],
)
async def test_what_is_no_json_or_does_not_look_like_it(rule, content_type, start):
    status, headers, body = await ask(rule)
    assert (status, headers["content-type"].split(";")[0]) == (200, content_type)
    assert body.startswith(start)
    assert bool(body) == bool(start)


async def test_bytes_that_are_no_http():
    async with serving(Fault("not_http")) as server, wire(server) as line:
        line.send()
        assert not (await line.ended()).startswith(b"HTTP/")


@pytest.mark.parametrize("data", [None, [], {"list": [], "total": 0}])
async def test_transient_emptiness_is_a_success_that_passes(data):
    async with serving(Fault("transient_empty", times=1, data=data)) as server, wire(server) as line:
        line.send()
        assert json.loads((await line.whole())[2])["data"] == data
        line.send()
        assert (await line.whole())[2] == BODY
        assert server.executed["GET"] == 1


# --- connections that end


@pytest.mark.parametrize("kind", ["close_before", "execute_then_drop"])
@pytest.mark.parametrize("reset", [False, True])
async def test_no_byte_comes_back(kind, reset):
    async with serving(Fault(kind, reset=reset)) as server, wire(server) as line:
        line.send("POST", body=b"{}")
        if reset:
            with pytest.raises(ConnectionResetError):
                await line.ended()
        else:
            assert await line.ended() == b""
        carried_out = int(kind == "execute_then_drop")
        assert server.executed["POST"] == carried_out
        assert server.faults.count(executed=True)[kind] == carried_out
        assert server.faults.count()[kind] == 1


async def test_the_end_behind_the_head():
    async with serving(Fault("close_headers")) as server, wire(server) as line:
        line.send()
        _, headers = await line.head()
        assert int(headers["content-length"]) == len(BODY)
        assert await line.ended() == b""


async def test_the_end_in_a_chunk():
    async with serving(Fault("close_body", fraction=0.25)) as server, wire(server) as line:
        line.send()
        _, headers = await line.head()
        assert headers["transfer-encoding"] == "chunked"
        size, _, part = (await line.ended()).partition(b"\r\n")
        assert int(size, 16) == len(BODY)
        assert part == BODY[: len(BODY) // 4]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_cut_short(announced):
    async with serving(Fault("truncate", announced=announced)) as server, wire(server) as line:
        line.send()
        _, headers = await line.head()
        assert headers.get("content-length") == (str(len(BODY)) if announced else None)
        assert await line.ended() == BODY[: len(BODY) // 2]


async def test_a_connection_dropped_behind_a_whole_answer():
    async with serving(Fault("close_after")) as server, wire(server) as line:
        line.send()
        _, headers, body = await line.whole()
        assert body == BODY
        assert "close" not in headers.get("connection", "")
        assert await line.ended() == b""


@pytest.mark.parametrize("by", [-7, 9])
async def test_a_wrong_length(by):
    async with serving(Fault("wrong_length", times=1, by=by)) as server, wire(server) as line:
        line.send()
        _, headers = await line.head()
        assert int(headers["content-length"]) == len(BODY) + by
        assert await line.reader.readexactly(len(BODY)) == BODY
        if by < 0:
            # The rest stands where the next answer should begin; the connection serves on.
            line.send()
            assert (await line.whole())[2] == BODY
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.reader.read(1), 0.05)


async def test_a_kept_alive_connection_dies_as_it_is_used_and_aiohttp_resends():
    rule = Fault("drop_kept_alive")
    async with serving(rule) as server, aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(server.url + PATH) as answer:
                assert await answer.read() == BODY
        # First request: a fresh connection. Each later one: dropped, then sent again without a word.
        assert server.arrived[PATH] == 5
        assert server.executed["GET"] == 3
        assert rule.struck == rule.seen == 2


async def test_a_post_on_a_dying_connection_is_not_resent():
    async with serving(Fault("drop_kept_alive")) as server, aiohttp.ClientSession() as session:
        async with session.post(server.url + PATH, json={}) as answer:
            await answer.read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(server.url + PATH, json={})
        assert server.executed["POST"] == 1
        assert server.arrived[PATH] == 2


# --- slow, late, never


async def test_delays_before_and_after_the_execution():
    clock = Virtual()
    rule = Fault("delay", wait=7, seconds=3)
    assert (await ask(rule, clock=clock))[2] == BODY
    assert clock.slept == [7, 3]


async def test_any_fault_can_be_late():
    clock = Virtual()
    assert (await ask(Fault("status", status=504, wait=30), clock=clock))[0] == 504
    assert clock.slept == [30]


async def test_bytes_that_trickle():
    clock = Virtual()
    status, _, body = await ask(Fault("slow_drip", size=10, pause=2), clock=clock)
    assert (status, body) == (200, BODY)
    assert clock.slept == [2] * -(-len(BODY) // 10)


@pytest.mark.parametrize("after_headers", [False, True])
async def test_a_stall_lasts_until_the_client_leaves(after_headers):
    rule = Fault("stall", after_headers=after_headers)
    async with serving(rule) as server:
        async with wire(server) as line:
            line.send()
            if after_headers:
                assert (await line.head())[0] == 200
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(line.reader.read(1), 0.05)
        await idle(server.faults)
        assert not server.executed


async def test_a_client_that_gives_up_ends_the_drip_without_a_traceback(caplog):
    async with serving(Fault("slow_drip", pause=0.001)) as server:
        async with wire(server) as line:
            line.send()
            await line.head()
            line.writer.transport.abort()
        await idle(server.faults)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "rule",
    [
        Fault("stall"),
        Fault("stall", after_headers=True),
        Fault("delay", seconds=3600),
        Fault("status", wait=3600),
        Fault("slow_drip", pause=3600),
        Fault("wrong_length", by=5),
        Fault("huge_body"),
    ],
    ids=repr,
)
async def test_closing_ends_every_fault_at_once(rule, caplog):
    async with serving(rule) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port, limit=1024)
        Wire(reader, writer).send()
        await busy(server.faults)
    # `serving` bounds its clean-up; here it is over, and nothing was left behind or complained about.
    assert not server.faults.acting
    writer.close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_sandbox_itself_closes_over_a_stalled_request(caplog):
    async with asyncio.timeout(PATIENCE):
        async with Sandbox(products=10, faults=[Fault("stall")]) as sandbox:
            _, port = sandbox.origin.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            Wire(reader, writer).send()
            await busy(sandbox.faults)
        assert await reader.read() == b""
        writer.close()
    assert not sandbox.faults.acting
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# --- bodies


@pytest.mark.parametrize("form", ["garbage", "truncated", "checksum"])
async def test_gzip_that_cannot_be_read(form):
    _, headers, body = await ask(Fault("bad_gzip", form=form))
    assert headers["content-encoding"] == "gzip"
    with pytest.raises({"garbage": gzip.BadGzipFile, "truncated": EOFError, "checksum": gzip.BadGzipFile}[form]):
        gzip.decompress(body)


async def test_a_gzip_bomb_is_small_on_the_wire():
    _, headers, body = await ask(Fault("gzip_bomb", size=8 * 2**20))
    assert headers["content-encoding"] == "gzip"
    assert len(body) * 100 < 8 * 2**20
    assert len(json.loads(gzip.decompress(body))["data"]) == 8 * 2**20


def test_a_bomb_of_any_size_unpacks_to_it():
    for size in (0, 1, 2**20 - 1, 2**20, 2**20 + 1):
        assert json.loads(zlib.decompress(bomb(size), wbits=31))["data"] == "a" * size


@pytest.mark.parametrize("announced", [True, False])
async def test_a_huge_body_is_streamed_and_ends_with_the_client(announced):
    async with serving(Fault("huge_body", announced=announced)) as server:
        async with wire(server) as line:
            line.send()
            _, headers = await line.head()
            assert headers.get("transfer-encoding") == (None if announced else "chunked")
            if announced:
                assert int(headers["content-length"]) > 200_000_000
            assert len(await line.reader.readexactly(2**20)) == 2**20
        await idle(server.faults)


async def test_a_huge_body_is_valid_json():
    _, _, body = await ask(Fault("huge_body", size=100_000))
    assert len(json.loads(body)["data"]) == 100_000


async def test_bad_utf8():
    _, _, body = await ask(Fault("bad_utf8"))
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    assert json.loads(body.decode(errors="ignore"))["data"] == ANSWER["data"]


async def test_bad_utf8_in_every_row():
    _, _, body = await ask(Fault("bad_utf8", field="sellPrice"))
    assert body.count(b"\xff") == 2


@pytest.mark.parametrize("first", [True, False])
async def test_duplicate_keys_say_both(first):
    _, _, body = await ask(Fault("duplicate_keys", first=first))
    pairs = json.loads(body, object_pairs_hook=list)
    codes = [value for key, value in pairs if key == "code"]
    assert codes == ([1600000, 200] if first else [200, 1600000])


async def test_deep_json():
    _, _, body = await ask(Fault("deep_json"))
    assert b"[" * 10_000 in body
    with pytest.raises(RecursionError):
        json.loads(body)


@pytest.mark.parametrize("field", ["code", "total", "unheardOf"])
async def test_huge_numbers(field):
    _, _, body = await ask(Fault("huge_number", field=field))
    document = json.loads(body)
    value = document["data"][field] if field == "total" else document[field]
    assert value == int("7" * 400)


LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.recursive(LEAVES, st.lists, max_leaves=5)), st.text(max_size=5))
def test_spoiling_changes_that_field_and_nothing_else(document, field):
    spoilt = json.loads(spoil(json.dumps(document).encode(), field, b"12345"))
    assert spoilt == {**document, field: 12345}


# --- rules


async def statuses(rules: list[Fault], requests: int, path: str = PATH) -> str:
    """A letter for each request: '.' answered, 'x' struck."""
    async with serving(*rules) as server, wire(server) as line:
        marks = ""
        for _ in range(requests):
            line.send(path=path)
            marks += "." if (await line.whole())[0] == 200 else "x"
        return marks


@pytest.mark.parametrize(
    ("conditions", "marks"),
    [
        ({}, "xxxxxx"),
        ({"nth": 3}, "..x..."),
        ({"nth": range(2, 5)}, ".xxx.."),
        ({"nth": {1, 6}}, "x....x"),
        ({"nth": every(2)}, ".x.x.x"),
        ({"nth": every(3, start=1)}, "x..x.."),
        ({"times": 2}, "xx...."),
        ({"nth": every(2), "times": 2}, ".x.x.."),
        ({"probability": 0}, "......"),
    ],
)
async def test_which_requests_are_struck(conditions, marks):
    assert await statuses([Fault("status", **conditions)], 6) == marks


async def test_probability_is_drawn_from_the_seed():
    first, again, other = [await statuses([Fault("status", probability=0.4, seed=seed)], 60) for seed in (5, 5, 6)]
    assert first == again != other
    assert 10 < first.count("x") < 40


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("*", True), ("product/list", True), ("product/*", True), ("product/listV2", False), ("list", False)],
)
async def test_paths_are_cjs_names(pattern, matches):
    assert await statuses([Fault("status", pattern)], 1) == ("x" if matches else ".")


async def test_a_condition_on_the_query():
    rule = Fault("status", when=lambda request: request.query.get("pageNum") == "3")
    assert await statuses([rule], 2, PATH + "?pageNum=3") == "xx"
    assert await statuses([rule], 2, PATH + "?pageNum=4") == ".."


async def test_the_first_rule_strikes_and_every_rule_counts():
    first, second = Fault("status", nth=2, status=500), Fault("status", nth=range(2, 4), times=1, status=501)
    async with serving(first, second) as server, wire(server) as line:
        seen = []
        for _ in range(4):
            line.send()
            seen.append((await line.whole())[0])
        assert seen == [200, 500, 501, 200]
        assert (first.struck, second.struck) == (1, 1)
        assert [(hit.kind, hit.path, hit.call, hit.number) for hit in server.faults.hits] == [
            ("status", "product/list", 2, 2),
            ("status", "product/list", 3, 3),
        ]


@pytest.mark.parametrize("executes", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"stall", "drop_kept_alive", "huge_body", "gzip_bomb", "delay"}))
async def test_whether_the_request_is_carried_out_can_be_chosen(kind, executes):
    async with serving(Fault(kind, executes=executes), clock=Virtual()) as server, wire(server) as line:
        line.send("POST", body=b"{}")
        await line.reader.read(1)
        assert server.executed["POST"] == int(executes)
        assert [hit.executed for hit in server.faults.hits] == [executes]


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("explode", {}, "unknown fault 'explode'"),
        ("delay", {"minutes": 3}, "'delay'.*minutes"),
        ("status", {"probability": 2}, "probability"),
    ],
)
def test_a_rule_that_cannot_work_says_so(kind, options, said):
    with pytest.raises(ConfigError, match=said):
        Fault(kind, **options)
