"""Which columns a model has in a file.

A field is a column of its own name; a price or a weight is two, `x_low` and `x_high`. The first column names the row
(`pid`, `id`, `vid`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from cjasync.catalog.sinks.cells import CellKind, digits, from_json, iso, json_text, utc
from cjasync.models._model import Field, Model
from cjasync.models._values import Span


class Column(Struct, frozen=True):
    """One column: its name and the kind of its values."""

    name: str
    kind: CellKind


FETCHED_AT = Column("fetched_at", "time")
"""The last column of every file: when CJ sent the row. Of two rows of one product the newer one stays."""
DELETED_AT = Column("deleted_at", "time")
"""In databases, which outlive a walk: since when CJ no longer lists the product."""


class Layout:
    """The columns of one model, its key first."""

    def __init__(self, model: type[Model]) -> None:
        self.model = model
        self.columns = tuple(column for field in model.__model_fields__.values() for column in columns_of(field))
        self.key = self.columns[0].name
        self.names = tuple(column.name for column in self.columns)

    def values(self, row: Model) -> dict[str, Any]:
        """One row as a file shows it: column names to exact values."""
        shown: dict[str, Any] = {}
        for field in self.model.__model_fields__.values():
            value = getattr(row, field.name)
            cells = low_and_high(value) if is_span(field) else (_exact(field, value),)
            shown.update(zip((column.name for column in columns_of(field)), cells, strict=True))
        return shown


def plain(value: Any) -> Any:
    """Nested models as JSON can hold them, with the columns that they would have in a file of their own."""
    if isinstance(value, Model):
        shown: dict[str, Any] = {}
        for field in value.__model_fields__.values():
            inner = getattr(value, field.name)
            cells = low_and_high(inner) if is_span(field) else (inner,)
            # Only our own numbers become text; those in JSON of CJ's stay the numbers that they are there.
            opaque = field.kind.name == "json"
            pairs = zip(columns_of(field), cells, strict=True)
            shown |= {column.name: cell if opaque else plain(cell) for column, cell in pairs}
        return shown
    if isinstance(value, Decimal):
        return digits(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def is_span(field: Field) -> bool:
    """Whether a field is a price or a weight, and so two columns."""
    return field.kind.name in ("price", "weight")


def columns_of(field: Field) -> tuple[Column, ...]:
    """One column, or two."""
    if is_span(field):
        return Column(f"{field.name}_low", "decimal"), Column(f"{field.name}_high", "decimal")
    kind: Any = "json" if field.kind.name in ("model", "models") else field.kind.name
    return (Column(field.name, kind),)


def low_and_high(span: Span | None) -> tuple[Decimal | None, Decimal | None]:
    """The values of the two."""
    return (None, None) if span is None else (span.low, span.high)


def _exact(field: Field, value: Any) -> Any:
    match field.kind.name:
        case "time":
            return None if value is None else utc(value)
        case "model" | "models" | "json":
            return from_json(json_text(value if field.kind.name == "json" else plain(value)))
        case _:
            return value
