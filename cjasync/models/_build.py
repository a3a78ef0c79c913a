"""The two ways to a sound model: look over what the decoder made of a page, or build one row from plain values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cache
from operator import attrgetter
from typing import Any

import cjasync.models._values as values
from cjasync.models._kinds import Kind
from cjasync.models._model import Field, M, Model
from cjasync.models._values import Fault, Unreadable


def nested(model: type[Model], field: Field) -> type[Model]:
    """The model inside a field of nested models (itself, where it holds its own kind)."""
    return field.model or model


def objections(model: type[Model], rows: Collection[Any]) -> dict[int, Fault | str]:
    """The places of those decoded rows that hold a value that cannot be read; {} if they are clean.

    With each stands the fault; or, where only the row's bytes can tell, the field to look at ("": any of them).
    A column is looked at as a whole, so that a clean page costs little.
    """
    found: dict[int, Fault | str] = {}
    if not rows:
        return found
    for column_of, kind, wired in _columns(model):
        column = column_of(rows)
        if kind.known and kind.known.issuperset(column):  # what is never remembered may have no hash
            continue
        if kind.check is not None and not kind.check(column):
            for place, value in enumerate(column):
                if (reason := kind.fault(value)) is not None:
                    # A text is the same in the row's bytes; a number that was read as a float may be exact there.
                    found.setdefault(place, Fault(wired, reason) if isinstance(value, str) else wired)
    for get, below in _inner(model):
        if objections(below, _models_in(map(get, rows))):
            for place, row in enumerate(rows):
                if objections(below, _models_in((get(row),))):
                    found.setdefault(place, "")
    return found


def field_of(model: type[Model], wired: str) -> Field | None:
    """The field that has this name on the wire."""
    return _by_wire(model).get(wired)


@cache
def _by_wire(model: type[Model]) -> dict[str, Field]:
    return {wired: field for field in model.__model_fields__.values() for wired in field.wires}


_Get = Callable[[Any], Any]
_GetColumn = Callable[[Collection[Any]], list[Any]]


@cache
def _columns(model: type[Model]) -> list[tuple[_GetColumn, Kind, str]]:
    """The columns in which something could be unreadable although the decoder took it, and their names on the wire."""
    return [
        (_column(slot), field.kind, wired)
        for field in model.__model_fields__.values()
        for slot, wired in zip(field.slots, field.wires, strict=True)
        if field.kind.check is not None
    ]


def _column(slot: str) -> _GetColumn:
    """Reads that slot of many rows; written out, since Python finds a slot that it knows by name four times as fast."""
    read: _GetColumn = eval(f"lambda rows: [row.{slot} for row in rows]")  # noqa: S307 - our own names
    return read


@cache
def _inner(model: type[Model]) -> list[tuple[_Get, type[Model]]]:
    """The columns of models in which, or below which, there are such columns."""
    return [
        (attrgetter(slot), nested(model, field))
        for field in model.__model_fields__.values()
        for slot in field.slots
        if field.kind.name in ("models", "model") and _worth_a_look(nested(model, field), {model})
    ]


def _worth_a_look(model: type[Model], above: set[type[Model]]) -> bool:
    """Whether anything in it or below could be unreadable although the decoder took it."""
    fields = model.__model_fields__.values()
    if any(field.kind.check is not None for field in fields):
        return True
    below = {nested(model, field) for field in fields if field.kind.name in ("models", "model")} - above - {model}
    return any(_worth_a_look(each, above | {model}) for each in below)


def _models_in(column: Iterable[Any]) -> list[Model]:
    """The models of a column, which holds one, a list of them, or None in each row."""
    found: list[Model] = []
    for value in column:
        if isinstance(value, list):
            found += value
        elif value is not None:
            found.append(value)
    return found


def build(model: type[M], data: Any) -> M:
    """One model from plain JSON values in any of the shapes that CJ sends; `Unreadable` says what cannot be read."""
    if isinstance(data, str):
        data = values.read_json(data)
    if not isinstance(data, dict):
        raise Unreadable(f"expected an object, got {values.show(data)}")
    read: dict[str, Any] = {}
    for field in model.__model_fields__.values():
        names = (field.name, *field.slots[1:])
        for name, wired in zip(names, field.wires, strict=True):
            try:
                read[name] = build_value(model, field, data.get(wired))
            except Unreadable as error:
                raise error.under(wired) from None
        if field.required and read[field.name] in (None, ""):
            raise Unreadable("is missing").under(field.wires[0])
    return model(**read)


def build_value(model: type[Model], field: Field, value: Any) -> Any:
    """One field's value; `Unreadable` if the field cannot hold it."""
    kind = field.kind
    if kind.is_plain:
        return kind.read(value)
    if isinstance(value, str):
        value = values.read_json(value)
    inner = nested(model, field)
    if value is None or value == []:
        return None
    if kind.name == "model":
        return build(inner, value)
    if not isinstance(value, list):
        raise Unreadable(f"expected a list, got {values.show(value)}")
    built = []
    whole = any(field.required for field in inner.__model_fields__.values())
    for index, item in enumerate(value):
        if item is None or (item == {} and whole):
            continue  # CJ's way to say "none": an empty object that lacks what each of its kind has
        try:
            built.append(build(inner, item))
        except Unreadable as error:
            raise error.under(f"[{index}]") from None
    return built
