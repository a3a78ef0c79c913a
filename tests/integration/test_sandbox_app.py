"""Everything else on the wire: refusals, envelopes, tokens, the console, several sandboxes."""

import asyncio
import json
import math
import re
from decimal import Decimal

import aiohttp
import pytest
from sandbox_caller import Caller, Clock, embedded

from cjasync.config import Plan
from cjasync.errors import ConfigError
from cjasync.sandbox import Sandbox


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        ("product/listV2", {"method": "POST"}, 200, 16900202),
        ("authentication/getAccessToken", {}, 200, 16900202),
        ("product/nothing", {}, 200, 1600101),
        ("Product/list", {}, 200, 1600101),
        ("product/list", {"token": None}, 200, 1600002),
        ("product/list", {"token": "API@CJ1@CJ:eyJ"}, 401, 1600001),
        ("product/list?pageSize=201", {}, 200, 1600300),
        ("product/list?pageNum=0", {}, 200, 1600300),
        ("product/list?pageNum=one", {}, 200, 1600300),
        ("product/list?createTimeFrom=yesterday", {}, 200, 1600300),
        ("product/listV2?size=101", {}, 200, 1600300),
        ("product/listV2?page=1001", {}, 200, 1600300),
        ("product/listV2?timeStart=2024-01-01", {}, 200, 1600300),
        ("authentication/getAccessToken", {"method": "POST"}, 200, 16900204),
        ("authentication/getAccessToken", {"method": "POST", "data": b"{"}, 200, 16900205),
        ("authentication/getAccessToken", {"method": "POST", "data": b"[]"}, 200, 16900205),
        ("authentication/getAccessToken", {"method": "POST", "json": {"apiKey": "no"}}, 200, 1600005),
        ("authentication/refreshAccessToken", {"method": "POST", "json": {"refreshToken": "no"}}, 200, 1600003),
    ],
)
async def test_refusals(path, options, status, code):
    async with embedded(products=1) as caller:
        answered, body = await caller.ask(path, **options)
        assert (answered, body["code"], body["result"], body["data"]) == (status, code, False, None)
        assert re.fullmatch("[0-9a-f]{32}", body["requestId"])


async def test_a_bad_token_may_come_as_http_200():
    async with embedded(products=1, bad_token_status=200) as caller:
        status, body = await caller.ask("product/list", token="bad")
        assert (status, body["code"]) == (200, 1600001)


async def test_success_has_four_shapes():
    envelopes = {"product/list": "result", "product/listV2": "zero", "setting/get": "success"}
    async with embedded(products=5, envelopes=envelopes) as caller:

        async def shape(path):
            body = (await caller.ask(path))[1]
            return {name: body.get(name) for name in ("code", "result", "success")}

        assert await shape("product/getCategory") == {"code": 200, "result": True, "success": True}
        assert await shape("product/globalWarehouseList") == {"code": 200, "result": None, "success": True}
        assert await shape("product/list") == {"code": 200, "result": True, "success": None}
        assert await shape("product/listV2") == {"code": 0, "result": None, "success": True}
        assert await shape("setting/get") == {"code": 200, "result": None, "success": True}


async def test_tokens_are_issued_refreshed_and_ended():
    clock = Clock()
    async with embedded(products=1, clock=clock) as caller:
        key = {"apiKey": caller.sandbox.api_key}
        login, refresh, logout = (
            f"authentication/{name}" for name in ("getAccessToken", "refreshAccessToken", "logout")
        )
        pair = await caller.data(login, method="POST", token=None, json=key)
        assert pair["accessToken"] == caller.sandbox.access_token
        assert isinstance(pair["openId"], int)
        assert pair["createDate"] == "2025-06-15T23:06:40+08:00"
        assert pair["accessTokenExpiryDate"] == "2025-06-30T23:06:40+08:00"
        fresh = await caller.data(refresh, method="POST", token=None, json={"refreshToken": pair["refreshToken"]})
        assert "openId" not in fresh
        assert await caller.code("product/list", token=pair["accessToken"]) == 1600001
        assert await caller.code("product/list", token=fresh["accessToken"]) == 200
        clock.now += 15 * 86_400
        assert await caller.code("product/list", token=fresh["accessToken"]) == 1600001
        again = await caller.data(refresh, method="POST", token=None, json={"refreshToken": pair["refreshToken"]})
        assert await caller.data(logout, method="POST", token=again["accessToken"]) is True
        assert await caller.code("product/list", token=again["accessToken"]) == 1600001
        body = {"refreshToken": pair["refreshToken"]}
        assert await caller.code(refresh, method="POST", token=None, json=body) == 1600003


async def test_expired_at_the_tests_wish():
    async with embedded(products=1) as caller:
        token = caller.sandbox.access_token
        caller.sandbox.expire_tokens()
        assert await caller.code("product/list", token=token) == 1600001
        assert await caller.code("product/list", token=caller.sandbox.access_token) == 200


async def test_the_console_is_not_counted():
    async with embedded(products=30, plan=Plan.free(), clock=Clock()) as caller:
        await caller.code("product/list")
        for _ in range(3):
            async with caller.session.get(f"{caller.sandbox.origin}/_sandbox/stats") as answer:
                stats = await answer.json()
        assert (stats["requests"], stats["rows"], stats["products"]) == (1, 20, 30)
        assert stats == caller.sandbox.stats()
        async with caller.session.get(f"{caller.sandbox.origin}/_sandbox/truth") as answer:
            lines = [json.loads(line) for line in (await answer.text()).splitlines()]
        assert [line["pid"] for line in lines] == caller.sandbox.catalogue.pids
        product = caller.sandbox.catalogue.product(7)
        assert Decimal(lines[7]["price_low"]) == product.price_low
        assert lines[7]["created_ms"] == product.created_ms
        assert lines[7]["category_id"] == product.category.id


async def test_several_sandboxes_in_one_loop():
    async with embedded(products=3, seed=1) as one, embedded(products=4, seed=2) as two:
        assert one.sandbox.base_url != two.sandbox.base_url
        assert (await one.data("product/list"))["total"] == 3
        assert (await two.data("product/list"))["total"] == 4
        assert await two.code("product/list", token=one.sandbox.access_token) == 1600001


async def test_it_closes_quietly_while_requests_hang():
    class Stuck(Clock):
        async def sleep(self, seconds):
            self.slept.append(seconds)
            await asyncio.Event().wait()

    clock = Stuck()
    async with aiohttp.ClientSession() as session:
        async with Sandbox(products=1, clock=clock, latency=1.0) as sandbox:
            hanging = asyncio.ensure_future(Caller(sandbox, session).code("setting/get"))
            while not clock.slept:  # noqa: ASYNC110  (the server has no event to wait for)
                await asyncio.sleep(0)
        with pytest.raises(aiohttp.ClientError):
            await hanging


async def test_an_address_that_is_taken_says_so():
    async with embedded(products=1) as caller:
        port = int(caller.sandbox.origin.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with Sandbox(products=1, port=port):
                pass


def test_settings_that_cannot_be():
    with pytest.raises(ConfigError, match="products"):
        Sandbox(products=-1)
    with pytest.raises(ConfigError, match="products must be 0 to 20,000,000, not 99,999,999,999"):
        Sandbox(products=99_999_999_999)
    with pytest.raises(ConfigError, match="latency must be 0 to 3600 seconds, not inf"):
        Sandbox(products=1, latency=math.inf)
    with pytest.raises(ConfigError, match="jitter"):
        Sandbox(products=1, latency=0.1, jitter=0.2)
    with pytest.raises(TypeError, match="produkts"):
        Sandbox(produkts=1)
    with pytest.raises(ConfigError, match="unknown shape"):
        Sandbox(shape="square")


def test_no_product_is_younger_than_the_clock():
    sandbox = Sandbox(products=50, clock=Clock(1_600_000_000.0))
    assert max(product.created_ms or 0 for product in sandbox.catalogue.truth()) < 1_600_000_000_000
