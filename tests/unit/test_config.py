"""Settings and plans: what is taken, what is refused, and where it may stand."""

from __future__ import annotations

import math
import re
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync import CJClient, ConfigError, Plan, RequestOptions, Settings
from cjasync._secret import Secret
from cjasync.config import BASE_URL, CHINA_TIME, Presumed

KEY = "CJ1234567@api@0123456789abcdef"
TOKEN = "API@CJ1234567@CJ:eyJ0.eyJ1.sig"
SECRET_PARTS = ("0123456789abcdef", "eyJ")


# --- plans


def test_the_plans_of_the_documents() -> None:
    assert [plan.qps for plan in (Plan.free(), Plan.plus(), Plan.prime(), Plan.advanced())] == [1, 2, 4, 6]
    plan = Plan()
    assert (plan.ip_qps, plan.accounts_per_ip, plan.daily_calls, plan.daily_points) == (10, 3, 1000, 50_000)
    assert (plan.listv2_window, plan.sourcing_daily, plan.login_interval) == (6000, 5, 300)


def test_a_plan_by_name() -> None:
    assert Plan.named("Prime") == Plan.prime()
    with pytest.raises(ConfigError, match="unknown plan 'gold': choose one of free, plus, prime, advanced"):
        Plan.named("gold")


LIMITS = [name for name in Plan.__struct_fields__ if name not in ("costs", "jitter")]


@pytest.mark.parametrize("name", LIMITS)
def test_any_limit_can_be_lifted(name: str) -> None:
    assert getattr(Plan(**{name: None}), name) is None


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, True, "6", [6], b"6"], ids=repr)
def test_no_limit_is_zero_or_no_number(name: str, value: Any) -> None:
    with pytest.raises(
        ConfigError, match=rf"`Plan\.{name}` must be a .*`Plan\.{name}=None` for no limit; not {re.escape(repr(value))}"
    ):
        Plan(**{name: value})


@pytest.mark.parametrize("name", ["qps", "ip_qps"])
@pytest.mark.parametrize("rate", [1e-5, 1e-300])
def test_no_rate_is_less_than_a_request_a_day(name: str, rate: float) -> None:
    """A ledger would keep the account shut for years."""
    with pytest.raises(ConfigError, match=rf"`Plan\.{name}` must be a request a day at least \(1/86400\); not {rate}"):
        Plan(**{name: rate})
    assert Plan(**{name: 1 / 86_400})


@pytest.mark.parametrize("name", ["accounts_per_ip", "daily_calls", "daily_points", "list_window", "listv2_window"])
def test_counts_are_whole(name: str) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        Plan(**{name: 1.5})
    assert Plan(qps=0.5).qps == 0.5


def test_what_is_presumed_of_a_day_is_told_from_what_the_user_states() -> None:
    presumed = msgspec.structs.replace(Plan.prime(), qps=3)
    assert {type(presumed.daily_calls), type(presumed.daily_points)} == {Presumed}
    stated = Plan(daily_calls=1000, daily_points=50_000)
    assert {type(stated.daily_calls), type(stated.daily_points)} == {int}
    assert msgspec.json.encode(stated) == msgspec.json.encode(Plan()), "as figures they are the same"


@pytest.mark.parametrize("value", [None, -1, math.nan, math.inf, True, "1"], ids=repr)
def test_the_jitter_is_a_number_of_seconds(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"`Plan\.jitter` must be a number of 0 or more; not"):
        Plan(jitter=value)
    with pytest.raises(ConfigError, match=r"`Plan\.jitter` must be a minute at most, in seconds; not 61"):
        Plan(jitter=61)
    assert (Plan().jitter, Plan(jitter=0).jitter) == (2, 0)


@pytest.mark.parametrize("costs", [5, None, {"product/list": -1}, {"product/list": "50"}, ["product/list"]], ids=repr)
def test_costs_are_points_by_path(costs: Any) -> None:
    with pytest.raises(ConfigError, match=r"Plan\.costs"):
        Plan(costs=costs)


def test_costs_are_the_plan_s_own() -> None:
    mine = {"product/list": 7}
    plan = Plan(costs=mine)
    mine.clear()
    assert plan.costs == {"product/list": 7}


# --- patience


@pytest.mark.parametrize(
    "options",
    [
        *({"timeout": value} for value in (0, -1, math.nan, math.inf, None, "5", True)),
        *({"deadline": value} for value in (0, -0.1, math.inf, "5")),
        *({"retries": value} for value in (-1, 1.5, None, True, "3")),
        *({"max_wait": value} for value in (-1, math.nan, math.inf, "5")),
        {"priority": "urgent"},
    ],
    ids=repr,
)
def test_patience_that_makes_no_sense(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=name):
        RequestOptions(**options)
    with pytest.raises(ConfigError, match=name):
        msgspec.structs.replace(RequestOptions(), **options)


def test_no_patience_at_all_is_a_choice() -> None:
    options = RequestOptions(retries=0, max_wait=0)
    assert (options.retries, options.max_wait) == (0, 0)
    assert RequestOptions(deadline=None, max_wait=None).deadline is None


# --- settings


@pytest.mark.parametrize(
    "told",
    [
        *({"connections": value} for value in (0, -1, 1.5, None, "100")),
        *({"max_body": value} for value in (0, None, 1e6)),
        *({"max_ratio": value} for value in (0, None)),
        *({"max_depth": value} for value in (0, None)),
        *({"grace": value} for value in (-1, None, math.inf, "5")),
        *({"background_reserve": value} for value in (-0.1, 1, 2, None)),
        {"on_exhausted": "sleep"},
        {"plan": "prime"},
        {"options": {}},
        {"zone": 8},
        {"api_key": 5},
        {"access_token": b"token"},
    ],
    ids=repr,
)
def test_settings_that_cannot_work(told: dict[str, Any]) -> None:
    (name,) = told
    with pytest.raises(ConfigError, match=name):
        Settings(**told)


@given(
    st.sampled_from(Settings.__struct_fields__),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2),
)
@settings(deadline=None)
def test_a_setting_is_taken_or_a_config_error(name: str, value: Any) -> None:
    try:
        told = Settings(**{name: value})
    except ConfigError as error:
        assert name in str(error)  # noqa: PT017
    else:
        repr(told)


def test_defaults_suit_a_careful_user() -> None:
    told = Settings()
    assert told.base_url.startswith("https://")
    assert not told.allow_http
    assert told.zone == CHINA_TIME
    assert told.coalesce
    assert not told.cache
    assert (told.max_body, told.max_ratio, told.max_depth) == (64 * 2**20, 200, 64)


def test_secrets_are_hidden_wherever_they_come_from() -> None:
    for told in (
        Settings(api_key=KEY, access_token=TOKEN),
        Settings(api_key=Secret(KEY), access_token=Secret(TOKEN)),
        Settings.from_env({"CJ_API_KEY": KEY, "CJ_ACCESS_TOKEN": TOKEN}),
        Settings.from_env({}, api_key=KEY, access_token=TOKEN),
    ):
        assert told.api_key is not None
        assert told.access_token is not None
        assert (told.api_key.reveal(), told.access_token.reveal()) == (KEY, TOKEN)
        for shown in (repr(told), str(told), f"{told}", repr(told.api_key)):
            assert not any(part in shown for part in SECRET_PARTS)


def test_a_line_break_behind_a_secret_is_forgiven_and_one_within_is_not() -> None:
    told = Settings(access_token=f" {TOKEN}\n")
    assert told.access_token == Secret(TOKEN)
    for text in ("one\ntwo", "one two", "caf\u00e9", "nul\x00"):
        with pytest.raises(ConfigError, match="`access_token` holds a blank") as caught:
            Settings(access_token=text)
        assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://developers.cjdropshipping.com/api2.0/v1/", BASE_URL),
        ("HTTPS://x.example", "HTTPS://x.example"),
        ("http://localhost:8080/api", "http://localhost:8080/api"),
        ("http://LOCALHOST:8080", "http://LOCALHOST:8080"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_base_urls_that_are_taken(url: str, clean: str) -> None:
    assert Settings(base_url=url).base_url == clean


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cj",
        "ftp://x.example",
        "https://",
        "https:///v1",
        "//x.example",
        "https://x.example:99999",
        "https://[::1",
        "https://x.example/v1?token=1",
        "https://x.example/v1#here",
        "https://x.example/a b",
        "https://x.example/v1\n",
        " https://x.example",
        "https://ex\u00e4mple.de",
        None,
        5,
        b"https://x.example",
    ],
)
def test_base_urls_that_cannot_work(url: Any) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        Settings(base_url=url, allow_http=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://x.example",
        "http://127.0.0.1.evil.example",
        "http://127.evil.example/v1",
        "http://localhost.evil.example",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://[::2]",
    ],
)
def test_plain_http_leaves_this_machine_only_if_that_is_said(url: str) -> None:
    with pytest.raises(ConfigError, match=r"unencrypted.*allow_http=True"):
        Settings(base_url=url)
    assert Settings(base_url=url, allow_http=True).base_url == url


def test_a_password_in_the_base_url_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(base_url="ftp://user:geheim@x.example")
    assert "geheim" not in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"https?://[^ ]{0,30}"))
@settings(deadline=None)
def test_a_base_url_is_taken_or_a_config_error(url: str) -> None:
    try:
        clean = Settings(base_url=url).base_url
    except ConfigError:
        return
    assert clean == url.rstrip("/")


# --- from the environment


def test_everything_from_the_environment() -> None:
    told = Settings.from_env(
        {
            "CJ_API_KEY": KEY,
            "CJ_BASE_URL": "http://127.0.0.1:1/v1",
            "CJ_PLAN": "advanced",
            "CJ_QUOTA_URL": "memory://",
            "HOME": "/nowhere",
        }
    )
    assert told.base_url == "http://127.0.0.1:1/v1"
    assert told.plan == Plan.advanced()
    assert told.quota == "memory://"


def test_what_is_said_here_leads() -> None:
    told = Settings.from_env({"CJ_BASE_URL": "https://a.example", "CJ_PLAN": "plus"}, base_url=None, plan=Plan.prime())
    assert told.base_url == "https://a.example"
    assert told.plan == Plan.prime()
    with pytest.raises(TypeError, match="colour"):
        Settings.from_env({}, colour="red")


def test_limits_of_the_user_s_own_from_the_environment_and_a_profile(tmp_path: Path) -> None:
    told = Settings.from_env({"CJ_PLAN": "plus", "CJ_DAILY_POINTS": "100", "CJ_DAILY_CALLS": "none"}).plan
    assert (told.qps, told.daily_points, told.daily_calls) == (2, 100, None)
    profile = profiles(tmp_path, '[shop]\ndaily_points = 70\ndaily_calls = "5"\n')
    told = Settings.from_env({**profile, "CJ_DAILY_CALLS": "6"}, profile="shop").plan
    assert (told.qps, told.daily_points, told.daily_calls) == (1, 70, 6)
    assert isinstance(Settings.from_env({"CJ_DAILY_CALLS": "6"}).plan.daily_points, Presumed)


def test_an_empty_variable_is_none() -> None:
    told = Settings.from_env({"CJ_API_KEY": "", "CJ_PLAN": ""})
    assert told.api_key is None
    assert told.plan == Plan.free()


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "0", "nan", "inf", "1e3", "9" * 5000])
def test_a_limit_in_the_environment_that_cannot_be_one(text: str) -> None:
    said = f"CJ_DAILY_POINTS: expected a whole number above 0, or none; not {text!r}"
    with pytest.raises(ConfigError, match=f"^{re.escape(said)}$"):
        Settings.from_env({"CJ_DAILY_POINTS": text})


def profiles(folder: Path, text: str | bytes) -> dict[str, str]:
    path = folder / "profiles.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return {"CJ_PROFILES": str(path)}


SHOP = f'[shop]\napi_key = "{KEY}"\nplan = "prime"\nbase_url = "https://a.example"\nquota_url = "memory://"\n[other]\n'


def test_a_profile(tmp_path: Path) -> None:
    told = Settings.from_env(profiles(tmp_path, SHOP), profile="shop")
    assert told.api_key == Secret(KEY)
    assert (told.plan, told.base_url, told.quota) == (Plan.prime(), "https://a.example", "memory://")


def test_a_profile_named_by_the_environment_which_leads_over_it(tmp_path: Path) -> None:
    told = Settings.from_env({**profiles(tmp_path, SHOP), "CJ_PROFILE": "shop", "CJ_PLAN": "plus"})
    assert told.plan == Plan.plus()
    assert told.base_url == "https://a.example"


def test_the_profile_file_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"there is no file .*profiles\.toml"):
        Settings.from_env({}, profile="shop")
    (tmp_path / ".config" / "cjasync").mkdir(parents=True)
    (tmp_path / ".config" / "cjasync" / "profiles.toml").write_text(SHOP)
    assert Settings.from_env({}, profile="shop").plan == Plan.prime()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SHOP.replace("shop", "stop"), "has no such table; it has stop, other"),
        ("shop = 5\n", "has no such table"),
        ("[shop\n", "cannot be read"),
        (b"\xff", "cannot be read"),
        ("[shop]\nplan = 5\n", "profile 'shop': plan must be text"),
        ("[shop]\ncolour = 'red'\n", "profile 'shop': colour: there is no such setting"),
        ("[shop]\nplan = 'gold'\n", "profile 'shop': plan: unknown plan 'gold'"),
        (
            "[shop]\ndaily_calls = 'x'\n",
            "profile 'shop': daily_calls: expected a whole number above 0, or none; not 'x'",
        ),
    ],
)
def test_a_profile_that_cannot_be_used(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        Settings.from_env(profiles(tmp_path, text), profile="shop")


# --- the client


@pytest.mark.parametrize(
    "told",
    [{}, {"api_key": ""}, {"access_token": "  "}, {"api_key": "", "access_token": "\n"}],
    ids=repr,
)
def test_a_client_needs_credentials(told: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="no credentials: give `api_key` or `access_token`, or set CJ_API_KEY"):
        CJClient(**told)


@pytest.mark.parametrize(
    "told",
    [
        {"base_url": "ftp://x.example"},
        {"base_url": "http://x.example"},
        {"quota": "mysql://x"},
        {"max_wait": -1},
        {"timeout": 0},
        {"plan": "prime"},
        {"connections": 0},
        {"access_token": "one\ntwo"},
    ],
    ids=repr,
)
def test_a_client_refuses_what_cannot_work(told: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        CJClient(**{"access_token": TOKEN, "quota": "memory", **told})
    assert not any(part in str(caught.value) for part in SECRET_PARTS)


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"CJClient: .*colour"):
        CJClient(access_token=TOKEN, quota="memory", colour="red")


def test_one_text_is_no_list_of_keys() -> None:
    client = CJClient(access_token=TOKEN, quota="memory")
    with pytest.raises(ConfigError, match="`keys` must be a list of keys, or another iterable, not the text '123'"):
        client.bulk(client.products.query, "123", key="pid")


def test_a_client_shows_no_secret() -> None:
    client = CJClient(KEY, TOKEN, quota="memory", zone=UTC)
    assert repr(client) == "<CJClient https://developers.cjdropshipping.com/api2.0/v1 open>"
    assert not any(part in repr(client.config) for part in SECRET_PARTS)


@pytest.mark.parametrize("where", ["redis://me:hunter2@host/0", "redis://me:hunt@er2@host/0"])
def test_the_password_of_a_quota_url_is_never_shown(where: str) -> None:
    assert "quota='redis://***@host/0'" in repr(Settings(access_token=TOKEN, quota=where))
    for wrong in (where.replace("redis", "rdeis"), where.replace("host", "host:port"), "redis://me:hunt/er2@host/0"):
        with pytest.raises(ConfigError, match=r"//\*\*\*@host") as caught:
            CJClient(access_token=TOKEN, quota=wrong)
        assert "hunt" not in str(caught.value)


def test_a_client_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CJ_ACCESS_TOKEN": TOKEN, "CJ_QUOTA_URL": "memory://", "CJ_PLAN": "plus"}.items():
        monkeypatch.setenv(name, value)
    client = CJClient.from_env(max_wait=3)
    assert client.config.plan == Plan.plus()
    assert client.options.max_wait == 3
