"""What a walk asks about each product beside its row: the product with its variants, or its stock; one call each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from msgspec import Struct

from cjasync._endpoint import Endpoint
from cjasync.catalog.asking import Asker
from cjasync.catalog.entry import Entry, Kind, Part, encode_rows
from cjasync.catalog.staging import Arrival, Staging
from cjasync.catalog.turns import Turns
from cjasync.errors import BadResponseError, CJError, NotFoundError, ParameterError, UnavailableError
from cjasync.models._model import Id, Model
from cjasync.models.product import Product
from cjasync.models.stock import ProductInventory, Stock, VariantInventory
from cjasync.resources._product_endpoints import QUERY
from cjasync.resources.products import Products
from cjasync.resources.stock import GET_INVENTORY_BY_PID
from cjasync.resources.stock import Stock as StockCalls

AT_ONCE = 500  # products that are read from the file's list
DOUBT = 20  # failures in a row that are not the products' own
DOUBTFUL = (BadResponseError, UnavailableError)  # after the call's own retries: the product's fault, or all of CJ's


class ProductStock(Model):
    """The stock of a product, under its id."""

    pid: Id  #: the product
    inventories: tuple[Stock, ...] = ()  #: the product's rows, one an area
    variant_inventories: tuple[VariantInventory, ...] = ()  #: by variant


class Detail(Struct, frozen=True):
    """A kind of details: the call, what it costs, and the rows it makes."""

    endpoint: Endpoint[Any]
    model: type[Model]
    ask: Callable[[Any, str], Awaitable[Any]]


async def _product(engine: Any, pid: str) -> Product | None:
    return await Products(engine).query(pid=pid)


async def _stock(engine: Any, pid: str) -> ProductStock | None:
    found: ProductInventory | None = await StockCalls(engine).get_inventory_by_pid(pid)
    if found is None:
        return None
    return ProductStock(pid=pid, inventories=found.inventories, variant_inventories=found.variant_inventories)


DETAILS: dict[Kind, Detail] = {
    "query": Detail(QUERY, Product, _product),
    "stock": Detail(GET_INVENTORY_BY_PID, ProductStock, _stock),
}


class Details:
    """Asks about the products that the walk has found, in the order in which they were found."""

    def __init__(self, kind: Kind, asker: Asker, staging: Staging, turns: Turns) -> None:
        self._kind: Kind = kind
        self._detail = DETAILS[kind]
        self._asker = asker
        self._staging = staging
        self._turns = turns
        self._todo: deque[tuple[int, str]] = deque()
        self._after = 0
        self._flying: dict[asyncio.Task[Model], tuple[int, str]] = {}
        self._doubtful: dict[tuple[int, str], CJError] = {}

    async def run(self) -> None:
        """Until all products of the walk have been asked about."""
        turns = self._turns
        try:
            while True:
                await self._read_list()
                if turns.details_may_go:
                    self._send()
                if self._flying:
                    done, _ = await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
                    await self._take(done)
                elif self._todo:
                    await turns.for_details()
                elif turns.over:
                    break
                else:
                    await turns.for_products()
            await self._settle([], sure=True)
        finally:
            turns.waiting = False
            turns.changed()
            for task in self._flying:
                task.cancel()
            if self._flying:
                await asyncio.wait(self._flying)

    async def _read_list(self) -> None:
        """Look into the file for more products to ask about."""
        if not self._todo:
            after, checkpoint = self._after, self._staging.checkpoint
            self._turns.new = False
            self._todo.extend(await self._staging.run(lambda: checkpoint.todo(after, AT_ONCE)))
            self._after = self._todo[-1][0] if self._todo else after
        self._turns.waiting = bool(self._todo or self._flying)
        self._turns.changed()

    def _send(self) -> None:
        limit = self._asker.engine.services.concurrency()
        while self._todo and len(self._flying) < limit and self._turns.details_may_go:
            place = self._todo.popleft()
            self._flying[asyncio.ensure_future(self._ask(place[1]))] = place
            self._staging.tally.detail_requests += 1
            self._turns.count(details=1)

    async def _ask(self, pid: str) -> Model:
        found: Model | None = await self._asker.call(
            lambda: self._detail.ask(self._asker.engine, pid), settled=DOUBTFUL
        )
        if found is None:
            raise NotFoundError("CJ says nothing about this product", endpoint=self._detail.endpoint.path)
        return found

    async def _take(self, done: Iterable[asyncio.Task[Model]]) -> None:
        failure: BaseException | None = None
        arrivals: list[Arrival] = []
        for task in done:
            place = self._flying.pop(task)
            error = task.exception()
            if error is None:
                arrivals.append(self._arrival(place, task.result()))
            elif isinstance(error, NotFoundError | ParameterError):
                arrivals.append(self._arrival(place, None, {place[1]: str(error)}))
            elif isinstance(error, DOUBTFUL):
                self._doubtful[place] = error
                if len(self._doubtful) >= DOUBT:
                    failure = error
            else:
                failure = error
        await self._settle(arrivals, sure=bool(arrivals))
        if failure is not None:
            raise failure

    async def _settle(self, arrivals: list[Arrival], *, sure: bool) -> None:
        """Write down what came; and earlier failures too where it is sure that they were not CJ's as a whole."""
        if sure:
            arrivals += [self._arrival(place, None, {place[1]: str(error)}) for place, error in self._doubtful.items()]
            self._doubtful.clear()
        if arrivals:
            await self._staging.save(arrivals)

    def _arrival(self, place: tuple[int, str], row: Model | None, failed: dict[str, str] | None = None) -> Arrival:
        tally, now = self._staging.tally, self._asker.clock.time()
        tally.detailed += row is not None
        tally.failed += row is None
        rows = [] if row is None else [row]
        part = Part(self._kind, now, encode_rows(rows)) if rows else None
        return Arrival(Entry(self._staging.number(), part=part, done=[place[0]], failed=failed or {}), rows)
