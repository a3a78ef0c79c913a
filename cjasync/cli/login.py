"""`login`: trying a key, and keeping its token."""

from __future__ import annotations

import sys
from datetime import UTC

import msgspec
import typer

from cjasync.auth import FileTokenStore
from cjasync.cli.endings import NoCredentialsError
from cjasync.cli.options import Common
from cjasync.cli.running import print_json
from cjasync.cli.words import moment

_PATIENCE = 5.0  # seconds; who has mistyped a key is told when the next may be tried


async def login(common: Common) -> None:
    """Check the API key, and keep its tokens.

    The next commands use them. Without --api-key and CJ_API_KEY it asks for the key.
    CJ takes one login in five minutes.
    """
    settings = common.settings()
    if not settings.api_key:
        settings = msgspec.structs.replace(settings, api_key=_ask(), access_token=None)
    async with common.client(settings) as cj:
        tokens = await cj.with_options(max_wait=_PATIENCE).auth.login()
    kept = str(FileTokenStore().path) if settings.token_store is None else str(settings.token_store)
    if common.json:
        end = tokens.access_expires_at
        print_json({"good_until": end and end.astimezone(UTC), "kept_in": kept})
        return
    common.out.print("[bold green]Logged in.[/]")
    if tokens.access_expires_at is not None:
        common.out.print(f"The access token is good until {moment(tokens.access_expires_at)}; it is renewed by itself.")
    common.out.print(
        f"It is kept in {kept}, readable by you alone. The API key is not kept: set CJ_API_KEY.", markup=False
    )


def _ask() -> str:
    if not sys.stdin.isatty():
        raise NoCredentialsError("no API key: set CJ_API_KEY, or give --api-key (My CJ > Authorization > API)")
    key: str = typer.prompt("CJ API key", hide_input=True, err=True)
    return key
