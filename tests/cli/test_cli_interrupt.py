"""Ctrl-C and kill: what was fetched is safe, says so, and the same command goes on there."""

import json
import os
import pty
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from cjasync.catalog.sinks import SUFFIXES, read_rows
from cjasync.models.product import ListedProduct
from tests.sink_rows import seen_by_the_usual_tool

PATIENCE = 30
SLOW = ["--qps", "2"]


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


def kill_9(process):
    """Stopped first: only a kill within the very microseconds of a write can cut a line."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    process.kill()
    process.communicate()


def keys_in(partial, folder):
    """What the usual tool sees, in a copy, so that opening it changes nothing for the next run."""
    folder.mkdir()
    for each in Path().glob(f"{partial.name}*"):
        shutil.copytree(each, folder / each.name) if each.is_dir() else shutil.copy(each, folder)
    return seen_by_the_usual_tool(folder / partial.name, partial.name.removesuffix(".partial"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_whatever_ends_it_the_partial_file_opens_as_such_files_do_and_is_gone_on_with(
    cj, cjasync, started, tmp_path, suffix
):
    name = f"p{suffix}"
    pull = ["pull", "--out", name, "--page-size", "40", *cj.access]
    partial, pids = Path(f"{name}.partial"), cj.truth().keys()

    process = started(*pull, *SLOW)
    until(lambda: some_rows(partial), process)
    kill_9(process)
    killed = keys_in(partial, tmp_path / "killed")
    assert 0 < len(killed) == len(set(killed)) < 1_000
    assert set(killed) <= pids

    process = started(*pull, *SLOW)
    earlier = re.match(rf"Going on with {name}.partial: (\d+) products are there.", process.stderr.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert err.startswith("Interrupted.\n")
    kept = int(re.search(rf"([\d,]+) products are safe in {name}.partial; the same command goes on there.", err)[1])
    assert kept >= int(earlier[1]) > 0
    assert kept % 40 == 0
    stopped = keys_in(partial, tmp_path / "stopped")
    assert len(stopped) == len(set(stopped)) == kept
    assert set(killed) <= set(stopped) or len(killed) > int(earlier[1])
    assert not Path(name).exists()

    told = json.loads(cjasync(*pull, "--json").stdout)
    assert (told["products"], told["unique"], told["pages"]) == (1_000, 1_000, 25 - kept // 40)
    assert {row["pid"] for row in read_rows(name, ListedProduct)} == pids
    assert [path.name for path in Path().iterdir()] == [name]


def test_a_walk_that_was_killed_goes_on_and_tells_the_figures_of_its_second_run(big_cj, cjasync, started, tmp_path):
    partial = Path("p.parquet.partial")
    pull = ["pull", "--out", "p.parquet", *big_cj.access]
    process = started(*pull, *SLOW)
    until(lambda: some_rows(partial), process)
    kill_9(process)
    assert len(keys_in(partial, tmp_path / "killed")) >= 200
    told = json.loads(cjasync(*pull, "--json").stdout)
    walk = told["walk"]
    assert (told["unique"], walk["runs"], walk["proved"]) == (6_200, 2, True)
    asked_again = told["requests"] - told["pages"]  # the categories, which are free, if killed before they were there
    assert told["pages"] < walk["requests"]
    assert asked_again in (0, 1)
    assert told["points"] == 50 * told["pages"]
    assert told["products"] == walk["products"] >= 6_200


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_with_json_an_interruption_is_json_too(cj, started, ending):
    process = started("pull", "--out", "p.jsonl", "--page-size", "40", "--json", *cj.access, *SLOW)
    until(lambda: some_rows(Path("p.jsonl.partial")), process)
    process.send_signal(ending)
    out, _ = process.communicate(timeout=PATIENCE)
    told = json.loads(out)
    assert process.returncode == told["exit_code"] == 130
    assert told["partial"] == "p.jsonl.partial"
    assert len(Path("p.jsonl.partial").read_text().splitlines()) == told["products"] > 0


def test_a_terminal_shows_a_bar_and_a_pipe_a_line(cj, started, program):
    leader, follower = pty.openpty()
    pull = ["pull", "--out", "p.jsonl", "--page-size", "100", *cj.access, "--qps", "9", "--daily-points", "50000"]
    command = [*program, *pull]
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
    # CJ's answers to this account carry no points: they are counted here.
    assert re.search(r"of 1,000 products · \d+ pages? · \d\.\d of 9 req/s · \d\d,\d\d0 points left · \d s to go", shown)
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


def test_the_sandbox_says_how_to_ask_it_as_fast_as_its_plan_allows(started):
    process = started("sandbox", "--products", "30", "--plan", "prime")
    exports = dict(process.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(3))
    assert exports["CJ_PLAN"] == "prime"
    assert exports.keys() == {"CJ_BASE_URL", "CJ_API_KEY", "CJ_PLAN"}
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
