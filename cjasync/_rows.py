"""Rows one by one, where a page as a whole cannot be read: each read, put right, or reported with its bytes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Raw, Struct

from cjasync._envelope import BROKEN, plain
from cjasync._nesting import objects_at
from cjasync.models._build import build, build_value, field_of, objections
from cjasync.models._values import Fault, Unreadable


class Skipped(Struct, frozen=True):
    """A row that could not be read: its place on the page, its bytes, and what is wrong where."""

    index: int
    raw: bytes
    path: str
    reason: str


Read = tuple[tuple[Any, ...], tuple[Skipped, ...]]
"""The rows in their order, and those that nobody can read."""


class Broken(Struct, frozen=True):
    """A body from which the rows are cut out that are not even JSON. A text stands in the place of each."""

    rest: bytes
    cut: dict[bytes, tuple[bytes, str]]

    def put_back(self, skipped: tuple[Skipped, ...]) -> tuple[Skipped, ...]:
        """The skipped rows with the bytes that came instead of what stands for them."""
        return tuple(
            Skipped(row.index, self.cut[row.raw][0], "", self.cut[row.raw][1]) if row.raw in self.cut else row
            for row in skipped
        )


def cut_out(body: bytes, level: int) -> Broken:
    """Cut out the objects at that level that are no JSON: NaN, half an emoji or a stray backslash spoil one row."""
    pieces: list[bytes] = []
    cut: dict[bytes, tuple[bytes, str]] = {}
    end = 0
    for start, stop in objects_at(body, level):
        try:
            msgspec.json.decode(body[start:stop], type=Raw)
        except BROKEN as error:
            text = b'"\\u0000cut out: %d"' % len(cut)
            cut[text] = body[start:stop], f"is not JSON: {error}"
            pieces += body[end:start], text
            end = stop
    return Broken(b"".join([*pieces, body[end:]]), cut)


class RowReader:
    """Reads the rows of one model; made once."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._decode = msgspec.json.Decoder(model, strict=False, float_hook=Decimal).decode

    def read(self, raw: Sequence[Raw]) -> Read:
        """Read each row by itself."""
        rows: list[Any] = []
        faults: dict[int, Fault] = {}
        decode, keep = self._decode, rows.append
        suspect = before = ""  # the fields that the decoder blamed in the last two rows; "" where it blamed none
        for place, piece in enumerate(raw):
            if suspect and suspect == before:
                # Where one field is wrong in row after row, it is quicker to look at that alone.
                fault = self._fault_in(piece, suspect)
                if fault is not None:
                    faults[place] = fault
                    continue
            try:
                keep(decode(piece))
            except BROKEN as error:
                before, suspect = suspect, _blamed(error)
            else:
                suspect = ""
                continue
            row = self._patiently(piece, suspect)
            if isinstance(row, Fault):
                faults[place] = row
            else:
                keep(row)
        if odd := objections(self._model, rows):
            places = [place for place in range(len(raw)) if place not in faults]
            found = dict(zip(places, rows, strict=True))
            self._mend(found, faults, raw, {places[n]: why for n, why in odd.items()})
            rows = list(found.values())
        return tuple(rows), _skipped(faults, raw)

    def mend(self, decoded: Sequence[Any], raw: Sequence[Raw], odd: dict[int, Fault | str]) -> Read:
        """The decoded rows, of which those are read again, or left out, that `objections` found odd."""
        found, faults = dict(enumerate(decoded)), dict[int, Fault]()
        self._mend(found, faults, raw, odd)
        return tuple(found.values()), _skipped(faults, raw)

    def _mend(
        self, rows: dict[int, Any], faults: dict[int, Fault], raw: Sequence[Raw], odd: dict[int, Fault | str]
    ) -> None:
        for place, why in odd.items():
            row = self._patiently(raw[place], why) if isinstance(why, str) else why
            if isinstance(row, Fault):
                faults[place] = row
                del rows[place]
            else:
                rows[place] = row

    def _patiently(self, raw: Raw, blamed: str) -> Any:
        """A row that the decoder would not take, or the fault in it. blamed: the field, "" where that is not known."""
        fault = self._fault_in(raw, blamed)
        if fault is not None:
            return fault  # the rest need not be read
        try:
            return self._put_right(raw, blamed) or build(self._model, plain(raw))
        except Unreadable as error:
            return error.fault
        except BROKEN as error:
            return Fault("", f"is not JSON: {error}")

    def _fault_in(self, raw: Raw, wired: str) -> Fault | None:
        """What is wrong with that one field."""
        field = field_of(self._model, wired)
        if field is None:
            return None
        try:
            value = _only(wired).decode(raw).value
        except BROKEN:
            return None  # the row is no object at all
        kind = field.kind
        if not kind.is_plain:
            try:
                build_value(self._model, field, value)
            except Unreadable as error:
                return error.under(wired).fault
        elif (reason := kind.fault(value)) is not None:
            return Fault(wired, reason)
        elif field.required and len(field.wires) == 1 and kind.read(value) in (None, ""):
            return Fault(wired, "is missing")
        return None

    def _put_right(self, raw: Raw, blamed: str) -> Any:
        """The row with that one value put right, if that is all it takes."""
        field = field_of(self._model, blamed)
        fields = plain(raw) if field is not None else None
        if field is None or not isinstance(fields, dict) or field.kind.lazy:
            return None
        fields[blamed] = build_value(self._model, field, fields.get(blamed))
        try:
            row = msgspec.convert(fields, self._model, strict=False)
        except BROKEN:
            return None
        return None if objections(self._model, (row,)) else row


def _skipped(faults: dict[int, Fault], raw: Sequence[Raw]) -> tuple[Skipped, ...]:
    told = sorted(faults.items(), key=itemgetter(0))
    return tuple([Skipped(place, bytes(raw[place]), fault.path, fault.reason) for place, fault in told])


def _blamed(error: Exception) -> str:
    """The field that the decoder complained about: "... - at `$.sellPrice`"."""
    return str(error).rpartition("at `$.")[2].rstrip("`")


@cache
def _only(wire: str) -> msgspec.json.Decoder[Any]:
    """Reads one field of a row and passes over the others."""
    fields = [("value", Any, msgspec.field(name=wire, default=None))]
    return msgspec.json.Decoder(msgspec.defstruct("OneField", fields), float_hook=Decimal)
