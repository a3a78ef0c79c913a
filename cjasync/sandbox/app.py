"""The aiohttp.web application: one middleware through which every request goes, and the routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from cjasync.sandbox.auth import routes as auth
from cjasync.sandbox.console import routes as console
from cjasync.sandbox.details import routes as details
from cjasync.sandbox.envelope import Refusal, refused
from cjasync.sandbox.listings import routes as listings
from cjasync.sandbox.reference import routes as reference
from cjasync.sandbox.shop import routes as shop
from cjasync.sandbox.state import ACCOUNT, STATE, State

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Paths of calls start with `state.prefix`. Their handlers find `request[ACCOUNT]` (accounts.Account) and
# `request.app[STATE]` (State), answer `envelope.success(request, data)` and refuse by `raise Refusal(code, message)`.
ROUTES = (console, auth, reference, listings, details, shop)


def make_app(state: State) -> web.Application:
    """The application over that state."""
    app = web.Application(middlewares=[one_request], client_max_size=4 * 1024 * 1024)
    app[STATE] = state
    app.on_shutdown.append(state.faults.close)
    for routes in ROUTES:
        app.add_routes(routes(state))
    return app


@web.middleware
async def one_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The way of a request: line, faults, limits, handler, faults, line.

    A fault before the limits stands for what happens outside CJ (a proxy, a lost connection): it costs nothing.
    A fault after the handler stands for an answer lost on its way: the work is done and charged.
    """
    state = request.app[STATE]
    if request.path.startswith("/_sandbox/"):
        return await handler(request)
    call = next(state.calls)
    await state.travel()
    state.stats.requests[request.path.removeprefix(state.prefix)] += 1
    response = await state.faults.before(request, call)
    if response is None:
        response = await _answer(state, request, handler)
    response = await state.faults.after(request, call, response)
    await state.travel()
    return response


async def _answer(state: State, request: web.Request, handler: Handler) -> web.StreamResponse:
    path = request.path.removeprefix(state.prefix)
    try:
        _check_route(request)
        account = state.limits.identify(request, path)
        if account is not None:
            request[ACCOUNT] = account
        state.limits.admit(request, path, account)
        await state.work()
        return await handler(request)
    except Refusal as refusal:
        state.stats.refused[refusal.kind] += 1
        return refused(request, refusal)


def _check_route(request: web.Request) -> None:
    problem = request.match_info.http_exception
    if isinstance(problem, web.HTTPMethodNotAllowed):
        raise Refusal(16900202, f"Request method '{request.method}' not supported", kind="method")
    if problem is not None:
        raise Refusal(1600101, "Interface not found", kind="path")
