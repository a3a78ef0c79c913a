"""The two ways to a sound model: look over what the decoder made of a page, or build one row from plain values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from cjasync.models import _values as values
from cjasync.models._kinds import Check
from cjasync.models._model import Field, M, Model
from cjasync.models._values import Unreadable


def nested(model: type[Model], field: Field) -> type[Model]:
    """The model inside a field of nested models (itself, where it holds its own kind)."""
    return field.kind.model or model


def readable(model: type[Model], rows: Sequence[Any]) -> bool:
    """Whether every value of these decoded rows can be read: a column at a time, so that a clean page costs little."""
    checks, inner = _columns(model)
    for get, check, _ in checks:
        if not check(map(get, rows)):
            return False
    for get, below, flatten in inner:
        found = flatten(map(get, rows))
        if found and not readable(below, found):
            return False
    return True


def objections(model: type[Model], rows: Sequence[Any]) -> dict[int, str]:
    """The places of the rows that `readable` objects to, each with the wire name of a field to blame, where known."""
    found: dict[int, str] = {}
    present = [(place, row) for place, row in enumerate(rows) if row is not None]
    for get, check, wired in _columns(model)[0]:
        column = [get(row) for _, row in present]
        if not check(column):
            seen: dict[Any, bool] = {}
            for (place, _), value in zip(present, column, strict=True):
                sound = seen.get(value) if isinstance(value, Hashable) else None
                if sound is None:
                    sound = check((value,))
                    if isinstance(value, Hashable):
                        seen[value] = sound
                if not sound:
                    found.setdefault(place, wired)
    for place, row in present:
        if place not in found and _columns(model)[1] and not readable(model, (row,)):
            found[place] = ""
    return found


def read_field(model: type[Model], wired: str, value: Any) -> Any:
    """One field's value, whatever the rest of its row is like; Unreadable if the field cannot hold it."""
    field = _by_wire(model).get(wired)
    if field is None:
        return value
    try:
        read = _build_value(model, field, value)
        if read in (None, "") and field.required and len(field.wires) == 1:
            raise Unreadable("is missing")
    except Unreadable as error:
        raise error.under(wired) from None
    return read


@cache
def _by_wire(model: type[Model]) -> dict[str, Field]:
    return {wired: field for field in model.__model_fields__.values() for wired in field.wires}


_Get = Callable[[Any], Any]
_Flatten = Callable[[Iterator[Any]], list[Any]]


@cache
def _columns(model: type[Model]) -> tuple[list[tuple[_Get, Check, str]], list[tuple[_Get, type[Model], _Flatten]]]:
    """What has to be looked at: columns with a check, and columns of models."""
    checks: list[tuple[_Get, Check, str]] = []
    inner: list[tuple[_Get, type[Model], _Flatten]] = []
    for field in model.__model_fields__.values():
        for get, wired in zip(map(attrgetter, field.slots), field.wires, strict=True):
            if field.kind.check is not None:
                checks.append((get, field.kind.check, wired))
            if field.kind.name in ("models", "model") and _worth_a_look(nested(model, field), {model}):
                inner.append((get, nested(model, field), _items if field.kind.name == "models" else _present))
    return checks, inner


def _worth_a_look(model: type[Model], above: set[type[Model]]) -> bool:
    """Whether anything in it or below could be unreadable although the decoder took it."""
    fields = model.__model_fields__.values()
    if any(field.kind.check is not None for field in fields):
        return True
    below = {nested(model, field) for field in fields if field.kind.name in ("models", "model")} - above - {model}
    return any(_worth_a_look(each, above | {model}) for each in below)


def _items(column: Iterator[Any]) -> list[Any]:
    return [item for items in column if items for item in items]


def _present(column: Iterator[Any]) -> list[Any]:
    return [item for item in column if item is not None]


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
                read[name] = _build_value(model, field, data.get(wired))
            except Unreadable as error:
                raise error.under(wired) from None
        if field.required and read[field.name] in (None, ""):
            raise Unreadable("is missing", field.wires[0])
    return model(**read)


def _build_value(model: type[Model], field: Field, value: Any) -> Any:
    kind = field.kind
    if kind.model is None and kind.name != "models":
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
