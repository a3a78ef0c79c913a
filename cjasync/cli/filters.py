"""The documented filters of the two listings as options, made from the methods that take them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer

from cjasync.cli.flags import flag, in_flags
from cjasync.errors import ParameterError
from cjasync.resources.products import Products

LISTINGS: Mapping[str, Any] = {"list": Products.list, "list_v2": Products.list_v2}
_PAGING = {"self", "cursor", "page", "page_num", "size", "page_size"}
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def filters_of(api: str) -> dict[str, Any]:
    """Filter names of a listing to the types it takes."""
    parameters = inspect.signature(LISTINGS[api], eval_str=True).parameters.values()
    return {parameter.name: parameter.annotation for parameter in parameters if parameter.name not in _PAGING}


def options() -> list[inspect.Parameter]:
    """An option for each filter of either listing."""
    both = {name for name in filters_of("list") if name in filters_of("list_v2")}
    made: dict[str, tuple[str, str, str]] = {}
    for api, title in (("list", "product/list"), ("list_v2", "product/listV2")):
        docs = _described(LISTINGS[api])
        for name, annotation in filters_of(api).items():
            panel = "Filters" if name in both else f"Filters of {title} (--api {api})"
            text = in_flags(docs[name], docs)
            if _shown(annotation) == "TEXT,..." and (
                values := [kind for kind in _leaves(annotation) if isinstance(kind, str)]
            ):
                text += f" Any of {', '.join(values)}."
            if name in made and made[name][0] != text:
                text = f"list: {made[name][0]} list_v2: {text}"
            shown = _shown(annotation) if name not in made or made[name][1] == _shown(annotation) else "TEXT"
            made[name] = (text, shown, panel)
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(flag(name), help=text, metavar=shown, rich_help_panel=panel)],
        )
        for name, (text, shown, panel) in made.items()
    ]


def read(api: str, given: Mapping[str, str | None]) -> dict[str, Any]:
    """The filters that were given, as the listing's method takes them. ParameterError for one that it has not."""
    types = filters_of(api)
    told: dict[str, Any] = {}
    for name, text in given.items():
        if text is None:
            continue
        if name not in types:
            other = "list" if api == "list_v2" else "list_v2"
            raise ParameterError(f"{flag(name)} is a filter of --api {other}, not of {api}")
        told[name] = _value(name, text, types[name])
    return told


def _value(name: str, text: str, annotation: Any) -> Any:
    """Text as the type that the method declares; what it means is checked there."""
    kinds = list(_leaves(annotation))
    if bool in kinds:
        if text.lower() not in _YES_NO:
            raise ParameterError(f"{flag(name)}: expected yes or no, got {text!r}")
        return _YES_NO[text.lower()]
    if any(map(_is_list, kinds)):
        return [item.strip() for item in text.split(",")]
    if (int in kinds or any(isinstance(kind, int) for kind in kinds)) and re.fullmatch(r"-?\d+", text):
        return int(text)
    return text


def _leaves(annotation: Any) -> Iterator[Any]:
    """The members of a union, and the values of its literals."""
    if get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from _leaves(option)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif annotation is not type(None):
        yield annotation


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is Sequence


def _shown(annotation: Any) -> str:
    kinds = list(_leaves(annotation))
    if bool in kinds:
        return "[yes|no]"
    if any(_is_list(kind) for kind in kinds):
        return "TEXT,..."
    if datetime in kinds:
        return "TIME"
    values = [str(kind) for kind in kinds if isinstance(kind, int | str)]
    if values:
        return f"[{'|'.join(values)}]"
    return "NUMBER" if int in kinds or float in kinds else "TEXT"


def _described(method: Any) -> dict[str, str]:
    """What the method's docstring says of each argument."""
    _, _, arguments = (inspect.getdoc(method) or "").partition("Args:\n")
    arguments = arguments.partition("\n\n")[0]
    found = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", arguments, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in found}
