"""`kill -9` while CJ is asked for tokens: what it gave is lost with the process, and the next one gets on."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from token_client import FREE

from cjasync import WaitTooLongError
from cjasync.sandbox.faults import Fault
from cjasync.testing.plugin import sandbox_client

SCRIPT = Path(__file__).with_name("token_client.py")
LOGIN, REFRESH = "authentication/getAccessToken", "authentication/refreshAccessToken"
CALL = "product/getCategory"


class Later:
    """The machine's clock, so many seconds ahead."""

    sleep = staticmethod(asyncio.sleep)

    def __init__(self, seconds):
        self._ahead = seconds

    def monotonic(self):
        return time.monotonic() + self._ahead

    def time(self):
        return time.time() + self._ahead


def asked(sandbox, path):
    return sandbox.stats()["by_path"].get(path, 0)


@asynccontextmanager
async def killed_while_asking(sandbox, path, folder):
    """A process that CJ answers too late: carried out, and nobody there who could hear of it."""
    sandbox.faults.add(Fault("stall", path, times=1, executes=True))
    command = (sys.executable, SCRIPT, sandbox.base_url, sandbox.api_key, folder)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            while not sandbox.faults.hits:  # noqa: ASYNC110 - the sandbox tells no event
                await asyncio.sleep(0.01)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        assert (await process.communicate())[0] == b""


def here(sandbox, folder, **settings):
    return sandbox_client(sandbox, api_key=sandbox.api_key, plan=FREE, token_store=folder, **settings)


async def test_in_the_middle_of_a_refresh(make_sandbox, tmp_path):
    async with make_sandbox() as sandbox:
        async with here(sandbox, tmp_path) as cj:
            await cj.categories.get()
        sandbox.expire_tokens()
        async with killed_while_asking(sandbox, REFRESH, tmp_path) as process, here(sandbox, tmp_path) as cj:
            waiting = asyncio.ensure_future(cj.categories.get())  # for the lock, which the other has
            await asyncio.sleep(0.1)
            assert not waiting.done()
            process.kill()
            async with asyncio.timeout(30):
                assert await waiting
            assert (asked(sandbox, LOGIN), asked(sandbox, REFRESH)) == (1, 2)
            assert await cj.categories.get()
        assert asked(sandbox, REFRESH) == 2
        assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".lock"}


async def test_in_the_middle_of_a_login(make_sandbox, tmp_path):
    async with make_sandbox(plan=replace(FREE, login_interval=None)) as sandbox:
        async with killed_while_asking(sandbox, LOGIN, tmp_path):
            pass
        async with here(sandbox, tmp_path) as cj:
            with pytest.raises(WaitTooLongError, match="one login in 300 s") as told:
                await cj.categories.get()
            assert 0 < told.value.retry_at.timestamp() - time.time() <= 300
        assert asked(sandbox, LOGIN) == 1
        async with here(sandbox, tmp_path, clock=Later(300)) as cj:
            assert await cj.categories.get()
        assert asked(sandbox, LOGIN) == 2


@pytest.mark.parametrize("damage", ["cut short", "emptied", "of a dead process"])
async def test_what_a_dead_process_left_in_the_folder(make_sandbox, tmp_path, caplog, damage):
    async with make_sandbox(plan=replace(FREE, login_interval=None)) as sandbox:
        async with here(sandbox, tmp_path) as cj:
            await cj.categories.get()
        (kept,) = tmp_path.glob("*.json")
        if damage == "of a dead process":
            (tmp_path / f"{kept.stem}.lock").write_text("4194304")
            (tmp_path / f"{kept.stem}.abcd.new").write_bytes(kept.read_bytes()[:50])
        else:
            kept.write_bytes(kept.read_bytes()[: 100 if damage == "cut short" else 0])
        async with here(sandbox, tmp_path) as cj:
            async with asyncio.timeout(30):
                assert await cj.categories.get()
        assert asked(sandbox, LOGIN) == (1 if damage == "of a dead process" else 2)
        assert ("is damaged" in caplog.text) == (damage != "of a dead process")
