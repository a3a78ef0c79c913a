"""Runs a command: gives it the common options, and turns what it ends with into words and an exit code."""

from __future__ import annotations

import asyncio
import functools
import inspect
import signal
import warnings
from collections.abc import Callable
from typing import Any

import msgspec
import typer

from cjasync.cli.endings import DONE, INTERRUPTED, as_json, exit_code, goes_on_at, in_words
from cjasync.cli.flags import in_flags
from cjasync.cli.options import Common, common_options, why_no_access
from cjasync.cli.words import moment, safe
from cjasync.errors import CJError


def as_command(command: Callable[..., Any]) -> Callable[..., None]:
    """A function that typer can read: the command's own options, and the common ones.

    The command gets those as its first argument; it may be a coroutine function, and may return an exit code.
    """
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    ]
    common = common_options(command)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        names = frozenset(given)
        chosen = Common(**{parameter.name: given.pop(parameter.name) for parameter in common}, names=names)
        raise typer.Exit(_run(command, chosen, given))

    run.__dict__["__signature__"] = inspect.Signature([*own, *common])
    run.__annotations__ = {}
    return run


def _run(command: Callable[..., Any], common: Common, given: dict[str, Any]) -> int:
    # Schedulers and containers end a job with SIGTERM: it may save what it has, as at Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: note(common, in_flags(str(message), common.names))
        try:
            if why := why_no_access(command):
                common.refuse_access(why)
            code: int | None = asyncio.run(command(common, **given)) if _is_async(command) else command(common, **given)
        except CJError as error:
            tell(common, error)
            return exit_code(error)
        except KeyboardInterrupt:
            return INTERRUPTED
        return DONE if code is None else code


def _is_async(command: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(command)


def note(common: Common, text: str) -> None:
    """Something that is good to know."""
    common.err.print(f"[yellow]note:[/] {safe(text)}")


def tell(common: Common, error: CJError) -> None:
    """What went wrong, where, and when it can go on."""
    if common.json:
        print_json(as_json(error, common.names))
        return
    common.loud.print(f"[bold red]error:[/] {safe(in_words(error, common.names))}")
    if (at := goes_on_at(error)) is not None:
        common.loud.print(f"It can go on at {moment(at)}.")


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    print(msgspec.json.encode(value).decode(), flush=True)
