"""Files among real processes: `kill -9` at any moment loses nothing that was committed and doubles nothing."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cjasync.catalog.sinks import read_rows
from tests.sink_rows import FILES, Thing, seen_by_the_usual_tool

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("sink_processes.py")
PATIENCE = 60
COUNT = 2_000


def start(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", SCRIPT, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finished(process):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return out.splitlines()


@pytest.mark.parametrize("name", FILES)
def test_a_killed_writer_is_continued_from_its_last_commit(tmp_path, name):
    path = tmp_path / name
    said = 0
    for batches in (1, 30):
        process = start("grow", path, COUNT)
        opened = int(process.stdout.readline().split()[1])
        # What was said to be safe is; the commit that was under way may have been finished too.
        assert said <= opened <= said + 1
        for _ in range(batches):
            said = int(process.stdout.readline())
        # Stopped first: only a kill within the very microseconds of a write can cut a line.
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        process.send_signal(signal.SIGKILL)
        with process:  # not `communicate`, which passes over what `readline` has read ahead
            said = int(([said, *process.stdout.read().split()])[-1])
        assert not path.exists()
        partial = path.with_name(f"{name}.partial")
        # Copied as a whole, so that what opens it changes nothing for the next run.
        there = tmp_path / f"copy-{batches}"
        there.mkdir()
        for each in tmp_path.glob(f"{name}.partial*"):
            shutil.copytree(each, there / each.name) if each.is_dir() else shutil.copy(each, there)
        seen = seen_by_the_usual_tool(there / partial.name, name)
        assert len(seen) in (21 * said - 1, 21 * (said + 1) - 1)
        shutil.rmtree(there)
    lines = finished(start("grow", path, COUNT))
    assert said <= int(lines[0].split()[1]) <= said + 1
    rows = list(read_rows(path, Thing))
    assert len(rows) == COUNT
    # Of the product that two batches share, the newer row is there.
    assert {row["pid"]: row["count"] for row in rows} == {
        f"p{pid}": min((pid + 1) // 20, COUNT // 20 - 1) for pid in range(COUNT)
    }
    assert [left.name for left in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.parquet", "t.sqlite", "t.duckdb"])
def test_a_full_disk_is_said_and_keeps_what_was_committed(tmp_path, name):
    path = tmp_path / name
    told, again = finished(start("full", path))
    safe, _, message = told.partition(" ")
    assert message.startswith(f"cannot write {path}: ")
    assert f"What was fetched before is safe in {path}.partial" in message
    assert again == "still refused"
    assert not path.exists()
    lines = finished(start("grow", path, (int(safe) + 1) * 20))
    assert lines[0] == f"opened {safe}"
    assert sum(1 for _ in read_rows(path, Thing)) == (int(safe) + 1) * 20
