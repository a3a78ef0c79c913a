"""The files that grow by appending lines: JSON lines and CSV."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from io import FileIO
from itertools import compress, islice
from operator import not_
from pathlib import Path
from typing import Any

import cjasync.catalog.sinks.durable as durable
from cjasync.catalog.sinks.columns import Layout
from cjasync.catalog.sinks.converter import PageConverter
from cjasync.catalog.sinks.durable import CommitLog
from cjasync.catalog.sinks.newest import WrittenKeys
from cjasync.catalog.sinks.packing import PLAIN, packing_of
from cjasync.catalog.sinks.sink import FileSink, Written
from cjasync.models._model import Model

_AT_ONCE = 1_000  # lines


class LineSink(FileSink):
    """Rows are appended to `FILE.partial`; `FILE.partial.commit` says how many of its bytes count."""

    def __init__(self, path: Path, layout: Layout, question: str, convert: PageConverter) -> None:
        super().__init__(path, layout, question)
        self._convert = convert
        self._packing = packing_of(path.suffix)
        self._commits = CommitLog(self.partial)
        self._file: FileIO | None = None
        self._waiting: list[bytes] = []  # lines too few for a member of their own
        self._safe = 0  # bytes that the last commit counts
        self._keys = WrittenKeys()

    @abstractmethod
    def _encode(self, columns: Sequence[Sequence[Any]], fetched_at: datetime) -> bytes:
        """The lines of some rows, which are given as their columns."""

    @abstractmethod
    def _head(self, line: bytes) -> tuple[str, datetime]:
        """The key and the fetch time of a line."""

    def _header(self) -> bytes:
        return b""

    def _lines(self, file: Iterable[bytes]) -> Iterator[bytes]:
        """The rows of a file whose header is behind, each with the line ends it holds."""
        return iter(file)

    def _is_long(self, count: int) -> bool:
        return super()._is_long(count) or self._packing is not PLAIN

    def _open(self, fresh: bool) -> None:
        commit = self._commits.last() if self.partial.exists() and not fresh else None
        self._safe = 0 if commit is None else commit.offset
        self._file = durable.cut_open(self.partial, self._safe)
        if commit is not None:
            self._go_on(commit)
            return
        self._commits.remove()
        durable.append(self._file, self._packing.pack(self._header()))  # of nothing too: an empty file is no gzip

    def _write(self, rows: Sequence[Model], fetched_at: datetime) -> None:
        columns = self._convert(rows)
        self._keys.add(columns[0])
        self._waiting.append(self._encode(columns, fetched_at))
        if sum(map(len, self._waiting)) >= self._packing.least:
            self._flush()

    def _flush(self) -> None:
        """Append what waits: always whole lines and whole members, so that the file can be read at any time."""
        assert self._file is not None
        if self._waiting:
            durable.append(self._file, self._packing.pack(b"".join(self._waiting)))
            self._waiting.clear()

    def _commit(self, token: bytes) -> None:
        assert self._file is not None
        self._flush()
        durable.sync_file(self._file)
        self._commits.append(self._state(token, offset=self._file.tell()))
        self._safe = self._file.tell()

    def _finish(self) -> Written:
        self._flush()
        dropped = self._keys.superseded(self.rows, self._heads)
        repeated = 0 if dropped is None else dropped.count(1)
        durable.publish(self.partial if dropped is None else self._without(dropped), self.path)
        self._close()
        self._remove()
        return Written(path=self.path, rows=self.rows - repeated, repeated=repeated)

    def _without(self, dropped: bytearray) -> Path:
        """A copy of the partial file without the rows that newer ones have replaced."""
        new, pack = self.partial.with_name(self.partial.name + ".final"), self._packing.pack
        with new.open("wb") as out, self._packing.opened(self.partial) as log:
            out.write(pack(log.read(len(self._header()))))
            kept = compress(self._lines(log), map(not_, dropped))
            while lines := b"".join(islice(kept, _AT_ONCE)):
                out.write(pack(lines))
        return new

    def _heads(self) -> Iterator[tuple[str, datetime]]:
        with self._packing.opened(self.partial) as log:
            log.read(len(self._header()))
            yield from map(self._head, self._lines(log))

    def _cut_back(self) -> None:
        assert self._file is not None
        self._file.truncate(self._safe)

    def _close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._commits.close)
            if self._file is not None:
                stack.callback(self._file.close)

    def _remove(self) -> None:
        self.partial.unlink(missing_ok=True)
        self._commits.remove()
