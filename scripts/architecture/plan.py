"""The plan of the house: every room, the floor it is on, and what only some rooms may use. Edit this, not the rules.

A room is a module or a package directly under `cjasync`. Arrows point down or stay on their floor.
"""

from typing import NamedTuple

PACKAGE = "cjasync"


class Floor(NamedTuple):
    name: str
    rooms: tuple[str, ...]


FLOORS = (
    Floor("for people", ("__main__", "cli", "testing")),
    Floor("beside the client", ("drift", "ext", "sandbox")),
    Floor("whole catalogue", ("catalog",)),
    Floor("front door", (PACKAGE,)),
    Floor("client", ("client",)),
    Floor("methods", ("resources", "pagination", "bulk", "_prefetch")),
    Floor("engine", ("_engine", "_call", "_services")),
    Floor(
        "parts of a request",
        (
            "_decode",
            "_envelope",
            "_flights",
            "_nesting",
            "_patience",
            "_protocol",
            "_retry",
            "_rows",
            "_transport",
            "_watchdog",
            "auth",
            "quota",
        ),
    ),
    Floor(
        "ground",
        (
            "models",
            "errors",
            "config",
            "hooks",
            "_clock",
            "_endpoint",
            "_params",
            "_raw",
            "_secret",
            "_to_the_end",
            "_version",
        ),
    ),
)

# Room -> the only other rooms that may import it.
ONLY_FROM = {
    "__main__": frozenset[str](),
    "cli": frozenset({"__main__"}),
    "ext": frozenset({"cli"}),
    "sandbox": frozenset({"cli", "testing"}),
    "testing": frozenset[str](),
}

# Room -> the only other rooms that it may import.
ONLY_TO = {"sandbox": frozenset({"models", "errors", "config", "_clock"})}

# Library -> the rooms that may import it.
LIBRARIES = {
    "aiohttp.web": frozenset({"sandbox"}),
    "aiohttp": frozenset({"_transport", "sandbox"}),
    "backoff": frozenset({"_retry"}),
}

# What thinks and never acts: given the time, and no clock, socket or file. A package's name stands for all of it.
PURE = (
    "_decode",
    "_envelope",
    "_nesting",
    "_protocol",
    "_retry",
    "_rows",
    "catalog.planner",
    "catalog.planning",
    "models",
    "quota.bucket",
    "quota.delays",
    "quota.facts",
    "quota.state",
)
# What nothing pure imports.
DEEDS = frozenset(
    {"aiohttp", "asyncio", "os", "pathlib", "random", "socket", "sqlite3", "subprocess", "threading", "time"}
)

# What `import cjasync` must work without; the first word is the library, as it is imported.
EXTRAS = ("typer", "rich", "pyarrow", "duckdb", "redis", "opentelemetry", "uvloop", "isal")
# What `import cjasync` must not load, though it is there.
LAZY = ("aiohttp", *EXTRAS)

MOST_LINES = 330
