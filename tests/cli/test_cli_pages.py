"""Every command line in the shell blocks of README.md and docs/ is one; of a pull it is asked what it would cost."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINES = [
    shlex.split(line, comments=True)[1:]
    for page in PAGES
    for block in SHELL.findall(page.read_text("utf-8"))
    for line in block.splitlines()
    if line.startswith("cjasync ")
]


@pytest.mark.parametrize("line", [line for line in LINES if line[0] != "login"], ids=" ".join)
def test_a_command_line_of_the_pages_is_taken(cj, cjasync, line):
    assert cjasync(*line, *cj.access, *(["--dry-run"] if line[0] == "pull" else [])).exit_code == 0


def test_a_login_of_the_pages_is_taken(new_cj, cjasync, monkeypatch):
    monkeypatch.setenv("CJ_API_KEY", new_cj.api_key)
    (line,) = [line for line in LINES if line[0] == "login"]
    assert cjasync(*line, "--base-url", new_cj.base_url, "--quota-url", "memory").exit_code == 0


def test_there_are_some():
    assert {line[0] for line in LINES} >= {"login", "pull", "search"}
