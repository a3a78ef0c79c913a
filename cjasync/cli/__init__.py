"""The command line: `cjasync --help`. Needs the extra `cli`."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line; the exit code."""
    # Arrow's own allocator keeps tens of megabytes that it may need again; the system's gives them back.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        from cjasync.cli.commands import run

        return run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        print("The command line needs two more packages: pip install 'cjasync[cli]'", file=sys.stderr)
        return 2
