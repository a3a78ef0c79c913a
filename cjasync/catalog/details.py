"""What a walk asks about each product beside its row: the product with its variants, or its stock; one call each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from msgspec import Struct

from cjasync._endpoint import Endpoint
from cjasync._to_the_end import to_the_end
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
SECOND_THOUGHTS = 5.0  # seconds before those are asked for again that failed last
DOUBTFUL = (BadResponseError, UnavailableError)  # after the call's own retries: the product's fault, or all of CJ's


Place = tuple[int, str]  # on the list, and the product's id


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
    """Asks about the products that the walk has found, in the order in which they were found.

    A call that fails for another reason than "no such product" is the product's fault if one that is sent later
    succeeds; otherwise CJ is down, and the products stay on the list.
    """

    def __init__(self, kind: Kind, asker: Asker, staging: Staging, turns: Turns) -> None:
        self._kind: Kind = kind
        self._detail = DETAILS[kind]
        self._asker = asker
        self._staging = staging
        self._turns = turns
        self._todo: deque[Place] = deque()
        self._after = 0
        self._sent = 0
        self._flying: dict[asyncio.Task[Model], tuple[Place, int]] = {}
        self._doubtful: dict[Place, tuple[CJError, int]] = {}

    async def run(self) -> None:
        """Until all products of the walk have been asked about."""
        turns, again = self._turns, True
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
                elif not turns.over:
                    await turns.for_products()
                elif self._doubtful and again:
                    again = False
                    await self._asker.clock.sleep(SECOND_THOUGHTS)
                    self._todo.extend(self._doubtful)
                else:
                    break
            await self._staging.save(self._faulty(self._sent + 1))
        finally:
            turns.waiting = False
            turns.changed()
            for task in self._flying:
                task.cancel()
            if self._flying:
                await to_the_end(asyncio.wait(self._flying))

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
            self._sent += 1
            self._flying[asyncio.ensure_future(self._ask(place[1]))] = place, self._sent
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
            place, number = self._flying.pop(task)
            error = task.exception()
            if isinstance(error, DOUBTFUL):
                self._doubtful[place] = error, self._sent
                if len(self._doubtful) >= DOUBT:
                    failure = error
                continue
            if error is None or isinstance(error, NotFoundError | ParameterError):
                self._doubtful.pop(place, None)
                arrivals += self._faulty(number)
                arrivals.append(self._arrival(place, task.result() if error is None else error))
            else:
                failure = error
        await self._staging.save(arrivals)
        if failure is not None:
            raise failure

    def _faulty(self, number: int) -> list[Arrival]:
        """Products whose calls had failed before call `number` was sent, which has been answered."""
        sure = [(place, error) for place, (error, sent) in self._doubtful.items() if sent < number]
        for place, _ in sure:
            del self._doubtful[place]
        return [self._arrival(place, error) for place, error in sure]

    def _arrival(self, place: Place, came: Model | BaseException) -> Arrival:
        """One product is settled."""
        n, pid = place
        tally, number = self._staging.tally, self._staging.number()
        if isinstance(came, BaseException):
            tally.failed += 1
            return Arrival(Entry(number, done=[n], failed={pid: str(came)}))
        tally.detailed += 1
        part = Part(self._kind, self._asker.clock.time(), encode_rows([came]))
        return Arrival(Entry(number, part=part, done=[n]), [came])
