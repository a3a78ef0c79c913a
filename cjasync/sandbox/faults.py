"""Faults by rule: which request goes wrong, in what way, and how often one did.

    sandbox.faults.add(Fault("status", "product/list", nth=range(2, 5), status=503))
    sandbox.faults.add(Fault("execute_then_drop", "product/sourcing/create", times=1))

The kinds and their parameters are the functions of `mishaps.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from weakref import WeakSet

from aiohttp import web

from cjasync._clock import SYSTEM_CLOCK, Clock
from cjasync.errors import ConfigError
from cjasync.sandbox.mishaps import KINDS
from cjasync.sandbox.scene import Said, Scene

_PENDING: web.RequestKey[tuple[Fault, Hit]] = web.RequestKey("fault", tuple)


def every(n: int, *, start: int = 0) -> range:
    """For `nth`: every n-th request, the first one being number `start` (default n)."""
    return range(start or n, sys.maxsize, n)


class Fault:
    """One rule. It belongs to one sandbox: it counts the requests it saw (`seen`) and those it struck (`struck`).

    kind: what happens, a name in `mishaps.KINDS`; `parameters` are that kind's own.
    path: which calls, a shell pattern on what follows `/v1/`: "product/list", "product/stock/*", "*".
    when: a further condition on the request, such as its query.
    nth: which of the matching requests, counted from 1: a number, a range, a set, `every(n)`; None is all of them.
    probability: of those, which share; drawn from `seed`, so that the same requests meet the same fate again.
    times: how often at most.
    wait: seconds of the sandbox's clock before anything else happens, as if the request were long on its way.
    executes: whether CJ carries the request out before its answer comes to grief; None is what suits the kind.
    """

    def __init__(
        self,
        kind: str,
        path: str = "*",
        *,
        when: Callable[[web.Request], bool] | None = None,
        nth: int | Container[int] | None = None,
        probability: float = 1.0,
        seed: int = 0,
        times: int | None = None,
        wait: float = 0.0,
        executes: bool | None = None,
        **parameters: Any,
    ) -> None:
        if kind not in KINDS:
            raise ConfigError(f"unknown fault {kind!r}: choose one of {', '.join(sorted(KINDS))}")
        try:
            inspect.signature(KINDS[kind].act).bind(None, **parameters)
        except TypeError as error:
            raise ConfigError(f"fault {kind!r}: {error}") from None
        if not 0 <= probability <= 1:
            raise ConfigError(f"fault {kind!r}: probability must be from 0 to 1, not {probability}")
        self.kind = kind
        self.path = path
        self.parameters = parameters
        self.wait = wait
        self.executes = KINDS[kind].executes if executes is None else executes
        self.seen = 0
        self.struck = 0
        self._when = when
        self._nth = (nth,) if isinstance(nth, int) else nth
        self._probability = probability
        self._random = random.Random(seed)
        self._times = times

    def __repr__(self) -> str:
        return f"<Fault {self.kind} {self.path!r} struck={self.struck} seen={self.seen}>"

    def is_due(self, request: web.Request, *, reused: bool) -> bool:
        """Count the request if this rule is about it, and say whether it is one to strike."""
        if KINDS[self.kind].reused_only and not reused:
            return False
        if not fnmatchcase(short_path(request), self.path) or (self._when and not self._when(request)):
            return False
        self.seen += 1
        if self._nth is not None and self.seen not in self._nth:
            return False
        # Drawn before `times` is looked at: the n-th draw is always about the same request.
        drawn = self._random.random() < self._probability
        return drawn and (self._times is None or self.struck < self._times)


@dataclass(slots=True)
class Hit:
    """A fault that struck: which request (`call` counts all of them, `number` the rule's), and was it carried out?"""

    kind: str
    method: str
    path: str
    call: int
    number: int
    executed: bool = False


class Faults:
    """The rules of one sandbox, and what they did. Where several are due, the one added first strikes."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.hits: list[Hit] = []
        self._clock = clock
        self._rules: list[Fault] = []
        self._used: WeakSet[asyncio.BaseTransport] = WeakSet()
        self.acting: set[asyncio.Task[Any]] = set()

    def add(self, *faults: Fault) -> None:
        """Put rules in force, behind those that are."""
        self._rules += faults

    def clear(self) -> None:
        """Drop every rule; `hits` stay."""
        self._rules.clear()

    def count(self, *, executed: bool | None = None) -> Counter[str]:
        """Hits by kind; only those carried out, or only those not, if asked so."""
        return Counter(hit.kind for hit in self.hits if executed in (None, hit.executed))

    async def before(self, request: web.Request, call: int) -> web.StreamResponse | None:
        """What happens to a request on its way to CJ: None lets it through, anything else keeps CJ from knowing it."""
        transport = request.transport
        reused = transport in self._used
        if transport is not None:
            self._used.add(transport)
        due = [fault for fault in self._rules if fault.is_due(request, reused=reused)]
        if not due:
            return None
        fault = due[0]
        fault.struck += 1
        hit = Hit(fault.kind, request.method, short_path(request), call, fault.seen)
        self.hits.append(hit)
        if fault.wait:
            with self._ending_on_close():
                await self._clock.sleep(fault.wait)
        if not fault.executes:
            return await self._strike(fault, Scene(request, None, self._clock))
        request[_PENDING] = fault, hit
        return None

    async def after(self, request: web.Request, call: int, response: web.StreamResponse) -> web.StreamResponse:
        """What becomes of CJ's answer on its way back."""
        if _PENDING not in request:
            return response
        fault, hit = request[_PENDING]
        hit.executed = True
        return await self._strike(fault, Scene(request, response, self._clock))

    async def _strike(self, fault: Fault, scene: Scene) -> web.StreamResponse:
        with self._ending_on_close():
            try:
                return await KINDS[fault.kind].act(scene, **fault.parameters)
            except ConnectionError:
                # The other side gave up first; aiohttp would print a traceback about it.
                return Said()

    @contextmanager
    def _ending_on_close(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self.acting.add(task)
        try:
            yield
        finally:
            self.acting.discard(task)

    async def close(self, app: web.Application | None = None) -> None:
        """End what is still stalling or dripping; for `Application.on_shutdown`."""
        for task in tuple(self.acting):
            task.cancel()


def short_path(request: web.Request) -> str:
    """The path as CJ's documents name a call: what follows `/v1/`."""
    return request.path.rpartition("/v1/")[2].lstrip("/")
