"""Examples for people: short, and without anything secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from cjasync.models._values import read_json

HIDDEN = "***"
LENGTH = 80  # characters of an example
_DEPTH = 4
_DEEPEST = 8  # where secrets are looked for
_WIDTH = 8

_SECRET_NAME = re.compile(
    r"token|secret|passw|credential|api_?key|open_?(id|name)|e?mail|authorization|signature|cookie|session",
    re.IGNORECASE,
)
# Bounded, and begun at the beginning of a word only: long texts are looked through in linear time.
_SECRET_TEXT = re.compile(
    r"""API@CJ[^\s"]*|(?<![\w.+-])[\w.+-]{1,99}@(?:api@[^\s"]*|[\w-]{1,99}(?:\.[\w-]+)+)|\beyJ[\w-]{8,}[^\s"]*""",
    re.ASCII,
)
_JSON = msgspec.json.Encoder(decimal_format="number")


def secrets_in(value: Any, depth: int = 0) -> Iterator[str]:
    """What stands under a name that tells of a secret, so that it can be hidden wherever else it stands."""
    if depth > _DEEPEST:
        return
    value = read_json(value)
    if isinstance(value, dict):
        for name, inner in value.items():
            if _SECRET_NAME.search(name) and type(inner) in (str, int) and len(str(inner)) > 3:
                yield str(inner)
            yield from secrets_in(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_in(inner, depth + 1)


def example(name: str, value: Any, secrets: frozenset[str]) -> str:
    """A value as JSON, cut short. `name` is the field's, `secrets` what must not be in it."""
    return shorten(hide(_JSON.encode(_open(name, value, 0)).decode(), secrets))


def hide(text: str, secrets: frozenset[str] = frozenset()) -> str:
    """A text without what looks like a token, a key or an address, and without `secrets`."""
    text = _SECRET_TEXT.sub(HIDDEN, text)
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def shorten(text: str, length: int = LENGTH) -> str:
    """A text of at most that many characters, safe for a terminal."""
    text = text if len(text) <= length else text[: length - 3] + "..."
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _open(name: str, value: Any, depth: int) -> Any:
    """The value with secrets hidden by their names, also in JSON inside a string, no deeper than an example goes."""
    if _SECRET_NAME.search(name):
        return HIDDEN
    value = read_json(value)
    if depth == _DEPTH and isinstance(value, dict | list):
        return "..."
    if isinstance(value, dict):
        return {inner: _open(inner, value[inner], depth + 1) for inner in list(value)[:_WIDTH]}
    if isinstance(value, list):
        return [_open("", inner, depth + 1) for inner in value[:_WIDTH]]
    return value
