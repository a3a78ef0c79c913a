"""What callers see: which token, after how many requests, or which error."""

import asyncio
import gc
import logging
import pickle
from datetime import UTC, datetime

import pytest

from cjasync import errors as cj_errors
from cjasync.auth import TokenRecord, Tokens, manager
from cjasync.errors import (
    APIError,
    AuthError,
    BadResponseError,
    ClosedError,
    ConfigError,
    ConnectError,
    OutcomeUnknownError,
    ParameterError,
    QuotaExhaustedError,
    RateLimitedError,
    UnavailableError,
    WaitTooLongError,
)
from tests.auth_cj import DAY, World, settled

# Getting the first token.


async def test_the_first_call_logs_in_and_the_others_need_no_await():
    world = World()
    tokens = world.manager()
    assert tokens.current() is None
    token = await tokens.get()
    assert world.cj.accepts(token)
    assert tokens.current() == token == await tokens.get()
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (1, 0)


async def test_many_callers_of_many_clients_make_one_login():
    world = World()
    clients = [world.manager() for _ in range(3)]
    got = await asyncio.gather(*(clients[n % 3].get() for n in range(60)))
    assert len(set(got)) == 1
    assert world.cj.logins == 1


async def test_a_cancelled_caller_leaves_the_login_to_the_others():
    world = World(turns=20)
    tokens = world.manager()
    callers = [asyncio.create_task(tokens.get()) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for caller in callers[:3]:
        caller.cancel()
    first = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in first] == [asyncio.CancelledError] * 3 + [str] * 2
    assert world.cj.logins == 1


async def test_when_all_callers_are_cancelled_the_next_finds_what_they_asked_for():
    world = World(turns=5)
    tokens = world.manager()
    caller = asyncio.create_task(tokens.get())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    await settled()
    assert world.cj.accepts(tokens.current())
    assert world.cj.logins == 1


async def test_a_failure_that_nobody_waited_for_makes_no_noise(caplog):
    world = World(turns=5)
    tokens = world.manager()
    world.cj.failures = [UnavailableError("busy")]
    caller = asyncio.create_task(tokens.get())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    await settled()
    del caller
    gc.collect()
    assert not caplog.records


# The floor under getAccessToken.


async def test_a_restart_uses_the_stored_pair():
    world = World()
    token = await world.manager().get()
    world.clock.now += 1
    assert await world.manager().get() == token
    assert world.cj.logins == 1


async def test_a_second_login_too_soon_gives_the_stored_pair():
    world = World()
    tokens = world.manager()
    first = await tokens.login()
    world.clock.now += 299
    assert await world.manager().login() == first
    world.clock.now += 1
    assert (await tokens.login()).access_token != first.access_token
    assert world.cj.logins == 2


async def test_many_logins_at_once_are_one():
    world = World(floor=0)
    tokens = world.manager(login_interval=None)
    got = await asyncio.gather(*(tokens.login() for _ in range(10)))
    assert len({pair.access_token for pair in got}) == 1
    assert world.cj.logins == 1


@pytest.mark.parametrize("failure", [cj_errors.TimeoutError("lost"), BadResponseError("cut"), UnavailableError("busy")])
async def test_too_soon_without_a_pair_says_when_also_after_a_restart(failure):
    world = World()
    world.cj.failures = [failure]
    asked_at = world.clock.now
    with pytest.raises(type(failure)):
        await world.manager().get()
    world.clock.now += 100
    for attempt in (world.manager().get, world.manager().login):
        with pytest.raises(WaitTooLongError, match="300 s; the next in 200 s") as refused:
            await attempt()
        assert refused.value.retry_at == datetime.fromtimestamp(asked_at + 300, UTC)
    assert world.cj.logins == 1


async def test_who_has_the_patience_waits_for_the_next_login():
    world = World()
    world.cj.failures = [cj_errors.TimeoutError("lost")]
    tokens = world.manager()
    with pytest.raises(cj_errors.TimeoutError):
        await tokens.get()
    asked_at = world.clock.now
    world.clock.now += 1
    with pytest.raises(WaitTooLongError):
        await tokens.get(max_wait=298)
    assert world.cj.accepts(await tokens.get(max_wait=300))
    assert asked_at + 300 <= world.clock.now < asked_at + 301

    world.cj.kill_all()
    world.clock.now += 1
    assert world.cj.accepts(await tokens.rejected(tokens.current(), max_wait=None))
    world.cj.kill_all()
    await tokens.logout()
    assert world.cj.accepts((await tokens.login(max_wait=None)).access_token)
    assert world.cj.logins == 4


async def test_who_waits_finds_the_pair_that_another_process_got_meanwhile():
    world = World()
    await world.store.save("test", TokenRecord(login_at=datetime.fromtimestamp(world.clock.now, UTC)))
    waiter = asyncio.create_task(world.manager().get(max_wait=None))
    async with asyncio.timeout(5):
        while not world.clock.slept:  # noqa: ASYNC110
            await asyncio.sleep(0)
    pair = world.cj.issue()
    await world.store.save("test", TokenRecord(tokens=pair))
    assert await waiter == pair.access_token
    assert world.cj.logins == 0
    assert sum(world.clock.slept) < 60


async def test_a_login_that_never_left_does_not_count():
    world = World()
    tokens = world.manager()
    for failure in (ConnectError("refused"), WaitTooLongError("no turn", retry_at=datetime(2100, 1, 1, tzinfo=UTC))):
        world.cj.failures = [failure]
        with pytest.raises(type(failure)):
            await tokens.get()
    assert world.cj.accepts(await tokens.get())


async def test_the_floor_can_be_lifted():
    world = World(floor=0)
    for _ in range(3):
        await world.manager(login_interval=None).login()
    assert world.cj.logins == 3


# Ahead of the end.


async def test_a_pair_near_its_end_is_replaced_in_the_background():
    world = World(turns=3)
    tokens = world.manager()
    old = await tokens.get()
    world.clock.now += 14 * DAY - 1
    assert tokens.current() == old
    await settled()
    assert not world.cj.refreshed_with
    world.clock.now += 1
    assert [tokens.current() for _ in range(5)] == [old] * 5
    await settled()
    assert tokens.current() != old
    assert world.cj.accepts(tokens.current())
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (1, 1)
    assert (await world.record()).tokens.open_id == "SECRET-open-id"


async def test_clients_share_what_one_of_them_refreshed_ahead():
    world = World()
    clients = [world.manager() for _ in range(3)]
    for client in clients:
        await client.get()
    world.clock.now += 14 * DAY + 1
    for client in clients:
        client.current()
    await asyncio.sleep(0.05)
    assert len({client.current() for client in clients}) == 1
    assert world.cj.accepts(clients[0].current())
    assert len(world.cj.refreshed_with) == 1


@pytest.mark.parametrize("failure", [UnavailableError("busy"), ConnectError("refused"), ZeroDivisionError("a bug")])
async def test_failures_ahead_hurt_nobody_and_grow_rare(failure, caplog):
    world = World()
    tokens = world.manager()
    old = await tokens.get()
    world.clock.now += 14 * DAY
    world.cj.failures = [failure] * 10_000
    while world.clock.now < world.cj.access[old] - 90:
        assert tokens.current() == old
        await asyncio.sleep(0)
        await settled()
        world.clock.now += 25
    assert 20 < len(world.cj.refreshed_with) < 35
    assert type(failure).__name__ in caplog.text
    assert "SECRET" not in caplog.text

    world.cj.failures = []
    world.clock.now = world.cj.access[old] - 59
    assert tokens.current() is None
    assert world.cj.accepts(await tokens.get())
    assert world.cj.logins == 1


async def test_each_pair_starts_with_short_pauses(caplog):
    world = World()
    tokens = world.manager()
    await tokens.get()
    for _ in range(2):
        world.clock.now += 14 * DAY
        world.cj.failures = [UnavailableError("busy")] * 3
        for _ in range(4):
            tokens.current()
            await settled()
            world.clock.now += 1000
    pauses = [record.args[1] for record in caplog.records]
    assert pauses == [30, 60, 120] * 2
    assert len(world.cj.refreshed_with) == 8


async def test_a_refresh_token_refused_ahead_leaves_the_access_token_to_all():
    world = World()
    tokens = world.manager()
    old = await tokens.get()
    world.cj.refresh.clear()
    world.cj.failures = []
    world.clock.now += 14 * DAY
    world.cj.last_login = world.clock.now  # from another machine
    assert tokens.current() == old
    await settled()
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (2, 1)
    assert tokens.current() == old == await world.manager().get()
    assert (await world.record()).tokens.refresh_token is None


async def test_who_comes_due_during_a_failing_background_refresh_makes_its_own():
    world = World(turns=10)
    tokens = world.manager()
    old = await tokens.get()
    world.clock.now = world.cj.access[old] - 61
    world.cj.failures = [UnavailableError("busy")]
    assert tokens.current() == old
    await asyncio.sleep(0)
    world.clock.now += 2
    assert world.cj.accepts(await tokens.get())
    assert len(world.cj.refreshed_with) == 2


# At the end.


async def test_an_expired_pair_is_refreshed_before_use_once_for_all():
    world = World()
    tokens = world.manager()
    old = await tokens.get()
    world.clock.now += 15 * DAY
    got = await asyncio.gather(*(tokens.get() for _ in range(20)))
    assert len(set(got)) == 1
    assert old not in got
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (1, 1)


async def test_an_expired_refresh_token_is_not_tried():
    world = World()
    tokens = world.manager()
    await tokens.get()
    world.clock.now += 180 * DAY
    assert world.cj.accepts(await tokens.get())
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (2, 0)


@pytest.mark.parametrize(
    "failure",
    [
        ConnectError("refused"),
        cj_errors.TimeoutError("late"),
        BadResponseError("HTML"),
        OutcomeUnknownError("lost"),
        UnavailableError("busy"),
        RateLimitedError("5 a minute"),
        QuotaExhaustedError("empty", bucket="points"),
    ],
)
async def test_a_refresh_that_fails_in_passing_is_told_and_leaves_the_pair(failure):
    world = World()
    tokens = world.manager()
    old = await tokens.get()
    with_old = (await world.record()).tokens.refresh_token
    world.cj.failures = [failure]
    with pytest.raises(type(failure)):
        await tokens.rejected(old)
    assert world.cj.accepts(await tokens.get())
    assert world.cj.refreshed_with == [with_old] * 2
    assert world.cj.logins == 1


async def test_each_caller_gets_its_own_error():
    world = World()
    tokens = world.manager()
    cause = OSError("no route")
    failure = ConnectError("refused")
    failure.__cause__ = cause
    world.cj.failures = [failure]
    errors = await asyncio.gather(*(tokens.get() for _ in range(3)), return_exceptions=True)
    assert len({id(error) for error in errors}) == 3
    assert [(type(error), error.message, error.__cause__) for error in errors] == [(ConnectError, "refused", cause)] * 3


async def test_a_bug_below_comes_out_as_it_is():
    world = World()
    world.cj.failures = [ZeroDivisionError("a bug")]
    with pytest.raises(ZeroDivisionError):
        await world.manager().get()


async def test_a_pair_that_arrives_expired_is_used_until_it_is_refused():
    world = World(lifetime=-3 * DAY)
    world.cj.accepts = lambda token: token in world.cj.access
    tokens = world.manager()
    token = await tokens.get()
    world.clock.now += 100 * DAY
    assert tokens.current() == token
    await settled()
    assert world.cj.accepts(await tokens.rejected(token))
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (1, 1)


# Refused by CJ.


class WrongClock:
    """That clock, so many days off on the wall."""

    def __init__(self, clock, days):
        self.clock = clock
        self.days = days
        self.monotonic, self.sleep = clock.monotonic, clock.sleep

    def time(self):
        return self.clock.time() + self.days * DAY


@pytest.mark.parametrize("days", [-4000, -20, -1, -0.01, 0.01, 1, 20, 4000])
async def test_a_clock_that_is_set_back_or_forward_costs_a_refresh_and_no_more(days):
    world = World()
    clock = WrongClock(world.clock, 0)
    tokens = world.manager(clock=clock)
    for moved_on in ([0.5] * 100, [0.5] * 100):
        for step in moved_on:
            token = await tokens.get()
            if not world.cj.accepts(token):
                token = await tokens.rejected(token)
            assert world.cj.accepts(token)
            await settled()
            world.clock.now += step * DAY
        clock.days = days
    assert world.cj.logins == (2 if days == 4000 else 1)  # then the refresh token looks old, too
    assert len(world.cj.refreshed_with) <= 100 / 13  # a pair lives for 15 days, and is replaced a day ahead


async def test_one_refresh_for_a_refused_token_however_many_report_it():
    world = World()
    clients = [world.manager() for _ in range(3)]
    (old,) = {await client.get() for client in clients}
    world.cj.kill_access()
    got = await asyncio.gather(*(clients[n % 3].rejected(old) for n in range(30)))
    assert len(set(got)) == 1
    assert world.cj.accepts(got[0])
    assert len(world.cj.refreshed_with) == 1


async def test_a_late_report_of_a_replaced_token_gets_the_replacement():
    world = World()
    tokens = world.manager()
    old = await tokens.get()
    world.cj.kill_access()
    new = await tokens.rejected(old)
    world.clock.now += 1000
    assert await tokens.rejected(old) == new
    assert await tokens.rejected("a token of the day before") == new
    assert len(world.cj.refreshed_with) == 1


@pytest.mark.parametrize("code", [AuthError("1600003"), ParameterError("1600300"), APIError("a new code")])
async def test_a_refused_refresh_falls_back_to_a_login(code):
    world = World()
    tokens = world.manager()
    old = await tokens.get()
    world.clock.now += 1000
    world.cj.kill_access()
    world.cj.failures = [code]
    assert world.cj.accepts(await tokens.rejected(old))
    assert (world.cj.logins, len(world.cj.refreshed_with)) == (2, 1)


async def test_a_refused_refresh_token_is_never_used_again():
    world = World()
    tokens = world.manager()
    old = await tokens.get()
    world.cj.kill_all()
    with pytest.raises(WaitTooLongError):
        await tokens.rejected(old)
    for _ in range(3):
        with pytest.raises(WaitTooLongError):
            await world.manager().rejected(old)
    assert len(world.cj.refreshed_with) == 1


async def test_a_refused_key_is_an_auth_error_and_is_not_tried_again_and_again():
    world = World()
    world.cj.key_is_good = False
    tokens = world.manager()
    for seconds in (0, 1, 58, 10, 200):
        world.clock.now += seconds
        for attempt in (tokens.get, tokens.login):
            with pytest.raises(AuthError, match="APIkey is wrong") as refused:
                await attempt()
            assert refused.value.code == 1600005
    assert world.cj.logins == 1
    world.clock.now += 31
    world.cj.key_is_good = True
    assert world.cj.accepts(await tokens.get())


async def test_an_old_refusal_is_forgotten_once_there_is_a_token():
    world = World()
    world.cj.key_is_good = False
    tokens = world.manager()
    with pytest.raises(AuthError):
        await tokens.get()
    world.clock.now += 300
    world.cj.key_is_good = True
    await tokens.get()
    world.cj.kill_all()
    with pytest.raises(WaitTooLongError):
        await tokens.rejected(tokens.current())


async def test_a_person_who_logs_in_elsewhere_heals_a_refused_client():
    world = World()
    world.cj.key_is_good = False
    tokens = world.manager()
    with pytest.raises(AuthError):
        await tokens.get()
    pair = world.cj.issue()
    await world.store.save("test", TokenRecord(tokens=pair))
    assert await tokens.get() == pair.access_token


async def test_a_token_that_cj_hands_out_again_after_refusing_it_is_believed_a_minute_later():
    world = World(floor=0)
    pair = world.cj.issue()

    async def the_same(*_):
        world.cj.logins += 1
        return pair

    tokens = world.manager(authenticate=the_same, renew=the_same, login_interval=None)
    assert await tokens.get() == pair.access_token
    for _ in range(5):
        with pytest.raises(AuthError, match="hands out a token that it refuses"):
            await tokens.rejected(pair.access_token)
    assert world.cj.logins == 3  # at first, the refresh, and the login after it
    world.clock.now += 61
    assert await tokens.get() == pair.access_token
    assert (await tokens.login()).access_token == pair.access_token


async def test_a_login_on_purpose_believes_what_it_gets():
    world = World(floor=0)
    pair = world.cj.issue()

    async def the_same(*_):
        return pair

    tokens = world.manager(authenticate=the_same, renew=the_same, login_interval=None)
    with pytest.raises(AuthError):
        await tokens.rejected(await tokens.get())
    await tokens.login()
    assert tokens.current() == pair.access_token


async def test_a_refresh_answer_without_refresh_token_keeps_the_old_one():
    world = World()
    tokens = world.manager(renew=lambda used: bare(used))
    first = await tokens.login()
    used_with = []

    async def bare(used):
        used_with.append(used)
        return Tokens.from_answer(access_token=f"bare {len(used_with)}")

    assert await tokens.rejected(first.access_token) == "bare 1"
    assert await tokens.rejected("bare 1") == "bare 2"
    assert used_with == [first.refresh_token] * 2
    assert (await world.record()).tokens.open_id == first.open_id


# An access token instead of a key.


async def test_a_given_token_is_used_without_asking():
    world = World()
    tokens = world.manager(authenticate=None, access_token="given")
    assert await tokens.get() == "given" == tokens.current()
    world.clock.now += 1000 * DAY
    assert tokens.current() == "given"


async def test_a_given_token_that_is_refused_is_an_auth_error_that_says_what_to_do():
    world = World()
    tokens = world.manager(authenticate=None, access_token="SECRET-given")
    await tokens.get()
    for attempt in (tokens.rejected("SECRET-given"), tokens.get()):
        with pytest.raises(AuthError, match=r"api_key= \(CJ_API_KEY\).*access_token= \(CJ_ACCESS_TOKEN\)") as refused:
            await attempt
        assert "SECRET" not in str(refused.value)
    with pytest.raises(ConfigError, match="API key"):
        await tokens.login()
    assert (world.cj.logins, world.cj.refreshed_with) == (0, [])


async def test_a_given_token_is_refreshed_where_a_refresh_token_is_stored():
    world = World()
    pair = world.cj.issue()
    world.cj.kill_access()
    await world.store.save("test", TokenRecord(tokens=pair))
    tokens = world.manager(authenticate=None, access_token=pair.access_token)
    successor = await tokens.rejected(await tokens.get())
    assert world.cj.accepts(successor)
    assert await world.manager(authenticate=None, access_token=pair.access_token).get() == successor

    world.cj.kill_all()
    with pytest.raises(AuthError, match="api_key=") as refused:
        await tokens.rejected(successor)
    assert isinstance(refused.value.__cause__, AuthError)
    assert len(world.cj.refreshed_with) == 2


async def test_a_given_token_saves_the_login_until_it_is_refused():
    world = World()
    given = world.cj.issue().access_token
    tokens = world.manager(access_token=given)
    assert await tokens.get() == given
    assert world.cj.logins == 0
    world.cj.kill_all()
    new = await tokens.rejected(given)
    assert world.cj.accepts(new)
    assert world.cj.logins == 1
    world.clock.now += 1000
    assert tokens.current() == new
    world.cj.kill_all()
    assert world.cj.accepts(await tokens.rejected(new))


# Logging out.


async def test_a_logout_ends_the_pair_for_all_and_keeps_the_floor():
    world = World()
    one, other = world.manager(), world.manager()
    token = await one.get()
    await other.get()
    await one.logout()
    assert not world.cj.accepts(token)
    assert one.current() is None
    record = await world.record()
    assert record.tokens is None
    assert record.login_at is not None
    with pytest.raises(WaitTooLongError):
        await one.get()
    with pytest.raises(WaitTooLongError):
        await other.rejected(token)
    assert world.cj.refreshed_with == []
    world.clock.now += 300
    assert await one.get() == await other.get()
    assert world.cj.logins == 2


async def test_a_logout_that_fails_forgets_nothing_and_one_that_is_refused_does():
    world = World()
    tokens = world.manager()
    token = await tokens.get()
    world.cj.failures = [cj_errors.TimeoutError("lost")]
    with pytest.raises(cj_errors.TimeoutError):
        await tokens.logout()
    assert tokens.current() == token == (await world.record()).tokens.access_token
    world.cj.kill_all()
    await tokens.logout()
    assert tokens.current() is (await world.record()).tokens is None


async def test_a_logout_without_tokens_asks_nobody():
    world = World()
    await world.manager().logout()
    assert world.cj.logouts == 0


async def test_a_given_token_is_gone_after_a_logout():
    world = World()
    given = world.cj.issue().access_token
    tokens = world.manager(authenticate=None, access_token=given)
    await tokens.logout()
    assert world.cj.logouts == 1
    with pytest.raises(AuthError):
        await tokens.get()


# Closing.


async def test_closing_lets_a_refresh_end_so_that_its_pair_is_kept():
    world = World(turns=10)
    tokens = world.manager()
    caller = asyncio.create_task(tokens.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await tokens.aclose()
    assert (await world.record()).tokens is not None
    assert tokens.current() is None
    assert world.cj.accepts(await caller)
    await tokens.aclose()


async def test_closing_ends_what_does_not_end():
    world = World()
    forever = asyncio.Event()
    tokens = world.manager(authenticate=forever.wait)
    caller = asyncio.create_task(tokens.get())
    await asyncio.sleep(0.01)
    await tokens.aclose(grace=0.01)
    with pytest.raises(ClosedError):
        await caller
    async with asyncio.timeout(5), world.store.lock("test"):
        pass


async def test_a_closed_manager_says_so():
    world = World()
    tokens = world.manager()
    await tokens.get()
    await tokens.aclose()
    for use in (tokens.get(), tokens.rejected("x"), tokens.login(), tokens.logout()):
        with pytest.raises(ClosedError):
            await use
    assert tokens.current() is None


# Secrets.


async def test_nothing_said_or_kept_outside_the_store_holds_a_secret(caplog):
    caplog.set_level(logging.DEBUG)
    world = World()
    tokens = world.manager()
    token = await tokens.get()
    errors = []
    world.cj.failures = [UnavailableError("busy")]
    for _ in range(3):
        try:
            await tokens.rejected(token)
        except (UnavailableError, AuthError, WaitTooLongError) as error:
            errors.append(error)
        world.cj.kill_all()
        token = tokens.current() or token
    assert len(errors) == 3
    said = [caplog.text, repr(tokens), repr(world.store), *map(repr, errors), *map(str, errors)]
    assert not [text for text in said if "SECRET" in text]
    assert not [error for error in errors if b"SECRET" in pickle.dumps(error)]
    assert "SECRET" not in repr(asyncio.all_tasks())


def test_the_pauses_of_background_refreshes_fit_many_times_into_the_time_ahead():
    assert manager.LONGEST_PAUSE * 10 < DAY
