"""Benchmarks: one module per question, each with `run(...) -> Result`; `python -m benchmarks [NAME...]` runs them.

from benchmarks import decode
result = decode.run()          # tables, figures, verdicts, machine and versions, as a Struct

Every figure is a ratio or a count from one run; `frame` holds what the questions measure and report with.
"""

QUESTIONS = (
    "call",
    "pages",
    "decode",
    "pager",
    "quota",
    "ledger",
    "sinks",
    "startup",
    "extras",
    "memory",
    "walk",
    "catalogue",
    "moving",
    "sandbox",
    "soak",
)
"""The names of all questions, in the order they are run."""

OVERVIEW = ("call", "pages", "decode", "pager")
"""The questions whose first charts make the main picture."""
