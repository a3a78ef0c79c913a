"""`show`: one product with its variants and their stock."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cjasync.cli.options import Common
from cjasync.cli.running import print_json
from cjasync.cli.tables import table_of
from cjasync.cli.words import safe
from cjasync.errors import NotFoundError
from cjasync.models.common import Span
from cjasync.models.product import Product
from cjasync.models.stock import ProductInventory, Stock


async def show(
    common: Common,
    pid: Annotated[str, typer.Argument(help="The product's id, or its SKU (CJ...).", metavar="PID")],
) -> None:
    """Show a product, its variants and their stock.

    product/query and stock/getInventoryByPid, 20 points.
    """
    by_sku = pid.upper().startswith("CJ")
    async with common.client() as cj:
        product = await (cj.products.query(product_sku=pid) if by_sku else cj.products.query(pid=pid))
        # One after the other: stock of what does not exist would be asked for in vain.
        inventory = None if product is None else await cj.stock.get_inventory_by_pid(product.pid)
    if product is None:
        raise NotFoundError(f"CJ answers with nothing for {pid}", endpoint="product/query")
    if common.json:
        from cjasync.catalog.sinks.columns import plain

        print_json({"product": plain(product), "stock": None if inventory is None else plain(inventory)})
        return
    _show_product(common.out, product)
    _show_variants(common.out, product, inventory)


def _show_product(out: Console, product: Product) -> None:
    out.print(f"[bold]{safe(product.product_name_en or ', '.join(product.product_name) or product.pid)}[/]")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    facts = {
        "product id": product.pid,
        "SKU": product.product_sku,
        "price": product.sell_price and f"$ {product.sell_price}",
        "suggested": product.suggest_sell_price and f"$ {product.suggest_sell_price}",
        "weight": product.product_weight and f"{_span(product.product_weight)} g",
        "packed": product.packing_weight and f"{_span(product.packing_weight)} g",
        "category": product.category_name,
        "supplier": product.supplier_name,
        "listed": product.listed_num,
        "made": product.create_time and f"{product.create_time:%Y-%m-%d}",
        "picture": product.big_image,
    }
    for name, value in facts.items():
        if value not in (None, ""):
            grid.add_row(name, safe(str(value)))
    out.print(grid)


def _show_variants(out: Console, product: Product, inventory: ProductInventory | None) -> None:
    stock = {} if inventory is None else inventory.by_vid()
    if not product.variants:
        out.print("no variants")
        return
    table = table_of((variant.vid for variant in product.variants), "variant id", out.width)
    table.add_column("SKU", overflow="fold")
    table.add_column("options", overflow="fold")
    for number in ("price $", "weight g", "stock"):
        table.add_column(number, justify="right", overflow="fold")
    for variant in product.variants:
        options = ", ".join(product.options(variant).values()) or variant.variant_name_en or ""
        table.add_row(
            safe(variant.vid),
            safe(variant.variant_sku or ""),
            safe(options),
            "" if variant.variant_sell_price is None else str(variant.variant_sell_price),
            "" if variant.variant_weight is None else _short(variant.variant_weight),
            _in_stock(stock.get(variant.vid, ())),
        )
    out.print(table)
    if inventory is not None and inventory.inventories:
        out.print(f"[dim]in all[/] {_in_stock(inventory.inventories)}")


def _span(span: Span) -> str:
    return f"{_short(span.low)}-{_short(span.high)}" if span.is_range else _short(span.low)


def _short(number: Decimal) -> str:
    """Without the zeros that say nothing."""
    return f"{number.normalize():f}"


def _in_stock(rows: Iterable[Stock]) -> str:
    """`CN 1,200, US 30`."""
    return safe(", ".join(f"{row.country_code or row.area_en or '?'} {_units(row)}" for row in rows))


def _units(row: Stock) -> str:
    """What CJ states, and what its warehouses add up to where that is something else."""
    stated = "?" if row.total_inventory is None else f"{row.total_inventory:,}"
    return stated if row.located in (None, row.total_inventory) else f"{stated} ({row.located:,} by warehouse)"
