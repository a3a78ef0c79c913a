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
    "sandbox",
    "memory",
    "soak",
    "moving",
    "catalogue",
    "walk",
)
"""The names of all questions, in the order they are answered."""

COUNTING = ("soak", "moving", "catalogue", "walk")
"""Those whose figures are counts, which nothing beside them changes, and which leave a core idle now and then.

They are asked two at a time, once the others, which judge processor time, latency, memory or a real rate, have had the
machine to themselves.
"""

OVERVIEW = ("call", "pages", "decode", "pager")
"""The questions whose first charts make the main picture."""
