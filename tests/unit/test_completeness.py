"""Completeness, proved by the documents themselves: tests/data/cj_fields.json holds every name that they print.

Sources of a name are the tables and samples of both documents ("en", "zh") and what was seen on the wire ("live").
"""

import inspect
import json
import typing
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from cjasync._endpoint import Endpoint
from cjasync._envelope import Envelope
from cjasync.config import CHINA_TIME
from cjasync.errors import ParameterError
from cjasync.models._build import nested
from cjasync.models._model import Model
from cjasync.models._pages import SearchGroup
from cjasync.models.category import RelatedCategory
from cjasync.models.warehouse import SearchStore
from cjasync.resources import categories, products, reviews, settings, sourcing, stock, variants, warehouses
from cjasync.resources._resource import Resource
from scripts import endpoints as page

DATA = json.loads((Path(__file__).parents[1] / "data" / "cj_fields.json").read_text())
ENDPOINTS = {endpoint.path: endpoint for _, endpoint in page.calls()}
CLIENT: dict[str, type[Resource]] = {
    "categories": categories.Categories,
    "products": products.Products,
    "warehouses": warehouses.Warehouses,
    "variants": variants.Variants,
    "stock": stock.Stock,
    "reviews": reviews.Reviews,
    "sourcing": sourcing.Sourcing,
    "settings": settings.Settings,
}
# The contract: CJ's path, our method, its price in points.
CONTRACT = {
    "product/getCategory": ("categories.get", 0),
    "product/listV2": ("products.list_v2", 50),
    "product/list": ("products.list", 50),
    "product/query": ("products.query", 10),
    "product/addToMyProduct": ("products.add_to_my_product", 0),
    "product/myProduct/query": ("products.my_product", 0),
    "product/globalWarehouseList": ("warehouses.global_list", 0),
    "product/variant/query": ("variants.query", 10),
    "product/variant/queryByVid": ("variants.query_by_vid", 10),
    "product/stock/queryByVid": ("stock.query_by_vid", 10),
    "product/stock/queryBySku": ("stock.query_by_sku", 10),
    "product/stock/getInventoryByPid": ("stock.get_inventory_by_pid", 10),
    "product/productComments": ("reviews.product_comments", 0),
    "product/comments": ("reviews.comments", 0),
    "product/sourcing/create": ("sourcing.create", 0),
    "product/sourcing/query": ("sourcing.query", 0),
    "setting/get": ("settings.get", 0),
}
POSITIONAL = {"product_id", "vid", "sku", "pid", "source_ids"}
LOGIN = {"authentication/getAccessToken", "authentication/refreshAccessToken", "authentication/logout"}
BESIDE_THE_ROWS = {"relatedCategoryList": RelatedCategory, "storeList": SearchStore}

REQUESTS = [(path, name) for path, endpoint in DATA["endpoints"].items() for name in endpoint["request"]]
RESPONSES = [(path, name) for path, endpoint in DATA["endpoints"].items() for name in endpoint["response"]]


def method_of(path: str) -> Any:
    resource, name = CONTRACT[path][0].split(".")
    return getattr(CLIENT[resource], name)


def holds(kind: Any, steps: list[str]) -> bool:
    """Whether that path of CJ's names leads to a field of the model, the page or the list."""
    if not steps:
        return True
    origin, name = get_origin(kind), steps[0].removesuffix("[]")
    if origin is list:
        return holds(get_args(kind)[0], steps)
    if origin is not None:
        (row,) = get_args(kind)
        if name not in {field.encode_name for field in msgspec.structs.fields(origin)}:
            return False
        inner = SearchGroup[row] if name == "content" and "SearchData" in str(kind) else row
        return holds(BESIDE_THE_ROWS.get(name, inner), steps[1:])
    if isinstance(kind, type) and issubclass(kind, Model):
        for field in kind.__model_fields__.values():
            if name in field.wires:
                return len(steps) == 1 or holds(nested(kind, field), steps[1:])
    return False


def test_every_path_of_the_documents_is_a_method():
    assert set(CONTRACT) | LOGIN == set(DATA["endpoints"]) == set(ENDPOINTS)
    declared = {method: (endpoint.path, endpoint.points) for method, endpoint in page.calls()}
    assert {method: (path, points) for path, (method, points) in CONTRACT.items()}.items() <= declared.items()


@pytest.mark.parametrize(("path", "name"), RESPONSES)
def test_every_field_is_in_a_model(path, name):
    assert holds(ENDPOINTS[path].answer, name.split(".")), f"{path}: no model has {name}"


@pytest.mark.parametrize("name", DATA["envelope"])
def test_every_field_of_the_envelope_is_read(name):
    first, *rest = name.split(".")
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(Envelope[Any])}
    assert first in fields
    if rest:
        (points,) = (kind for kind in get_args(fields[first]) if kind is not type(None))
        assert rest[0] in {field.encode_name for field in msgspec.structs.fields(points)}


@pytest.mark.parametrize(("path", "name"), REQUESTS)
def test_every_parameter_can_be_given(path, name):
    params = {param.wire: (ours, param) for ours, param in ENDPOINTS[path].params.items()}
    assert name in params, f"{path}: no parameter sends {name}"
    ours, param = params[name]
    if DATA["endpoints"][path]["request"][name]["required"] == "Y":
        assert param.required
    if path not in LOGIN:
        assert ours in inspect.signature(method_of(path)).parameters


OURS = ("cursor", "ensure")  # parameters of the library, which are not sent


@pytest.mark.parametrize("path", CONTRACT)
def test_signatures_say_what_the_declarations_check(path):
    endpoint, method = ENDPOINTS[path], method_of(path)
    given = dict(inspect.signature(method).parameters)
    assert given.pop("self")
    assert ("cursor" in given) == (endpoint.paging is not None)
    for name in OURS:
        given.pop(name, None)
    assert set(given) == set(endpoint.params)
    for name, parameter in given.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            assert name in POSITIONAL
            assert endpoint.params[name].required
        assert (parameter.default is inspect.Parameter.empty) == endpoint.params[name].required
        if endpoint.paging is not None and endpoint.params[name].wire == endpoint.paging.size:
            assert parameter.default == endpoint.paging.default_size
            assert endpoint.paging.max_size in (endpoint.paging.default_size, None)
    for names in (endpoint.choice, *endpoint.ranges):
        assert set(names) <= set(endpoint.params)


def _literals(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [value for inner in get_args(annotation) for value in _literals(inner)]


VALUE_SETS = [
    (path, name, _literals(hint))
    for path in CONTRACT
    for name, hint in typing.get_type_hints(method_of(path)).items()
    if name != "return" and _literals(hint)
]


@pytest.mark.parametrize(("path", "name", "values"), VALUE_SETS)
def test_value_sets_are_typed_and_checked_alike(path, name, values):
    param = ENDPOINTS[path].params[name]
    for value in values:
        assert param.encode(value, CHINA_TIME) in (value, int(value) if isinstance(value, bool | int) else value)
    for other in (99, "elsewhere", "", -1):
        with pytest.raises(ValueError, match=r"must be|expected|is empty"):
            param.encode(other, CHINA_TIME)


@pytest.mark.parametrize("path", CONTRACT)
def test_docstrings_name_path_section_and_price(path):
    endpoint, text = ENDPOINTS[path], inspect.getdoc(method_of(path))
    assert f"{endpoint.method} {path}" in text
    assert endpoint.points == 0 or f"{endpoint.points} points" in text
    assert "points" in text
    if path != "setting/get":
        assert f"document {endpoint.section.split()[0]}" in text
    if path != "product/comments":  # which refers to its successor
        assert "Raises:" in text
        missing = [name for name in endpoint.params if f"{name}:" not in text and name not in POSITIONAL]
        assert missing == []


class NoEngine:
    """Stands where nothing may be sent."""

    zone = CHINA_TIME
    call = None


@pytest.mark.parametrize("path", [path for path in CONTRACT if ENDPOINTS[path].choice])
def test_three_way_choices_are_checked(path):
    resource, name = CONTRACT[path][0].split(".")
    method = getattr(CLIENT[resource](NoEngine()), name)
    for given in ({}, {"pid": "1", "product_sku": "2"}, {"pid": "1", "product_sku": "2", "variant_sku": "3"}):
        with pytest.raises(ParameterError, match="exactly one of `pid`, `product_sku`, `variant_sku`"):
            method(**given)


BELOW_AND_ABOVE = [("9", "10"), (9, 10), ("1.5", 2), ("2024-01-09 00:00:00", "2024-01-10 00:00:00")]
RANGES = [(path, pair) for path in CONTRACT for pair in ENDPOINTS[path].ranges]


@pytest.mark.parametrize(("path", "pair"), RANGES)
def test_ranges_that_run_backwards_are_refused(path, pair):
    endpoint: Endpoint = ENDPOINTS[path]
    tried = 0
    for low, high in BELOW_AND_ABOVE:
        try:
            for value in (low, high):
                endpoint.params[pair[0]].encode(value, CHINA_TIME)
        except ValueError:
            continue  # this parameter is of another kind
        tried += 1
        resource = Resource(NoEngine())
        assert len(resource._encoded(endpoint, {pair[0]: low, pair[1]: high})) == 2
        with pytest.raises(ParameterError, match=f"`{pair[0]}` .* is above `{pair[1]}`"):
            resource._encoded(endpoint, {pair[0]: high, pair[1]: low})
    assert tried


def test_the_deprecated_call_says_so():
    with pytest.warns(DeprecationWarning, match="product_comments"), pytest.raises(ParameterError):
        reviews.Reviews(NoEngine()).comments("")


def test_the_table_of_the_documentation_is_fresh():
    assert page.PAGE.read_text() == page.document(), "run: python -m scripts.endpoints"
