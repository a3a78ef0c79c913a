"""How a handler says no."""

from __future__ import annotations


class Refusal(Exception):
    """Raise it in a handler: the answer is CJ's `code` and `message` with `data: null`.

    status: HTTP status. result: whether the answer has the key `result`. kind: how `/_sandbox/stats` counts it.
    """

    def __init__(self, code: int, message: str, *, status: int = 200, result: bool = True, kind: str = "other") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.result = result
        self.kind = kind
