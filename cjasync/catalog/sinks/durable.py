"""What makes a file survive a crash: the commit record beside it, fsync of files and folders, renames, one writer."""

from __future__ import annotations

import contextlib
import os
from io import FileIO
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec
from msgspec import Struct

from cjasync.errors import CheckpointError, OutputError

VERSION = 1
_LOG_SIZE = 1 << 20


class Commit(Struct, frozen=True, kw_only=True):
    """How much of a partial file counts: its first `rows` rows; `offset` bytes, where it is one that is appended to."""

    question: str
    columns: list[str]
    token: bytes
    rows: int
    offset: int = 0
    version: int = VERSION


class CommitLog:
    """The commit records beside a partial file, in `FILE.partial.commit`: one line each; the last whole line counts."""

    def __init__(self, partial: Path) -> None:
        self._path = partial.with_name(partial.name + ".commit")
        self._file: BinaryIO | None = None

    def last(self) -> Commit | None:
        """The last record, or None where there is none."""
        if not self._path.exists():
            return None
        lines = self._path.read_bytes().split(b"\n")
        for line in reversed(lines):
            # A crash can leave half a line behind the last whole one.
            with contextlib.suppress(msgspec.DecodeError):
                return msgspec.json.decode(line, type=Commit)
        if len(lines) > 1:
            raise CheckpointError(f"{self._path} is damaged; start anew with `fresh=True`")
        return None

    def append(self, commit: Commit) -> None:
        """Return when the record is on the disk."""
        line = msgspec.json.encode(commit) + b"\n"
        if self._file is None or self._file.tell() > _LOG_SIZE:
            self._start(line)
            return
        self._file.write(line)
        sync_file(self._file)

    def _start(self, line: bytes) -> None:
        """Begin a new log: after a crash either the old one or the new one is there."""
        self.close()
        new = self._path.with_name(self._path.name + ".new")
        new.write_bytes(line)
        publish(new, self._path)
        self._file = self._path.open("ab")

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Forget all commits."""
        self.close()
        self._path.unlink(missing_ok=True)


def publish(new: Path, final: Path) -> None:
    """Give a complete file its final name, durably."""
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(final)
    sync_folder(final.parent)


def cut_open(path: Path, size: int) -> FileIO:
    """Open a file, as its only writer, to append to its first `size` bytes; the rest is discarded.

    Nothing is kept back in memory: what `append` has written outlives the process.
    """
    # Not "wb": nothing may be cut off before the lock is ours.
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", 0)
    try:
        lock(file.fileno(), path)
        if file.seek(0, os.SEEK_END) < size:
            raise CheckpointError(f"{path} is shorter than it was; start anew with `fresh=True`")
        file.truncate(size)
        file.seek(size)
    except BaseException:
        file.close()
        raise
    return file


def append(file: FileIO, data: bytes | bytearray) -> None:
    """Write all of it (one write can fall short of that where the disk is nearly full)."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sync_file(file: IO[Any]) -> None:
    """Return when the file's bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the folder's names are on the disk (Windows does that by itself, and cannot be asked)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def locked_folder(folder: Path) -> int | None:
    """A handle that keeps other processes from writing into the folder until it is closed."""
    if os.name == "nt":  # which has no handles of folders
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        lock(handle, folder)
    except BaseException:
        os.close(handle)
        raise
    return handle


def lock(handle: int, partial: Path) -> None:
    """Keep other processes from writing the same file; ends with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows: it does not let two processes replace the same open file
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise in_use(partial) from None


def in_use(partial: Path) -> OutputError:
    """What a second writer is told."""
    return OutputError(f"{partial} is being written by another process; wait for it, or choose another file")
