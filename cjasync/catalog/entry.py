"""What one answer of a walk changes, as its checkpoint holds it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from cjasync.catalog.planning.question import Answer, Certificate, Facts, Region
from cjasync.catalog.tally import Tally
from cjasync.models._build import build
from cjasync.models._model import M
from cjasync.models._values import Span

Kind = Literal["list", "query", "stock"]
"""What rows are: of product/list, or details asked for by product/query or product/stock/getInventoryByPid."""


class Skip(Struct, frozen=True):
    """A row that could not be read: its id or a digest, its bytes, and what is wrong where."""

    pid: str
    raw: bytes
    path: str
    reason: str


class Part(Struct, frozen=True):
    """What one answer brought, as it waits for whoever takes it.

    fetched_at: seconds since 1970. rows: a JSON array. certified: regions of which these rows are the last.
    """

    kind: Kind
    fetched_at: float
    rows: bytes
    certified: list[Region] = []


class Entry(Struct, frozen=True):
    """What one answer changes: all of it, or nothing, is in the file.

    seq: numbers the entries of a walk. question, answer: for the planner's log. keys: of the products delivered.
    mended: products skipped before that could be read this time. todo: products whose details are to be asked for.
    done: places in that list that are settled. failed: product ids to why their details cannot be had.
    """

    seq: int
    question: int | None = None
    answer: Answer | None = None
    part: Part | None = None
    keys: bytes = b""
    skipped: list[Skip] = []
    mended: list[str] = []
    todo: list[str] = []
    done: list[int] = []
    failed: dict[str, str] = {}


class Earlier(Struct, frozen=True):
    """What a finished walk leaves to the next: where its windows ended, and what it learnt of the server."""

    certificates: list[Certificate]
    facts: Facts


class Standing(Struct, frozen=True):
    """Where a checkpoint stands.

    name: of its walk (None: there was none). state: `closing` when only the sink's own end is left.
    taken: the parts up to this one are safe where they went. last: the highest number given.
    """

    name: str | None
    state: Literal["new", "walking", "closing", "finished"]
    taken: int
    last: int
    earlier: Earlier | None
    tally: Tally

    @property
    def going(self) -> bool:
        """Is there a walk to go on with?"""
        return self.state in ("walking", "closing")


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_PLAIN = msgspec.json.Decoder(list[Any], float_hook=Decimal)


def encode_rows(rows: Sequence[Struct]) -> bytes:
    """Rows as they are staged."""
    return _ENCODER.encode(rows)


def decode_rows(rows: bytes, model: type[M]) -> list[M]:
    """Staged rows again: the same values, digit for digit."""
    try:
        found: list[M] = _decoder(model).decode(rows)
    except msgspec.ValidationError:  # a row that had been put right holds values where others hold what CJ sent
        return [build(model, _as_sent(row)) for row in _PLAIN.decode(rows)]
    return found


@cache
def _decoder(model: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(list[model], strict=False, float_hook=Decimal)


def _as_sent(value: Any) -> Any:
    """Plain JSON with prices and weights as CJ writes them."""
    if isinstance(value, list):
        return [_as_sent(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == set(Span.__struct_fields__):
        return "{low} -- {high}".format_map(value)
    return {name: _as_sent(item) for name, item in value.items()}
