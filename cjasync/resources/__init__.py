"""The methods of CJClient, one module per noun."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from cjasync._endpoint import Endpoint


def endpoints() -> dict[str, Endpoint[Any]]:
    """Every declared call by its path."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    declared = (value for module in modules for value in vars(module).values() if isinstance(value, Endpoint))
    return {endpoint.path: endpoint for endpoint in declared}
