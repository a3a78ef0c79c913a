"""How JSON is nested, told by its quotes and brackets alone: the scalars in it need not be sound. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_TEXT = re.compile(rb'"[^"]*"?')
_MARK = re.compile(rb'"(?:[^"\\]|\\.)*+"|[][{}]', re.DOTALL)


def is_deeper(body: bytes, levels: int) -> bool:
    """Whether objects and lists stand more than so many levels within each other. The body need not be sound."""
    marks = body.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NO_MARKS)
    # A text without brackets is two quotes by now. Without those it is quick to strike out the others.
    depth = 0
    for mark in _TEXT.sub(b"", marks.replace(b'""', b"")):
        depth += 1 if mark in b"[{" else -1
        if depth > levels:
            return True
    return False


def objects_at(body: bytes, level: int) -> Iterator[tuple[int, int]]:
    """Where objects and lists begin and end that stand at that level; the outermost is at 1."""
    depth = start = 0
    for mark in _MARK.finditer(body):
        if mark[0] in (b"{", b"["):
            depth += 1
            if depth == level:
                start = mark.start()
        elif mark[0] in (b"}", b"]"):
            if depth == level:
                yield start, mark.end()
            depth -= 1
