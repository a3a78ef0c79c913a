"""`search`: products by words."""

from __future__ import annotations

from typing import Annotated

import typer

from cjasync.cli.options import Common
from cjasync.cli.running import note, print_json
from cjasync.cli.tables import table_of
from cjasync.cli.words import safe
from cjasync.errors import ConfigError


async def search(
    common: Common,
    words: Annotated[list[str], typer.Argument(help="Words of the name, or a SKU.", metavar="WORDS")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many to show.")] = 20,
    country: Annotated[str | None, typer.Option(help="Only with stock there: CN, US, ...")] = None,
) -> None:
    """Search products by words.

    Best match first: one page of product/listV2, 50 points.
    """
    if not (text := " ".join(words).strip()):
        raise ConfigError("no words to search for: cjasync search WORDS")
    async with common.client() as cj:
        page = await cj.products.list_v2(key_word=text, size=limit, country_code=country)
    if common.json:
        from cjasync.catalog.sinks.columns import plain

        print_json({"total": page.total, "skipped": len(page.skipped), "products": [plain(row) for row in page]})
        return
    table = table_of((row.id for row in page), "product id", common.out.width)
    table.add_column("name", overflow="fold")
    for number in ("price $", "stock", "listed"):
        table.add_column(number, justify="right", overflow="fold")
    for row in page:
        table.add_row(
            safe(row.id),
            safe(row.name_en or ""),
            str(row.sell_price or ""),
            _number(row.warehouse_inventory_num),
            _number(row.listed_num),
        )
    if page:
        common.out.print(table)
    total = len(page) if page.total is None else page.total
    common.out.print(f"{len(page):,} of {total:,} products match")
    if page.skipped:
        note(common, f"{len(page.skipped):,} rows could not be read; the first: {page.skipped[0].reason}")


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
