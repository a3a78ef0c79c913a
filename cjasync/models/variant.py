"""Variants: what can be bought."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from cjasync.models._model import Id, Json, Model, wire
from cjasync.models._values import read_texts
from cjasync.models.stock import Stock


class Variant(Model):
    """One buyable form of a product."""

    vid: Id  #: the variant
    pid: Id | None = None  #: its product
    variant_name: str | None = None  #: Chinese name
    variant_name_en: str | None = None  #: English name; None for products with one variant
    variant_sku: str | None = None  #: SKU
    variant_image: str | None = wire("variantImage", "image")  #: URL
    variant_standard: str | None = None  #: size in words, "long=260,width=65,height=50" (mm)
    variant_unit: str | None = None  #: selling unit; sometimes Chinese
    variant_property: Json | None = None  #: kind of property; None or an empty list in all that was seen
    variant_key: str | None = None  #: values of the options, "White-Boxed" or `["XS"]`; see `options`
    variant_length: int | None = None  #: mm
    variant_width: int | None = None  #: mm
    variant_height: int | None = None  #: mm
    variant_volume: int | None = None  #: mm3
    variant_weight: Decimal | None = None  #: g
    variant_sell_price: Decimal | None = None  #: USD
    variant_sug_sell_price: Decimal | None = None  #: suggested retail price, USD
    create_time: datetime | None = None  #: when CJ made it
    barcode: Id | None = None  #: digits
    barcode2: Id | None = None  #: a second barcode
    combine_num: int | None = None  #: how many variants a combination holds
    combine_variants: tuple[Variant, ...] = ()  #: the variants that a combination holds (feature enable_combine)
    inventory_num: int | None = None  #: units; None in all that was seen
    inventories: tuple[Stock, ...] = ()  #: stock by country (feature enable_inventory)

    def options(self, product_key_en: str | None) -> dict[str, str]:
        """Names of the product's options to this variant's values, e.g. {"Color": "White", "Specifications": "Boxed"}.

        `product_key_en` is the product's ("Color-Specifications"). Values may hold hyphens themselves, so the key is
        split from the left into as many parts as there are names. Empty where either side is missing.
        """
        names = product_key_en.split("-") if product_key_en else []
        values = list(read_texts(self.variant_key))
        if len(values) != len(names):
            values = "-".join(values).split("-", max(len(names) - 1, 0))
        return dict(zip(names, values, strict=False)) if self.variant_key else {}
