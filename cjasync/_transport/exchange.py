"""One attempt at a call, with all its sends.

A GET is sent again when a kept-alive connection turns out to be dead: by `wire`, or in silence by aiohttp, in whose
sessions an exchange is a middleware. Admission therefore happens here, once per real send, and the turn is stamped when
the connection is there and the request leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import ServerDisconnectedError

from cjasync._clock import Clock
from cjasync._protocol import TOKEN_HEADER, Request
from cjasync._watchdog import Watchdog, Watched
from cjasync.errors import CJError, StoreError
from cjasync.quota import Ticket


class Admission(Protocol):
    """Who lets a request go."""

    def try_admit(self) -> Ticket | None:
        """A turn, if there is one at once."""
        ...

    async def admit(self) -> Ticket:
        """A turn."""
        ...

    def seconds_left(self) -> float:
        """How long it may take from now until the last byte is there; raises if there is no time left."""
        ...


class Exchange(Watched):
    """One attempt. A session of aiohttp calls it as the middleware of each send, and awaits what that returns."""

    # Of the class until they change.
    sent = False  # by any send
    sent_at = 0.0
    ticket: Ticket | None = None
    _left = False  # by the last send

    def __init__(
        self,
        request: Request,
        token: str | None,
        admission: Admission,
        task: asyncio.Task[Any],
        clock: Clock,
        watchdog: Watchdog,
    ) -> None:
        self.task = task
        self.request = request
        self.token = token
        self._admission = admission
        self._clock = clock
        self._watchdog = watchdog

    def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Awaitable[Any]:
        # A turn that is free is taken without awaiting, which spares most calls a coroutine.
        return self._pass(request, handler) if self.try_begin() else self._wait(request, handler)

    async def _wait(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        await self.begin()
        return await self._pass(request, handler)

    def _pass(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Awaitable[Any]:
        if self.token is not None:
            check_header(self.token)
            request.headers[TOKEN_HEADER] = self.token
        _stamp_when_sent(request, self)
        return handler(request)

    def try_begin(self) -> bool:
        """Take a turn for a send, and the time that it may last; False: use `begin`, since none is free."""
        if self.ticket is not None:  # this is a resend
            self._give_up_send()
        try:
            ticket = self._admission.try_admit()
        except CJError:
            raise
        except Exception as error:
            raise _not_admitted(error) from error
        if ticket is None:
            return False
        self._begun(ticket)
        return True

    async def begin(self) -> None:
        """Wait for a turn."""
        try:
            ticket = await self._admission.admit()
        except CJError:
            raise
        except Exception as error:
            raise _not_admitted(error) from error
        self._begun(ticket)

    def _begun(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self._left = False
        self._watchdog.start(self, self._admission.seconds_left())

    def leaves(self) -> None:
        """The connection is there, and the request goes."""
        self._left = self.sent = True
        if self.ticket is not None:
            self.ticket.sent()
        self.sent_at = self._clock.monotonic()

    def _give_up_send(self) -> None:
        """One that left was charged, and its answer will not come. Waiting for a turn is not the server's time."""
        self.settle_unsent()
        if self.ticket is not None:
            self.ticket.lost()
            self.ticket = None
        self._watchdog.stop(self)

    def settle_unsent(self) -> None:
        """Give back the turn of a request that never left."""
        if self.ticket is not None and not self._left:
            self.ticket.unsent()
            self.ticket = None

    def __deepcopy__(self, memo: object) -> Exchange:
        return self  # tools that stand in for aiohttp note what it is called with; there is no second exchange


def _not_admitted(error: Exception) -> StoreError:
    """What goes wrong in a store that a user brings must not pass for an error of the network."""
    return StoreError(f"the request was not admitted: {error!r}")


def check_header(value: str) -> None:
    """Raise what aiohttp would, but before anything counts as sent."""
    if not value.isprintable():
        raise ValueError("a header holds a control character")


def _stamp_when_sent(request: Any, exchange: Exchange) -> None:
    """The same for a request of aiohttp's session."""
    send = request.send

    def stamped(connection: Any) -> Any:
        if connection.protocol.should_close:  # something came while nobody had asked, and would pass for the answer
            raise ServerDisconnectedError("the server sent what nobody had asked for")
        exchange.leaves()
        return send(connection)

    request.send = stamped
