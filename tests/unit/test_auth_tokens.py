import copy
import io
from datetime import UTC, datetime, timedelta
from math import inf

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from cjasync.auth import TokenRecord, Tokens
from cjasync.errors import BadResponseError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def pair(lifetime: float, **facts) -> Tokens:
    return Tokens(access_token="a", access_expires_at=NOW + timedelta(seconds=lifetime), received_at=NOW, **facts)


def test_a_long_life_is_renewed_a_day_ahead_and_used_until_its_last_minute():
    tokens = pair(15 * 86_400)
    end = tokens.access_expires_at.timestamp()
    assert tokens.renew_from == end - 86_400
    assert tokens.renew_by == end - 60


@settings(deadline=None)
@given(st.floats(0.001, 400 * 86_400))
def test_a_token_just_received_is_good_for_a_while_however_short_it_lives(lifetime):
    tokens = pair(lifetime)
    now, end = NOW.timestamp(), tokens.access_expires_at.timestamp()
    if end > now:  # datetime counts microseconds
        assert now < tokens.renew_from <= tokens.renew_by < end


@pytest.mark.parametrize("lifetime", [0, -1, -86_400])
def test_a_pair_that_arrives_expired_tells_of_a_wrong_clock(lifetime):
    tokens = pair(lifetime, refresh_token="r", refresh_expires_at=NOW)
    assert tokens.renew_from == tokens.renew_by == inf
    assert tokens.can_refresh(NOW.timestamp() + 1e9)


def test_an_unknown_life_is_good_until_refused():
    tokens = Tokens(access_token="a", refresh_token="r", received_at=NOW)
    assert tokens.renew_from == tokens.renew_by == inf
    assert tokens.can_refresh(1e12)


def test_an_end_without_a_beginning_keeps_the_full_margins():
    tokens = Tokens(access_token="a", access_expires_at=NOW)
    assert tokens.renew_from == NOW.timestamp() - 86_400
    assert tokens.renew_by == NOW.timestamp() - 60


def test_a_refresh_token_ends_too():
    tokens = pair(60, refresh_token="r", refresh_expires_at=NOW + timedelta(hours=1))
    assert tokens.can_refresh(NOW.timestamp() + 3599)
    assert not tokens.can_refresh(NOW.timestamp() + 3600)
    assert not tokens.without_refresh().can_refresh(NOW.timestamp())


def test_dates_without_an_offset_are_china_time():
    naive, aware = datetime(2021, 8, 18, 9, 16, 33), datetime.fromisoformat("2021-08-18T09:16:33+08:00")  # noqa: DTZ001
    of_naive = Tokens.from_answer(access_token="a", access_expires_at=naive, refresh_expires_at=naive, created_at=naive)
    of_aware = Tokens.from_answer(access_token="a", access_expires_at=aware, refresh_expires_at=aware, created_at=aware)
    assert of_naive == of_aware
    assert of_aware.access_expires_at.astimezone(UTC) == datetime(2021, 8, 18, 1, 16, 33, tzinfo=UTC)


def test_an_answer_may_lack_everything_but_the_access_token():
    tokens = Tokens.from_answer(access_token="a", refresh_token="", open_id=0)
    assert (tokens.refresh_token, tokens.access_expires_at, tokens.open_id) == (None, None, "0")
    for nothing in (None, ""):
        with pytest.raises(BadResponseError):
            Tokens.from_answer(access_token=nothing)


def test_a_refresh_keeps_what_its_answer_leaves_out():
    old = pair(60, refresh_token="r1", refresh_expires_at=NOW, open_id="7")
    same = Tokens(access_token="b").replacing(old)
    assert (same.access_token, same.refresh_token, same.refresh_expires_at, same.open_id) == ("b", "r1", NOW, "7")
    other = Tokens(access_token="b", refresh_token="r2").replacing(old)
    assert (other.refresh_token, other.refresh_expires_at, other.open_id) == ("r2", None, "7")


def test_nothing_shows_the_secrets():
    tokens = Tokens(access_token="SECRET1", refresh_token="SECRET2", open_id="SECRET3", access_expires_at=NOW)
    record = TokenRecord(tokens=tokens, login_at=NOW)
    out = io.StringIO()
    Console(file=out, width=200).print(tokens, record, [tokens])
    shown = [repr(tokens), str(tokens), f"{tokens}", repr(record), str({"t": tokens}), out.getvalue()]
    assert not [text for text in shown if "SECRET" in text]
    assert repr(tokens) == "Tokens(access_expires_at=2026-03-01T12:00:00+00:00, refresh_expires_at=unknown)"
    assert "2026-03-01" in out.getvalue()


def test_a_record_survives_json_and_newer_versions():
    record = TokenRecord(tokens=pair(60, refresh_token="r", open_id="7"), login_at=NOW)
    assert msgspec.json.decode(msgspec.json.encode(record), type=TokenRecord) == record
    assert msgspec.json.decode(b'{"tokens":{"access_token":"a","new":1},"new":2}', type=TokenRecord) == TokenRecord(
        tokens=Tokens(access_token="a")
    )
    assert copy.deepcopy(record) == record


@pytest.mark.parametrize(
    ("since", "wait"), [(0, 300), (1, 299), (299, 1), (300, 0), (1e6, 0), (-2, 300), (-300, 300), (-301, 0), (-1e8, 0)]
)
def test_the_next_login_waits_for_the_last_unless_a_wrong_clock_noted_it(since, wait):
    record = TokenRecord(login_at=NOW)
    assert record.login_wait(NOW.timestamp() + since, 300.0) == wait
    assert record.login_wait(NOW.timestamp() + since, 0.0) == 0
    assert TokenRecord().login_wait(NOW.timestamp() + since, 300.0) == 0
