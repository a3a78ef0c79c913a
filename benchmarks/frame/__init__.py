"""What the questions measure and report with."""

from benchmarks.frame.result import Bar, Chart, Figure, Findings, Result, Table, Verdict, question

__all__ = ["Bar", "Chart", "Figure", "Findings", "Result", "Table", "Verdict", "question"]
