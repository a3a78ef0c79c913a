"""Tokens among real processes: shared, locked, and not disturbed by `kill -9`."""

import asyncio
import itertools
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from token_processes import LONG, SHORT, manager

from cjasync.auth import FileTokenStore, TokenRecord, Tokens

SCRIPT = Path(__file__).with_name("token_processes.py")
PATIENCE = 30


@contextmanager
def processes(what, folder, count=1):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, SCRIPT, what, folder], **pipes) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def say(process, text):
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


def heard(process):
    return process.stdout.readline().strip()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)


def calls(folder):
    return (folder / "calls").read_text().splitlines()


def test_four_processes_that_need_a_token_at_once_log_in_once_and_refresh_once(tmp_path):
    with processes("live", tmp_path, 4) as four:
        assert [heard(process) for process in four] == ["ready"] * 4
        for process in four:
            say(process, "go")
        assert {heard(process) for process in four} == {"a1"}
        for process in four:
            say(process, "refused")
        assert {heard(process) for process in four} == {"a2"}
        for process in four:
            say(process, "go on")
        assert {heard(process) for process in four} == {"a2"}
        for process in four:
            say(process, "end")
            assert process.wait(PATIENCE) == 0
    assert calls(tmp_path) == ["login", "refresh r1"]
    files = [path for path in tmp_path.iterdir() if path.name != "calls"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert sorted(path.suffix for path in files) == [".json", ".lock"]


async def test_a_later_process_finds_the_pair_and_a_logout_ends_it_for_all(tmp_path):
    with processes("live", tmp_path) as (process,):
        heard(process)
        say(process, "go")
        assert heard(process) == "a1"
        here = manager(tmp_path)
        assert await here.get() == "a1"
        await here.logout()
        assert (await FileTokenStore(tmp_path).load("shared")).tokens is None
    assert calls(tmp_path) == ["login", "logout a1"]


async def test_kill_9_while_holding_the_lock_stalls_nobody(tmp_path):
    with processes("hold", tmp_path) as (process,):
        assert heard(process) == "held"
        waiter = asyncio.create_task(manager(tmp_path).get())
        await asyncio.sleep(0.1)
        assert not waiter.done()
        assert not (tmp_path / "calls").exists()
        kill(process)
        async with asyncio.timeout(PATIENCE):
            assert await waiter == "a1"


async def test_a_forked_child_does_not_keep_its_killed_parents_lock(tmp_path):
    with processes("hold_and_fork", tmp_path) as (parent,):
        child = int(heard(parent).removeprefix("child "))
        kill(parent)
        os.kill(child, 0)  # lives
        async with asyncio.timeout(PATIENCE), FileTokenStore(tmp_path).lock("shared"):
            pass


@pytest.mark.parametrize("store", ["memory", "file"])
def test_a_fork_while_the_lock_is_held_stops_neither_parent_nor_child(tmp_path, store):
    program = """
import asyncio, os, sys, threading
from cjasync.auth import FileTokenStore, MemoryTokenStore

store = MemoryTokenStore() if sys.argv[1] == "memory" else FileTokenStore(sys.argv[2])

async def take():
    async with asyncio.timeout(20), store.lock("a"):
        print("taken by", sys.argv[0], flush=True)

async def parent():
    async with store.lock("a"):
        child = os.fork()
        if child == 0:
            sys.argv[0] = "the child"
            thread = threading.Thread(target=asyncio.run, args=(take(),))
            thread.start()
            thread.join()
            os._exit(0)
    sys.argv[0] = "the parent"
    await take()
    os.waitpid(child, 0)

asyncio.run(parent())
"""
    run = [sys.executable, "-c", program, store, tmp_path]
    ran = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert sorted(ran.stdout.splitlines()) == ["taken by the child", "taken by the parent"]
    assert not ran.stderr


async def test_a_reader_never_sees_half_a_file_however_writers_die(tmp_path):
    store = FileTokenStore(tmp_path)
    whole = [TokenRecord(tokens=Tokens(access_token=text, refresh_token=text)) for text in (LONG, SHORT)]
    seen = set()
    for _ in range(3):
        with processes("write", tmp_path, 2) as writers:
            assert [heard(writer) for writer in writers] == ["writing"] * 2
            async with asyncio.timeout(PATIENCE):
                for reads in itertools.count():
                    record = await store.load("shared")
                    assert record is None or record in whole
                    seen.add(record)
                    if reads >= 60 and seen >= set(whole):
                        break
            for writer in writers:
                kill(writer)
        assert await store.load("shared") in whole
        seen.clear()
