"""Writes docs/endpoints.md from the declarations: python -m scripts.endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args, get_origin

from cjasync._endpoint import Endpoint, Paging
from cjasync.resources._resource import Resource
from cjasync.resources.auth import Auth

PAGE = Path(__file__).parents[1] / "docs" / "endpoints.md"
RESOURCES = (
    "categories",
    "products",
    "warehouses",
    "variants",
    "stock",
    "reviews",
    "sourcing",
    "settings",
    "auth",
)
# What makes these calls is the token manager; users see them by other names.
_AUTOMATIC = {"authenticate": "login", "renew": None, "revoke": "logout"}
_HEAD = """# Endpoints

Every call of CJ's product API, the method that makes it, what it costs and what it gives. Written from the
declarations by `python -m scripts.endpoints`; a test holds the two together.

An answer without data is empty, not an error: `()` for lists, `None` for single objects, `False` for yes or no.
`Rows` are a tuple whose `skipped` holds what could not be read. A `Pager` is awaited for one page or iterated for all.
A write is never sent twice by itself.

| path | verb | method | points | answer | page |
|---|---|---|---|---|---|
"""


def calls() -> Iterator[tuple[str, Endpoint]]:
    """Each method, as it is reached from a client, and the endpoint that its body names."""
    for resource in RESOURCES:
        module = import_module(f"cjasync.resources.{resource}")
        (cls,) = (found for found in Resource.__subclasses__() if found.__module__ == module.__name__)
        for name, method in vars(cls).items():
            code = getattr(method, "__code__", None)
            for used in code.co_names if code is not None else ():
                if isinstance(endpoint := getattr(module, used, None), Endpoint):
                    yield f"{resource}.{name}", endpoint


def _answer(endpoint: Endpoint) -> str:
    inner = ", ".join(model.__name__ for model in get_args(endpoint.answer))
    if endpoint.paging is not None:
        return f"`Pager[{inner}]`"
    if get_origin(endpoint.answer) is list:
        return f"`Rows[{inner}]`"
    return "`bool`" if endpoint.answer is bool else f"`{endpoint.answer.__name__}` or `None`"


def _row(method: str, endpoint: Endpoint) -> str:
    resource, name = method.split(".")
    shown = _AUTOMATIC.get(name, name)
    call = f"`{resource}.{shown}()`" if shown else "automatic"
    verb = endpoint.method if endpoint.safe else f"{endpoint.method}, a write"
    answer = _answer(endpoint) if resource != "auth" else f"`{getattr(Auth, shown or name).__annotations__['return']}`"
    return f"| {endpoint.path} | {verb} | {call} | {endpoint.points} | {answer} | {_page(endpoint.paging)} |"


def _page(paging: Paging | None) -> str:
    if paging is None:
        return ""
    return f"1-{paging.max_size} rows" if paging.max_size is not None else f"{paging.default_size} rows, or others"


def document() -> str:
    """The whole page."""
    return _HEAD + "\n".join(_row(method, endpoint) for method, endpoint in calls()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(document())
