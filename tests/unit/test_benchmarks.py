"""The benchmarks' frame: verdicts, exit codes, what is written, and that every target is about a figure that exists."""

import importlib
import math
import os
import sys
import threading
import types
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import benchmarks
from benchmarks import __main__ as runner
from benchmarks import decode
from benchmarks.frame import Bar, Chart, Figure, Findings, Result, Table, picture, question, text
from benchmarks.frame.compare import COPY, Comparison, Contestant, compare, compare_async
from benchmarks.frame.fresh import in_fresh_process
from benchmarks.frame.targets import TARGETS, Target, exit_code, judge, targets_of

FIGURES = st.floats(-1e9, 1e9)


@settings(deadline=None, max_examples=100)
@given(bound=FIGURES, value=FIGURES)
def test_a_bound_itself_is_good_enough(bound, value):
    assert Target(says="", at_least=bound).is_met_by(value) == (value >= bound)
    assert Target(says="", at_most=bound).is_met_by(value) == (value <= bound)


@pytest.mark.parametrize(
    ("figure", "outcome"),
    [
        (Figure(1.0), "met"),
        (Figure(0.9), "missed"),
        (Figure(1.0, copy=0.98), "met"),
        (Figure(1.0, copy=1.04), "unsteady"),
        (Figure(0.9, copy=0.96), "unsteady"),
        (Figure(0.9, bare=1.1), "missed"),
        (Figure(0.9, bare=0.95), "unsteady"),
        (Figure(1.0, bare=0.95), "met"),
        (None, "unmeasured"),
    ],
)
def test_nothing_is_judged_by_a_base_that_differs_from_its_copy(figure, outcome):
    targets = {"speed": Target(says="", at_least=1.0)}
    (verdict,) = judge(targets, {} if figure is None else {"speed": figure})
    assert verdict.outcome == outcome


def test_what_cannot_be_measured_here_is_left_out_but_not_what_was_forgotten():
    targets = {
        "a": Target(says="", at_least=1.0, needs="no-such-program-anywhere"),
        "b": Target(says="", at_least=1.0, needs="sh"),
    }
    assert [verdict.outcome for verdict in judge(targets, {})] == ["left out", "unmeasured"]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        (["met", "left out"], 0),
        (["met", "unsteady"], 3),
        (["met", "unmeasured"], 3),
        (["unsteady", "missed"], 1),
    ],
)
def test_exit_code(outcomes, code):
    assert exit_code(outcomes) == code


@pytest.mark.parametrize("bounds", ["", "at_least = 1, at_most = 2,"])
def test_a_target_has_one_bound(tmp_path, bounds):
    path = tmp_path / "targets.toml"
    path.write_text(f'[call]\nspeed = {{ {bounds} says = "" }}\n')
    with pytest.raises(ValueError, match="either at_least or at_most"):
        targets_of("call", path)


def test_every_target_belongs_to_a_question():
    named = {line.strip("[]\n") for line in TARGETS.read_text().splitlines() if line.startswith("[")}
    assert named <= set(benchmarks.QUESTIONS)
    for name in benchmarks.QUESTIONS:
        assert targets_of(name) or name not in named
        assert callable(importlib.import_module(f"benchmarks.{name}").run)


def test_a_ratio_is_the_median_over_the_rounds():
    comparison = Comparison("a", {"a": [2.0, 4.0, 6.0], "a" + COPY: [2.0, 4.0, 6.0], "b": [1.0, 4.0, 60.0]})
    assert comparison.ratio("b") == 1.0
    assert comparison.figure("b") == Figure(1.0, 1.0)
    assert comparison.figure("a", to="b", inverse=True) == Figure(1.0, 1.0)
    assert comparison.difference("b", to="a") == 0.0


async def test_all_contestants_take_part_in_all_rounds_and_the_base_twice():
    asked = []

    async def one():
        asked.append(1)

    comparison = await compare_async({"a": Contestant(one, 2, 3), "b": Contestant(one, 1)}, rounds=3, seconds=0.0)
    assert set(comparison.samples) == {"a", "a" + COPY, "b"}
    assert {len(samples) for samples in comparison.samples.values()} != {0}
    assert len(asked) % (6 + 6 + 1) == 0
    assert set(compare({"f": lambda: None}, rounds=1, seconds=0.0).samples) == {"f", "f" + COPY}


def test_a_fresh_process_gives_the_result_and_nothing_else():
    assert in_fresh_process(print, "this is not the result") is None
    assert in_fresh_process(os.getpid) != os.getpid()


def test_a_fresh_process_that_fails_says_so():
    with pytest.raises(RuntimeError, match="math:sqrt ended with status 1"):
        in_fresh_process(math.sqrt, -1)


def test_decoding_answers_every_one_of_its_targets():
    result = decode.run(rounds=1, seconds=0.1, held_pages=3)
    assert {verdict.outcome for verdict in result.verdicts} <= {"met", "missed", "unsteady"}
    assert result.machine.cores >= 1
    assert "msgspec" in result.versions
    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result


CHART = Chart("Speed < light", "x", [Bar("a & b", 1.5), Bar("ours", 3.0, ours=True)], target=2.0)


@pytest.fixture
def fake(monkeypatch):
    """A question that finds what it is told to."""
    module = types.ModuleType("benchmarks.fake")
    module.found = Findings(tables=[Table("T", ["what", "n"], [["a|b", 12345], ["c", None]])], charts=[CHART])

    def run():
        return module.found

    run.__module__ = "benchmarks.fake"
    module.run = question("Is it?")(run)
    monkeypatch.setitem(sys.modules, "benchmarks.fake", module)
    monkeypatch.setattr(runner, "QUESTIONS", ("fake",))
    monkeypatch.setattr("benchmarks.frame.result.targets_of", lambda name: {"n": Target(says="n", at_least=2.0)})
    return module


@pytest.mark.parametrize(("figure", "code"), [(Figure(2.0), 0), (Figure(1.0), 1), (Figure(2.0, copy=2.0), 3)])
def test_the_runner_prints_writes_and_judges(fake, figure, code, tmp_path, capsys):
    fake.found.figures["n"] = figure
    assert runner.main(["--results", str(tmp_path)]) == code
    printed = capsys.readouterr().out
    assert "12,345" in printed
    assert "Is it?" in printed
    result = msgspec.json.decode((tmp_path / "fake.json").read_bytes(), type=Result)
    assert result.figures["n"] == figure
    page = (tmp_path / "README.md").read_text()
    assert "a\\|b" in page
    assert "(fake.svg)" in page
    for name in ("fake.svg", "overview.svg"):
        ET.parse(tmp_path / name)


def test_the_page_of_all_appears_with_the_last_of_them_and_keeps_up(fake, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "QUESTIONS", ("fake", "other"))
    runner.main(["fake", "--results", str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"fake.json", "fake.svg"}
    (tmp_path / "other.json").write_bytes((tmp_path / "fake.json").read_bytes())
    fake.found.figures["n"] = Figure(1.5)
    assert runner.main(["fake", "--results", str(tmp_path)]) == 1
    assert "1.5" in (tmp_path / "README.md").read_text()
    assert "1 missed" in capsys.readouterr().out


def test_a_question_that_fails_ends_the_run_badly_but_not_early(fake, tmp_path, monkeypatch, capsys):
    broken = types.ModuleType("benchmarks.broken")
    broken.run = lambda: 1 / 0
    monkeypatch.setitem(sys.modules, "benchmarks.broken", broken)
    monkeypatch.setattr(runner, "QUESTIONS", ("broken", "fake"))
    fake.found.figures["n"] = Figure(2.0)
    assert runner.main(["--results", str(tmp_path)]) == 1
    assert (tmp_path / "fake.json").exists()
    printed = capsys.readouterr()
    assert "FAILED: broken" in printed.out
    assert "ZeroDivisionError" in printed.err


def test_an_unknown_question_is_refused_before_anything_runs(fake, capsys):
    with pytest.raises(SystemExit) as ended:
        runner.main(["fake", "nope"])
    assert ended.value.code == 2
    assert "unknown: nope" in capsys.readouterr().err


def test_a_picture_shows_every_bar_and_the_target():
    drawn = picture.draw("t", [CHART])
    root = ET.fromstring(drawn)
    words = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Speed < light", "a & b", "ours", "1.5x", "3x", "at least 2x"} <= words
    assert "prefers-color-scheme: dark" in drawn


@settings(deadline=None, max_examples=50)
@given(values=st.lists(st.floats(0, 1e12), min_size=1, max_size=5), target=st.none() | st.floats(0, 1e12))
def test_a_picture_of_any_values_is_whole(values, target):
    bars = [Bar(str(n), value) for n, value in enumerate(values)]
    root = ET.fromstring(picture.draw("t", [Chart("c", "µs", bars, target, less=True)]))
    width = float(root.get("viewBox").split()[2])
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(rect.get("x", 0)) + float(rect.get("width")) <= width


@settings(deadline=None, max_examples=50)
@given(cell=st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_any_cell_can_be_shown(cell):
    assert isinstance(text.shown(cell), str)


def test_what_counts_is_asked_at_the_same_time_and_what_judges_time_has_the_machine_to_itself(monkeypatch):
    both, running, most = threading.Barrier(2, timeout=60), set(), {}

    def question_of(name):
        def run():
            running.add(name)
            if name.startswith("counts"):
                both.wait()  # broken unless both are asked at once
            most[name] = set(running)
            if name.startswith("counts"):
                both.wait()
            running.discard(name)
            return name

        module = types.ModuleType(f"benchmarks.{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)

    names = ["counts a", "times a", "counts b", "times b"]
    for name in names:
        question_of(name)
    monkeypatch.setattr(runner, "COUNTING", ("counts a", "counts b"))
    answers = [(name, answer()) for name, answer in runner.asked(names)]
    assert answers == [(name, name) for name in ("times a", "times b", "counts a", "counts b")]
    assert most["times a"] == {"times a"}
    assert most["times b"] == {"times b"}
    assert most["counts a"] == most["counts b"] == {"counts a", "counts b"}


def test_what_was_asked_at_the_same_time_takes_its_time_once():
    def result(began, seconds):
        return types.SimpleNamespace(date=datetime.fromtimestamp(began, UTC), seconds=seconds)

    assert text.minutes([]) == 0
    assert text.minutes([result(0, 60), result(60, 60), result(600, 60)]) == 3
    assert text.minutes([result(90, 60), result(0, 120), result(30, 60), result(90, 30)]) == 2.5
