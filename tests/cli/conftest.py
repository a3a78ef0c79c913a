"""An embedded CJ in a process of its own for all tests of the command line, and two ways to call that."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import msgspec
import pytest
from typer.testing import CliRunner

from cjasync.cli.commands import app
from cjasync.config import Plan
from cjasync.sandbox import Settings

ANY_PLAN = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


class Sandbox:
    """What a sandbox's process said of itself."""

    def __init__(self, told):
        self.base_url = told["base_url"]
        self.api_key = told["api_key"]
        self.access_token = told["access_token"]
        self.access = ["--base-url", self.base_url, "--access-token", self.access_token, "--quota-url", "memory"]
        self.access += ["--qps", "none", "--ip-qps", "none", "--daily-calls", "none", "--daily-points", "none"]

    @property
    def origin(self):
        return self.base_url.removesuffix("/api2.0/v1")

    def truth(self):
        """Products by their ids."""
        with urllib.request.urlopen(f"{self.origin}/_sandbox/truth") as answer:
            return {product["pid"]: product for product in map(msgspec.json.decode, answer)}


@contextmanager
def sandbox_process(**settings):
    told = msgspec.json.encode(Settings(plan=ANY_PLAN, **settings)).decode()
    command = [sys.executable, "-m", "cjasync.sandbox", "--with-parent", "--settings", told]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Sandbox(json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait()


@pytest.fixture(scope="session")
def cj():
    """1,000 products."""
    with sandbox_process(products=1_000) as sandbox:
        yield sandbox


@pytest.fixture
def new_cj():
    """One where nobody has logged in within five minutes."""
    with sandbox_process(products=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def big_cj():
    """More products than a question to listV2 shows."""
    with sandbox_process(products=6_200) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """No settings from outside, and state that no other test sees."""
    for name in list(os.environ):
        if name.startswith("CJ_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COLUMNS", raising=False)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def cjasync():
    """Runs a command in this process: `.exit_code`, `.stdout`, `.stderr`."""
    runner = CliRunner()

    def run(*arguments, **options):
        result = runner.invoke(app, [str(argument) for argument in arguments], **options)
        print(result.output)  # what is said is looked through for secrets, as all that is printed
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


# In debug mode asyncio tells on stderr what took long, as anything may on a busy machine.
QUIETLY = """
import logging, runpy
logging.getLogger("asyncio").setLevel(logging.ERROR)
runpy.run_module("cjasync.cli", run_name="__main__", alter_sys=True)
"""


def hear_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def program():
    """How a process of its own is started, before its arguments."""
    return [sys.executable, "-c", QUIETLY]


@pytest.fixture
def started(program):
    """Starts a command in a process of its own, which hears Ctrl-C even where these tests run in the background."""
    processes = []

    def start(*arguments, **options):
        command = [*program, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, preexec_fn=hear_ctrl_c, **pipes | options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
