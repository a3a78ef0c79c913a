"""The three authentication calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from cjasync.config import CHINA_TIME
from cjasync.sandbox.accounts import Tokens
from cjasync.sandbox.envelope import Refusal, success
from cjasync.sandbox.query import json_object
from cjasync.sandbox.state import ACCOUNT, STATE, State


def routes(state: State) -> list[web.RouteDef]:
    """The calls of this module."""
    return [
        web.post(f"{state.prefix}authentication/getAccessToken", get_access_token),
        web.post(f"{state.prefix}authentication/refreshAccessToken", refresh_access_token),
        web.post(f"{state.prefix}authentication/logout", logout),
    ]


async def get_access_token(request: web.Request) -> web.StreamResponse:
    """POST authentication/getAccessToken: an API key for a pair of tokens."""
    state = request.app[STATE]
    account = state.accounts.of_key(str((await json_object(request)).get("apiKey") or ""))
    if account is None:
        raise Refusal(1600005, "APIkey is wrong, please check and try again", kind="token")
    state.limits.take_login(account)
    request[ACCOUNT] = account
    return success(request, {"openId": account.open_id} | _pair(state.accounts.login(account)))


async def refresh_access_token(request: web.Request) -> web.StreamResponse:
    """POST authentication/refreshAccessToken: a refresh token for another access token."""
    state = request.app[STATE]
    body = await json_object(request)
    return success(request, _pair(state.accounts.refresh(str(body.get("refreshToken") or ""))))


async def logout(request: web.Request) -> web.StreamResponse:
    """POST authentication/logout: ends both tokens."""
    request.app[STATE].accounts.logout(request[ACCOUNT])
    return success(request, True)


def _pair(tokens: Tokens) -> dict[str, Any]:
    return {
        "accessToken": tokens.access,
        "accessTokenExpiryDate": _date(tokens.access_until),
        "refreshToken": tokens.refresh,
        "refreshTokenExpiryDate": _date(tokens.refresh_until),
        "createDate": _date(tokens.created),
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), CHINA_TIME).isoformat()
