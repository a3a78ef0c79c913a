"""The same rows without this library: plain msgspec Structs and pydantic models with the fields of its models.

What CJ sends in many shapes is declared as it comes (`float | str | None` for a price), which is what one writes first,
and the fastest that can be: nothing is checked or converted.
"""

from __future__ import annotations

import functools
import operator
from functools import cache
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Raw, Struct

from cjasync.models._model import Field, Model
from cjasync.models.product import ListedProduct, SearchProduct
from cjasync.models.stock import Stock

R = TypeVar("R")

_PLAIN: dict[str, Any] = {
    "text": str | None,
    "int": int | str | None,
    "bool": bool | int | str | None,
    "decimal": float | str | None,
    "price": float | str | None,
    "weight": float | str | None,
    "time": int | str | None,
    "texts": list[str] | str | None,
    "numbers": Any,
    "json": Any,
}


def _type_of(field: Field, make: Any) -> Any:
    if field.model is not None:
        inner = make(field.model)
        return inner | None if field.kind.name == "model" else list[inner] | None
    return _PLAIN[field.kind.name]


@cache
def struct_of(model: type[Model]) -> Any:
    """A plain Struct with the model's fields."""
    fields: list[Any] = []
    for field in model.__model_fields__.values():
        kind = _type_of(field, struct_of)
        for n, wire in enumerate(field.wires):
            fields.append((f"{field.name}_{n}" if n else field.name, kind, msgspec.field(name=wire, default=None)))
    return msgspec.defstruct(f"Plain{model.__name__}", fields, frozen=True, gc=False, kw_only=True)


class ListData(Struct, Generic[R], frozen=True, rename="camel"):
    page_num: int
    page_size: int
    total: int
    rows: list[R] = msgspec.field(name="list")


class SearchGroup(Struct, Generic[R], frozen=True, rename="camel"):
    product_list: list[R]
    related_category_list: Any = None
    store_list: Any = None
    key_word: str | None = None
    key_word_old: str | None = None
    search_hit: str | None = None


class SearchData(Struct, Generic[R], frozen=True, rename="camel"):
    page_number: int
    page_size: int
    total_records: int
    total_pages: int
    content: list[SearchGroup[R]]


class Envelope(Struct, Generic[R], frozen=True, rename="camel"):
    code: int
    result: bool = False
    message: str | None = None
    data: R | None = None
    request_id: str | None = None


class Unopened(Struct, frozen=True, rename="camel"):
    """An envelope for the two-stage way: judge it first, then decode what is inside."""

    code: int
    message: str | None = None
    data: Raw = Raw(b"null")


def data_of(path: str) -> Any:
    """The type of a path's `data`."""
    shapes: dict[str, Any] = {
        "product/list": lambda: ListData[struct_of(ListedProduct)],
        "product/listV2": lambda: SearchData[struct_of(SearchProduct)],
        "product/stock/queryByVid": lambda: list[struct_of(Stock)],
    }
    return shapes[path]()


def envelope_of(path: str) -> Any:
    """The type of a path's whole answer."""
    return Envelope[data_of(path)]


def pydantic_of(path: str) -> Any:
    """The same as a pydantic model."""
    return _pydantic(envelope_of(path))


@cache
def _pydantic(struct: Any) -> Any:
    import pydantic

    described = msgspec.structs.fields(struct)
    name = msgspec.inspect.type_info(struct).cls.__name__
    fields = {}
    for field in described:
        default = ... if field.required else None
        fields[field.name] = (_annotation(field.type), pydantic.Field(default, alias=field.encode_name))
    return pydantic.create_model(f"Pydantic{name}", **fields)


def _annotation(kind: Any) -> Any:
    """The annotation with every Struct in it replaced by its pydantic twin."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _pydantic(kind)
    if isinstance(origin, type) and issubclass(origin, Struct):
        return _pydantic(kind)
    if origin in (UnionType, Union):
        return functools.reduce(operator.or_, map(_annotation, inner))
    return list[_annotation(inner[0])] if origin is list else kind
