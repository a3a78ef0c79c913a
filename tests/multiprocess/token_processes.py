"""What the processes of test_tokens.py do (`token_processes.py WHAT FOLDER`). CJ is a file of calls, a line each."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cjasync._clock import SYSTEM_CLOCK
from cjasync.auth import FileTokenStore, TokenManager, TokenRecord, Tokens

LONG, SHORT = "L" * 200_000, "S" * 600


class CJInAFile:
    """Writes down who asked for what; a pair is named after the call that made it."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls"

    async def authenticate(self) -> Tokens:
        return await self._pair("login")

    async def renew(self, refresh_token: str) -> Tokens:
        return await self._pair(f"refresh {refresh_token}")

    async def revoke(self, access_token: str) -> None:
        await self._pair(f"logout {access_token}")

    async def _pair(self, call: str) -> Tokens:
        with self.calls.open("a") as file:
            file.write(f"{call}\n")
        await asyncio.sleep(0.15)  # long enough for the others to come and find it under way
        number = len(self.calls.read_text().splitlines())
        end = datetime.now(UTC) + timedelta(days=15)
        return Tokens.from_answer(access_token=f"a{number}", access_expires_at=end, refresh_token=f"r{number}")


def manager(folder: Path) -> TokenManager:
    cj, store = CJInAFile(folder), FileTokenStore(folder)
    calls = {"authenticate": cj.authenticate, "renew": cj.renew, "revoke": cj.revoke}
    return TokenManager(account="shared", store=store, clock=SYSTEM_CLOCK, **calls)


def say(text: str) -> None:
    print(text, flush=True)


def heard() -> str:
    return sys.stdin.readline().strip()


async def live(folder: Path) -> None:
    """Get a token, then replace it as often as told to."""
    tokens = manager(folder)
    say("ready")
    heard()
    while True:
        say(await tokens.get())
        if heard() != "refused":
            break
        say(await tokens.rejected(tokens.current()))
        heard()
    await tokens.aclose()


async def hold(folder: Path) -> None:
    """Hold the lock until killed."""
    async with FileTokenStore(folder).lock("shared"):
        say("held")
        await asyncio.sleep(600)


async def hold_and_fork(folder: Path) -> None:
    """Hold the lock until killed, with a child that lives on."""
    async with FileTokenStore(folder).lock("shared"):
        child = os.fork()
        if child == 0:
            say(f"child {os.getpid()}")
            sys.stdin.read()
            os._exit(0)
        await asyncio.sleep(600)


async def write(folder: Path) -> None:
    """Save long and short records in turn until killed."""
    store = FileTokenStore(folder)
    say("writing")
    while True:
        for text in (LONG, SHORT):
            await store.save("shared", TokenRecord(tokens=Tokens(access_token=text, refresh_token=text)))


if __name__ == "__main__":
    work = {work.__name__: work for work in (live, hold, hold_and_fork, write)}[sys.argv[1]]
    asyncio.run(work(Path(sys.argv[2])))
