"""What the models know of an object: its fields by CJ's names, and how each is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

from cjasync._envelope import Envelope
from cjasync.models._build import nested
from cjasync.models._model import Model
from cjasync.models._pages import SearchGroup
from cjasync.models._values import read_bool, read_int, read_json, read_text
from cjasync.models.category import RelatedCategory
from cjasync.models.warehouse import SearchStore

_WORDS = {
    "int": "whole number",
    "bool": "yes or no",
    "decimal": "number",
    "texts": "list of texts",
    "numbers": "list of numbers",
    "json": "anything",
    "model": "object",
    "models": "list of objects",
}
_SCALARS: dict[Any, tuple[str, Callable[[Any], Any]]] = {
    int: ("whole number", read_int),
    bool: ("yes or no", read_bool),
    str: ("text", read_text),
    Any: ("anything", read_json),
}
# Kept as it came until somebody asks for it; what it is then read as.
_READ_LATE = {(SearchGroup, "relatedCategoryList"): RelatedCategory, (SearchGroup, "storeList"): SearchStore}


class Known(Struct, frozen=True):
    """One of CJ's names, and what the models expect behind it.

    field: the name that stands for it and its synonyms. expected: in words.
    read: reads any shape that CJ may send, or raises Unreadable. inner: what the objects behind the name are instead.
    many: a list of them. rows: a list whose every item is somebody's row, or a single object in its place.
    packed: whether it may be JSON inside a string.
    """

    field: str
    expected: str
    read: Callable[[Any], Any] | None = None
    inner: Any = None
    many: bool = False
    rows: bool = False
    packed: bool = True
    required: bool = False


@cache
def known(shape: Any) -> dict[str, Known]:
    """CJ's names in an object of that shape: a model, or what surrounds the rows of an answer."""
    if isinstance(shape, type) and issubclass(shape, Model):
        return _of_model(shape)
    origin = get_origin(shape) or shape
    found = {field.encode_name: _of_type(origin, field) for field in msgspec.structs.fields(shape)}
    if origin is Envelope:
        found["pointsInfo"] = msgspec.structs.replace(found["pointsInfo"], packed=False)
    return found


def complete(shape: Any) -> bool:
    """Whether CJ is expected to send every field; an envelope has several forms."""
    return get_origin(shape) is not Envelope


def requires(shape: Any) -> bool:
    """Whether an object of that shape without any field is one that CJ put there to say "none"."""
    return any(each.required for each in known(shape).values())


def _of_model(model: type[Model]) -> dict[str, Known]:
    found: dict[str, Known] = {}
    for field in model.__model_fields__.values():
        kind = field.kind
        holds = kind.name in ("model", "models")
        for wired in field.wires:
            found[wired] = Known(
                field=field.wires[0],
                expected=_WORDS.get(kind.name, kind.name),
                read=None if holds else kind.read,
                inner=nested(model, field) if holds else None,
                many=kind.name == "models",
                required=field.required and len(field.wires) == 1,
            )
    return found


def _of_type(owner: Any, field: Any) -> Known:
    name = field.encode_name
    late = _READ_LATE.get((owner, name))
    if late is not None:
        return Known(name, _WORDS["models"], inner=late, many=True, rows=True)
    options = [option for option in get_args(field.type) if option is not type(None)]
    kind = options[0] if options else field.type
    if get_origin(kind) in (list, tuple):
        return Known(name, _WORDS["models"], inner=get_args(kind)[0], many=True, rows=True)
    if kind in _SCALARS:
        words, read = _SCALARS[kind]
        return Known(name, words, read=read)
    return Known(name, _WORDS["model"], inner=kind)
