"""CJClient: wiring and lifecycle."""

from __future__ import annotations

import copy
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Hashable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from cjasync._clock import SYSTEM_CLOCK, Clock
from cjasync._engine import Engine
from cjasync._raw import RawAnswer, captured
from cjasync._services import Services
from cjasync.auth import FileTokenStore, MemoryTokenStore, TokenManager, TokenStore
from cjasync.bulk import Done
from cjasync.bulk import run as run_bulk
from cjasync.config import Plan, RequestOptions, Settings
from cjasync.errors import ConfigError
from cjasync.hooks import Hook, start_log
from cjasync.quota import Limiter, account_key, open_store
from cjasync.resources.auth import Auth
from cjasync.resources.categories import Categories
from cjasync.resources.products import Products
from cjasync.resources.reviews import Reviews
from cjasync.resources.settings import Settings as AccountSettings
from cjasync.resources.sourcing import Sourcing
from cjasync.resources.stock import Stock
from cjasync.resources.variants import Variants
from cjasync.resources.warehouses import Warehouses

if TYPE_CHECKING:
    from cjasync._transport import Session, Transport
    from cjasync.quota import Estimate, Usage

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
P = ParamSpec("P")


class CJClient:
    """CJ's product API. One client per account and event loop, for as long as the service runs::

        async with CJClient.from_env() as cj:
            async for product in cj.products.list_v2(key_word="hoodie"):
                print(product.name_en, product.sell_price)

    Args:
        api_key: fetches and refreshes tokens by itself; or `access_token`: one that you have.
        session: your own aiohttp session; it is used as it is and never closed.
        hooks: called with every event (`cjasync.hooks`).
        clock: another time, for tests.
        settings: the fields of `cjasync.config.Settings` (plan, quota, base_url, max_wait, timeout, ...).
    """

    categories: Categories
    products: Products
    warehouses: Warehouses
    variants: Variants
    stock: Stock
    reviews: Reviews
    sourcing: Sourcing
    settings: AccountSettings
    auth: Auth

    def __init__(
        self,
        api_key: str | None = None,
        access_token: str | None = None,
        *,
        plan: Plan | None = None,
        quota: Any = None,
        max_wait: float | None = None,
        timeout: float | None = None,
        session: Session | None = None,
        hooks: Sequence[Hook] = (),
        clock: Clock = SYSTEM_CLOCK,
        config: Settings | None = None,
        **settings: Any,
    ) -> None:
        given = {"api_key": api_key, "access_token": access_token, "plan": plan, "quota": quota, **settings}
        try:
            config = msgspec.structs.replace(
                config or Settings(), **{name: value for name, value in given.items() if value is not None}
            )
        except TypeError as error:
            raise TypeError(f"CJClient: {error}") from None
        patience = {"max_wait": max_wait, "timeout": timeout}
        options = msgspec.structs.replace(config.options, **{k: v for k, v in patience.items() if v is not None})
        if os.environ.get("CJASYNC_LOG", "").lower() == "debug":
            hooks = (*hooks, start_log())
        credential = config.api_key or config.access_token
        if credential is None or not credential:
            raise ConfigError("no credentials: give `api_key` or `access_token`, or set CJ_API_KEY or CJ_ACCESS_TOKEN")
        self.config = config
        self._clock = clock
        self._session = session
        # A sandbox's account has other limits than CJ's of the same number, and a wrong key must not find the right
        # key's tokens: limits belong to an account of a server, tokens to a credential.
        # A colon would end the account's name in the ledger's keys.
        server = urlsplit(config.base_url).netloc.replace(":", "-")
        account = f"{account_key(credential.reveal())}@{server}"
        limiter = Limiter(
            config.plan,
            open_store(config.quota),
            account=account,
            clock=clock,
            on_exhausted=config.on_exhausted,
            background_reserve=config.background_reserve,
            day_zone=config.day_zone,
            egress=f"{config.egress or 'this machine'}@{server}",  # a sandbox's address is not the one that CJ sees
        )
        self._services = Services(
            base_url=config.base_url,
            plan=config.plan,
            limiter=limiter,
            clock=clock,
            zone=config.zone,
            open_transport=self._open_transport,
            hooks=hooks,
            coalesce=config.coalesce,
            cache=config.cache,
            max_depth=config.max_depth,
            wait_when_exhausted=config.on_exhausted == "wait",
        )
        self._engine = Engine(self._services, options)
        self._add_resources()
        key, token = config.api_key, config.access_token
        self._tokens = self._services.tokens = TokenManager(
            account=account_key(f"{config.base_url} {credential.reveal()}"),
            authenticate=None if key is None else lambda: self.auth.authenticate(key.reveal()),
            renew=self.auth.renew,
            revoke=self.auth.revoke,
            store=_token_store(config),
            clock=clock,
            access_token=token.reveal() if token is not None else None,
            login_interval=config.plan.login_interval,
        )

    def _add_resources(self) -> None:
        engine = self._engine
        self.categories = Categories(engine)
        self.products = Products(engine)
        self.warehouses = Warehouses(engine)
        self.variants = Variants(engine)
        self.stock = Stock(engine)
        self.reviews = Reviews(engine)
        self.sourcing = Sourcing(engine)
        self.settings = AccountSettings(engine)
        self.auth = Auth(engine)

    @classmethod
    def from_env(cls, *, profile: str | None = None, **settings: Any) -> CJClient:
        """A client from CJ_API_KEY or CJ_ACCESS_TOKEN, CJ_BASE_URL, CJ_PLAN, ... (see Settings.from_env)."""
        return cls(config=Settings.from_env(profile=profile), **settings)

    def with_options(self, **options: Any) -> Self:
        """The same client with other patience: timeout, deadline, retries, max_wait, priority (RequestOptions).

        It shares everything else, and lives as long as the client it comes from.
        """
        other = copy.copy(self)
        other.__dict__["_engine"] = self._engine.with_options(msgspec.structs.replace(self.options, **options))
        CJClient._add_resources(other)
        return other

    @property
    def options(self) -> RequestOptions:
        """How patient this client's calls are."""
        return self._engine.options

    async def with_raw(self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> RawAnswer[T]:
        """A call together with the bytes it was answered with.

        Example::

            answer = await cj.with_raw(cj.products.query, pid=pid)
            answer.value, answer.body, answer.http_status, answer.headers, answer.request_id
        """
        with captured() as answers:
            value = await method(*args, **kwargs)
        if not answers:
            raise ConfigError("with_raw is for methods that make a call to CJ; this one made none")
        last = answers[-1]
        return RawAnswer(value, last.body, last.http_status, last.headers, last.request_id)

    def bulk(
        self,
        method: Callable[..., Awaitable[T]],
        keys: Iterable[K] | AsyncIterable[K],
        *,
        key: str | None = None,
        concurrency: int | None = None,
        ordered: bool = False,
        **arguments: Any,
    ) -> AsyncGenerator[Done[K, T], None]:
        """One call per key, as fast as the plan allows; one that fails never ends the others::

            async for done in cj.bulk(cj.products.query, pids, key="pid"):
                done.key, done.value or done.error

        Args:
            method: the call. keys: what to ask; equal keys are asked once.
            key: the parameter that takes the key; None = the first positional one.
            concurrency: calls in flight (default: what rate times latency needs).
            ordered: in the keys' order; otherwise as they are answered.
            arguments: further parameters, the same for all.
        """
        if concurrency is not None and concurrency < 1:
            raise ConfigError(f"`concurrency` must be 1 or more, not {concurrency}")
        if isinstance(keys, str):
            raise ConfigError(f"`keys` must be a list of keys, or another iterable, not the text {keys!r}")
        limit = self._services.concurrency if concurrency is None else lambda: concurrency
        return run_bulk(method, keys, key=key, concurrency=limit, ordered=ordered, arguments=arguments)

    async def usage(self) -> Usage:
        """What is used of every limit, what is left, and when it comes back."""
        return await self._services.limiter.usage()

    async def estimate(self, method_path: str, calls: int) -> Estimate:
        """What `calls` calls of a path such as "product/list" cost on this plan: requests, points, time.

        ConfigError if there is no such path, `calls` is no whole number of 0 or more, or no day is enough for one.
        """
        return await self._services.limiter.estimate(_endpoint(method_path), calls)

    def _open_transport(self) -> Transport:
        from cjasync._transport import Transport  # aiohttp is loaded by the first call, not by `import cjasync`

        config = self.config
        transport = Transport(
            clock=self._clock,
            session=self._session,
            connections=config.connections,
            max_body=config.max_body,
            max_ratio=config.max_ratio,
        )
        self._services.transport = transport
        return transport

    @property
    def engine(self) -> Engine:
        """The door that every call passes, for what is built upon the client."""
        return self._engine

    @property
    def closed(self) -> bool:
        """Whether `aclose` was called."""
        return self._services.closed

    async def aclose(self) -> None:
        """Close: calls in flight get `grace` seconds, and ClosedError if they need longer. So do calls made later."""
        services = self._services
        if services.closed:
            return
        async with AsyncExitStack() as closing:  # each is closed, whatever befalls the one before
            closing.push_async_callback(self._close_transport)
            closing.push_async_callback(services.limiter.aclose)
            closing.push_async_callback(self._tokens.aclose)
            await services.finish(self.config.grace)

    async def _close_transport(self) -> None:
        if self._services.transport is not None:  # which a call under way may have opened after the close began
            await self._services.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<CJClient {self._services.base_url} {state}>"


def _token_store(config: Settings) -> TokenStore:
    """What the user brings; else files shared with other processes, or nothing to keep for a given token."""
    if config.token_store is None:
        return FileTokenStore() if config.api_key is not None else MemoryTokenStore()
    match config.token_store:
        case "memory":
            return MemoryTokenStore()
        case str() | os.PathLike() as folder:
            return FileTokenStore(folder)
    store: TokenStore = config.token_store
    return store


def _endpoint(path: str) -> Any:
    from cjasync.resources import endpoints

    try:
        return endpoints()[path]
    except KeyError:
        raise ConfigError(f"unknown path {path!r}: one of {', '.join(sorted(endpoints()))}") from None
