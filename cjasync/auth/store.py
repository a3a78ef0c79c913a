"""Where tokens are kept between calls, processes and restarts."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec

from cjasync._clock import SYSTEM_CLOCK
from cjasync.auth._filelock import FileLock, until
from cjasync.auth.tokens import TokenRecord
from cjasync.errors import ConfigError

_log = logging.getLogger("cjasync.auth")

# A file that a killed process left half written is removed by a later save, once it cannot be another's work any more.
_ABANDONED_AFTER = 60.0


class TokenStore(Protocol):
    """Keeps one TokenRecord per account. Your own may keep it anywhere: `msgspec.json` makes it bytes and back.

    `account` is an opaque name without secrets in it. Who finds no lock still gets right answers, but several processes
    may then refresh at once.
    """

    async def load(self, account: str) -> TokenRecord | None:
        """What was saved last, or None."""
        ...

    async def save(self, account: str, record: TokenRecord) -> None:
        """Replace what is kept. A reader sees the old record or the new one, never a part."""
        ...

    def lock(self, account: str) -> AbstractAsyncContextManager[None]:
        """`async with` it to be the only one that asks CJ for tokens. It must end when its holder dies."""
        ...


class MemoryTokenStore:
    """Tokens that live as long as the process. Clients, threads and event loops of the process may share one."""

    def __init__(self) -> None:
        self._records: dict[str, TokenRecord] = {}
        self._holders: dict[str, _Holder] = {}

    async def load(self, account: str) -> TokenRecord | None:
        """What was saved last, or None."""
        return self._records.get(account)

    async def save(self, account: str, record: TokenRecord) -> None:
        """Replace what is kept."""
        self._records[account] = record

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        """Be the only one in this process."""
        me = _Holder()
        await until(lambda: self._take(account, me))
        try:
            yield
        finally:
            if self._holders.get(account) is me:
                del self._holders[account]

    def _take(self, account: str, me: _Holder) -> bool:
        # `setdefault` is atomic over threads, and belongs to no event loop as an asyncio.Lock would.
        holder = self._holders.setdefault(account, me)
        if holder.process != me.process:
            self._holders[account] = me  # copied by a fork from the parent, where it is held
            return True
        return holder is me


class _Holder:
    __slots__ = ("process",)

    def __init__(self) -> None:
        self.process = os.getpid()


class FileTokenStore:
    """Tokens in files that only their owner can read (0600), one per account, shared by all processes on the machine.

    path: the folder; made (0700) where it is missing. None: `cjasync` in the user's folder for programs' state.
    The lock belongs to the kernel: a killed process frees it. Errors of the file system are ConfigErrors.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path) if path is not None else _state_folder()

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self.path)!r})"

    async def load(self, account: str) -> TokenRecord | None:
        """What was saved last; None also when the file is damaged."""
        return await asyncio.to_thread(self._read, self._file(account, ".json"))

    async def save(self, account: str, record: TokenRecord) -> None:
        """Write beside the old file, then put the new one in its place."""
        await asyncio.to_thread(self._write, self._file(account, ".json"), msgspec.json.encode(record))

    @asynccontextmanager
    async def lock(self, account: str) -> AsyncIterator[None]:
        """Be the only one on this machine."""
        path = self._file(account, ".lock")
        try:
            self._make_folder()
            lock = FileLock(path)
        except OSError as error:
            raise self._unusable("lock", path, error) from error
        try:
            await until(lock.take)
            yield
        finally:
            lock.close()

    def _file(self, account: str, suffix: str) -> Path:
        # Hashed, so that no name can leave the folder, and none shows what it was made from.
        return self.path / f"tokens-{hashlib.sha256(account.encode()).hexdigest()[:32]}{suffix}"

    def _read(self, path: Path) -> TokenRecord | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=TokenRecord)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable("read", path, error) from error
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.warning("the token file %s is damaged; going on without it", path)
            return None

    def _write(self, path: Path, content: bytes) -> None:
        try:
            self._make_folder()
            self._remove_abandoned(path)
            fd, name = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=".new", dir=self.path)  # 0600 from the start
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(fd)  # or a power cut could leave the new name with nothing in it
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unusable("write", path, error) from error

    def _make_folder(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _remove_abandoned(self, path: Path) -> None:
        for left in self.path.glob(f"{path.stem}.*.new"):
            with suppress(FileNotFoundError):
                if SYSTEM_CLOCK.time() - left.stat().st_mtime > _ABANDONED_AFTER:
                    left.unlink()

    def _unusable(self, verb: str, path: Path, error: OSError) -> ConfigError:
        return ConfigError(
            f"cannot {verb} {path} ({error.strerror}): give the token store a folder that you may write to, "
            'or token_store="memory"'
        )


def _state_folder() -> Path:
    try:
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        else:
            base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise ConfigError("no home folder is known: give the token store a path") from error
    return Path(base) / "cjasync"
