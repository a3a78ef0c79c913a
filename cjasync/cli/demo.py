"""`demo`: the main job against an embedded CJ, compared with the truth."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from msgspec import Struct
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cjasync.cli.endings import DONE, FAILED
from cjasync.cli.options import Common, starts_a_cj
from cjasync.cli.running import print_json
from cjasync.cli.tally import Tally
from cjasync.cli.words import counted, duration, safe
from cjasync.client import CJClient
from cjasync.config import Plan
from cjasync.models.product import ListedProduct
from cjasync.resources import endpoints

if TYPE_CHECKING:
    from cjasync.cli.job import Result
    from cjasync.sandbox import SandboxProcess

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLAN = Plan(qps=100, ip_qps=None, daily_calls=None, daily_points=None)


class Comparison(Struct, frozen=True, kw_only=True):
    """A file against the truth, in products."""

    held: int
    missing: int
    doubled: int
    altered: int
    unknown: int

    @property
    def perfect(self) -> bool:
        """Whether the file holds exactly what CJ holds."""
        return not (self.missing or self.doubled or self.altered or self.unknown)


@starts_a_cj("the demo asks an embedded CJ, which it starts itself")
async def demo(
    common: Common,
    products: Annotated[int, typer.Option(help="How many products the embedded CJ holds.", min=1)] = 50_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same products.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Keep the file; by itself it is deleted.")
    ] = None,
) -> int:
    """Pull a made-up catalogue, and compare it with the truth.

    The embedded CJ runs in a process of its own; nothing leaves this machine.
    """
    from cjasync.catalog.sinks import check_path
    from cjasync.cli.job import Job
    from cjasync.sandbox import SandboxProcess

    if out is not None:
        check_path(out)
    plan = common.limited(PLAN)
    common.err.print(f"Starting an embedded CJ with {counted(products, 'product')} ...")
    async with SandboxProcess(products=products, seed=seed, plan=plan, list_window=plan.list_window) as running:
        with _file(out) as path:
            tally = Tally(plan, {path: endpoint.points for path, endpoint in endpoints().items()})
            async with CJClient(
                access_token=running.access_token,
                base_url=running.base_url,
                plan=plan,
                quota="memory",
                hooks=[tally.hook],
            ) as cj:
                result = await Job(api="list", out=path, fresh=True).run(cj, tally, common.err)
            common.err.print("Comparing the file with what the embedded CJ holds ...")
            compared = await asyncio.to_thread(_compare, running, path)
            stats = await running.stats()
    _show(common, result, compared, plan, stats)
    if out is not None and not common.json:
        common.out.print(f"The file is {safe(str(out))}.")
    return DONE if compared.perfect else FAILED


@contextmanager
def _file(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="cjasync-demo-") as folder:
        yield Path(folder) / "products.jsonl"


def _compare(running: SandboxProcess, path: Path) -> Comparison:
    """Row by row. Blocks."""
    from cjasync.catalog.sinks import read_rows

    truth = {product["pid"]: _true_columns(product) for product in running.truth()}
    held = len(truth)
    seen: set[str] = set()
    doubled = altered = unknown = 0
    for row in read_rows(path, ListedProduct):
        pid = row["pid"]
        if pid in seen:
            doubled += 1
        elif pid not in truth:
            unknown += 1
        elif any(row[name] != value for name, value in truth[pid].items()):
            altered += 1
        seen.add(pid)
    return Comparison(held=held, missing=len(truth.keys() - seen), doubled=doubled, altered=altered, unknown=unknown)


def _true_columns(product: dict[str, Any]) -> dict[str, Any]:
    """What the file must say of a product, in the file's words."""
    made = product["created_ms"]
    return {
        "product_sku": product["sku"],
        "product_name_en": product["name_en"],
        "product_name": tuple(product["names_zh"]),
        "product_image": product["image"],
        "product_weight_low": Decimal(product["weight_low"]),
        "product_weight_high": Decimal(product["weight_high"]),
        "product_type": product["product_type"],
        "product_unit": product["unit"],
        "sell_price_low": Decimal(product["price_low"]),
        "sell_price_high": Decimal(product["price_high"]),
        "category_id": product["category_id"],
        "category_name": product["category_name"],
        "remark": product["remark"],
        "add_mark_status": product["free_shipping"],
        "is_free_shipping": product["free_shipping"],
        "listed_num": product["listed"],
        "supplier_name": product["supplier_name"],
        "supplier_id": product["supplier_id"] or "",
        "create_time": None if made is None else _EPOCH + timedelta(milliseconds=made),
        "delivery_time": product["delivery_hours"],
        "customization_version": product["customization"],
    }


def _show(common: Common, result: Result, compared: Comparison, plan: Plan, stats: dict[str, Any]) -> None:
    fullest = max(stats["worst_second"].values(), default=0)
    if common.json:
        summary = {**msgspec.structs.asdict(result), **msgspec.structs.asdict(compared)}
        print_json({**summary, "perfect": compared.perfect, "fullest_second": fullest})
        return
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column(style="dim")
    allowed = "any number" if plan.qps is None else f"{plan.qps:g}"
    wrong = "bold red" if not compared.perfect else "bold green"
    rows: list[tuple[str, str, str]] = [
        ("products that CJ holds", f"{compared.held:,}", ""),
        ("products in the file", f"{result.unique:,}", ""),
        ("missing", f"[{wrong}]{compared.missing:,}[/]", ""),
        ("doubled", f"[{wrong}]{compared.doubled:,}[/]", ""),
        ("altered", f"[{wrong}]{compared.altered + compared.unknown:,}[/]", "compared in 22 columns"),
        ("requests", f"{result.requests:,}", f"{result.refused:,} refused, {result.retried:,} repeated"),
        ("fullest second", f"{fullest:,}", f"requests; {allowed} allowed"),
        ("time", duration(result.seconds), f"{result.products / max(result.seconds, 0.001):,.0f} products a second"),
    ]
    for row in rows:
        table.add_row(*row)
    common.out.print(table)
    if compared.perfect:
        common.out.print("[bold green]Complete:[/] every product is there once, as CJ holds it.")
    else:
        common.out.print("[bold red]The file differs from what CJ holds.[/]")
