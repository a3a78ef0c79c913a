"""Stock: CJ counts it in two vocabularies (`totalInventoryNum` and `totalInventory`), which are one model here."""

from __future__ import annotations

from cjasync.models._model import Id, Model, wire


class StockLocation(Model):
    """Units of one physical warehouse inside an area."""

    stock_id: Id | None = None  #: the warehouse's id, as CJ writes it: in braces
    inventory: int | None = None  #: units in CJ's hands
    factory_inventory: int | None = None  #: units in the factory's hands

    @property
    def warehouse_id(self) -> str | None:
        """`stock_id` without its braces, the form that CJ's warehouse calls take."""
        return None if self.stock_id is None else self.stock_id.strip("{}")


class Stock(Model):
    """Units of a variant or a product in one area.

    The totals and the nested `stock` may disagree in CJ's answers (13,505 against 2,097 was seen). Both are here, and
    neither corrects the other: `total_inventory` is what CJ states, `located` what its warehouses add up to.
    An empty `stock` does not mean that nothing can be shipped.
    """

    vid: Id | None = None  #: the variant, where the answer is about one
    area_id: Id | None = None  #: the area's id; None inside product and variant answers
    area_en: str | None = None  #: English name of the area, e.g. "China Warehouse"
    country_code: str | None = None  #: two letters, e.g. "CN"
    country_name_en: str | None = None  #: English name of the country
    total_inventory: int | None = wire("totalInventoryNum", "totalInventory", "storageNum")  #: units, CJ and factory
    cj_inventory: int | None = wire("cjInventoryNum", "cjInventory")  #: units in CJ's hands
    factory_inventory: int | None = wire("factoryInventoryNum", "factoryInventory")  #: units in the factory's hands
    verified_warehouse: int | None = None  #: 1 verified stock, 2 unverified
    stock: tuple[StockLocation, ...] = ()  #: by physical warehouse, where CJ tells

    @property
    def located(self) -> int | None:
        """Units over all nested locations, CJ's and the factory's; None where CJ tells of none."""
        counts = [count for place in self.stock for count in (place.inventory, place.factory_inventory)]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None


class VariantInventory(Model):
    """Stock of one variant, area by area."""

    vid: Id  #: the variant
    inventory: tuple[Stock, ...] = ()  #: one row an area


class ProductInventory(Model):
    """Stock of a product: its own rows, and those of each variant."""

    inventories: tuple[Stock, ...] = ()  #: the product's rows, one an area
    variant_inventories: tuple[VariantInventory, ...] = ()  #: by variant, in an order of their own

    def by_vid(self) -> dict[str, tuple[Stock, ...]]:
        """Variant id to its stock rows. Join variants by this: their order differs from the product's variants."""
        joined: dict[str, tuple[Stock, ...]] = {}
        for variant in self.variant_inventories:
            joined[variant.vid] = joined.get(variant.vid, ()) + variant.inventory
        return joined
