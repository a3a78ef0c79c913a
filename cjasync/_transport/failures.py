"""aiohttp's exceptions in the library's own words."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp.http import HttpProcessingError

from cjasync.errors import BadResponseError, CJError, ClosedError, ConnectError, TransportError
from cjasync.errors import TimeoutError as LateError


def translated(error: Exception, sent: bool) -> CJError:
    """The error to raise instead. Its text may quote URLs, which hold no secret of ours."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return ConnectError(f"no connection: {error}")
    if isinstance(error, asyncio.TimeoutError):
        return LateError("no answer within the time allowed")
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        _clear(error)
        return BadResponseError("the answer is no HTTP")
    if isinstance(error, aiohttp.ClientPayloadError):
        return BadResponseError(f"the answer broke off: {error}")
    if isinstance(error, RuntimeError) and "closed" in str(error).lower():
        return ClosedError("the session was closed")
    if isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str):
        _drop_head(error)
    if isinstance(error, aiohttp.ClientError | OSError):
        words = "the connection was lost" if sent else "no connection"
        return (TransportError if sent else ConnectError)(f"{words}: {str(error) or type(error).__name__}")
    return TransportError(f"{type(error).__name__}: {error}")


def _clear(error: aiohttp.ClientResponseError | HttpProcessingError) -> None:
    """Take out what it shows: the token among the headers that were sent, and the bytes that came.

    Those may be the rest of an earlier answer on this connection, such as that of a login.
    """
    if isinstance(error, aiohttp.ClientResponseError):
        asked = error.request_info
        error.request_info = aiohttp.RequestInfo(asked.url, asked.method, {}, asked.real_url)  # type: ignore[arg-type]
    error.args, error.message, error.headers = (), "no HTTP", None
    error.__cause__ = error.__context__ = None


def _drop_head(error: aiohttp.ServerDisconnectedError) -> None:
    """Take out the head of an answer that broke off within it: an error shows nothing that a server sent."""
    error.message = "the server disconnected within the head of its answer"
    error.args = (error.message,)
