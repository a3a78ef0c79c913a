"""Model: a msgspec Struct that keeps CJ's raw scalars and shows exact values.

Decoding stays one pass of C: a field that CJ sends in many shapes (a price, a time, a list in a string) is stored as it
came and read when it is asked for, which costs nothing for the fields nobody looks at. Nothing unreadable gets that
far: `_build.objections` looks at a whole page a column at a time, and the row that fails is taken out and reported.

A model is declared with the types its users see::

    class Thing(Model):
        pid: str
        image: str | None = wire("productImage", "bigImage")     # both documents' names
        made_at: Millis | None = None
"""

from __future__ import annotations

import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, dataclass_transform, get_args, get_origin

import msgspec
from msgspec import Struct, StructMeta

from cjasync.models._kinds import ANY_JSON, ANY_SCALAR, LAZY, MILLIS, NATIVE, OPAQUE, SPARSE, Id, Json, Kind, Millis

__all__ = ["Field", "Id", "Json", "Kind", "M", "Millis", "Model", "camel", "wire"]


class _Wire(Struct, frozen=True):
    names: tuple[str, ...]
    sparse: bool


def wire(*names: str, sparse: bool = False) -> Any:
    """CJ's name of a field where it is not the camelCase of ours; more than one where the two documents differ.

    sparse: null in nearly every row, so that checking the few values costs less than looking at the column.
    """
    return _Wire(names, sparse)


def camel(name: str) -> str:
    """`sell_price` -> `sellPrice`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _kind_of(annotation: Any, owner: str, lazy: dict[Any, Kind]) -> tuple[Kind, Any]:
    """How a declared type is stored, and the model that it holds: None where there is none, or the owner itself."""
    if get_origin(annotation) is Annotated:
        named = {ANY_SCALAR: OPAQUE, "milliseconds": MILLIS}
        return named.get(annotation.__metadata__[0], ANY_JSON), None
    options = [option for option in get_args(annotation) if option is not type(None)]
    if get_origin(annotation) is tuple and annotation not in LAZY:
        item = options[0]
        name = owner if item is _Self else item.__name__
        return Kind("models", f"list[{name}] | None", tuple), None if item is _Self else item
    if len(options) == 1 and get_origin(annotation) is not tuple:
        return _kind_of(options[0], owner, lazy)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return Kind("model", annotation | None, lambda value: value, lazy=False), annotation
    found = NATIVE.get(annotation) or lazy.get(annotation)
    if found is None:
        raise TypeError(f"{owner}: no way to read {annotation!r}")
    return found, None


class _Self:
    """Stands for a model inside its own declaration."""


class Field(Struct, frozen=True):
    """One public field: its names on the wire, how it is read, and the slots that hold what came.

    model: of what it holds, where that are models other than its owner.
    """

    name: str
    wires: tuple[str, ...]
    slots: tuple[str, ...]
    kind: Kind
    required: bool
    model: type[Model] | None


def _property(field: Field) -> property:
    read = field.kind.read
    if field.kind.name == "models":
        read = lambda value: () if value is None else value if type(value) is tuple else tuple(value)  # noqa: E731
    first = attrgetter(field.slots[0])
    if len(field.slots) == 1:
        return property(lambda self: read(first(self)))

    def get(self: Any) -> Any:
        # The document's other name counts only where the first says nothing.
        for slot in field.slots:
            value = read(getattr(self, slot))
            if value not in (None, "", ()):
                return value
        return read(first(self))

    return property(get)


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
            told = default if isinstance(default, _Wire) else _Wire((), sparse=False)
            kind, model = _kind_of(eval(annotation, scope), name, SPARSE if told.sparse else LAZY)  # noqa: S307 - our own text
            names = told.names or (camel(attribute),)
            required = default is msgspec.NODEFAULT
            own = (attribute, *(f"{attribute}__{n}" for n in range(2, len(names) + 1)))
            shown = (f"_wire_{attribute}" if kind.lazy or len(names) > 1 else attribute, *own[1:])
            fields[attribute] = Field(attribute, tuple(names), shown, kind, required, model)
            for slot, wired in zip(own, names, strict=True):
                slots[slot] = kind.required if required and kind.required is not None else kind.wire
                wires[slot] = wired
                if not required:
                    namespace[slot] = None
        namespace["__annotations__"] = slots
        cls: Any = super().__new__(
            mcls, name, bases, namespace, rename=wires, kw_only=True, frozen=True, gc=False, **options
        )
        for field in fields.values():
            if field.slots[0] != field.name:
                # The decoder fills slots by position, so the descriptor may move and leave its name to a property.
                setattr(cls, field.slots[0], cls.__dict__[field.name])
                setattr(cls, field.name, _property(field))
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
