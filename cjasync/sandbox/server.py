"""Running a sandbox: in this loop, in a process of its own, or until told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from cjasync._clock import SYSTEM_CLOCK, Clock
from cjasync.config import Plan
from cjasync.errors import ConfigError
from cjasync.sandbox.accounts import Account, Accounts
from cjasync.sandbox.app import make_app
from cjasync.sandbox.catalogue import Catalogue
from cjasync.sandbox.churn import Churner
from cjasync.sandbox.faults import Fault, Faults
from cjasync.sandbox.limits import Limits
from cjasync.sandbox.settings import Settings
from cjasync.sandbox.shapes import Shape, creation_times
from cjasync.sandbox.state import Latency, State
from cjasync.sandbox.stats import Stats

_PREFIX = "/api2.0/v1/"


class Sandbox:
    """An embedded CJ on 127.0.0.1: `async with Sandbox(products=1000) as sb: ... sb.base_url, sb.access_token`.

    port: 0 takes a free one. clock: the server's time, for days, tokens, points, rates and latency.
    latency: seconds one way, or a function that draws them with a `random.Random`. processing: draws what an answer
    takes once its request has been counted.
    shape: a name in `shapes.SHAPES` or a function such as those. faults: rules of `cjasync.sandbox.faults`.
    The other settings are the fields of `Settings`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = SYSTEM_CLOCK,
        latency: float | Latency = 0.0,
        processing: Latency | None = None,
        shape: str | Shape = "market",
        faults: Iterable[Fault] = (),
        **settings: Any,
    ) -> None:
        if not callable(latency):
            settings["latency"] = latency
        if isinstance(shape, str):
            settings["shape"] = shape
        self.settings = Settings(**settings)
        self.clock = clock
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        if port:  # one that is taken is said before a large catalogue is made
            try:
                socket.create_server((host, port)).close()
            except OSError as error:
                raise self._deaf(error) from error
        self._state = _make_state(self.settings, clock, shape, latency, processing)
        self._state.faults.add(*faults)
        self.catalogue = self._state.catalogue
        self.faults = self._state.faults
        self.shelf = self._state.shelf
        self.account = self.add_account(self.settings.plan)

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(make_app(self._state), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, backlog=1024).start()
        except OSError as error:
            await self._runner.cleanup()
            raise self._deaf(error) from error
        self._port = self._runner.addresses[0][1]
        return self

    def _deaf(self, error: OSError) -> ConfigError:
        return ConfigError(f"the sandbox cannot listen on {self._host}:{self._port}: {os.strerror(error.errno or 0)}")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def origin(self) -> str:
        """http://127.0.0.1:PORT"""
        return f"http://{self._host}:{self._port}"

    @property
    def base_url(self) -> str:
        """What a client takes for CJ's address."""
        return f"{self.origin}{_PREFIX.rstrip('/')}"

    @property
    def api_key(self) -> str:
        """The first account's API key."""
        return self.account.api_key

    @property
    def access_token(self) -> str:
        """An access token of the first account that is good now."""
        return self.token_of(self.account)

    def token_of(self, account: Account) -> str:
        """An access token of that account that is good now; it does not count as a login."""
        return self._state.accounts.login(account).access

    def add_account(self, plan: Plan | None = None) -> Account:
        """One more account (`.api_key`; its token by `token_of`)."""
        return self._state.accounts.add(plan or self.settings.plan)

    def expire_tokens(self) -> None:
        """End every access token now; refresh tokens stay good."""
        for account in self._state.accounts:
            self._state.accounts.expire_access(account)

    def stats(self) -> dict[str, Any]:
        """Requests, refusals by kind, and the fullest sliding second of each account and address."""
        return self._state.report()


def _make_state(
    settings: Settings, clock: Clock, shape: str | Shape, latency: float | Latency, processing: Latency | None
) -> State:
    # A clock in the past must not meet products of its future.
    times = creation_times(shape, settings.products, seed=settings.seed, until=min(settings.until, clock.time()))
    catalogue = Catalogue(
        times, seed=settings.seed, null_times=settings.null_times, delisted=settings.delisted, now=clock.time
    )
    accounts = Accounts(settings, clock)
    stats = Stats()
    return State(
        settings=settings,
        clock=clock,
        catalogue=catalogue,
        accounts=accounts,
        limits=Limits(settings, clock, accounts, stats),
        faults=Faults(clock),
        latency=latency if callable(latency) else _steady(settings.latency, settings.jitter),
        processing=processing,
        stats=stats,
        churner=None if settings.churn is None else Churner(settings.churn, catalogue, clock, settings.seed),
        prefix=_PREFIX,
    )


def _steady(latency: float, jitter: float) -> Latency | None:
    if not latency:
        return None
    return lambda rng: latency + jitter * rng.uniform(-1.0, 1.0)


async def serve(*, with_parent: bool = False, **settings: Any) -> None:
    """Run a sandbox until SIGTERM or SIGINT. Prints one JSON line once it answers.

    with_parent: stop also when standard input ends, as it does when the process that holds its other end dies.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Sandbox(**settings) as sandbox:
        ready = {"base_url": sandbox.base_url, "api_key": sandbox.api_key, "access_token": sandbox.access_token}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        if with_parent:
            reader = asyncio.StreamReader()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            ended = asyncio.ensure_future(reader.read())
            ended.add_done_callback(lambda _: stop.set())
        await stop.wait()


class SandboxProcess:
    """A sandbox in a process of its own, which ends with this one: `async with SandboxProcess(products=1000) as sb`.

    Takes `port`, `latency` in seconds, `shape` by name and the fields of `Settings`.
    """

    def __init__(self, **settings: Any) -> None:
        self._port = settings.pop("port", 0)
        self._settings = Settings(**settings)
        self._process: asyncio.subprocess.Process | None = None
        self.base_url = ""
        self.api_key = ""
        self.access_token = ""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cjasync.sandbox",
            "--with-parent",
            "--port",
            str(self._port),
            "--settings",
            msgspec.json.encode(self._settings).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
            if not line:
                raise ConfigError("the sandbox's process ended before it answered; see its error output")
        except BaseException:
            await self._end()
            raise
        ready = json.loads(line)
        self.base_url, self.api_key = ready["base_url"], ready["api_key"]
        self.access_token = ready["access_token"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def origin(self) -> str:
        """http://127.0.0.1:PORT"""
        return self.base_url.removesuffix(_PREFIX.rstrip("/"))

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process is not None
        return self._process.pid

    async def stats(self) -> dict[str, Any]:
        """As `Sandbox.stats`."""
        return await asyncio.to_thread(lambda: next(read_lines(f"{self.origin}/_sandbox/stats")))

    def truth(self) -> Iterator[dict[str, Any]]:
        """Every product held now, as `/_sandbox/truth` tells them. Blocks: use it in a thread."""
        return read_lines(f"{self.origin}/_sandbox/truth")

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def read_lines(url: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a line-by-line answer, one after another. Blocks."""
    with urllib.request.urlopen(url) as answer:
        for line in answer:
            yield msgspec.json.decode(line)
