"""Warehouses: where CJ keeps goods."""

from __future__ import annotations

from cjasync.models._model import Id, Model


class Warehouse(Model):
    """One of CJ's areas (a country's warehouses taken together)."""

    id: Id | None = None  #: the area's id again, as text
    area_id: Id | None = None  #: the area's id
    area_en: str | None = None  #: English name, e.g. "China Warehouse"
    area_cn: str | None = None  #: Chinese name
    country_code: str | None = None  #: two letters, e.g. "CN"
    name_en: str | None = None  #: English name of the country
    value_en: str | None = None  #: code of the warehouse, usually the country code
    disabled: bool | None = None  #: whether it is closed
    zh: str | None = None  #: name in Chinese
    en: str | None = None  #: name in English
    de: str | None = None  #: name in German
    fr: str | None = None  #: name in French
    th: str | None = None  #: name in Thai


class SearchStore(Model):
    """A warehouse that listV2 names beside its results."""

    warehouse_id: Id | None = None  #: the area's id
    warehouse_name: str | None = None  #: English name
    country_code: str | None = None  #: two letters
