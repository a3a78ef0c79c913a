"""Bytes to values: one pass of C for a clean answer, row by row for the others.

The fast way decodes the whole envelope, typed, in one pass and then looks over the columns that could hide something
unreadable. Only when either fails are the rows taken one by one, so that one odd row never costs a page; a row that
nobody can read is reported with its bytes, where it broke and why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw, Struct

from cjasync._nesting import is_deeper
from cjasync.models._build import build, objections, read_field, readable
from cjasync.models._model import Model
from cjasync.models._pages import ContentData, ListData, SearchData, SearchGroup
from cjasync.models._values import Unreadable, read_bool, read_int, read_json, read_text
from cjasync.quota.facts import PointsInfo

T = TypeVar("T")
D = TypeVar("D")

_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PAGES = (ListData, ContentData, SearchData)
_EMPTY_DATA = (b"null", b'""', b"{}", b"[]")  # success about nothing: an empty answer, not an error


class Malformed(ValueError):
    """The bytes are no JSON object, or its data has a shape that nobody can read; `path` says where."""

    def __init__(self, reason: str, path: str = "$") -> None:
        super().__init__(reason)
        self.path = path


class Skipped(Struct, frozen=True):
    """A row that could not be read: its place on the page, its bytes, and what is wrong where."""

    index: int
    raw: bytes
    path: str
    reason: str


class Rows(tuple[T, ...]):
    """The rows of an answer that has no pages: a tuple, and `skipped`, those that could not be read."""

    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def of(cls, rows: Any, skipped: tuple[Skipped, ...] = ()) -> Rows[T]:
        """Rows and what had to be left out."""
        made = cls(rows)
        made.skipped = skipped
        return made


class Envelope(Struct, Generic[D], frozen=True, rename="camel"):
    """What surrounds every answer."""

    code: int | None = None
    result: bool | None = None
    success: bool | None = None
    message: str | None = None
    data: D | None = None
    request_id: str | None = None
    points_info: PointsInfo | None = None

    @property
    def succeeded(self) -> bool | None:
        """Success has four shapes. None: this is no envelope of CJ's."""
        if self.code == 200:
            return True
        told = self.result if self.result is not None else self.success
        return told if self.code in (0, None) else False


class PageRows(Struct, frozen=True):
    """A page as it was decoded: CJ's figures, its rows, and the rows that could not be read."""

    data: Any
    rows: tuple[Any, ...]
    skipped: tuple[Skipped, ...] = ()


class AnswerDecoder(Generic[T]):
    """Decodes the answers of one endpoint; made once."""

    def __init__(self, answer: Any) -> None:
        self._origin: Any = get_origin(answer)
        self._model: Any = get_args(answer)[0] if self._origin else answer
        self._fast = msgspec.json.Decoder(Envelope[answer], strict=False, float_hook=Decimal)
        self._is_page = self._origin in _PAGES
        self._is_list = self._origin is list
        self._is_model = not self._origin and isinstance(answer, type) and issubclass(answer, Model)
        if self._is_page or self._is_list:
            self._row = msgspec.json.Decoder(self._model, strict=False, float_hook=Decimal)
            unread: Any = self._origin[Raw]
            self._raw = msgspec.json.Decoder(Envelope[unread], strict=False)

    def decode(self, body: bytes, max_depth: int = 64) -> tuple[Envelope[Any], Any]:
        """The envelope, and the value if the envelope tells of success. `Malformed` if it is none.

        max_depth: levels of nesting that an answer may have which fits no model and is taken to pieces. (Of one that
        fits, only what the models ask for is looked at, which is not deep.)
        """
        try:
            envelope: Envelope[Any] = self._fast.decode(body)
        except _BROKEN:
            return self._decode_slowly(body, max_depth)
        if not envelope.succeeded:
            return envelope, None
        data = envelope.data
        if self._is_page:
            rows = () if data is None else tuple(data.rows())
            if readable(self._model, rows):
                return envelope, PageRows(data, rows)
            raw: Any = self._raw.decode(body).data
            return envelope, PageRows(data, *self._rows(raw.rows(), rows))
        if self._is_list:
            rows = tuple(data or ())
            if readable(self._model, rows):
                return envelope, Rows.of(rows)
            raw = self._raw.decode(body).data
            return envelope, Rows.of(*self._rows(raw, rows))
        if self._is_model and data is not None and not readable(self._model, (data,)):
            return self._decode_slowly(body, max_depth)
        return envelope, bool(data) if self._model is bool else data

    def _decode_slowly(self, body: bytes, max_depth: int) -> tuple[Envelope[Any], Any]:
        if self._is_page:
            with suppress(*_BROKEN):  # a sound page around an odd row takes one more pass, anything else three
                envelope: Envelope[Any] = self._raw.decode(body)
                if envelope.succeeded and envelope.data is not None:
                    return envelope, PageRows(envelope.data, *self._rows(envelope.data.rows()))
        if is_deeper(body, max_depth):
            raise Malformed(f"is nested deeper than max_depth, {max_depth} levels")
        return self._decode_piecemeal(body)

    def _decode_piecemeal(self, body: bytes) -> tuple[Envelope[Any], Any]:
        envelope = decode_envelope(body)
        if not envelope.succeeded:
            return envelope, None
        data = envelope.data
        if data is not None and bytes(data) in _EMPTY_DATA:
            data = None
        try:
            if self._is_page:
                return envelope, self._page(data)
            if self._is_list:
                rows, skipped = self._rows(_raw_list(data, "data"))
                return envelope, Rows.of(rows, skipped)
            value = None if data is None else _plain(data)
            if self._is_model:
                return envelope, None if value in (None, {}, []) else build(self._model, value)
            return envelope, bool(read_bool(value))
        except Unreadable as error:
            raise Malformed(error.reason, error.under("data").path) from None
        except _BROKEN as error:
            raise Malformed(f"is not JSON: {error}", "data") from None

    def _page(self, data: Raw | None) -> PageRows:
        if data is None:
            return PageRows(None, ())
        fields = _raw_fields(data, "data")
        facts: dict[str, int | None] = {}
        for field in msgspec.structs.fields(self._origin):
            if field.encode_name not in ("list", "content"):
                facts[field.name] = _fact(fields, field.encode_name)
        if self._origin is ListData:
            raw = _raw_list(fields.get("list"), "data.list")
        else:
            raw = _raw_list(fields.get("content"), "data.content")
        if self._origin is not SearchData:
            rows, skipped = self._rows(raw)
            return PageRows(self._origin(**facts), rows, skipped)
        groups = [_raw_fields(group, "data.content") for group in raw]
        lists = [_raw_list(group.get("productList"), "data.content.productList") for group in groups]
        shells = [SearchGroup[Any](**_rest(group)) for group in groups]
        rows, skipped = self._rows([row for rows in lists for row in rows])
        return PageRows(SearchData(**facts, content=shells), rows, skipped)

    def _rows(
        self, raw: Sequence[Raw], decoded: Sequence[Any] | None = None
    ) -> tuple[tuple[Any, ...], tuple[Skipped, ...]]:
        """The rows one by one (where they have not been `decoded` already), and those that nobody can read."""
        rows: list[Any] = list(decoded or ())
        odd: dict[int, str] = {}  # rows to be built with patience, each with the field that is to blame, where known
        decode = self._row.decode
        for index, piece in enumerate(raw if decoded is None else ()):
            try:
                rows.append(decode(piece))
            except _BROKEN as error:
                rows.append(None)
                odd[index] = _blamed(error)
        odd.update(objections(self._model, rows))
        skipped: list[Skipped] = []
        for index in sorted(odd):
            try:
                rows[index] = _build_row(self._model, raw[index], odd[index])
            except Unreadable as error:
                rows[index] = None
                skipped.append(Skipped(index, bytes(raw[index]), error.path, error.reason))
        return tuple(row for row in rows if row is not None), tuple(skipped)


def _build_row(model: Any, raw: Raw, blamed: str) -> Any:
    """A row that the decoder would not take. If the field to blame cannot be read, the rest need not be."""
    try:
        if blamed:
            value = read_field(model, blamed, _field_of(blamed).decode(raw).value)
            if value is None or isinstance(value, str | int):
                return _mended(model, raw, blamed, value) or build(model, _plain(raw))
        return build(model, _plain(raw))
    except _BROKEN as error:
        raise Unreadable(f"is not JSON: {error}") from None


def _mended(model: Any, raw: Raw, name: str, value: Any) -> Any:
    """The row with that one value put right, if that is all it takes."""
    fields = msgspec.json.decode(raw)
    fields[name] = value
    try:
        row = msgspec.convert(fields, model, strict=False)
    except _BROKEN:
        return None
    return row if readable(model, (row,)) else None


def _blamed(error: Exception) -> str:
    complaint = _COMPLAINT.search(str(error))
    return complaint[1] if complaint is not None else ""


_COMPLAINT = re.compile(r"at `\$\.(\w+)`$")


@cache
def _field_of(wire: str) -> msgspec.json.Decoder[Any]:
    """Reads one field of a row and passes over the others."""
    fields = [("value", Any, msgspec.field(name=wire, default=None))]
    return msgspec.json.Decoder(msgspec.defstruct("OneField", fields), float_hook=Decimal)


_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])
_PLAIN = msgspec.json.Decoder(float_hook=Decimal)


def decode_envelope(body: bytes) -> Envelope[Raw]:
    """Only the envelope, whatever its data may be. `Malformed` if the body is no JSON object."""
    try:
        fields = _FIELDS.decode(body)
    except _BROKEN as error:
        raise Malformed(f"is not a JSON object: {error}") from None
    points = fields.get("pointsInfo")
    return Envelope(
        code=_fact(fields, "code"),
        result=_loose(fields, "result", read_bool),
        success=_loose(fields, "success", read_bool),
        message=_loose(fields, "message", read_text),
        data=fields.get("data"),
        request_id=_loose(fields, "requestId", read_text),
        points_info=_points(points) if points is not None else None,
    )


def _points(raw: Raw) -> PointsInfo | None:
    try:
        return msgspec.json.decode(raw, type=PointsInfo | None, strict=False)
    except _BROKEN:
        return None  # a courtesy of CJ's; without it the local count goes on


def _plain(raw: Raw) -> Any:
    return _PLAIN.decode(raw)


def _loose(fields: dict[str, Raw], name: str, read: Any) -> Any:
    """A fact of the envelope, or None where it says nothing that can be read."""
    try:
        return read(_plain(fields[name])) if name in fields else None
    except (Unreadable, *_BROKEN):
        return None


def _fact(fields: dict[str, Raw], name: str) -> int | None:
    number: int | None = _loose(fields, name, read_int)
    return number


def _rest(fields: dict[str, Raw]) -> dict[str, Any]:
    names = {field.encode_name: field.name for field in msgspec.structs.fields(SearchGroup)}
    return {
        names[wired]: _loose(fields, wired, read_json) for wired in fields if wired in names and wired != "productList"
    }


def _unpacked(raw: Raw) -> Raw:
    """JSON that CJ put inside a string."""
    return Raw(_plain(raw).encode()) if bytes(raw)[:1] == b'"' else raw


def _raw_fields(raw: Raw, path: str) -> dict[str, Raw]:
    try:
        return _FIELDS.decode(_unpacked(raw))
    except _BROKEN:
        raise Malformed("expected an object", path) from None


def _raw_list(raw: Raw | None, path: str) -> list[Raw]:
    if raw is None or bytes(raw) in (b"null", b'""'):
        return []
    raw = _unpacked(raw)
    if bytes(raw)[:1] == b"{":
        return [raw]  # sourcing/query answers with one object where newer documents promise a list
    try:
        return _LIST.decode(raw)
    except _BROKEN:
        raise Malformed("expected a list", path) from None
