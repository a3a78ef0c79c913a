"""A sandbox in a process of its own."""

import asyncio
import json
import signal
import sys

import aiohttp
import pytest

from cjasync.config import Plan
from cjasync.errors import ConfigError
from cjasync.sandbox import Sandbox, SandboxProcess


async def answers(origin):
    """Whether anything listens there."""
    host, port = origin.removeprefix("http://").split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_it_holds_what_the_same_settings_hold_here():
    settings = {"products": 250, "seed": 9, "shape": "bursty", "plan": Plan(qps=None, daily_points=700)}
    async with SandboxProcess(**settings) as sandbox:
        here = Sandbox(**settings)
        truth = await asyncio.to_thread(lambda: list(sandbox.truth()))
        assert [line["pid"] for line in truth] == here.catalogue.pids
        assert sandbox.api_key == here.api_key
        headers = {"CJ-Access-Token": sandbox.access_token}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{sandbox.base_url}/product/list?pageSize=200") as answer,
        ):
            body = await answer.json()
        assert body["data"]["total"] == 250
        assert body["pointsInfo"] == {"total": 700, "usedToday": 50, "remaining": 650}
        assert (await sandbox.stats())["by_path"] == {"product/list": 1}
        assert await answers(sandbox.origin)
    assert not await answers(sandbox.origin)


async def test_it_ends_with_its_parent():
    program = (
        "import asyncio\n"
        "from cjasync.sandbox import SandboxProcess\n"
        "async def main():\n"
        "    async with SandboxProcess(products=10) as sandbox:\n"
        "        print(sandbox.origin, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    origin = (await parent.stdout.readline()).decode().strip()
    assert await answers(origin)
    parent.kill()
    await parent.wait()
    for _ in range(1000):
        if not await answers(origin):
            return
        await asyncio.sleep(0.02)
    pytest.fail("the sandbox outlives its parent")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_module_serves_until_a_signal(number):
    options = ["--products", "5", "--plan", "plus", "--latency", "0.001", "--seed", "3"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "cjasync.sandbox", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ready = json.loads(await process.stdout.readline())
    async with (
        aiohttp.ClientSession(headers={"CJ-Access-Token": ready["access_token"]}) as session,
        session.get(f"{ready['base_url']}/product/list") as answer,
    ):
        assert (await answer.json())["data"]["total"] == 5
    process.send_signal(number)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


async def test_a_process_that_cannot_start_says_so(capfd):
    async with SandboxProcess(products=1) as sandbox:
        port = int(sandbox.origin.rsplit(":", 1)[1])
        with pytest.raises(ConfigError, match="ended before it answered"):
            async with SandboxProcess(products=1, port=port):
                pass
    assert f"cannot listen on 127.0.0.1:{port}" in capfd.readouterr().err
