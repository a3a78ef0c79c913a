"""`python -m cjasync.sandbox`: a sandbox until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import sys

import msgspec

from cjasync.config import Plan
from cjasync.errors import ConfigError
from cjasync.sandbox.server import serve
from cjasync.sandbox.settings import Settings


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="python -m cjasync.sandbox", description="An embedded CJ on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--products", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--plan", help="free, plus, prime or advanced")
    parser.add_argument("--latency", type=float, help="seconds one way")
    parser.add_argument("--settings", default="{}", help="further settings as JSON")
    parser.add_argument("--with-parent", action="store_true", help="stop also when standard input ends")
    options = parser.parse_args()
    try:
        settings = msgspec.structs.asdict(msgspec.json.decode(options.settings, type=Settings))
        for name in ("products", "seed", "latency"):
            if getattr(options, name) is not None:
                settings[name] = getattr(options, name)
        if options.plan is not None:
            settings["plan"] = Plan.named(options.plan)
        asyncio.run(serve(port=options.port, with_parent=options.with_parent, **settings))
    except (ConfigError, msgspec.DecodeError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
