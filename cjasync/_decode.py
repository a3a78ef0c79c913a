"""Bytes to values: one pass of C for a clean answer, row by row for the others. Pure.

There are three ways, each tried only where the one before it fails:

1. The whole answer, typed, in one pass; then a look at the columns that could hide something unreadable.
2. The page, with its rows as bytes; then row by row, so that one odd row never costs a page.
3. Piece by piece, where the shape around the rows is odd as well: a list inside a string, a figure that is none.

Where the body is no JSON at all, the rows that are to blame are cut out, and the rest is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec
from msgspec import Raw, Struct

from cjasync._envelope import BROKEN, Envelope, Malformed, decode_envelope, loosely, plain
from cjasync._nesting import is_deeper
from cjasync._rows import Broken, RowReader, Skipped, cut_out
from cjasync.models._build import build, objections
from cjasync.models._model import Model
from cjasync.models._pages import ContentData, ListData, SearchData, SearchGroup
from cjasync.models._values import Unreadable, read_bool, read_int, read_json

T = TypeVar("T")

_PAGES = (ListData, ContentData, SearchData)
_LEVEL_OF_ROWS = {list: 3, ListData: 4, ContentData: 4, SearchData: 6}  # the envelope is at level 1
_EMPTY_DATA = (b"null", b'""', b"{}", b"[]")  # success about nothing: an empty answer, not an error
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])


class Rows(tuple[T, ...]):
    """The rows of an answer that has no pages: a tuple, and `skipped`, those that could not be read."""

    skipped: tuple[Skipped, ...] = ()

    @classmethod
    def of(cls, rows: Any, skipped: tuple[Skipped, ...] = ()) -> Rows[T]:
        """Rows and what had to be left out."""
        made = cls(rows)
        if skipped:
            made.skipped = skipped
        return made


class PageRows(Struct, frozen=True):
    """A page as it was decoded: CJ's figures, its rows, and the rows that could not be read."""

    data: Any
    rows: tuple[Any, ...]
    skipped: tuple[Skipped, ...] = ()


class AnswerDecoder(Generic[T]):
    """Decodes the answers of one endpoint; made once.

    answer: what its data is: a page shape or a list of a model, a model, or bool.
    """

    def __init__(self, answer: Any) -> None:
        self._shape: Any = get_origin(answer) or answer
        self._model: Any = get_args(answer)[0] if get_origin(answer) else answer
        self._typed = msgspec.json.Decoder(Envelope[answer], strict=False, float_hook=Decimal)
        self._has_rows = self._shape in (list, *_PAGES)
        self._is_model = isinstance(answer, type) and issubclass(answer, Model)
        if self._has_rows:
            self._reader = RowReader(self._model)
            unread: Any = self._shape[Raw]
            self._rows_as_bytes = msgspec.json.Decoder(Envelope[unread], strict=False)

    def decode(self, body: bytes | memoryview, max_depth: int = 64) -> tuple[Envelope[Any], Any]:
        """The envelope, and the value if the envelope tells of success. `Malformed` if it is none.

        max_depth: levels of nesting that an answer may have which fits no model and is taken to pieces. (Of one that
        fits, only what the models ask for is looked at, which is not deep.)
        """
        try:
            envelope: Envelope[Any] = self._typed.decode(body)
        except BROKEN:
            return self._decode_slowly(bytes(body), max_depth)
        if not envelope.succeeded:
            return envelope, None
        data = envelope.data
        if self._has_rows:
            rows = tuple(_rows_in(data))
            odd = objections(self._model, rows)
            if not odd:
                return envelope, self._with_rows(data, rows)
            raw = _rows_in(self._rows_as_bytes.decode(bytes(body)).data)
            return envelope, self._with_rows(data, *self._reader.mend(rows, raw, odd))
        if self._is_model and data is not None and objections(self._model, (data,)):
            return self._decode_slowly(bytes(body), max_depth)
        return envelope, bool(data) if self._model is bool else data

    def _with_rows(self, data: Any, rows: tuple[Any, ...], skipped: tuple[Skipped, ...] = ()) -> Any:
        return Rows.of(rows, skipped) if self._shape is list else PageRows(data, rows, skipped)

    def _decode_slowly(self, body: bytes, max_depth: int) -> tuple[Envelope[Any], Any]:
        if self._has_rows:
            with suppress(*BROKEN):
                envelope: Envelope[Any] = self._rows_as_bytes.decode(body)
                data = envelope.data
                if envelope.succeeded and data is not None:
                    read = self._reader.read(_rows_in(data))
                    # Rows as bytes would hold on to the whole body for as long as the page is kept.
                    return envelope, self._with_rows(data if self._shape is list else data.bare(), *read)
        if is_deeper(body, max_depth):
            raise Malformed(f"is nested deeper than max_depth, {max_depth} levels")
        return self._decode_piecemeal(body, max_depth)

    def _decode_piecemeal(self, body: bytes, max_depth: int) -> tuple[Envelope[Any], Any]:
        try:
            envelope = decode_envelope(body)
        except Malformed:
            broken = cut_out(body, _LEVEL_OF_ROWS[self._shape]) if self._has_rows else None
            if broken is None or not broken.cut:
                raise
            return self._put_back(broken, *self._decode_slowly(broken.rest, max_depth))
        if not envelope.succeeded:
            return envelope, None
        data = envelope.data
        if data is not None and bytes(data) in _EMPTY_DATA:
            data = None
        try:
            return envelope, self._value(data)
        except Unreadable as error:
            raise Malformed(error.reason, error.under("data").path) from None
        except BROKEN as error:
            raise Malformed(f"is not JSON: {error}", "data") from None

    def _put_back(self, broken: Broken, envelope: Envelope[Any], value: Any) -> tuple[Envelope[Any], Any]:
        if isinstance(value, PageRows):
            value = PageRows(value.data, value.rows, broken.put_back(value.skipped))
        elif isinstance(value, Rows):
            value = Rows.of(value, broken.put_back(value.skipped))
        return envelope, value

    def _value(self, data: Raw | None) -> Any:
        if self._shape is list:
            return Rows.of(*self._reader.read(_list(data, "data")))
        if self._has_rows:
            return PageRows(None, ()) if data is None else self._page(data)
        value = None if data is None else plain(data)
        if self._is_model:
            return None if value in (None, {}, []) else build(self._model, value)
        return bool(read_bool(value))

    def _page(self, data: Raw) -> PageRows:
        fields = _fields(data, "data")
        facts = {
            field.name: loosely(read_int, fields.get(field.encode_name))
            for field in msgspec.structs.fields(self._shape)
            if field.encode_name not in ("list", "content")
        }
        if self._shape is not SearchData:
            name = "list" if self._shape is ListData else "content"
            return PageRows(self._shape(**facts), *self._reader.read(_list(fields.get(name), f"data.{name}")))
        groups = [_fields(group, "data.content") for group in _list(fields.get("content"), "data.content")]
        raw = [row for group in groups for row in _list(group.get("productList"), "data.content.productList")]
        return PageRows(SearchData(**facts, content=tuple(map(_shell, groups))), *self._reader.read(raw))


def _rows_in(data: Any) -> Sequence[Any]:
    """The rows of a list or a page, decoded or as bytes."""
    if isinstance(data, list):  # first, since asking for the class of a page takes ten times as long
        return data
    return data.rows() if isinstance(data, _PAGES) else data or ()


def _shell(group: dict[str, Raw]) -> SearchGroup[Any]:
    """What stands beside the rows of one group."""
    return SearchGroup(
        **{
            field.name: loosely(read_json, group.get(field.encode_name))
            for field in msgspec.structs.fields(SearchGroup)
            if field.name != "product_list"
        }
    )


def _unpacked(raw: Raw) -> Raw:
    """JSON that CJ put inside a string."""
    return Raw(plain(raw).encode()) if bytes(raw)[:1] == b'"' else raw


def _fields(raw: Raw, path: str) -> dict[str, Raw]:
    try:
        return _FIELDS.decode(_unpacked(raw))
    except BROKEN:
        raise Malformed("expected an object", path) from None


def _list(raw: Raw | None, path: str) -> list[Raw]:
    if raw is None or bytes(raw) in (b"null", b'""'):
        return []
    raw = _unpacked(raw)
    if bytes(raw)[:1] == b"{":
        return [raw]  # sourcing/query answers with one object where newer documents promise a list
    try:
        return _LIST.decode(raw)
    except BROKEN:
        raise Malformed("expected a list", path) from None
