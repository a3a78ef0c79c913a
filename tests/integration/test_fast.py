"""The opt-ins of the extra `fast`. They are a process's own affair, so a process of its own tries them."""

import subprocess
import sys

import pytest

from cjasync.errors import ConfigError
from cjasync.ext import fast

PROGRAM = """
import asyncio, sys
from cjasync import CJClient
from cjasync.ext import fast
from cjasync.sandbox import Sandbox

async def main():
    async with (
        Sandbox(products=10) as sandbox,
        CJClient(sandbox.api_key, base_url=sandbox.base_url, quota="memory", token_store="memory") as cj,
    ):
        page = await cj.products.list()
    from aiohttp.compression_utils import ZLibBackend
    return type(asyncio.get_running_loop()).__module__, ZLibBackend.name, len(page)

print(*fast.run(main()))
"""


def test_a_program_opts_in():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["uvloop", "isal.isal_zlib", "10"]


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)

    async def main():
        raise AssertionError("nothing may run")

    with pytest.raises(ConfigError, match=r"uvloop is not installed: pip install 'cjasync\[fast\]'"):
        fast.run(main())
    with pytest.raises(ConfigError, match="no_such_zlib"):
        fast.quick_gzip("no_such_zlib")
