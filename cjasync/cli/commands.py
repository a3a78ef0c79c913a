"""`cjasync`: its commands."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from cjasync._version import __version__

SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
# Each command is a function in the module of its name, and loaded when it is called: `cjasync --help` is quick.
COMMANDS = {
    "demo": "Pull a made-up catalogue, and compare it with the truth.",
    "pull": "Pull products into a file.",
    "search": "Search products by words.",
    "show": "Show a product, its variants and their stock.",
    "usage": "Show what every limit has left, and when it is back.",
    "sandbox": "Run an embedded CJ on this machine, until Ctrl-C.",
    "login": "Check the API key, and keep its tokens.",
    "doctor": "Check that everything is as it must be.",
}


class _Later(TyperCommand):
    """Stands for a command until that is called."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        try:
            return _load(self.name or "").make_context(info_name, args, parent, **extra)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # of pydantic's, which says nothing to people
            raise


def _load(name: str) -> Any:
    from cjasync.cli.running import as_command

    command = getattr(import_module(f"cjasync.cli.{name}"), name)
    # The terminal says how long a line is: only an empty one ends a paragraph.
    says = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command) or "")
    one = typer.Typer(**SETTINGS)
    one.command(name, help=says)(as_command(command))
    return get_command(one)


ENDINGS = (
    "Exit codes: 0 done. 2 usage, or CJ has no such product. 3 authentication. 4 a quota is used up. "
    "5 CJ, the network, the ledger or writing failed, or not all is there. 130 interrupted."
)
app = typer.Typer(name="cjasync", no_args_is_help=True, epilog=ENDINGS, **SETTINGS)
for name, says in COMMANDS.items():
    app.command(name, cls=_Later, help=says)(lambda: None)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cjasync {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """CJ Dropshipping's products: pull the catalogue into a file, search it, look closer, see what the day has left."""


def run() -> int:
    """Run what the command line says; the exit code."""
    code: int | None = app(prog_name="cjasync", standalone_mode=True)
    return code or 0
