"""Both documents' sample answers (mended where they are not JSON), decoded as if CJ had sent them."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cjasync._decode import AnswerDecoder, PageRows
from cjasync._protocol import read_answer
from cjasync.errors import AlreadyExistsError, APIError
from cjasync.models._build import build
from cjasync.models._model import Model
from scripts import endpoints as page

EXAMPLES = sorted((Path(__file__).parents[1] / "data" / "examples").glob("*.json"))
ENDPOINTS = {endpoint.path.replace("/", "_"): endpoint for _, endpoint in page.calls()}
ANSWERS = [path for path in EXAMPLES if ".refused." not in path.name]
REFUSALS = [path for path in EXAMPLES if ".refused." in path.name]


def endpoint_of(path: Path) -> Any:
    return ENDPOINTS[path.name.split(".")[0]]


def decoded(name: str) -> Any:
    (path,) = (path for path in EXAMPLES if path.name == f"{name}.json")
    _, value = AnswerDecoder(endpoint_of(path).answer).decode(path.read_bytes())
    return value.rows if isinstance(value, PageRows) else value


def test_every_call_of_the_documents_has_an_example():
    assert {endpoint_of(path).path for path in ANSWERS} == {
        p for p in (e.path for e in ENDPOINTS.values()) if "product/" in p
    }
    assert len(ANSWERS) == 26


def assert_nothing_lost(model: type[Model], row: Any, sent: dict[str, Any], path: str) -> None:
    """Each name of the sample is a field, and says something exactly where the sample does."""
    for name, value in sent.items():
        (field,) = (field for field in type(row).__model_fields__.values() if name in field.wires)
        read = getattr(row, field.name)
        said = value not in (None, "", [], "[]", [{}])
        assert (read not in (None, "", (), [])) == said, f"{path}.{name}: {value!r} became {read!r}"
        if isinstance(value, list) and value and isinstance(value[0], dict) and said:
            assert len(read) == len(value)
            for inner, item in zip(read, value, strict=True):
                assert_nothing_lost(type(inner), inner, item, f"{path}.{name}")


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_nothing_of_an_example_is_lost(path):
    endpoint, body = endpoint_of(path), path.read_bytes()
    verdict = read_answer(endpoint, 200, body)
    assert verdict.error is None
    sent = json.loads(body)["data"]
    assert verdict.request_id == json.loads(body)["requestId"]
    if endpoint.answer is bool:
        assert verdict.value is sent is True
        return
    rows = verdict.value
    if isinstance(rows, PageRows):
        assert rows.skipped == ()
        total = sent.get("total", sent.get("totalRecords"))
        assert rows.data.total == int(total)
        sent = sent["list"] if "list" in sent else sent["content"]
        sent = sent[0].get("productList", sent)
        rows = rows.rows
    sent = sent if isinstance(sent, list) else [sent]
    rows = rows if isinstance(rows, tuple) else (rows,)
    assert len(rows) == len(sent) > 0
    exact = msgspec.json.Decoder(float_hook=Decimal)
    for row, item in zip(rows, sent, strict=True):
        assert_nothing_lost(type(row), row, item, path.stem)
        assert build(type(row), exact.decode(json.dumps(item))) == row  # the patient way reads the same


@pytest.mark.parametrize("path", REFUSALS, ids=lambda path: path.stem)
def test_refusals_are_errors(path):
    error = read_answer(endpoint_of(path), 200, path.read_bytes()).error
    assert isinstance(error, APIError)
    assert error.code in (1600000, 1600100)
    assert isinstance(error, AlreadyExistsError) == ("addToMyProduct" in path.name)


def test_categories():
    (first,) = decoded("product_getCategory.en")
    assert first.category_first_name == "Computer & Office"
    assert [leaf.category_id for leaf in first.leaves()] == ["2252588B-72E3-4397-8C92-7D9967161084"]


def test_rows_of_both_listings():
    (row,) = decoded("product_listV2.en")
    assert (row.id, str(row.sell_price), row.add_mark_status, row.my_product) == (
        "04A22450-67F0-4617-A132-E7AE7F8963B0",
        "11.85",
        True,
        False,
    )
    assert row.create_at == datetime(2020, 12, 29, 8, tzinfo=UTC)
    assert row.discount_price_rate == Decimal(20)
    for language in ("en", "zh"):
        (row,) = decoded(f"product_list.{language}")
        assert row.product_name == ("猫耳朵卫衣", "定制卫衣", "个性化定制")
        assert row.product_image.endswith("/2167381084610.png")
        assert (str(row.sell_price), str(row.product_weight), row.create_time) == ("11.85", "0", None)


def test_the_product_of_both_documents():
    english, chinese = decoded("product_query.en"), decoded("product_query.zh")
    assert str(english.suggest_sell_price) == "0.97-4.08"
    assert str(chinese.suggest_sell_price) == "58.09"
    assert (english.listed_num, chinese.listed_num) == (392, 10)
    assert (english.status, chinese.status) == (3, 1)
    assert english.product_image == (chinese.big_image,)
    for product in (english, chinese):
        assert str(product.packing_weight) == "1580.0"
        assert product.material_name == ("", "金属")
        assert product.create_time.isoformat() == "2019-12-24T01:06:37+08:00"
        (variant,) = product.variants
        assert (variant.variant_weight, variant.combine_variants) == (Decimal(1580), ())
        assert product.options(variant) == {"Color": "Black"}


def test_stock_of_all_three_calls():
    english, chinese = decoded("product_stock_queryByVid.en"), decoded("product_stock_queryByVid.zh")
    assert english[0].total_inventory == chinese[0].total_inventory == 10877
    assert english[0].area_id == decoded("product_stock_queryBySku.en")[0].area_id == "1"
    product = decoded("product_stock_getInventoryByPid.en")
    assert product.inventories[0].total_inventory == 264
    assert product.by_vid()["1796078021431009280"][0].factory_inventory == 10044


def test_reviews_sourcing_and_my_products():
    (review,) = decoded("product_productComments.en")
    assert (review.comment_id, review.score, len(review.comment_urls)) == ("1536993287524069376", 5, 2)
    (found,) = decoded("product_sourcing_query.en")
    assert (found.source_status, found.source_status_str) == ("5", "搜品失败")
    assert decoded("product_sourcing_create.zh").cj_sourcing_id == "285"
    (mine,) = decoded("product_myProduct_query.en")
    assert mine.length_list == (Decimal(335), Decimal(335))
    assert (mine.has_packed, mine.has_vir_packed, mine.listed_shop_num) == (False, True, 0)
