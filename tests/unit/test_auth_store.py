import asyncio
import logging
import os
import stat
import threading
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cjasync.auth import FileTokenStore, MemoryTokenStore, TokenRecord, Tokens
from cjasync.errors import ConfigError

RECORD = TokenRecord(
    tokens=Tokens(access_token="SECRET1", refresh_token="SECRET2", open_id="SECRET3"),
    login_at=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return MemoryTokenStore() if request.param == "memory" else FileTokenStore(tmp_path / "new" / "state")


async def test_keeps_one_record_per_account(store):
    assert await store.load("a") is None
    await store.save("a", RECORD)
    await store.save("b", TokenRecord())
    assert await store.load("a") == RECORD
    assert await store.load("b") == TokenRecord()
    await store.save("a", TokenRecord())
    assert await store.load("a") == TokenRecord()


async def test_one_holds_the_lock_of_an_account(store):
    inside = most = entered = 0

    async def enter():
        nonlocal inside, most, entered
        async with store.lock("a"):
            inside += 1
            entered += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(8)))
    assert (most, entered) == (1, 8)


async def test_accounts_do_not_wait_for_each_other(store):
    async with store.lock("a"), asyncio.timeout(5), store.lock("b"):
        pass


async def test_an_error_or_a_cancellation_frees_the_lock(store):
    with pytest.raises(ZeroDivisionError):
        async with store.lock("a"):
            raise ZeroDivisionError

    async def hold():
        async with store.lock("a"):
            await asyncio.sleep(60)

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0.01)
    waiter = asyncio.create_task(hold())
    await asyncio.sleep(0.01)
    waiter.cancel()
    holder.cancel()
    await asyncio.gather(waiter, holder, return_exceptions=True)
    async with asyncio.timeout(5), store.lock("a"):
        pass


def test_event_loops_in_threads_exclude_each_other(store):
    inside = most = 0

    async def enter():
        nonlocal inside, most
        for _ in range(5):
            async with store.lock("a"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=asyncio.run, args=(enter(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1
    assert not any(thread.is_alive() for thread in threads)


async def test_a_waiter_leaves_the_event_loop_free(store):
    async with store.lock("a"):
        waiter = asyncio.create_task(store.lock("a").__aenter__())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiter.done()
        waiter.cancel()
        await asyncio.wait([waiter])


async def test_a_lock_copied_by_a_fork_binds_nobody_in_the_child(monkeypatch):
    store = MemoryTokenStore()
    async with AsyncExitStack() as copied, AsyncExitStack() as childs:
        await copied.enter_async_context(store.lock("a"))
        monkeypatch.setattr(os, "getpid", lambda: 1)
        async with asyncio.timeout(5):
            await childs.enter_async_context(store.lock("a"))
        await copied.aclose()  # as the child does when it collects its copy of the parent's frames
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), store.lock("a"):
                pass


# The file.


async def test_only_the_owner_can_read_anything(tmp_path):
    folder = tmp_path / "state"
    before = os.umask(0)
    try:
        store = FileTokenStore(folder)
        await store.save("a", RECORD)
        async with store.lock("a"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_a_file_that_others_could_read_is_replaced_by_one_they_cannot(tmp_path):
    store = FileTokenStore(tmp_path)
    await store.save("a", RECORD)
    (file,) = tmp_path.glob("*.json")
    file.chmod(0o644)
    await store.save("a", RECORD)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_names_show_no_account_and_stay_in_the_folder(tmp_path):
    store = FileTokenStore(tmp_path / "state")
    await store.save("../../SECRET/\0", RECORD)
    assert await store.load("../../SECRET/\0") == RECORD
    (file,) = tmp_path.rglob("*.json")
    assert file.parent == tmp_path / "state"
    assert "SECRET" not in str(file)


@pytest.mark.parametrize(
    "damage",
    [
        *(
            b"",
            b"{",
            b"\xff\xfe",
            b"[]",
            b"[" * 100_000,
            bytes(600),
            b'{"tokens":{}}',
            b'{"tokens":{"access_token":7}}',
        ),
        b'{"tokens":{"access_token":"a","access_expires_at":"2030-01-01T00:00:00"}}',
        b'{"login_at":"soon"}',
    ],
    ids=lambda damage: repr(damage[:40]),
)
async def test_a_damaged_file_is_as_none_and_is_told_without_its_content(tmp_path, caplog, damage):
    store = FileTokenStore(tmp_path)
    await store.save("a", RECORD)
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(damage + (b"" if damage.endswith(b"}") else b"SECRET" * bool(damage)))
    with caplog.at_level(logging.WARNING):
        assert await store.load("a") is None
    assert str(file) in caplog.text
    assert "SECRET" not in caplog.text
    await store.save("a", RECORD)
    assert await store.load("a") == RECORD


async def test_a_folder_that_cannot_be_used_is_a_setting_to_change(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = FileTokenStore(tmp_path / "file" / "state")
    for work in (store.load("a"), store.save("a", RECORD), store.lock("a").__aenter__()):
        with pytest.raises(ConfigError, match="give the token store a folder") as refused:
            await work
        assert "SECRET" not in str(refused.value)


async def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(tmp_path):
    store = FileTokenStore(tmp_path)
    await store.save("a", RECORD)
    (file,) = tmp_path.glob("*.json")
    old, new = tmp_path / f"{file.stem}.old.new", tmp_path / f"{file.stem}.now.new"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (1, 1))
    await store.save("a", RECORD)
    assert sorted(tmp_path.iterdir()) == sorted([file, new])


async def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    store = FileTokenStore(tmp_path)
    await store.save("a", RECORD)

    def full_disk(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ConfigError, match="No space left"):
        await store.save("a", TokenRecord())
    assert await store.load("a") == RECORD
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("environment", "folder"),
    [({"XDG_STATE_HOME": "/somewhere"}, "/somewhere/cjasync"), ({"HOME": "/me"}, "/me/.local/state/cjasync")],
)
def test_the_users_state_folder_is_the_default(monkeypatch, environment, folder):
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store = FileTokenStore()
    assert store.path == Path(folder)
    assert repr(store) == f"FileTokenStore({folder!r})"


def test_without_a_home_a_path_is_asked_for(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigError, match="path"):
        FileTokenStore()
