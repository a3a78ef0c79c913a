"""Which buckets a request takes from, and by what name an account is known."""

from __future__ import annotations

import pytest

from cjasync._endpoint import Endpoint
from cjasync.config import Plan
from cjasync.quota import Refusal, account_key
from cjasync.quota.bucket import SECOND, Budget, Rate
from cjasync.quota.scopes import LOGIN, SOURCING, Scopes, rate_of

KEY = "CJ123456@api@0123456789abcdef0123456789abcdef"
TOKEN = "API@CJ123456@CJ:eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJDSjk5OSJ9.CJ777"


def endpoint(path: str, points: int = 0) -> Endpoint:
    return Endpoint(method="GET", path=path, answer=object, points=points)


def scopes(**plan) -> Scopes:
    return Scopes(Plan(**plan), "me", "here", 0.25)


def names(claims) -> list[str]:
    return [claim.key for claim in claims]


def test_a_key_and_its_tokens_name_the_same_account():
    assert account_key(KEY) == account_key(TOKEN)
    assert account_key(KEY) != account_key(KEY.replace("123456", "123457"))
    assert account_key("no number at all") == account_key("no number at all") != account_key("another")


@pytest.mark.parametrize("credential", [KEY, TOKEN])
def test_the_name_tells_nothing_about_the_credential(credential):
    name = account_key(credential)
    assert "123456" not in name
    assert len(name) == 24
    int(name, 16)


def test_an_ordinary_call_takes_from_its_account_its_address_and_its_day():
    assert names(scopes().claims(endpoint("product/list", 50))) == [
        "ip:here:accounts",
        "account:me:calls:product/list",
        "account:me:points",
        "ip:here:rate",
        "account:me:rate",
    ]


def test_a_call_that_costs_no_points_takes_none_and_the_plan_may_say_otherwise():
    assert "account:me:points" not in names(scopes().claims(endpoint("product/getCategory")))
    claims = scopes(costs={"product/getCategory": 7}).claims(endpoint("product/getCategory"))
    assert [claim.cost for claim in claims if claim.key == "account:me:points"] == [7]


def test_logins_and_sourcing_have_limits_of_their_own():
    login = scopes().claims(endpoint(LOGIN))
    assert [claim for claim in login if isinstance(claim, Budget)] == []
    assert [(c.limit, c.per) for c in login if isinstance(c, Rate) and c.scope == "login"] == [(1, 300 * SECOND)]
    sourcing = scopes(sourcing_daily=2).claims(endpoint(SOURCING))
    assert [claim.limit for claim in sourcing if claim.key == "account:me:sourcing"] == [2]


def test_background_work_leaves_a_share():
    claims = scopes(daily_calls=100, daily_points=120_000).claims(endpoint("product/list", 50), "background")
    budgets = [claim for claim in claims if isinstance(claim, Budget)]
    assert [(budget.keep, budget.cap_keep) for budget in budgets] == [(250, 25), (30_000, 30_000)]


def test_what_is_presumed_is_no_cap_and_what_is_stated_is_one_beside_it():
    def of_day(**plan):
        claims = scopes(**plan).claims(endpoint("product/list", 50))
        return [(claim.limit, claim.cap) for claim in claims if isinstance(claim, Budget)]

    assert of_day() == [(1000, None), (50_000, None)]
    assert of_day(daily_calls=5, daily_points=100) == [(1000, 5), (50_000, 100)]
    assert of_day(daily_calls=1000, daily_points=50_000) == [(1000, 1000), (50_000, 50_000)]
    assert of_day(daily_calls=None, daily_points=None) == [(None, None), (None, None)]
    assert of_day(daily_points=120_000) == [(1000, None), (120_000, 120_000)], "who states more knows more"


@pytest.mark.parametrize(
    ("qps", "expected"),
    [(None, (None, SECOND)), (1, (1, SECOND)), (6.0, (6, SECOND)), (0.5, (1, 2 * SECOND)), (2.5, (1, 400_000_000))],
)
def test_rates_are_whole_tokens(qps, expected):
    assert rate_of(qps) == expected


@pytest.mark.parametrize(
    ("refusal", "scope"),
    [
        (Refusal(kind="qps", times=1, seconds=1), "account"),
        (Refusal(kind="qps", times=10, seconds=1), "ip"),
        (Refusal(kind="qps"), "account"),
        (Refusal(kind="login", times=1, seconds=300), "login"),
        (Refusal(kind="daily"), None),
    ],
)
def test_a_refusal_is_about_the_rate_that_it_names(refusal, scope):
    assert scopes().scope_of(refusal) == scope
