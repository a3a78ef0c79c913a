"""Asking CJ for answers to compare: a few cheap calls, each once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from cjasync._protocol import BODY_KEPT
from cjasync.drift.drift import Drift
from cjasync.errors import BadResponseError, NotFoundError, ParameterError
from cjasync.resources._product_endpoints import QUERY_FEATURES, SEARCH_FEATURES

if TYPE_CHECKING:
    from cjasync.client import CJClient
    from cjasync.drift.report import DriftReport


async def check_drift(
    cj: CJClient, *, pid: str | None = None, rows: int = 20, free: bool = False, drift: Drift | None = None
) -> DriftReport:
    """Make a dozen reading calls and report per endpoint the fields that CJ added, dropped or retyped.

    Args:
        cj: the client that asks. About 160 points are spent and 12 requests made; nothing is written.
        pid: the product to read; otherwise the first that CJ lists.
        rows: rows to ask each listing for. More of them see rarer fields, and cost the same.
        free: only the calls that cost no points: settings, categories, warehouses, My Products, and its reviews.
        drift: go on with what another check has seen, e.g. of another account.

    Raises:
        AuthError, QuotaExhaustedError, TransportError, ...: whatever concerns more than one call ends the check. An
            answer that cannot be read, and a product that CJ does not know, are in the report.
    """
    check = _Check(cj, drift or Drift())
    await check.ask("setting/get", cj.settings.get)
    await check.ask("product/getCategory", cj.categories.get)
    await check.ask("product/globalWarehouseList", cj.warehouses.global_list)
    mine = await check.ask("product/myProduct/query", cj.products.my_product, page_size=rows)
    product = pid or (mine[0].product_id if mine else None)
    if not free:
        found = await check.ask("product/listV2", cj.products.list_v2, size=rows, features=SEARCH_FEATURES)
        listed = await check.ask("product/list", cj.products.list, page_size=rows)
        product = pid or (found[0].id if found else None) or (listed[0].pid if listed else product)
        if product is not None:
            await check.product(product)
    if product is not None:
        await check.ask("product/productComments", cj.reviews.product_comments, product)
    return check.report()


class _Check:
    """What was asked so far."""

    def __init__(self, cj: CJClient, drift: Drift) -> None:
        self._cj = cj
        self._drift = drift
        self._failed: dict[str, str] = {}

    async def product(self, pid: str) -> None:
        """All that CJ tells about one product, and about one of its variants."""
        cj = self._cj
        await self.ask("product/query", cj.products.query, pid=pid, features=QUERY_FEATURES)
        await self.ask("product/stock/getInventoryByPid", cj.stock.get_inventory_by_pid, pid)
        variants = await self.ask("product/variant/query", cj.variants.query, pid=pid)
        if variants:
            variant = variants[0]
            await self.ask("product/variant/queryByVid", cj.variants.query_by_vid, variant.vid)
            await self.ask("product/stock/queryByVid", cj.stock.query_by_vid, variant.vid)
            if variant.variant_sku:
                await self.ask("product/stock/queryBySku", cj.stock.query_by_sku, variant.variant_sku)

    async def ask(self, path: str, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """One call, compared. None if it brought no value."""
        try:
            answer = await self._cj.with_raw(method, *args, **kwargs)
        except BadResponseError as error:
            if 0 < len(error.body) < BODY_KEPT:  # else it is not all that came
                self._drift.add(path, error.body)
            self._failed[path] = f"{type(error).__name__} at {error.path or 'its beginning'}"
            return None
        except (NotFoundError, ParameterError) as error:
            self._failed[path] = f"{type(error).__name__}, code {error.code}"
            return None
        self._drift.add(path, answer.body)
        return answer.value

    def report(self) -> DriftReport:
        """What was found."""
        return self._drift.report(self._failed)
