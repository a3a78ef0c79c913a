"""Limits as a client meets them: refusals in all their forms, points, logins, the line."""

import pytest
from sandbox_caller import START, Clock, embedded

from cjasync.config import Plan


@pytest.mark.parametrize(
    ("quirks", "status", "has_result"),
    [({}, 200, True), ({"refusal_status": 429}, 429, True), ({"refusal_result": False}, 200, False)],
)
async def test_too_fast_in_every_form(quirks, status, has_result):
    clock = Clock()
    async with embedded(products=1, plan=Plan(qps=2), clock=clock, **quirks) as caller:
        for _ in range(2):
            assert await caller.code("product/getCategory") == 200
        clock.now += 0.999
        answered, body = await caller.ask("product/getCategory")
        assert (answered, body["code"]) == (status, 1600200)
        assert body["message"] == "Too Many Requests, QPS limit is 2 time/1second"
        assert ("result" in body) is has_result
        assert body["pointsInfo"] == {"total": 50_000, "usedToday": 0, "remaining": 50_000}
        clock.now += 0.001
        assert await caller.code("product/getCategory") == 200
        stats = caller.sandbox.stats()
        assert stats["refused_by_kind"] == {"account": 1}
        assert stats["worst_second"][f"account {caller.sandbox.account.number}"] == 3
        assert stats["by_path"] == {"product/getCategory": 4}


async def test_older_words():
    async with embedded(products=1, plan=Plan(qps=1), clock=Clock(), refusal_text="Too much request") as caller:
        await caller.code("setting/get")
        assert (await caller.ask("setting/get"))[1]["message"] == "Too much request, QPS limit is 1 time/1second"


async def test_refused_requests_count_only_if_told():
    for count_refused, code in ((False, 200), (True, 1600200)):
        clock = Clock()
        async with embedded(products=1, plan=Plan(qps=1), clock=clock, count_refused=count_refused) as caller:
            await caller.code("setting/get")
            clock.now += 0.5
            assert await caller.code("setting/get") == 1600200
            clock.now += 0.5
            assert await caller.code("setting/get") == code


async def test_one_address_has_one_rate_and_three_users():
    async with embedded(products=1, plan=Plan(qps=5, ip_qps=6), clock=Clock()) as caller:
        tokens = [caller.sandbox.token_of(caller.sandbox.add_account()) for _ in range(4)]
        for token in tokens[:3]:
            for _ in range(2):
                assert await caller.code("setting/get", token=token, ip="10.0.0.1") == 200
        _, body = await caller.ask("setting/get", token=tokens[0], ip="10.0.0.1")
        assert body["message"] == "Too Many Requests, QPS limit is 6 time/1second"
        _, body = await caller.ask("setting/get", token=tokens[3], ip="10.0.0.1")
        assert "maximum of 3 users" in body["message"]
        assert await caller.code("setting/get", token=tokens[3], ip="10.0.0.2") == 200
        assert caller.sandbox.stats()["refused_by_kind"] == {"ip": 1, "accounts": 1}
        assert caller.sandbox.stats()["worst_second"]["ip 10.0.0.1"] == 8


async def test_a_days_calls_are_counted_by_interface():
    clock = Clock()
    plan = Plan(qps=None, ip_qps=None, daily_calls=2, daily_points=None)
    async with embedded(products=1, plan=plan, clock=clock) as caller:
        for path in ("product/list", "product/listV2"):
            assert [await caller.code(path) for _ in range(2)] == [200, 200]
            status, body = await caller.ask(path)
            assert (status, body["code"]) == (429, 1600200)
            assert "you have reached the daily request limit (2 times/day)" in body["message"]
            assert "pointsInfo" not in body
        clock.now += 86_400 - START % 86_400 - 1
        assert await caller.code("product/list") == 1600200
        clock.now += 1
        assert await caller.code("product/list") == 200


@pytest.mark.parametrize(("told", "code"), [(True, 200), (False, 1600200)])
async def test_points_replace_the_count_of_a_days_calls_where_answers_report_them(told, code):
    plan = Plan(qps=None, ip_qps=None, daily_calls=2)
    async with embedded(products=1, plan=plan, points_info=told) as caller:
        assert [await caller.code("product/list") for _ in range(3)] == [200, 200, code]


@pytest.mark.parametrize(("quirk", "status", "code"), [({}, 200, 16900500), ({"points_code": 429}, 429, 429)])
async def test_points_run_out_and_trickle_back(quirk, status, code):
    clock = Clock(START - START % 86_400)
    plan = Plan(qps=None, ip_qps=None, daily_calls=None, daily_points=120, costs={"setting/get": 7})
    async with embedded(products=1, plan=plan, clock=clock, **quirk) as caller:
        assert (await caller.ask("product/list"))[1]["pointsInfo"] == {"total": 120, "usedToday": 50, "remaining": 70}
        await caller.data("product/listV2")
        answered, body = await caller.ask("product/list")
        assert (answered, body["code"], body["result"]) == (status, code, False)
        assert body["message"].startswith("Insufficient API points. Used today: 100, Remaining: 20, Required: 50.")
        assert await caller.data("product/getCategory")
        await caller.data("setting/get")
        clock.now += 60 * 12 * 37 - 1
        assert await caller.code("product/list") == code
        clock.now += 1
        assert (await caller.ask("product/list"))[1]["pointsInfo"] == {"total": 120, "usedToday": 157, "remaining": 0}
        clock.now += 86_400
        assert (await caller.ask("product/list"))[1]["pointsInfo"] == {"total": 120, "usedToday": 50, "remaining": 70}


async def test_answers_without_points_info():
    async with embedded(products=1, plan=Plan.free(), points_info=False) as caller:
        assert "pointsInfo" not in (await caller.ask("product/list"))[1]


async def test_a_login_every_five_minutes():
    clock = Clock()
    async with embedded(products=1, plan=Plan(ip_qps=None), clock=clock) as caller:
        key = {"apiKey": caller.sandbox.api_key}

        async def login():
            return await caller.ask("authentication/getAccessToken", method="POST", token=None, json=key)

        assert (await login())[1]["code"] == 200
        clock.now += 299
        status, body = await login()
        assert (status, body["code"]) == (429, 1600200)
        assert body["message"].endswith("QPS limit is 1 time/300 seconds")
        clock.now += 1
        assert (await login())[1]["code"] == 200


async def test_the_line_takes_its_time_both_ways():
    clock = Clock()
    async with embedded(products=1, clock=clock, latency=0.05, jitter=0.04) as caller:
        for _ in range(20):
            await caller.data("setting/get")
        assert len(clock.slept) == 40
        assert all(0.01 <= delay <= 0.09 for delay in clock.slept)
        assert max(clock.slept) - min(clock.slept) > 0.05
    drawn = Clock()
    async with embedded(products=1, clock=drawn, latency=lambda rng: 0.25) as caller:
        await caller.data("setting/get")
        assert drawn.slept == [0.25, 0.25]


async def test_an_answer_takes_its_time_once_its_request_has_been_counted():
    clock = Clock()
    async with embedded(products=1, plan=Plan(qps=1), clock=clock, processing=lambda rng: 0.75) as caller:
        await caller.data("setting/get")
        assert clock.slept == [0.75]
        assert await caller.code("setting/get") == 1600200
        assert clock.slept == [0.75], "a refusal is no work"
