"""Tokens over real sockets: the whole client against the sandbox, which counts."""

import asyncio
import logging

import pytest

from cjasync import AuthError, WaitTooLongError
from cjasync.sandbox.faults import Fault
from cjasync.testing.plugin import sandbox_client

LOGIN = "authentication/getAccessToken"
REFRESH = "authentication/refreshAccessToken"
CALL = "product/getCategory"


def asked(sandbox, path):
    return sum(count for name, count in sandbox.stats()["by_path"].items() if name.endswith(path))


def clients(sandbox, folder, count):
    unlimited = sandbox.settings.plan
    return [
        sandbox_client(sandbox, api_key=sandbox.api_key, token_store=folder, plan=unlimited, coalesce=False)
        for _ in range(count)
    ]


@pytest.mark.parametrize("status", [200, 401])
async def test_one_login_and_one_refresh_for_many_callers_of_many_clients(make_sandbox, tmp_path, status):
    async with make_sandbox(bad_token_status=status) as sandbox:
        several = clients(sandbox, tmp_path, 3)
        answers = await asyncio.gather(*(client.categories.get() for client in several * 5))
        assert len(answers) == 15
        assert (asked(sandbox, LOGIN), asked(sandbox, REFRESH)) == (1, 0)
        sandbox.expire_tokens()
        before = asked(sandbox, CALL)
        assert await asyncio.gather(*(client.categories.get() for client in several * 5)) == answers
        assert (asked(sandbox, LOGIN), asked(sandbox, REFRESH)) == (1, 1)
        assert asked(sandbox, CALL) - before <= 30, "each refused call is sent again once"
        for client in several:
            await client.aclose()


async def test_a_client_started_later_needs_no_login(make_sandbox, tmp_path):
    async with make_sandbox() as sandbox:
        for _ in range(3):
            (client,) = clients(sandbox, tmp_path, 1)
            async with client:
                assert await client.categories.get()
        assert asked(sandbox, LOGIN) == 1


async def test_a_given_token_that_ends_says_what_to_do(make_sandbox):
    async with make_sandbox() as sandbox, sandbox_client(sandbox, coalesce=False) as client:
        assert await client.categories.get()
        sandbox.expire_tokens()
        with pytest.raises(AuthError, match="CJ_API_KEY") as refused:
            await client.categories.get()
        told = refused.value
        assert (told.code, told.http_status, told.endpoint) == (1600001, 401, CALL)
        assert told.request_id
        assert told.message.startswith("CJ refused the token (Invalid API key or access token); no access token")
        assert (asked(sandbox, LOGIN), asked(sandbox, REFRESH)) == (0, 0)


async def test_a_kept_token_of_another_cj_at_the_same_address_is_named_before_the_login_that_has_to_wait(
    make_sandbox, tmp_path
):
    async with make_sandbox() as sandbox:
        (client,) = clients(sandbox, tmp_path, 1)
        async with client:
            await client.categories.get()
    port = int(sandbox.base_url.split(":")[2].split("/")[0])
    async with make_sandbox(port=port, seed=5) as another:
        assert another.api_key != sandbox.api_key
        (client,) = clients(sandbox, tmp_path, 1)
        async with client:
            with pytest.raises(WaitTooLongError) as told:
                await client.categories.get()
        assert str(told.value).startswith(
            "CJ refused the token (Invalid API key or access token); CJ allows one login in 300 s; the next in "
        )
        assert (asked(another, CALL), asked(another, LOGIN)) == (1, 0)


async def test_no_secret_leaves_the_store(make_sandbox, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    said = []
    async with make_sandbox() as sandbox:
        (client,) = clients(sandbox, tmp_path / "state", 1)
        async with client:
            tokens = await client.auth.login()
            secrets = [sandbox.api_key, tokens.access_token, tokens.refresh_token]
            sandbox.expire_tokens()
            await client.categories.get()
            said += [repr(client), repr(client.config), repr(tokens)]
        wrong = sandbox.api_key[:-6] + "000000"
        async with sandbox_client(sandbox, api_key=wrong) as stranger:
            with pytest.raises(AuthError, match="APIkey is wrong") as refused:
                await stranger.categories.get()
            said += [repr(refused.value), str(refused.value), repr(vars(refused.value)), repr(stranger.config)]
    said.append(caplog.text)
    assert not [text for text in said for secret in [*secrets, wrong] if secret in text]
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file() and secrets[2] in path.read_text()}
    assert len(kept) == 1


@pytest.mark.parametrize(("code", "status"), [(1600001, 200), (1600003, 200), (1600030, 200), (1600001, 401)])
async def test_a_token_that_cj_refuses_is_refreshed_once_and_the_call_sent_once_more(make_sandbox, code, status):
    async with make_sandbox() as sandbox, sandbox_client(sandbox, api_key=sandbox.api_key) as client:
        await client.categories.get()
        sandbox.faults.add(Fault("refuse", CALL, nth=1, code=code, status=status))
        assert await client.categories.get()
        assert (asked(sandbox, LOGIN), asked(sandbox, REFRESH), asked(sandbox, CALL)) == (1, 1, 3)
        sandbox.faults.clear()
        sandbox.faults.add(Fault("refuse", CALL, code=code, status=status))
        with pytest.raises(AuthError):
            await client.categories.get()
        assert (asked(sandbox, LOGIN), asked(sandbox, REFRESH), asked(sandbox, CALL)) == (1, 2, 5)
