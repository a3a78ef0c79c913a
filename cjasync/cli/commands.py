"""`cjasync`: its commands."""

from __future__ import annotations

from typing import Annotated

import typer

from cjasync import __version__
from cjasync.cli.demo import demo
from cjasync.cli.doctor import doctor
from cjasync.cli.login import login
from cjasync.cli.pull import pull
from cjasync.cli.running import as_command
from cjasync.cli.sandbox import sandbox
from cjasync.cli.search import search
from cjasync.cli.show import show
from cjasync.cli.usage import usage

app = typer.Typer(
    name="cjasync",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, pull, search, show, usage, sandbox, login, doctor):
    app.command(command.__name__)(as_command(command))


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
