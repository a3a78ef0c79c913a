"""Parameters as options: the library's errors speak of `min_price`, the command line of --min-price."""

from __future__ import annotations

import re
from collections.abc import Collection

_PARAMETER = re.compile(r"`(?:Plan[.(])?(\w+)(?:=([^`]*?))?\)?`")
_OTHERWISE = {"quota": "quota_url", "size": "page_size", "country_code": "country"}


def flag(name: str) -> str:
    """How a parameter is given: `min_price` as --min-price."""
    return "--" + name.strip("_").replace("_", "-")


def in_flags(text: str, options: Collection[str]) -> str:
    """A text that speaks in options of the parameters in backticks that have one; `options` names those."""

    def spoken(found: re.Match[str]) -> str:
        name, value = found.groups()
        name = name if name in options else _OTHERWISE.get(name, name)
        if name not in options:
            return found[0]
        return flag(name) if value in (None, "True") else f"{flag(name)} {_plain(value)}"

    return _PARAMETER.sub(spoken, text)


def _plain(value: str) -> str:
    return "none" if value == "None" else value.strip("\"'")
