"""The options that every command has, and what they make: settings, a client, and where to print."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from copy import copy
from typing import Annotated, Any, TypeVar, get_args

import msgspec
import typer
from msgspec import Struct
from rich.console import Console

from cjasync.cli.endings import NoCredentialsError
from cjasync.cli.flags import flag
from cjasync.client import CJClient
from cjasync.config import Plan, Settings, read_limit
from cjasync.errors import ConfigError

Command = TypeVar("Command", bound=Callable[..., Any])

_ACCESS = "Access"
_LIMITS = "Limits"
_PRINTING = "Printing"
_OF_WHOM = ("base_url", "allow_http", "access_token", "api_key", "quota_url", "retries")
_NO_ACCESS = "no_access"
_PIPE_WIDTH = 200


class Common(Struct, frozen=True):
    """The common options as they were given; `names`: those of all options that the command has."""

    base_url: Annotated[
        str | None,
        typer.Option(help="CJ's address, or a sandbox's. Or CJ_BASE_URL.", rich_help_panel=_ACCESS),
    ] = None
    allow_http: Annotated[
        bool | None,
        typer.Option(
            "--allow-http", help="Take an http:// address of another machine, unencrypted.", rich_help_panel=_ACCESS
        ),
    ] = None
    access_token: Annotated[
        str | None,
        typer.Option(help="An access token that you have. Or CJ_ACCESS_TOKEN.", rich_help_panel=_ACCESS),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(help="Fetches tokens by itself. Or CJ_API_KEY.", rich_help_panel=_ACCESS),
    ] = None
    plan: Annotated[
        str | None,
        typer.Option(help="free, plus, prime or advanced. Or CJ_PLAN.", rich_help_panel=_LIMITS),
    ] = None
    qps: Annotated[
        str | None, typer.Option(help="Requests a second of the account; none lifts it.", rich_help_panel=_LIMITS)
    ] = None
    ip_qps: Annotated[
        str | None, typer.Option(help="Requests a second of this address; none lifts it.", rich_help_panel=_LIMITS)
    ] = None
    jitter: Annotated[
        float | None,
        typer.Option(
            help="Seconds by which the ways of requests to CJ differ at most; 2 if not known.",
            min=0,
            rich_help_panel=_LIMITS,
        ),
    ] = None
    accounts_per_ip: Annotated[
        str | None, typer.Option(help="Accounts at this address a day; none lifts it.", rich_help_panel=_LIMITS)
    ] = None
    daily_calls: Annotated[
        str | None,
        typer.Option(
            help="Your own limit of calls a day to each path; none: no limit. Or CJ_DAILY_CALLS.",
            rich_help_panel=_LIMITS,
        ),
    ] = None
    daily_points: Annotated[
        str | None,
        typer.Option(
            help="Your own limit of points a day; none: no limit. Or CJ_DAILY_POINTS.", rich_help_panel=_LIMITS
        ),
    ] = None
    quota_url: Annotated[
        str | None,
        typer.Option(
            help="Where the limits are kept: sqlite, memory, sqlite:///path, redis://host. Or CJ_QUOTA_URL.",
            rich_help_panel=_LIMITS,
        ),
    ] = None
    retries: Annotated[
        int | None, typer.Option(help="How often a failed request is sent again.", min=0, rich_help_panel=_ACCESS)
    ] = None
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as one line of JSON.", rich_help_panel=_PRINTING)
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing but the result.", rich_help_panel=_PRINTING)
    ] = False

    names: frozenset[str] = frozenset()

    def refuse_access(self, why: str) -> None:
        """ConfigError for the options of whom to ask that were given."""
        for name in _OF_WHOM:
            if getattr(self, name) is not None:
                raise ConfigError(f"{flag(name)} has no meaning here: {why}")

    def settings(self, **more: Any) -> Settings:
        """Settings from the environment or a profile, overridden by the options."""
        settings = Settings.from_env(base_url=self.base_url, allow_http=self.allow_http, quota=self.quota_url, **more)
        if self.access_token is not None or self.api_key is not None:
            # Who gives one of the two means that one, whatever the environment holds.
            settings = msgspec.structs.replace(settings, access_token=self.access_token, api_key=self.api_key)
        options = settings.options
        if self.retries is not None:
            options = msgspec.structs.replace(options, retries=self.retries)
        return msgspec.structs.replace(settings, plan=self.limited(settings.plan), options=options)

    def limited(self, plan: Plan) -> Plan:
        """A plan with the options' limits."""
        told = {
            "qps": self.qps,
            "ip_qps": self.ip_qps,
            "accounts_per_ip": self.accounts_per_ip,
            "daily_calls": self.daily_calls,
            "daily_points": self.daily_points,
        }
        limits = {
            name: read_limit(flag(name), text, whole="qps" not in name)
            for name, text in told.items()
            if text is not None
        }
        if self.plan is not None:  # which says nothing about the user's own limits
            own = {"daily_calls": plan.daily_calls, "daily_points": plan.daily_points}
            plan = msgspec.structs.replace(Plan.named(self.plan), **own)
        if self.jitter is not None:
            limits["jitter"] = self.jitter
        return msgspec.structs.replace(plan, **limits)

    def client(self, settings: Settings | None = None, **more: Any) -> CJClient:
        """A client of these settings; NoCredentialsError if there is nothing to log in with."""
        settings = settings or self.settings()
        check_access(settings)
        return CJClient(config=settings, **more)

    @property
    def out(self) -> Console:
        """Results, on standard output."""
        return _console()

    @property
    def loud(self) -> Console:
        """Errors, on standard error: even --quiet does not silence them."""
        return _console(stderr=True)

    @property
    def err(self) -> Console:
        """Progress and notes, on standard error."""
        return _console(stderr=True, quiet=self.quiet)


def check_access(settings: Settings) -> None:
    """NoCredentialsError if there is nothing to log in with."""
    if not settings.api_key and not settings.access_token:
        raise NoCredentialsError(
            "no API key and no access token: set CJ_API_KEY (My CJ > Authorization > API), "
            "or give --api-key or --access-token. `cjasync login` tries a key"
        )


def starts_a_cj(why: str) -> Callable[[Command], Command]:
    """Decorates a command that starts a CJ of its own: it refuses options of whom to ask, and says `why`."""

    def marked(command: Command) -> Command:
        command.__dict__[_NO_ACCESS] = why
        return command

    return marked


def why_no_access(command: Callable[..., Any]) -> str | None:
    """Why a command refuses options of whom to ask; None if it takes them."""
    return command.__dict__.get(_NO_ACCESS)


def common_options(command: Callable[..., Any]) -> list[inspect.Parameter]:
    """The common options as a command has them: those that it refuses are read, and shown to nobody."""
    hidden = _OF_WHOM if why_no_access(command) else ()
    defaults = {field.name: field.default for field in msgspec.structs.fields(Common)}
    options = []
    for name, annotation in inspect.get_annotations(Common, eval_str=True).items():
        if name == "names":
            continue
        if name in hidden:
            kind, option = get_args(annotation)
            option = copy(option)
            option.hidden = True
            annotation = Annotated[kind, option]
        options.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=defaults[name])
        )
    return options


def _console(*, stderr: bool = False, quiet: bool = False) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    # What is piped away is cut by nobody, and its lines stay whole.
    width = None if terminal or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(stderr=stderr, highlight=False, quiet=quiet, soft_wrap=not terminal, width=width)
