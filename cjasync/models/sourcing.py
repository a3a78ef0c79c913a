"""Sourcing: asking CJ to find a product."""

from __future__ import annotations

from cjasync.models._model import Id, Model


class SourcingRequest(Model):
    """CJ's answer to a new sourcing request."""

    cj_sourcing_id: Id | None = None  #: what `sourcing.query` takes
    result: str | None = None  #: "success" or "fail"


class Sourcing(Model):
    """How far a sourcing request has come."""

    source_id: Id  #: the request
    source_number: Id | None = None  #: short code that people use
    product_id: Id | None = None  #: the product in the shop that asked
    variant_id: Id | None = None  #: the variant in the shop that asked
    shop_id: Id | None = None  #: the shop that asked
    shop_name: str | None = None  #: its name
    source_status: Id | None = None  #: state as CJ numbers it; known: "3" found, "5" not found
    source_status_str: str | None = None  #: the state in words, Chinese
    cj_product_id: Id | None = None  #: CJ's product, once found
    cj_variant_sku: str | None = None  #: CJ's variant, once found
    fail_reason: Id | None = None  #: why nothing was found, as CJ numbers it
    fail_reason_str: str | None = None  #: the same in words
