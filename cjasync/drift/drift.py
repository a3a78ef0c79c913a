"""The comparison: answers as they came against the models that read them. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec

from cjasync._endpoint import Endpoint
from cjasync._envelope import Envelope, Malformed, decode_envelope
from cjasync.drift.example import HIDDEN, example, hide, secrets_in, shorten
from cjasync.drift.known import Known, complete, known, requires
from cjasync.drift.report import Change, DriftReport
from cjasync.errors import ConfigError
from cjasync.models._values import Unreadable, read_json
from cjasync.resources import endpoints

MAX_NAMES = 100  # unknown names kept of one place; an object that is keyed by ids would have no end
MAX_NAME = 60
OTHERS = "(others)"

_PLAIN = msgspec.json.Decoder(float_hook=Decimal)
_SHAPES = {dict: "object", list: "list", str: "text", bool: "true or false", type(None): "null"}
_NOTHING = "nothing"


def _at(place: str, *names: str) -> set[str]:
    return {f"{place}.{name}" for name in names}


# Models that serve several places have fields that some of these places never had, by both documents.
_STOCK_IN_A_VARIANT = ("vid", "areaId", "areaEn", "countryNameEn")
_NEVER_SENT: Mapping[str, set[str]] = {
    "product/listV2": _at("data.content[]", "searchHit", "storeList"),  # gone since 2026
    "product/myProduct/query": _at("data.content[]", "productName"),
    "product/query": _at("data.variants[].inventories[]", *_STOCK_IN_A_VARIANT),
    "product/stock/queryByVid": _at("data[]", "countryNameEn", "verifiedWarehouse"),
    "product/stock/queryBySku": _at("data[]", "vid", "verifiedWarehouse"),
    "product/stock/getInventoryByPid": _at("data.inventories[]", "vid", "verifiedWarehouse")
    | _at("data.variantInventories[].inventory[]", *_STOCK_IN_A_VARIANT),
    "product/variant/query": _at("data[].inventories[]", *_STOCK_IN_A_VARIANT),
    "product/variant/queryByVid": _at("data.inventories[]", *_STOCK_IN_A_VARIANT),
}
_UNDESCRIBED = "combineVariants[]"  # both documents leave open which of a variant's fields are there


class _Seen:
    """How often something was seen, in which shapes, and one example."""

    def __init__(self, example: str) -> None:
        self.shapes: Counter[str] = Counter()
        self.example = example


class _Place:
    """Everything seen at one place of an endpoint's answers, e.g. at `data.list[]`."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape
        self.objects = 0
        self.others = 0  # what stood in an object's place
        self.fields: set[str] = set()
        self.added: dict[str, _Seen] = {}
        self.retyped: dict[str, _Seen] = {}
        self.lacking: dict[str, _Seen] = {}  # required, and without it the object cannot be read
        self.sample = ""  # an object, to show what lacks a field


class Drift:
    """Compares answers with the models, as many as it is given, and remembers what differs."""

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter()
        self._places: dict[str, dict[str, _Place]] = {}

    def add(self, endpoint: Endpoint[Any] | str, body: bytes) -> None:
        """Compare one answer.

        Args:
            endpoint: the call, or its path, e.g. "product/list".
            body: the answer's bytes, as `client.with_raw` gives them. A refusal has only its envelope compared.

        Raises:
            ConfigError: no such path.
        """
        endpoint = _declared(endpoint) if isinstance(endpoint, str) else endpoint
        self._answers[endpoint.path] += 1
        # An answer to a login holds nothing that may be shown.
        look = _Look(self._places.setdefault(endpoint.path, {}), private=not endpoint.authenticated)
        shape: Any = Envelope
        shape = shape[endpoint.answer]
        try:
            refused = decode_envelope(body).succeeded is False
            answer = _PLAIN.decode(body)
        except (Malformed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            look.other("", shape, f"{len(body)} bytes that are no JSON object")
            return
        if refused:
            answer.pop("data", None)
        elif answer.get("data") in ("", {}, []):
            answer["data"] = None  # success about nothing
        look.answer(shape, answer)

    def report(self, failed: Mapping[str, str] | None = None) -> DriftReport:
        """What was found so far. `failed`: calls that brought nothing to compare, and why."""
        changes = (
            change
            for endpoint, places in self._places.items()
            for at, place in places.items()
            for change in _changes(endpoint, at, place)
        )
        return DriftReport(answers=dict(self._answers), changes=tuple(changes), failed=dict(failed or {}))


class _Look:
    """A look at one answer, object by object."""

    def __init__(self, places: dict[str, _Place], *, private: bool) -> None:
        self._places = places
        self._private = private
        self._whole: Any = None

    def answer(self, shape: Any, found: Mapping[str, Any]) -> None:
        """Look at all of it."""
        self._whole = found
        self._object("", shape, found)

    def other(self, at: str, shape: Any, value: Any) -> None:
        """Something else stands in an object's place."""
        place = self._place(at, shape)
        place.others += 1
        self._note(place.retyped, "", value)

    def _place(self, at: str, shape: Any) -> _Place:
        place = self._places.get(at)
        if place is None:
            place = self._places[at] = _Place(shape)
        return place

    def _object(self, at: str, shape: Any, found: Mapping[str, Any]) -> None:
        place = self._place(at, shape)
        place.objects += 1
        place.sample = place.sample or self._example("", found)
        fields = known(shape)
        for name, value in found.items():
            field = fields.get(name)
            if field is None:
                self._added(place, name, value)
                continue
            place.fields.add(field.field)
            if field.read is None:
                self._nested(place, _under(at, name), name, field, value)
            elif not _readable(field, value):
                self._note(place.retyped, name, value)
        for name, field in fields.items():
            if field.required and found.get(name) in (None, ""):
                self._note(place.lacking, name, found, _shape(found[name]) if name in found else _NOTHING)

    def _nested(self, place: _Place, at: str, name: str, field: Known, value: Any) -> None:
        held = read_json(value) if field.packed else value
        if held is None or held == []:
            return
        if isinstance(held, dict) and not field.many:
            self._object(at, field.inner, held)
            return
        if isinstance(held, dict) and field.rows:
            held = [held]
        if not isinstance(held, list) or not field.many:
            self._note(place.retyped, name, value)
            return
        for item in held:
            self._item(f"{at}[]", field, item)

    def _item(self, at: str, field: Known, item: Any) -> None:
        if not field.rows and (item is None or (item == {} and requires(field.inner))):
            return  # CJ's way to say "none"
        opened = read_json(item)
        if isinstance(opened, dict):
            self._object(at, field.inner, opened)
        else:
            self.other(at, field.inner, item)

    def _added(self, place: _Place, name: str, value: Any) -> None:
        shown = shorten(hide(name, self._secrets), MAX_NAME)
        if shown not in place.added and len(place.added) >= MAX_NAMES:
            shown = OTHERS
        self._note(place.added, shown, value)

    def _note(self, seen: dict[str, _Seen], name: str, value: Any, shape: str | None = None) -> None:
        if name not in seen:
            seen[name] = _Seen(self._example(name, value))
        seen[name].shapes[shape or _shape(value)] += 1

    def _example(self, name: str, value: Any) -> str:
        return HIDDEN if self._private else example(name, value, self._secrets)

    @cached_property
    def _secrets(self) -> frozenset[str]:
        return frozenset(secrets_in(self._whole))


def _readable(field: Known, value: Any) -> bool:
    assert field.read is not None, "called for values only"
    try:
        field.read(value)
    except Unreadable:
        return False
    return True


def _changes(endpoint: str, at: str, place: _Place) -> Iterator[Change]:
    fields = known(place.shape)
    for name, seen in sorted(place.added.items()):
        yield _change(endpoint, _under(at, name), "added", place, seen, _NOTHING)
    for name in sorted(_missed(endpoint, at, place)):
        gone = _Seen(place.sample)
        gone.shapes[_NOTHING] = place.objects
        yield _change(endpoint, _under(at, name), "dropped", place, gone, fields[name].expected)
    for name, seen in sorted(place.lacking.items()):
        yield _change(endpoint, _under(at, name), "dropped", place, seen, fields[name].expected)
    for name, seen in sorted(place.retyped.items()):
        yield _change(endpoint, _under(at, name), "retyped", place, seen, fields[name].expected if name else "object")


def _missed(endpoint: str, at: str, place: _Place) -> set[str]:
    """Fields that none of the objects has, though it should."""
    if not place.objects or not complete(place.shape) or at.endswith(_UNDESCRIBED):
        return set()
    never_sent = _NEVER_SENT.get(endpoint, set())
    expected = {field.field for field in known(place.shape).values() if _under(at, field.field) not in never_sent}
    return expected - place.fields - set(place.lacking)


def _change(endpoint: str, path: str, kind: Any, place: _Place, seen: _Seen, expected: str) -> Change:
    return Change(
        endpoint=endpoint,
        path=path,
        kind=kind,
        count=seen.shapes.total(),
        of=place.objects + place.others,
        expected=expected,
        found=tuple(shape for shape, _ in seen.shapes.most_common()),
        example=seen.example,
    )


def _shape(value: Any) -> str:
    return _SHAPES.get(type(value), "number")


def _under(at: str, name: str) -> str:
    return f"{at}.{name}" if at and name else at or name or "$"


def _declared(path: str) -> Endpoint[Any]:
    try:
        return endpoints()[path]
    except KeyError:
        raise ConfigError(f"unknown path {path!r}: one of {', '.join(sorted(endpoints()))}") from None
