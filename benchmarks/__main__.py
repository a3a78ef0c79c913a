"""Runs questions: a table each on the terminal, JSON and a picture in a folder, and a verdict on every target.

python -m benchmarks [NAME...] [--results FOLDER]

Once a folder holds the results of all questions, there is also a page with everything, README.md, and a picture of the
main figures, overview.svg; a question that is asked again takes its old result's place in them.

Ends with 0 if every target was met, 1 if one was missed or a question failed, 3 if one could not be judged, 2 if a name
is unknown.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import COUNTING, OVERVIEW, QUESTIONS
from benchmarks.frame import Result, picture, text
from benchmarks.frame.targets import exit_code


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Runs the benchmarks; without a name, all.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(QUESTIONS)}")
    parser.add_argument("--results", type=Path, default=Path("out/benchmarks"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(QUESTIONS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}. There are {', '.join(QUESTIONS)}")
    options.results.mkdir(parents=True, exist_ok=True)
    results, failed = [], []
    for name, answer in asked(options.names or QUESTIONS):
        try:
            result = answer()
        except Exception:  # the other questions are still worth asking
            traceback.print_exc()
            failed.append(name)
            continue
        print(text.terminal(result), flush=True)
        write(result, options.results)
        results.append(result)
    write_page(options.results)
    print(text.summary(results, failed))
    return 1 if failed else exit_code(verdict.outcome for result in results for verdict in result.verdicts)


def asked(names: Iterable[str]) -> Iterator[tuple[str, Callable[[], Result]]]:
    """What gives the answer to each: those that judge time one after another, then those that count two at a time."""
    runs: dict[str, Callable[[], Result]] = {name: partial(_run, name) for name in names}
    yield from ((name, run) for name, run in runs.items() if name not in COUNTING)
    with ThreadPoolExecutor(2) as pool:
        counted = {name: pool.submit(run) for name, run in runs.items() if name in COUNTING}
        yield from ((name, future.result) for name, future in counted.items())


def _run(name: str) -> Result:
    result: Result = importlib.import_module(f"benchmarks.{name}").run()
    return result


def write_page(folder: Path) -> None:
    """The page of all questions, if the folder has a result of each."""
    files = [folder / f"{name}.json" for name in QUESTIONS]
    if not all(file.exists() for file in files):
        return
    results = [msgspec.json.decode(file.read_bytes(), type=Result) for file in files]
    (folder / "README.md").write_text(text.page(results), "utf-8")
    charts = [result.charts[0] for result in results if result.question in OVERVIEW and result.charts]
    (folder / "overview.svg").write_text(picture.draw("cjasync beside what else there is", charts), "utf-8")


def write(result: Result, folder: Path) -> None:
    """One result as JSON, and as a picture if it has one."""
    content = msgspec.json.format(msgspec.json.encode(result), indent=1)
    (folder / f"{result.question}.json").write_bytes(content + b"\n")
    if result.charts:
        (folder / f"{result.question}.svg").write_text(picture.draw(result.asks, result.charts), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
