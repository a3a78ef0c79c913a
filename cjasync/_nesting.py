"""How deep JSON is nested. Pure."""

from __future__ import annotations

import re

_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_TEXT = re.compile(rb'"[^"]*"?')


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
