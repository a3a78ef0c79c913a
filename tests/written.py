"""Looks through everything that the suite writes: no secret is in it, and no event loop has complained.

A plugin of pytest. Logs, output (also that of processes), errors, events, cursors and files are seen as they are made.
The run fails at its end if one of them shows a key, a token or an openId: those of the sandbox and of the tests can be
told from all other text. Only the files of a token store and the profiles that a user writes may hold them.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cjasync import CJError, Cursor, hooks
from tests.packed import inside

# What it is, how it begins, and how it goes on.
SECRETS = [
    ("an API key", "api", r"(?:@|%40)[0-9a-f]{16}"),
    ("a token", "API", r"(?:@|%40)CJ\d+(?:@|%40)CJ(?::|%3A)eyJ\w"),
    ("a token", "eyJ", r"[\w-]{20,}\.eyJ[\w-]{20,}"),
    ("an openId", "8088", r"(?<![\d.]8088)\d{12}(?![\d.])"),
    ("a test's secret", "SECRET", r"-?(?:\d|access|refresh|open|given)"),
    ("a test's secret", "geheim", ""),
]
IN_TEXT = [(name, start, re.compile(start + rest)) for name, start, rest in SECRETS]
IN_BYTES = [(name, start.encode(), re.compile((start + rest).encode())) for name, start, rest in SECRETS]
# Where a store keeps tokens, where a user puts a key by hand, and where the benchmarks keep what CJ said, to decode it.
THEIR_PLACE = re.compile(r"tokens-[0-9a-f]{32}(\.json|\..*\.new)|profiles\.toml|setting\.get")


class Written(logging.Handler):
    """What was written, as far as something is wrong with it."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.test = "before the first test"
        self.wrong: dict[str, None] = {}  # in order, and once
        self._errors: list[dict[str, Any]] = []
        self._error_of: dict[int, dict[str, Any]] = {}  # by the id of the latest that has it

    def look(self, where: str, text: Any) -> None:
        """Look through a text, or what its repr shows."""
        shown = text if isinstance(text, str) else repr(text)
        for name, start, pattern in IN_TEXT:
            if start in shown and (found := pattern.search(shown)):
                before = shown[max(0, found.start() - 60) : found.start()]
                self.wrong[f"{name} in {where}, {self.test}: {before!r} and then the secret"] = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look through a line of the log, with the traceback below it."""
        text = self.format(record)
        self.look(f"the log of {record.name}", text)
        if record.name == "asyncio" and record.levelno >= logging.ERROR:
            self.wrong[f"the event loop complained, {self.test}: {text}"] = None

    def keep(self, error: CJError) -> None:
        """Look at the error when the test is over, since callers add to it; without keeping its frames alive."""
        shown = {"name": type(error).__name__, "args": error.args, "facts": error.__dict__}
        self._errors.append(shown)
        self._error_of[id(error)] = shown

    def keep_change(self, error: CJError, name: str, value: Any) -> None:
        """Its text has changed; its other facts change by themselves."""
        if name == "args":
            if id(error) not in self._error_of:  # a copy
                self.keep(error)
            self._error_of[id(error)]["args"] = value

    def test_is_over(self) -> None:
        """Look at what was kept."""
        for shown in self._errors:
            self.look(f"the error {shown['name']}", shown)
        self._errors.clear()
        self._error_of.clear()

    def look_into(self, folder: Path) -> None:
        """Look through the files that are there."""
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and not THEIR_PLACE.fullmatch(path.name):
                content = path.read_bytes()
                for shown in (content, inside(path, content)):
                    for name, start, pattern in IN_BYTES:
                        if start in shown and pattern.search(shown):
                            self.wrong[f"{name} in the file {path.relative_to(folder)}, {self.test}"] = None


_written = Written()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """From now on it is this test that writes."""
    _written.test = item.nodeid


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look at what the test printed, and at its errors."""
    for title, text in report.sections:
        _written.look(title, text)
    _written.test_is_over()


@pytest.fixture(scope="session", autouse=True)
def _nothing_wrong_is_written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        _listen(patch)
        yield
    _written.test = "at the end"
    _written.look_into(folder)
    if _written.wrong:
        pytest.fail("the suite has written what it must not:\n" + "\n".join(_written.wrong), pytrace=False)


def _listen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(logging.root, "handlers", [*logging.root.handlers, _written])
    patch.setattr(logging.getLogger("cjasync"), "level", logging.DEBUG)
    _tap(patch, CJError, "__init__", lambda args, _: _written.keep(args[0]))
    _tap(patch, CJError, "__setattr__", lambda args, _: _written.keep_change(*args))
    _tap(patch, hooks, "emit", lambda args, _: _written.look("an event", args[1]))
    _tap(patch, Cursor, "__str__", lambda args, _: _written.look("a cursor", args[0]))
    _tap(patch, pytest.CaptureFixture, "readouterr", lambda _, texts: _written.look("the output", texts))
    _tap(patch, subprocess.Popen, "communicate", lambda _, texts: _written.look("the output of a process", texts))
    communicate = asyncio.subprocess.Process.communicate

    async def heard(process: asyncio.subprocess.Process, *args: Any) -> Any:
        texts = await communicate(process, *args)
        _written.look("the output of a process", texts)
        return texts

    patch.setattr(asyncio.subprocess.Process, "communicate", heard)
    cleanup = TemporaryDirectory.cleanup

    def looked_into(folder: TemporaryDirectory[str]) -> None:
        _written.look_into(Path(folder.name))
        cleanup(folder)

    patch.setattr(TemporaryDirectory, "cleanup", looked_into)


def _tap(patch: pytest.MonkeyPatch, owner: Any, name: str, see: Callable[[tuple[Any, ...], Any], None]) -> None:
    """Have `see` told what each call is given and what it returns."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def tapped(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        see(args, result)
        return result

    patch.setattr(owner, name, tapped)
