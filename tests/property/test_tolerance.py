"""Tolerant in, exact out: whatever shape CJ chooses for a value, one exact value comes out, or its row is reported.

Rows are made the other way round: a true value first, then one of the ways to spell it, so that what has to come out
is known without asking the code under test.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cjasync import models
from cjasync._decode import AnswerDecoder, PageRows
from cjasync._envelope import Malformed
from cjasync.models import Model, Price, Weight
from cjasync.models._build import build, nested, objections
from cjasync.models._model import Field
from cjasync.models._pages import ContentData, ListData, SearchData
from cjasync.models._values import Unreadable

CHINA = timezone(timedelta(hours=8))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BAD = object()  # stands for "nobody can read this"
MISSING = object()
ROWS = [
    models.FirstCategory,
    models.ListedProduct,
    models.SearchProduct,
    models.Product,
    models.MyProduct,
    models.Warehouse,
    models.Variant,
    models.Stock,
    models.ProductInventory,
    models.Review,
    models.SourcingRequest,
    models.Sourcing,
    models.AccountSettings,
    models.Tokens,
]
PLAIN = msgspec.json.Decoder(float_hook=Decimal)

Spelled = tuple[str, Any]  # JSON text, and what it means
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
# Words that mean themselves in every field: no list, no number, not "null".
plain_words = words.filter(lambda word: word.strip().lower() not in ("", "null") and word.lstrip()[0] not in "[{")
amounts = st.decimals(0, 10**6, places=2)
nothing = st.sampled_from(["null", '""', '"  "', '"null"'])


def quoted(text: str) -> str:
    return json.dumps(text)


def means(value: Any, *texts: str) -> st.SearchStrategy[Spelled]:
    return st.sampled_from([(text, value) for text in texts])


def bad(*texts: str) -> st.SearchStrategy[Spelled]:
    return means(BAD, *texts)


def _text() -> st.SearchStrategy[Spelled]:
    return st.one_of(
        words.map(lambda word: (quoted(word), word)),
        st.integers(-(10**30), 10**30).map(lambda number: (str(number), str(number))),
        means("", '""'),
        means(None, "null"),
        means("true", "true"),
        means("1.50", "1.50"),
        bad("[]", "{}", '["a"]'),
    )


def _int() -> st.SearchStrategy[Spelled]:
    def spell(number: int) -> st.SearchStrategy[Spelled]:
        texts = [f"{number}", f'"{number}"', f'" {number} "', f"{number}.0", f'"{number}.00"']
        return means(number, *texts)

    return st.one_of(
        st.integers(-(2**53), 2**53).flatmap(spell),
        means(1, "true"),
        means(0, "false"),
        nothing.map(lambda text: (text, None)),
        bad('"many"', "1.5", '"1.5"', "[]", "[1]", "{}", str(2**63), f'"{2**63}"', '"1,000"'),
    )


def _bool() -> st.SearchStrategy[Spelled]:
    return st.one_of(
        means(True, "true", "1", '"1"', '"true"', '"TRUE"', "1.0"),
        means(False, "false", "0", '"0"', '"false"', '"False"'),
        nothing.map(lambda text: (text, None)),
        bad("2", "-1", '"yes"', '"2"', "0.5", "[]", "{}", '"10"'),
    )


def _decimal() -> st.SearchStrategy[Spelled]:
    return st.one_of(
        amounts.flatmap(lambda number: means(number, f"{number}", f'"{number}"', f'" {number} "')),
        nothing.map(lambda text: (text, None)),
        bad('"free"', "true", "[]", "{}", '"1,5"', "1e999", '"1.2.3"', '"$5"'),
    )


def _span(cls: type) -> st.SearchStrategy[Spelled]:
    def spell(ends: list[Decimal]) -> st.SearchStrategy[Spelled]:
        first, last = ends
        separators = [" -- ", "-", " - ", "--", " – "]  # noqa: RUF001 - an en dash is among what may come
        return means(cls(*sorted(ends)), *(quoted(f"{first}{separator}{last}") for separator in separators))

    return st.one_of(
        st.lists(amounts, min_size=2, max_size=2).flatmap(spell),
        amounts.flatmap(lambda number: means(cls(number, number), f"{number}", f'"{number}"')),
        nothing.map(lambda text: (text, None)),
        bad('"free"', "true", "[]", '"1-2-3"', '"$5"', '"5 USD"'),
    )


def _time() -> st.SearchStrategy[Spelled]:
    def spell(millis: int) -> st.SearchStrategy[Spelled]:
        time = EPOCH + timedelta(milliseconds=millis)
        china = time.astimezone(CHINA)
        wall = china.replace(tzinfo=None).isoformat(" ")
        in_text = f'"{millis:09}"'  # eight digits would be a date
        texts = [f"{millis}", in_text, quoted(china.isoformat()), quoted(time.isoformat()), quoted(wall)]
        return means(time, *texts)

    return st.one_of(
        st.integers(0, 4 * 10**12).flatmap(spell),
        nothing.map(lambda text: (text, None)),
        bad('"yesterday"', "true", "[]", "{}", "-5", '"2024-13-01"', "1.5", str(10**16)),
    )


def _texts() -> st.SearchStrategy[Spelled]:
    def spell(items: list[str]) -> st.SearchStrategy[Spelled]:
        listed = json.dumps(items, ensure_ascii=False)
        return means(tuple(items), listed, quoted(listed))

    return st.one_of(
        st.lists(words, max_size=4).flatmap(spell),
        plain_words.map(lambda word: (quoted(word), (word,))),
        nothing.map(lambda text: (text, ())),
        means(("1", "2.50", "true"), "[1,2.50,true,null]", quoted("[1,2.50,true,null]")),
        bad("5", "true", "{}", '[{"a":1}]', '[["a"]]'),
    )


def _numbers() -> st.SearchStrategy[Spelled]:
    def spell(items: list[Decimal]) -> st.SearchStrategy[Spelled]:
        listed = f"[{','.join(map(str, items))}]"
        return means(tuple(items), listed, quoted(listed), json.dumps([str(item) for item in items]))

    return st.one_of(
        st.lists(amounts, max_size=4).flatmap(spell),
        amounts.map(lambda number: (f"{number}", (number,))),
        nothing.map(lambda text: (text, ())),
        bad('"long"', '["long"]', "{}", "[{}]", "[true]"),
    )


def _json() -> st.SearchStrategy[Spelled]:
    def spell(value: Any) -> st.SearchStrategy[Spelled]:
        text = json.dumps(value)
        return means(value, text, quoted(text)) if isinstance(value, dict | list) else means(value, text)

    leaves = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | plain_words
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2))
    return values.flatmap(spell)


SPELLINGS = {
    "text": _text(),
    "int": _int(),
    "bool": _bool(),
    "decimal": _decimal(),
    "price": _span(Price),
    "weight": _span(Weight),
    "time": _time(),
    "texts": _texts(),
    "numbers": _numbers(),
    "json": _json(),
}


@st.composite
def rows(draw: st.DrawFn, model: type[Model], depth: int = 2) -> Spelled:
    """A row of that model: as JSON, and what every field has to be; BAD if one of its values is."""
    fields = model.__model_fields__
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=6, unique=True))
    texts: dict[str, str] = {}
    meant: dict[str, Any] = {}
    for name, field in fields.items():
        text, value = draw(_value(model, field, depth)) if name in chosen or field.required else (MISSING, None)
        if value is None and field.kind.name in ("texts", "numbers", "models"):
            value = ()
        if field.required and value in (None, ""):
            value = BAD
        wire = draw(st.sampled_from(field.wires))
        meant[name] = None if value == "" and wire != field.wires[0] else value  # the first name says nothing either
        if text is not MISSING:
            texts[wire] = text
    for name in draw(st.lists(words.map("unknown {}".format), max_size=2)):
        texts[name] = draw(_json())[0]
    whole = "{" + ",".join(f"{quoted(name)}:{text}" for name, text in draw(st.permutations(list(texts.items())))) + "}"
    return whole, BAD if any(value is BAD for value in meant.values()) else meant


def _value(model: type[Model], field: Field, depth: int) -> st.SearchStrategy[Spelled]:
    if field.kind.name in SPELLINGS:
        return SPELLINGS[field.kind.name]
    if depth == 0:
        return means(None, "null")
    inner = nested(model, field)
    one = rows(inner, depth - 1)
    placeholder = means(None, "null", "{}") if any(part.required for part in inner.__model_fields__.values()) else one
    if field.kind.name == "model":
        return st.one_of(one, one.map(lambda row: (quoted(row[0]), row[1])), means(None, "null", '""'), bad("5", "[1]"))

    def together(made: list[Spelled]) -> Spelled:
        value = tuple(row for _, row in made if row is not None)
        return "[" + ",".join(text for text, _ in made) + "]", BAD if any(row is BAD for row in value) else value

    lists = st.lists(one | placeholder, max_size=3).map(together)
    in_a_string = lists.map(lambda row: (quoted(row[0]), row[1]))
    return st.one_of(lists, in_a_string, means((), "null", '""', "[]"), bad("5", "true", "[5]"))


def assert_exact(got: Any, want: Any) -> None:
    """Equal, and of the very type: 1 is not True here, and every time knows its zone."""
    if isinstance(want, dict) and isinstance(got, Model):
        for name, value in want.items():
            assert_exact(getattr(got, name), value)
    elif isinstance(want, tuple) and type(want) is tuple:
        assert type(got) is tuple
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            assert_exact(one, other)
    else:
        assert (type(got), got) == (type(want), want)
        assert not isinstance(got, datetime) or got.tzinfo is not None


def assert_reported(skipped: tuple[Any, ...], made: list[Spelled]) -> None:
    broken = [(index, text.encode()) for index, (text, want) in enumerate(made) if want is BAD]
    assert [(row.index, row.raw) for row in skipped] == broken
    assert all(row.reason for row in skipped)


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_row_is_read_exactly_or_reported(model, data):
    made = data.draw(st.lists(rows(model), min_size=1, max_size=3))
    body = f'{{"code":200,"data":[{",".join(text for text, _ in made)}]}}'
    _, got = AnswerDecoder(list[model]).decode(body.encode())
    wanted = [want for _, want in made if want is not BAD]
    assert len(got) == len(wanted)
    for row, want in zip(got, wanted, strict=True):
        assert_exact(row, want)
    assert_reported(got.skipped, made)


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_single_object_is_read_exactly_or_refused(model, data):
    text, want = data.draw(rows(model))
    decoder = AnswerDecoder(model)
    body = f'{{"code":200,"data":{text}}}'.encode()
    if text == "{}":
        got = decoder.decode(body)[1]
        assert got is None or got == model()
    elif want is BAD:
        with pytest.raises(Malformed) as caught:
            decoder.decode(body)
        assert caught.value.path.startswith("data.")
    else:
        assert_exact(decoder.decode(body)[1], want)


SHAPES = {
    ListData: '"pageNum":{number},"pageSize":{size},"total":{total},"list":{rows}',
    ContentData: '"pageNumber":{number},"pageSize":{size},"totalRecords":{total},"content":{rows}',
    SearchData: '"pageNumber":{number},"pageSize":{size},"totalRecords":{total},"content":[{{"productList":{rows}}}]',
}
facts = st.one_of(
    st.integers(0, 2 * 10**6).flatmap(lambda number: means(number, f"{number}", f'"{number}"', f"{number}.0")),
    means(None, "null", '""'),
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_page_is_read_exactly(shape, data):
    model = models.SearchProduct if shape is SearchData else models.ListedProduct
    number, size, total = (data.draw(facts) for _ in range(3))
    made = data.draw(st.lists(rows(model), max_size=3))
    listed = "[" + ",".join(text for text, _ in made) + "]"
    listed = data.draw(st.sampled_from([listed, quoted(listed)] if made else ["[]", "null", '""']))
    page = SHAPES[shape].format(number=number[0], size=size[0], total=total[0], rows=listed)
    _, got = AnswerDecoder(shape[model]).decode(f'{{"code":"200","data":{{{page}}}}}'.encode())
    assert isinstance(got, PageRows)
    assert (got.data.number, got.data.page_size, got.data.total) == (number[1], size[1], total[1])
    for row, want in zip(got.rows, [want for _, want in made if want is not BAD], strict=True):
        assert_exact(row, want)
    assert_reported(got.skipped, made)


@pytest.mark.parametrize("data", ["null", '""', "{}", "[]"])
@pytest.mark.parametrize(
    ("answer", "empty"),
    [(list[models.Stock], ()), (models.Product, None), (bool, False), (ListData[models.ListedProduct], ())],
    ids=str,
)
def test_empty_data_is_an_empty_answer(answer, empty, data):
    envelope, got = AnswerDecoder(answer).decode(f'{{"code":200,"data":{data}}}'.encode())
    assert envelope.succeeded
    assert (got.rows if isinstance(got, PageRows) else got) == empty


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
    | st.sampled_from(
        ["", "1", "0", "12", "4.36 -- 6.14", "null", "Null", "true", "1e2", "[1]", "[", '["a",{}]', "-0"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_fast_way_and_the_patient_way_agree(model, data):
    wires = sorted({wire for field in model.__model_fields__.values() for wire in field.wires})
    sent = data.draw(st.dictionaries(st.sampled_from(wires), anything, max_size=5))
    for field in model.__model_fields__.values():
        if field.required:
            sent.setdefault(field.wires[0], "1")
    text = json.dumps(sent)
    fast = patient = None
    with suppress(msgspec.DecodeError):
        decoded = msgspec.json.Decoder(model, strict=False, float_hook=Decimal).decode(text)
        fast = None if objections(model, [decoded]) else decoded
    with suppress(Unreadable):
        patient = build(model, PLAIN.decode(text))
    for row in (fast, patient):
        if row is not None:
            row.as_dict()  # what was accepted can be read
            assert isinstance(repr(row), str)
    if fast is not None and patient is not None:
        assert fast == patient
