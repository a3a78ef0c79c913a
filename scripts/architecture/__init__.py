"""Holds the house to its plan: who may import whom, and what no file may contain. See docs/architecture.md."""
