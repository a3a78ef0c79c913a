"""Settings and plans: what the user says once."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, timedelta, timezone, tzinfo
from enum import IntEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from cjasync._secret import Secret
from cjasync.errors import ConfigError

Priority = Literal["interactive", "background"]

BASE_URL = "https://developers.cjdropshipping.com/api2.0/v1"
CHINA_TIME = timezone(timedelta(hours=8), "UTC+8")

_ONE_A_DAY = 1 / 86_400
_MINUTE = 60
_OF_A_DAY = ("daily_calls", "daily_points")


def without_password(where: Any) -> Any:
    """A URL as it may be shown; anything else as it is."""
    return re.sub("//.*@", "//***@", where) if isinstance(where, str) else where


class Presumed(IntEnum):
    """Limits of a day that hold until CJ states its own, where those that the user states hold beside CJ's."""

    CALLS = 1000
    POINTS = 50_000


class Plan(Struct, frozen=True, kw_only=True):
    """The limits of an account. `None` lifts a limit.

    Left out, the two of a day are presumed: CJ's own figure replaces them as soon as an answer tells it. Stated, they
    are caps of the user's own: they hold whatever CJ allows, and CJ's limits hold beside them. A cap is about what all
    who share the ledger have sent since the day began, counted at each send and given back only for what never left;
    nothing of it comes back before the next day. Each client is held to the cap that it was told itself.

    qps: requests per second of the account, over all endpoints; one a day is the least, as of `ip_qps`.
    ip_qps: requests per second of one public IP address, over all accounts behind it.
    accounts_per_ip: accounts that may use one IP address.
    daily_calls: calls per endpoint and UTC day. Presumed are 1000, until answers report points, which replace them.
    daily_points: points per UTC day. Presumed are 50,000, of which 1/1440 trickle back every minute, as CJ has it.
    costs: points per call by path; overrides what the endpoint declares.
    jitter: seconds by which the ways of two requests to CJ differ at most, from sending until CJ counts them; how long
    CJ then works on an answer is no part of it. A limit's token is back a second after its request surely arrived, and
    an answer alone tells no sooner. So where answers take long, stating less than the default keeps the full rate; too
    little gets requests refused, and a refusal adds to it for a while. Of those who share a ledger the largest holds.
    login_interval: seconds between two getAccessToken calls.
    sourcing_daily: sourcing requests per day.
    list_window, listv2_window: rows that one question to product/list or product/listV2 can reach.
    """

    qps: float | None = 1
    ip_qps: float | None = 10
    accounts_per_ip: int | None = 3
    daily_calls: int | None = Presumed.CALLS
    daily_points: int | None = Presumed.POINTS
    costs: Mapping[str, int] = msgspec.field(default_factory=dict)
    jitter: float = 2
    login_interval: float | None = 300
    sourcing_daily: int | None = 5
    list_window: int | None = 6000
    listv2_window: int | None = 6000

    def __post_init__(self) -> None:
        for name in ("qps", "ip_qps", "login_interval"):
            _check(f"Plan.{name}", getattr(self, name), "no limit")
        for name, rate in (("qps", self.qps), ("ip_qps", self.ip_qps)):
            if rate is not None and rate < _ONE_A_DAY:
                raise ConfigError(f"`Plan.{name}` must be a request a day at least (1/86400); not {rate!r}")
        _check("Plan.jitter", self.jitter, zero=True)
        if self.jitter > _MINUTE:
            raise ConfigError(f"`Plan.jitter` must be a minute at most, in seconds; not {self.jitter!r}")
        for name in ("accounts_per_ip", "daily_calls", "daily_points", "sourcing_daily", "list_window"):
            _check(f"Plan.{name}", getattr(self, name), "no limit", whole=True)
        _check("Plan.listv2_window", self.listv2_window, "no limit", whole=True)
        told: Any = self.costs
        costs: Any = dict(told) if isinstance(told, Mapping) else None
        if costs is None or not all(isinstance(cost, int) and cost >= 0 for cost in costs.values()):
            raise ConfigError(f"`Plan.costs` must map paths to points of 0 or more, not {told!r}")
        msgspec.structs.force_setattr(self, "costs", costs)

    @classmethod
    def free(cls) -> Plan:
        """Free accounts, sales levels 0 and 1: 1 request a second."""
        return cls(qps=1)

    @classmethod
    def plus(cls) -> Plan:
        """Plus, or level 2: 2 requests a second."""
        return cls(qps=2)

    @classmethod
    def prime(cls) -> Plan:
        """Prime, or level 3: 4 requests a second."""
        return cls(qps=4)

    @classmethod
    def advanced(cls) -> Plan:
        """Advanced, or levels 4 and 5: 6 requests a second."""
        return cls(qps=6)

    @classmethod
    def named(cls, name: str) -> Plan:
        """The plan of that name: free, plus, prime or advanced."""
        makers = {"free": cls.free, "plus": cls.plus, "prime": cls.prime, "advanced": cls.advanced}
        try:
            return makers[name.lower()]()
        except KeyError:
            raise ConfigError(f"unknown plan {name!r}: choose one of {', '.join(makers)}") from None


class RequestOptions(Struct, frozen=True, kw_only=True):
    """How patient a call is; `client.with_options(...)` gives a client with others.

    timeout: seconds for one attempt, from sending to the last byte (waiting for a turn not counted).
    deadline: seconds for the whole call, waits and attempts together; None = no limit of its own.
    retries: how often a failed attempt is repeated (refusals for going too fast are not counted).
    max_wait: longest wait for a turn in seconds; a longer one raises WaitTooLongError at once. None = any.
    priority: "background" leaves a share of the day's budget to interactive calls.
    """

    timeout: float = 30.0
    deadline: float | None = None
    retries: int = 3
    max_wait: float | None = None
    priority: Priority = "interactive"

    def __post_init__(self) -> None:
        _check("timeout", self.timeout)
        _check("deadline", self.deadline, "no deadline")
        _check("retries", self.retries, whole=True, zero=True)
        _check("max_wait", self.max_wait, "any wait", zero=True)
        if self.priority not in ("interactive", "background"):
            raise ConfigError(f"`priority` must be interactive or background, not {self.priority!r}")


class Settings(Struct, frozen=True, kw_only=True):
    """Everything a client can be told. Keys, tokens and the password of a quota URL never show in its repr.

    api_key, access_token: one of them; a key lets the client fetch and refresh tokens by itself.
    base_url: CJ's address, or a sandbox's. Plain http only to this machine unless `allow_http`.
    plan: the account's limits. quota: where they are kept: "sqlite" (shared by this machine's processes), "memory"
    (this client alone), a URL (`memory://`, `sqlite:///path`, `redis://host:port/db`) or a store.
    egress: names the public IP address whose limit is shared (default: this machine).
    on_exhausted: "raise" QuotaExhaustedError at a day's end, or "wait" for the reset.
    background_reserve: share of the day's budget that background calls leave to interactive ones.
    day_zone: whose midnight begins the day of CJ's limits; a zone with one offset from UTC all year.
    zone: the zone of CJ's text dates. coalesce: identical reads in flight are one request.
    cache: keep what hardly ever changes, the categories and the warehouses, for a day.
    connections: open at the same time.
    max_body, max_ratio, max_depth: the most of an answer that is taken in: bytes once inflated, how many times its
    size on the wire that may be, and levels of JSON within JSON.
    grace: seconds that calls in flight are given when the client is closed.
    """

    api_key: Secret | None = None
    access_token: Secret | None = None
    base_url: str = BASE_URL
    allow_http: bool = False
    plan: Plan = msgspec.field(default_factory=Plan.free)
    quota: Any = "sqlite"
    egress: str | None = None
    on_exhausted: Literal["raise", "wait"] = "raise"
    background_reserve: float = 0.1
    token_store: Any = None
    options: RequestOptions = msgspec.field(default_factory=RequestOptions)
    day_zone: tzinfo = UTC
    zone: tzinfo = CHINA_TIME
    coalesce: bool = True
    cache: bool = False
    connections: int = 100
    max_body: int = 64 * 1024 * 1024
    max_ratio: int = 200
    max_depth: int = 64
    grace: float = 5.0

    def __post_init__(self) -> None:
        for name in ("api_key", "access_token"):
            msgspec.structs.force_setattr(self, name, _secret(name, getattr(self, name)))
        base_url = _check_base_url(self.base_url, allow_http=self.allow_http)
        msgspec.structs.force_setattr(self, "base_url", base_url)
        for name, kind in (("plan", Plan), ("options", RequestOptions), ("zone", tzinfo), ("day_zone", tzinfo)):
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(f"`{name}` must be a {kind.__name__}, not {getattr(self, name)!r}")
        for name in ("connections", "max_body", "max_ratio", "max_depth"):
            _check(name, getattr(self, name), whole=True)
        _check("grace", self.grace, zero=True)
        if self.on_exhausted not in ("raise", "wait"):
            raise ConfigError(f"`on_exhausted` must be raise or wait, not {self.on_exhausted!r}")
        _check("background_reserve", self.background_reserve, zero=True)
        if self.background_reserve >= 1:
            raise ConfigError(f"`background_reserve` must be below 1, not {self.background_reserve!r}")

    def __repr__(self) -> str:
        shown = (f"{name}={without_password(getattr(self, name))!r}" for name in self.__struct_fields__)
        return f"Settings({', '.join(shown)})"

    @classmethod
    def from_env(
        cls, environment: Mapping[str, str] | None = None, *, profile: str | None = None, **overrides: Any
    ) -> Settings:
        """From CJ_API_KEY or CJ_ACCESS_TOKEN, CJ_BASE_URL, CJ_PLAN, CJ_DAILY_CALLS, CJ_DAILY_POINTS and CJ_QUOTA_URL.

        The two of a day are the user's own limits (see Plan): a number, or none; a plan among the overrides leads.
        What the environment lacks may stand in a profile: a table of that name (`profile`, or CJ_PROFILE) in the TOML
        file CJ_PROFILES, by default ~/.config/cjasync/profiles.toml, with the same names in lower case without CJ_.
        """
        environment = os.environ if environment is None else environment
        name = profile or environment.get("CJ_PROFILE")
        profile_keys = _read_profile(name, environment) if name else {}
        told = {key: (f"profile {name!r}: {key}", value) for key, value in profile_keys.items()}
        for key in ("api_key", "access_token", "base_url", "plan", "quota_url", *_OF_A_DAY):
            if value := environment.get(variable := f"CJ_{key.upper()}"):
                told[key] = variable, value
        settings: dict[str, Any] = {}
        limits: dict[str, Any] = {}
        for key, (where, value) in told.items():
            if key in _OF_A_DAY:
                limits[key] = read_limit(where, str(value), whole=True)
                continue
            if not isinstance(value, str):
                raise ConfigError(f"{where} must be text")
            match key:
                case "plan":
                    try:
                        settings[key] = Plan.named(value)
                    except ConfigError as error:
                        raise ConfigError(f"{where}: {error}") from None
                case "quota_url":
                    settings["quota"] = value
                case "api_key" | "access_token" | "base_url":
                    settings[key] = value
                case _:
                    raise ConfigError(f"{where}: there is no such setting")
        if limits:
            settings["plan"] = msgspec.structs.replace(settings.get("plan", Plan.free()), **limits)
        return cls(**{**settings, **{name: value for name, value in overrides.items() if value is not None}})


def _check_base_url(url: Any, *, allow_http: bool) -> str:
    """A base URL without its trailing slash. Plain http would send the token in the clear, except to this machine."""
    if not isinstance(url, str):
        raise ConfigError(f"`base_url` must be text, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"`base_url` is not a URL: {error}") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError("`base_url` must not hold a user, password, query or fragment")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"`base_url` must begin with https:// (or http:// for this machine), not {url!r}")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError(f"`base_url` {url!r} holds characters that a URL cannot; write them percent-encoded")
    if parts.scheme == "http" and not allow_http and not _is_this_machine(host):
        raise ConfigError(f"`base_url` {url!r} would send the token unencrypted; use https, or give `allow_http=True`")
    return url.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name, be it one that begins with 127.
        return host == "localhost"


def read_limit(where: str, text: str, *, whole: bool) -> float | None:
    """A limit as people write it: a number above 0, or "none" for no limit. where: what they call the place of it."""
    if text.lower() == "none":
        return None
    with suppress(ValueError):
        limit = int(text) if text.isdecimal() or whole else float(text)
        if 0 < limit < math.inf:
            return limit
    raise ConfigError(f"{where}: expected a {'whole ' if whole else ''}number above 0, or none; not {text!r}")


def _check(name: str, value: Any, none: str = "", *, whole: bool = False, zero: bool = False) -> None:
    """A finite number above 0, or 0 itself if `zero`; None if that means something."""
    if value is None and none:
        return
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or (isinstance(value, float) and not math.isfinite(value)) or value < 0 or (value == 0 and not zero):
        kind = f"a {'whole ' if whole else ''}number {'of 0 or more' if zero else 'above 0'}"
        raise ConfigError(f"`{name}` must be {kind}{f', or `{name}=None` for {none}' if none else ''}; not {value!r}")


def _secret(name: str, value: Any) -> Secret | None:
    """Without the line break that a file or a shell put behind it."""
    if value is None:
        return None
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str):
        raise ConfigError(f"`{name}` must be text, not {type(text).__name__}")
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(f"`{name}` holds a blank, a line break or another character that none of CJ's has")
    return Secret(text)


def _read_profile(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    path = Path(environment.get("CJ_PROFILES") or Path.home() / ".config" / "cjasync" / "profiles.toml")
    try:
        profiles = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"profile {name!r}: there is no file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"profile {name!r}: {path} cannot be read: {error}") from None
    profile = profiles.get(name)
    if not isinstance(profile, dict):
        raise ConfigError(f"profile {name!r}: {path} has no such table; it has {', '.join(profiles) or 'none'}")
    return dict(profile)
