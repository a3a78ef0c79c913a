"""What a walk is asked to read: the filters of product/list, checked, and split between the planner and the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal, TypedDict

import msgspec
from msgspec import Struct

from cjasync._endpoint import Endpoint
from cjasync._params import encode, ordered
from cjasync.catalog.planning.question import Region, Span
from cjasync.errors import ParameterError
from cjasync.resources._product_endpoints import LIST

Amount = Decimal | float | str
Details = Literal["query", "stock"]

_PAGING = ("page_num", "page_size", "sort", "order_by")


class Filters(TypedDict, total=False):
    """What `walk` can be asked for: the filters of `client.products.list`, where each is explained."""

    category_id: str | None
    pid: str | None
    product_sku: str | None
    product_name: str | None
    product_name_en: str | None
    product_type: Literal["ORDINARY_PRODUCT", "SUPPLIER_PRODUCT"] | None
    country_code: str | Sequence[str] | None
    delivery_time: Literal[24, 48, 72] | None
    verified_warehouse: Literal[1, 2] | None
    start_inventory: int | None
    end_inventory: int | None
    create_time_from: datetime | str | None
    create_time_to: datetime | str | None
    brand_open_id: int | None
    min_price: Amount | None
    max_price: Amount | None
    search_type: Literal[0, 2, 21] | None
    min_listed_num: int | None
    max_listed_num: int | None
    is_self_pickup: bool | Literal[0, 1] | None
    supplier_id: str | None
    is_free_shipping: bool | Literal[0, 1] | None
    customization_version: Literal[1, 2, 3, 4, 5] | None


class Wanted(Struct, frozen=True):
    """What to read: `within` is the planner's part of the filters, `fixed` goes with every question as it is.

    details: what each product is asked for beside. name: the question as text, equal for equal questions; a checkpoint
    belongs to one.
    """

    fixed: dict[str, Any]
    within: Region
    details: Details | None
    name: str


def read_filters(given: Mapping[str, Any], *, base_url: str, zone: tzinfo, details: Details | None = None) -> Wanted:
    """Check filters. Raises TypeError for a name that does not exist, ParameterError for a value CJ does not take."""
    for name in given:
        if name not in LIST.params:
            near = get_close_matches(name, Filters.__annotations__, 1)
            raise TypeError(f"walk: there is no filter {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if name in _PAGING:
            raise ParameterError(f"`{name}`: the walk turns the pages itself", endpoint=LIST.path)
    encoded = encode(LIST.params, given, endpoint=LIST.path, zone=zone)
    for low, high in LIST.ranges:
        ordered((low, high), *(encoded.get(LIST.params[end].wire) for end in (low, high)), endpoint=LIST.path)
    name = name_question(LIST, encoded, base_url=base_url, details=details)
    taken = {param: encoded.pop(LIST.params[param].wire, None) for param in _OF_THE_PLANNER}
    return Wanted(encoded, _region(taken, zone), details, name)


def name_question(
    endpoint: Endpoint[Any], encoded: Mapping[str, Any], *, base_url: str, details: Details | None = None
) -> str:
    """A question as text, equal for equal questions: of which CJ, and with which parameters."""
    told = {name: encoded[param.wire] for name, param in endpoint.params.items() if param.wire in encoded}
    if details is not None:
        told["with_"] = details
    shown = ", ".join(f"`{name}={msgspec.json.encode(value).decode()}`" for name, value in sorted(told.items()))
    return f"{endpoint.path} of {base_url}" + (f" with {shown}" if shown else "")


_OF_THE_PLANNER = (
    "create_time_from",
    "create_time_to",
    "min_price",
    "max_price",
    "category_id",
    "start_inventory",
    "end_inventory",
)


def _region(taken: Mapping[str, Any], zone: tzinfo) -> Region:
    start, end, low, high, category, least, most = (taken[name] for name in _OF_THE_PLANNER)
    return Region(
        start=_seconds(start, zone),
        end=_seconds(end, zone),
        price=_span(_thousandths(low, math.ceil), _thousandths(high, math.floor)),
        category=category,
        inventory=_span(least, most),
    )


def _span(low: int | None, high: int | None) -> Span | None:
    return None if low is None and high is None else (low, high)


def _seconds(text: str | None, zone: tzinfo) -> int | None:
    return None if text is None else int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp())


def _thousandths(text: str | None, rounded: Any) -> int | None:
    return None if text is None else rounded(Decimal(text) * 1000)
