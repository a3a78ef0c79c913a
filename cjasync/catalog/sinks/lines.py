"""The files that grow by appending lines: JSON lines and CSV."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import compress
from operator import not_
from pathlib import Path
from typing import Any, BinaryIO

from cjasync.catalog.sinks import durable
from cjasync.catalog.sinks.columns import Layout
from cjasync.catalog.sinks.durable import CommitLog
from cjasync.catalog.sinks.newest import superseded
from cjasync.catalog.sinks.sink import FileSink, Written
from cjasync.models._model import Model

_BUFFER = 1 << 20


class LineSink(FileSink):
    """Rows are appended to `FILE.partial`; `FILE.partial.commit` says how many of its bytes count."""

    def __init__(self, path: Path, layout: Layout, question: str) -> None:
        super().__init__(path, layout, question)
        self._commits = CommitLog(self.partial.with_name(self.partial.name + ".commit"))
        self._file: BinaryIO | None = None

    @abstractmethod
    def _encode(self, rows: Sequence[Model], fetched_at: datetime) -> bytes:
        """The lines of some rows."""

    @abstractmethod
    def _head(self, line: bytes) -> tuple[str, datetime]:
        """The key and the fetch time of a line."""

    def _header(self) -> bytes:
        return b""

    def _lines(self, file: Iterable[bytes]) -> Iterator[bytes]:
        """The rows of a file whose header is behind, each with the line ends it holds."""
        return iter(file)

    def _packed(self, path: Path) -> Any:
        """A compressed file to copy the lines into, where the final file is to be one."""
        return None

    def _open(self, fresh: bool) -> None:
        commit = self._commits.last() if self.partial.exists() and not fresh else None
        self._file = durable.cut_open(self.partial, 0 if commit is None else commit.offset, writer_of=self.partial)
        if commit is None:
            self._commits.remove()
            self._file.write(self._header())
            return
        self._check(commit)
        self.token, self.rows = commit.token, commit.rows

    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        assert self._file is not None
        self._file.write(self._encode(rows, fetched_at))

    def _commit(self, token: bytes) -> None:
        assert self._file is not None
        durable.sync_file(self._file)
        self._commits.append(self._state(token, offset=self._file.tell()))

    def _finish(self) -> Written:
        assert self._file is not None
        durable.sync_file(self._file)
        dropped = superseded(self._heads)
        repeated = 0 if dropped is None else dropped.count(1)
        if not self._copy(dropped):
            durable.publish(self.partial, self.path)
        self._close()
        self._remove()
        return Written(path=self.path, rows=self.rows - repeated, repeated=repeated)

    def _copy(self, dropped: bytearray | None) -> bool:
        """Write the final file anew, if it is not the partial file as it stands."""
        new = self.partial.with_name(self.partial.name + ".final")
        target = self._packed(new)
        if target is None and dropped is None:
            return False
        with target or new.open("wb", _BUFFER) as out, self.partial.open("rb", _BUFFER) as log:
            if dropped is not None:
                out.write(log.read(len(self._header())))
                out.writelines(compress(self._lines(log), map(not_, dropped)))
            shutil.copyfileobj(log, out, _BUFFER)
        durable.publish(new, self.path)
        return True

    def _heads(self) -> Iterator[tuple[str, datetime]]:
        with self.partial.open("rb", _BUFFER) as log:
            log.seek(len(self._header()))
            yield from map(self._head, self._lines(log))

    def _close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._commits.close)
            if self._file is not None:
                stack.callback(self._file.close)

    def _remove(self) -> None:
        self.partial.unlink(missing_ok=True)
        self._commits.remove()
