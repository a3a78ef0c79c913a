"""Model: a msgspec Struct that keeps CJ's raw scalars and shows exact values.

Decoding stays one pass of C: a field that CJ sends in many shapes (a price, a time, a list in a string) is stored as it
came and read when it is asked for, which costs nothing for the fields nobody looks at. Nothing unreadable gets that
far: `readable` looks at a whole page a column at a time, and the row that fails is taken out and reported.

A model is declared with the types its users see::

    class Thing(Model):
        pid: str
        image: str | None = wire("productImage", "bigImage")     # both documents' names
        sell_price: Price | None = None
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, dataclass_transform, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, StructMeta

from cjasync.models import _values as values
from cjasync.models._values import Price, Unreadable, Weight

_ID = "any scalar"
Id = Annotated[str, _ID]
"""An opaque identifier. CJ sends the same id as text and as a number; it is always text here."""
Json = Annotated[object, "json"]
"""Any JSON value; JSON that CJ put inside a string is unpacked."""

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Millis = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
_TEXT_OR_NULL: set[type] = {str, type(None)}
_NUMBERS_TOO: set[type] = {str, type(None), int, Decimal}

Check = Callable[[Sequence[Any]], bool]


class Kind(Struct, frozen=True):
    """How one type is stored (`wire`), read (`read`) and checked a column at a time (`check`; None = needs none)."""

    name: str
    wire: Any
    read: Callable[[Any], Any]
    lazy: bool = True
    check: Check | None = None
    model: type[Model] | None = None


def _all_readable(read: Callable[[Any], Any]) -> Check:
    def check(column: Sequence[Any]) -> bool:
        try:
            for value in column:
                read(value)
        except Unreadable:
            return False
        return True

    return check


def _spans(read: Callable[[Any], Any], known: dict[str, Any]) -> Check:
    def check(column: Sequence[Any]) -> bool:
        kinds = set(map(type, column))
        if kinds <= _TEXT_OR_NULL:
            # Only texts never seen before are parsed; the rest is one set operation for the page.
            column = tuple(set(column).difference(known))
        elif not kinds <= _NUMBERS_TOO:
            return False
        return _all_readable(read)(column)

    return check


def _unless(kinds: set[type], check: Check) -> Check:
    return lambda column: set(map(type, column)) <= kinds or check(column)


def _texts_readable(column: Sequence[Any]) -> bool:
    if set(map(type, column)) <= _TEXT_OR_NULL:
        # A list in a string can go wrong only by holding an object or a list: a bracket that does not begin the text.
        together = "\0" + "\0".join(filter(None, column))
        if "{" not in together and together.count("[") == together.count("\0["):
            return True
    return _all_readable(values.read_texts)(column)


_NATIVE = {
    str: Kind("text", str | None, values.read_text, lazy=False),
    int: Kind("int", _Int64 | None, values.read_int, lazy=False),
    bool: Kind("bool", bool | None, values.read_bool, lazy=False),
}
_LAZY = {
    Decimal: Kind("decimal", Any, values.read_decimal, check=_all_readable(values.read_decimal)),
    Price: Kind("price", Any, values.read_price, check=_spans(values.read_price, values.known_prices)),
    Weight: Kind("weight", Any, values.read_weight, check=_spans(values.read_weight, values.known_weights)),
    datetime: Kind(
        "time",
        _Millis | str | None,
        values.read_time,
        check=_unless({int, type(None)}, _all_readable(values.read_time)),
    ),
    tuple[str, ...]: Kind("texts", Any, values.read_texts, check=_texts_readable),
    tuple[Decimal, ...]: Kind("numbers", Any, values.read_numbers, check=_all_readable(values.read_numbers)),
}
_OPAQUE = Kind("text", Any, values.read_text, check=_unless(_TEXT_OR_NULL | {int}, _all_readable(values.read_text)))
_ANY_JSON = Kind("json", Any, values.read_json)


class _Names(Struct, frozen=True):
    names: tuple[str, ...]


def wire(*names: str) -> Any:
    """CJ's name of a field where it is not the camelCase of ours; more than one where the two documents differ."""
    return _Names(names)


def camel(name: str) -> str:
    """`sell_price` -> `sellPrice`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _kind_of(annotation: Any, owner: str) -> Kind:
    if get_origin(annotation) is Annotated:
        return _OPAQUE if _ID in annotation.__metadata__ else _ANY_JSON
    options = [option for option in get_args(annotation) if option is not type(None)]
    if get_origin(annotation) is tuple and annotation not in _LAZY:
        item = options[0]
        name = owner if item is _Self else item.__name__
        return Kind("models", f"list[{name}] | None", tuple, model=None if item is _Self else item)
    if len(options) == 1 and get_origin(annotation) is not tuple:
        return _kind_of(options[0], owner)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return Kind("model", annotation | None, lambda value: value, lazy=False, model=annotation)
    found = _NATIVE.get(annotation) or _LAZY.get(annotation)
    if found is None:
        raise TypeError(f"{owner}: no way to read {annotation!r}")
    return found


class _Self:
    """Stands for a model inside its own declaration."""


class Field(Struct, frozen=True):
    """One public field: its names on the wire, how it is read, and the slots that hold what came."""

    name: str
    wires: tuple[str, ...]
    slots: tuple[str, ...]
    kind: Kind
    required: bool


def _property(field: Field, doc: str | None) -> property:
    read = field.kind.read
    if field.kind.name == "models":
        read = lambda value: () if value is None else value if type(value) is tuple else tuple(value)  # noqa: E731
    first = attrgetter(field.slots[0])
    if len(field.slots) == 1:
        return property(lambda self: read(first(self)), doc=doc)

    def get(self: Any) -> Any:
        # The document's other name counts only where the first says nothing.
        for slot in field.slots:
            value = read(getattr(self, slot))
            if value not in (None, "", ()):
                return value
        return read(first(self))

    return property(get, doc=doc)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(wire,))
class ModelMeta(StructMeta):
    """Turns the declared types into slots for what CJ sends and properties for what users read."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        if not bases or bases == (Struct,):
            return super().__new__(mcls, name, bases, namespace, **options)
        scope = {**vars(sys.modules[namespace["__module__"]]), name: _Self}
        fields: dict[str, Field] = {}
        slots: dict[str, Any] = {}
        wires: dict[str, str] = {}
        for attribute, annotation in namespace.get("__annotations__", {}).items():
            if annotation.startswith("ClassVar"):
                continue
            default = namespace.pop(attribute, msgspec.NODEFAULT)
            kind = _kind_of(eval(annotation, scope), name)  # noqa: S307 - our own source text
            names = default.names if isinstance(default, _Names) else (camel(attribute),)
            required = default is msgspec.NODEFAULT
            own = (attribute, *(f"{attribute}__{n}" for n in range(2, len(names) + 1)))
            shown = (f"_wire_{attribute}" if kind.lazy or len(names) > 1 else attribute, *own[1:])
            fields[attribute] = Field(attribute, tuple(names), shown, kind, required)
            for slot, wired in zip(own, names, strict=True):
                slots[slot] = str if required and kind.wire == str | None else kind.wire
                wires[slot] = wired
                if not required:
                    namespace[slot] = None
        namespace["__annotations__"] = slots
        docs = namespace.pop("__field_docs__", {})
        cls: Any = super().__new__(mcls, name, bases, namespace, rename=wires, kw_only=True, frozen=True, **options)
        for field in fields.values():
            if field.slots[0] != field.name:
                # The decoder fills slots by position, so the descriptor may move and leave its name to a property.
                setattr(cls, field.slots[0], cls.__dict__[field.name])
                setattr(cls, field.name, _property(field, docs.get(field.name)))
        cls.__model_fields__ = {**getattr(cls, "__model_fields__", {}), **fields}
        return cls


M = TypeVar("M", bound="Model")


class Model(Struct, metaclass=ModelMeta):
    """One object of CJ's, read-only. Unknown fields are ignored; missing ones are None, or empty for lists."""

    __secret__: ClassVar[tuple[str, ...]] = ()  # fields that no repr shows

    if TYPE_CHECKING:
        __model_fields__: ClassVar[dict[str, Field]]

    def as_dict(self) -> dict[str, Any]:
        """Public field names to exact values, nested models to dicts."""
        return {name: _plain(getattr(self, name)) for name in self.__model_fields__}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__model_fields__)

    def __hash__(self) -> int:
        return hash((type(self), getattr(self, next(iter(self.__model_fields__)))))

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown = ((name, getattr(self, name)) for name in self.__model_fields__ if name not in self.__secret__)
        return [(name, value) for name, value in shown if value is not None and value != ()]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.as_dict()
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value


def nested(model: type[Model], field: Field) -> type[Model]:
    """The model inside a field of nested models (itself, where it holds its own kind)."""
    return field.kind.model or model


def readable(model: type[Model], rows: Sequence[Any]) -> bool:
    """Whether every value of these decoded rows can be read: a column at a time, so that a clean page costs little."""
    if not rows:
        return True
    for field in model.__model_fields__.values():
        check = field.kind.check
        for slot in field.slots:
            if field.required and (column := tuple(map(attrgetter(slot), rows))) and ("" in column or None in column):
                return False
            if check is not None and not check(tuple(map(attrgetter(slot), rows))):
                return False
            if field.kind.name == "models":
                inner = [item for items in map(attrgetter(slot), rows) if items for item in items]
                if not readable(nested(model, field), inner):
                    return False
            elif field.kind.name == "model":
                inner = [item for item in map(attrgetter(slot), rows) if item is not None]
                if not readable(nested(model, field), inner):
                    return False
    return True


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
    for index, item in enumerate(value):
        if item is None or item == {}:
            continue
        try:
            built.append(build(inner, item))
        except Unreadable as error:
            raise error.under(f"[{index}]") from None
    return built
