"""`doctor`: whether everything is as it must be, step by step, and what is wrong where it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from cjasync._version import __version__
from cjasync.cli.endings import DONE, exit_code, in_words
from cjasync.cli.options import Common, check_access
from cjasync.cli.running import print_json
from cjasync.cli.words import counted, moment, safe
from cjasync.client import CJClient
from cjasync.config import Plan, Presumed, without_password
from cjasync.errors import CJError, ConfigError, QuotaExhaustedError
from cjasync.quota import BucketUsage
from cjasync.quota.judge import used_up

if TYPE_CHECKING:
    from cjasync.drift import DriftReport

_CLOCK_OFF = 30.0  # seconds: a token is given up a minute before its end


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    told: str


async def doctor(
    common: Common,
    drift: Annotated[
        bool, typer.Option("--drift", help="Compare CJ's answers with the models: a dozen calls, some 160 points.")
    ] = False,
) -> int:
    """Check that everything is as it must be.

    Settings, quota store, login, CJ's answer, this machine's clock, what the day has left. Two calls, which cost no
    points.
    """
    checks: list[Check] = []
    report: DriftReport | None = None
    code = DONE
    step = "settings"
    try:
        settings = common.settings()
        checks.append(Check(step, True, f"{settings.base_url}, {_plan(settings.plan)}"))
        step = "credentials"
        check_access(settings)
        checks.append(Check(step, True, "an API key" if settings.api_key else "an access token, without a key"))
        step = "quota store"
        async with common.client(settings) as cj:
            for step, look in _STEPS.items():
                checks.append(Check(step, True, await look(cj)))
            if drift:
                step = "drift"
                report = await _drift(cj)
                checks.append(Check(step, True, f"{_fields(len(report.changes))} not as the models expect"))
    except CJError as error:
        checks.append(Check(step, False, in_words(error, common.names)))
        code = exit_code(error)
    if common.json:
        told = {"ok": code == DONE, "version": __version__, "checks": checks}
        print_json(told if report is None else {**told, "drift": report.as_dict()})
        return code
    for check in checks:
        mark = "[green]ok [/]" if check.ok else "[bold red]bad[/]"
        common.out.print(f"{mark} [bold]{check.name:<12}[/] {safe(check.told)}")
    if report is not None:
        common.out.print(str(report), markup=False)
    return code


async def _drift(cj: CJClient) -> DriftReport:
    from cjasync.drift import check_drift

    return await check_drift(cj)


def _fields(number: int) -> str:
    return counted(number, "field is", "fields are")


def _plan(plan: Plan) -> str:
    rate = "any requests a second" if plan.qps is None else f"{counted(plan.qps, 'request')} a second"
    return ", ".join([rate, _of_day(plan.daily_calls, "call"), _of_day(plan.daily_points, "point")])


def _of_day(limit: int | None, what: str) -> str:
    if limit is None:
        return f"any {what}s a day"
    if isinstance(limit, Presumed):
        return f"{what}s a day as CJ says ({limit:,} until then)"
    return f"your own limit of {counted(limit, what)} a day"


async def _store(cj: CJClient) -> str:
    usage = await cj.usage()
    return f"{without_password(cj.config.quota)}, keeps {len(usage.buckets)} limits"


async def _login(cj: CJClient) -> str:
    if not cj.config.api_key:
        return "not needed with an access token"
    tokens = await cj.auth.login()
    return "good" if tokens.access_expires_at is None else f"good until {moment(tokens.access_expires_at)}"


async def _answer(cj: CJClient) -> str:
    account = await cj.settings.get()
    name = account.open_name if account is not None else None
    return f"setting/get answered as {name or 'an account without a name'}"


async def _clock(cj: CJClient) -> str:
    answer = await cj.with_raw(cj.settings.get)
    told = answer.headers.get("date")
    if told is None:
        return "CJ's answer has no date to compare with"
    off = (datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds()
    if abs(off) > _CLOCK_OFF:
        raise ConfigError(
            f"this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} CJ's; set it right, "
            "because days, quotas and tokens end by it"
        )
    return f"{abs(off):.0f} s from CJ's"


async def _day(cj: CJClient) -> str:
    budgets = [bucket for bucket in (await cj.usage()).buckets if bucket.unit in ("points", "calls")]
    for bucket in budgets:
        if bucket.remaining == 0 and bucket.resets_at is not None:
            facts = bucket.used, bucket.limit or 0, bucket.source, bucket.resets_at
            kind, _, path = bucket.name.partition(" ")
            raise QuotaExhaustedError(used_up(kind, *facts), bucket=kind, source=bucket.source, endpoint=path or None)
    points = [_left(bucket) for bucket in budgets if bucket.unit == "points"]
    return f"points: {' and '.join(points)}"


def _left(bucket: BucketUsage) -> str:
    if bucket.remaining is None:
        return f"{bucket.used:,} used, no limit"
    counted_by = {"server": "as CJ counts", "local": "by our own count, as CJ told none", "user": "of your own limit"}
    return f"{bucket.remaining:,} of {bucket.limit:,} left {counted_by[bucket.source]}"


_STEPS: dict[str, Callable[[CJClient], Awaitable[str]]] = {
    "quota store": _store,
    "login": _login,
    "CJ": _answer,
    "clock": _clock,
    "day": _day,
}
