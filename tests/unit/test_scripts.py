"""The commands in scripts/ prepare their environment once and safely. A stand-in for Python notes what they ask."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
STAND_IN = """#!/usr/bin/env bash
# Answers questions with the real Python; makes environments, installs and runs modules by writing them down.
case "$1 ${{2:-}}" in
    "--version "*) echo "Python {version}"; exit ;;
    "-c "*) exec {python} "$@" ;;
    "-m venv") rm -rf "${{*: -1}}"; mkdir -p "${{*: -1}}/bin"; cp "$0" "${{*: -1}}/bin/python" ;;
    "-m pip") [ ! -e .venv/.stamp ] || echo "stamped too early" >>"$LOG"; sleep "${{PIP_SECONDS:-0}}" ;;
esac
echo "{version} $*" >>"$LOG"
[[ " ${{FAILING:-}} " != *" $2 "* ]]
"""


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a checkout"
        self.log = folder / "log"
        self.python = folder / "python"
        shutil.copytree(SCRIPTS, self.folder / "scripts", ignore=shutil.ignore_patterns("architecture"))
        (self.folder / "pyproject.toml").write_text("[project]\n")
        self.use_version("3.11.7")

    def use_version(self, version: str) -> None:
        self.python.write_text(STAND_IN.format(version=version, python=sys.executable))
        self.python.chmod(0o755)

    def start(self, command: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Starts it in a process group of its own."""
        return subprocess.Popen(
            [self.folder / "scripts" / command, *arguments],
            cwd=self.folder.parent,
            env=os.environ | {"PYTHON": str(self.python), "LOG": str(self.log)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
        """How it ended, what it said on stderr, and what it asked of Python."""
        self.log.write_text("")
        with self.start(command, *arguments, **environment) as process:
            _, said = process.communicate(timeout=30)
        return process.returncode, said, self.log.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


PIP = "3.11.7 -m pip install -qq --disable-pip-version-check -e .[dev]"
PYTEST = "3.11.7 -m pytest"
ALL = f"{PYTEST} --numprocesses auto --dist worksteal"


def test_the_first_run_prepares_and_the_second_starts_at_once(checkout: Checkout) -> None:
    venv = f"3.11.7 -m venv --clear {checkout.folder}/.venv"
    code, said, asked = checkout.run("test", "-k", "two words")
    assert (code, asked) == (0, [venv, PIP, f"{PYTEST} -k two words"])
    assert "Making .venv with Python 3.11.7." in said
    assert checkout.run("test") == (0, "", [ALL])


def test_a_changed_project_is_installed_anew_into_the_same_environment(checkout: Checkout) -> None:
    checkout.run("test")
    (checkout.folder / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    assert checkout.run("test")[2] == [PIP, ALL]
    assert checkout.run("test")[2] == [ALL]


def test_a_moved_checkout_is_installed_anew(checkout: Checkout) -> None:
    checkout.run("test")
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    assert checkout.run("test")[2] == [PIP, ALL]


def test_a_failed_install_is_said_and_done_again(checkout: Checkout) -> None:
    code, said, asked = checkout.run("test", FAILING="pip")
    assert code != 0
    assert "The install failed" in said
    assert asked[-1] == PIP
    assert checkout.run("test")[2] == [PIP, ALL]


def test_an_install_that_was_killed_is_done_from_the_start(checkout: Checkout) -> None:
    with checkout.start("test", PIP_SECONDS="60") as process:
        while not (checkout.folder / ".venv" / ".installing").exists():
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    code, _, asked = checkout.run("test")
    assert (code, [line.split()[2] for line in asked]) == (0, ["venv", "pip", "pytest"])


def test_another_python_makes_another_environment(checkout: Checkout) -> None:
    checkout.run("test")
    checkout.use_version("3.13.0")
    code, _, asked = checkout.run("test")
    assert (code, asked[0].split()[:3], asked[-1]) == (0, ["3.13.0", "-m", "venv"], ALL.replace("3.11.7", "3.13.0"))


def test_without_a_suitable_python_it_says_what_to_do(checkout: Checkout) -> None:
    code, said, asked = checkout.run("check", PYTHON="no-such-python")
    assert (code, asked) == (2, [])
    assert "No Python 3.11 or newer" in said
    assert "Tried: no-such-python." in said
    assert "PYTHON=" in said


def test_two_at_once_install_once(checkout: Checkout) -> None:
    first, second = (checkout.start("test", PIP_SECONDS="0.3") for _ in range(2))
    said = [process.communicate(timeout=30)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    asked = checkout.log.read_text().splitlines()
    assert asked[1:] == [PIP, ALL, ALL]


def test_check_runs_all_checks_and_names_those_that_failed(checkout: Checkout) -> None:
    checkout.run("check")
    code, said, asked = checkout.run("check", FAILING="ruff scripts.architecture")
    assert code == 1
    assert said == "Failed: ruff check, ruff format --check, scripts.architecture.\n"
    assert [line.split(" ", 2)[2] for line in asked] == [
        "ruff check",
        "ruff format --check",
        "mypy",
        "scripts.architecture",
    ]


def test_benchmarks_have_their_own_environment(checkout: Checkout) -> None:
    (checkout.folder / "benchmarks").mkdir()
    peers = checkout.folder / "benchmarks" / "requirements.txt"
    peers.write_text("httpx\n")
    _, _, asked = checkout.run("bench", "limiter")
    assert asked[1:] == [PIP.replace("[dev]", "[all] -r benchmarks/requirements.txt"), "3.11.7 -m benchmarks limiter"]
    peers.write_text("httpx\norjson\n")
    assert len(checkout.run("bench")[2]) == 2
    assert len(checkout.run("bench")[2]) == 1
    assert not (checkout.folder / ".venv").exists()
