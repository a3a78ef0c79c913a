"""Servers that change, as a service that runs for months meets them: restarted, moved, silent for long, not CJ's."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp.connector
import pytest
from aiohttp import web
from loops import run_clean
from speaking import Impatient

from cjasync import ConnectError, OutcomeUnknownError, Plan
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault
from cjasync.testing.plugin import sandbox_client

FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None, login_interval=None)
CERTIFICATE = Path(__file__).parents[1] / "data" / "self_signed.pem"


def box(**settings: Any) -> Sandbox:
    return Sandbox(**{"products": 30, "plan": FREE, **settings})


def port_of(sandbox: Sandbox) -> int:
    port = urlsplit(sandbox.base_url).port
    assert port is not None
    return port


def test_a_server_that_restarts_is_found_again() -> None:
    """All connections to the one before are gone, and nothing was kept of them that a write could be lost on."""

    async def main() -> None:
        async with box() as before:
            port = port_of(before)
            cj = sandbox_client(before, clock=Impatient(), coalesce=False)
            await asyncio.gather(*(cj.products.list(page_size=size) for size in range(1, 6)))  # several connections
        async with cj:
            for call in (cj.categories.get, lambda: cj.products.add_to_my_product("1")):
                with pytest.raises(ConnectError, match="no connection"):
                    await call()
            async with box(port=port) as after:
                assert after.access_token  # the same: tokens outlive a restart
                (row,) = await cj.products.list(page_size=1)
                assert await cj.products.add_to_my_product(row.pid)

    run_clean(main())


def test_a_connection_that_was_idle_for_long_is_not_trusted_with_a_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands between forgets idle connections without a word; a write on one would have an unknown outcome."""

    async def main() -> None:
        async with box() as sandbox, sandbox_client(sandbox) as cj:
            first, second = await cj.products.list(page_size=2)
            sandbox.faults.add(Fault("drop_kept_alive"))
            now = time.monotonic
            monkeypatch.setattr(aiohttp.connector, "monotonic", lambda: now() + 20)
            assert await cj.products.add_to_my_product(first.pid)
            with pytest.raises(OutcomeUnknownError):
                await cj.products.add_to_my_product(second.pid)  # at once after the other

    run_clean(main())


def test_a_server_that_moves_to_another_address_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "127.0.0.1"
    loops = asyncio.SelectorEventLoop
    look_up = loops.getaddrinfo

    async def resolved(loop: Any, host: str, port: int, **hints: Any) -> Any:
        return await look_up(loop, address if host == "cj.example" else host, port, **hints)

    monkeypatch.setattr(loops, "getaddrinfo", resolved)

    async def main() -> None:
        nonlocal address
        async with box() as here:
            port = port_of(here)
            cj = sandbox_client(here, base_url=f"http://cj.example:{port}/api2.0/v1", allow_http=True)
            await cj.categories.get()
        async with cj, box(port=port, host="127.0.0.2") as there:
            address = "127.0.0.2"
            assert there.access_token  # the same
            now = time.monotonic
            monkeypatch.setattr(aiohttp.connector, "monotonic", lambda: now() + 11)  # names are looked up again
            assert await cj.with_options(retries=0).categories.get()
            assert there.stats()["requests"] == 1

    run_clean(main())


def test_a_server_whose_certificate_is_not_trusted_hears_nothing() -> None:
    heard: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request)
        return web.json_response({"code": 200, "result": True, "data": []})

    async def main() -> None:
        complaints: list[dict[str, Any]] = []  # of the server, in debug mode
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(CERTIFICATE)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            await web.SockSite(runner, listening, ssl_context=tls).start()
            url = f"https://localhost:{listening.getsockname()[1]}/v1"
            async with box() as sandbox, sandbox_client(sandbox, base_url=url, clock=Impatient()) as cj:
                for call in (cj.categories.get, lambda: cj.products.add_to_my_product("1")):
                    with pytest.raises(ConnectError, match="certificate verify failed"):
                        await call()
            await runner.cleanup()
        assert all(isinstance(one["exception"], ssl.SSLError | ConnectionError) for one in complaints), complaints

    asyncio.run(main())
    assert heard == []


@pytest.mark.parametrize("setting", ["ssl", "verify", "verify_ssl"])
def test_there_is_no_setting_that_switches_verification_off(setting: str) -> None:
    with pytest.raises(TypeError, match=setting):
        sandbox_client(box(), base_url="https://localhost/v1", access_token="t", **{setting: False})
