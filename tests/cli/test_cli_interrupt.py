"""Ctrl-C and kill: what was fetched is safe, says so, and the same command goes on there."""

import json
import os
import pty
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from cjasync.catalog.sinks import read_rows
from cjasync.models.product import ListedProduct

PATIENCE = 30
SLOW = ["--qps", "8"]


def until(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def some_rows(partial):
    """Whether a commit is there."""
    for log in (partial.with_name(partial.name + "-wal"), partial.with_name(partial.name + ".wal")):
        if log.exists():
            return log.stat().st_size > 50_000
    return partial.with_name(partial.name + ".commit").exists()


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.parquet", "p.sqlite", "p.duckdb"])
def test_ctrl_c_keeps_what_was_fetched(cj, cjasync, started, name):
    partial = Path(f"{name}.partial")
    process = started("pull", "--out", name, "--page-size", "40", *cj.access, *SLOW)
    until(lambda: some_rows(partial), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Interrupted." in err
    kept = int(re.search(rf"(\d+) products are safe in {name}.partial; the same command goes on there.", err)[1])
    assert 0 < kept < 1_000
    assert kept % 40 == 0
    assert out == ""
    assert not Path(name).exists()
    result = cjasync("pull", "--out", name, "--page-size", "40", "--json", *cj.access)
    told = json.loads(result.stdout)
    assert (told["products"], told["unique"], told["pages"]) == (1_000, 1_000, 25 - kept // 40)
    assert {row["pid"] for row in read_rows(name, ListedProduct)} == cj.truth().keys()
    assert [path.name for path in Path().iterdir()] == [name]


def test_with_json_an_interruption_is_json_too(cj, started):
    process = started("pull", "--out", "p.jsonl", "--page-size", "40", "--json", *cj.access, *SLOW)
    until(lambda: some_rows(Path("p.jsonl.partial")), process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    told = json.loads(out)
    assert process.returncode == told["exit_code"] == 130
    assert told["partial"] == "p.jsonl.partial"
    assert len(Path("p.jsonl.partial").read_text().splitlines()) == told["products"] > 0


def test_kill_9_loses_no_committed_row(cj, cjasync, started):
    process = started("pull", "--out", "p.csv", "--page-size", "40", *cj.access, *SLOW)
    until(lambda: some_rows(Path("p.csv.partial")), process)
    process.kill()
    process.communicate()
    told = json.loads(cjasync("pull", "--out", "p.csv", "--page-size", "40", "--json", *cj.access).stdout)
    assert told["pages"] < 25
    assert (told["products"], told["unique"]) == (1_000, 1_000)


def test_a_terminal_shows_a_bar_and_a_pipe_a_line(cj, started):
    leader, follower = pty.openpty()
    pull = ["pull", "--out", "p.jsonl", "--page-size", "100", *cj.access, "--qps", "9"]
    command = [sys.executable, "-m", "cjasync.cli", *pull]
    pid = os.posix_spawn(
        command[0],
        command,
        {**os.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"},
        file_actions=[(os.POSIX_SPAWN_DUP2, follower, fd) for fd in (0, 1, 2)],
    )
    os.close(follower)
    seen = b""
    try:
        while piece := os.read(leader, 4096):
            seen += piece
    except OSError:
        pass  # how Linux says that the other side is closed
    os.close(leader)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    shown = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", seen.decode())
    assert re.search(r"product/list .*%", shown)
    assert re.search(r"of 1,000 products · \d+ pages · \d\.\d of 9 req/s", shown)
    assert "1,000 products in p.jsonl" in shown
    piped = started(*pull)
    _, err = piped.communicate(timeout=PATIENCE)
    assert "\x1b" not in err
    assert not err or re.fullmatch(r"product/list: [\d,]+ of 1,000 products · .* req/s.*", err.strip())


def test_the_sandbox_runs_until_ctrl_c(started, cjasync):
    process = started("sandbox", "--products", "30", "--plan", "prime", "--json")
    told = json.loads(process.stdout.readline())
    access = ["--base-url", told["base_url"], "--api-key", told["api_key"], "--quota-url", "memory"]
    assert json.loads(cjasync("pull", "--out", "p.jsonl", "--json", *access).stdout)["unique"] == 30
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in err
