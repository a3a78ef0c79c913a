"""The one door: every call of every resource passes through `Engine.call`."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from datetime import tzinfo
from typing import Any, TypeVar

from cjasync._call import Call
from cjasync._endpoint import Endpoint
from cjasync._protocol import build_request
from cjasync._raw import capturing
from cjasync._services import Services, TokenSource
from cjasync.config import RequestOptions

T = TypeVar("T")


class Engine:
    """Makes calls with one set of options. Copies with other options share everything else."""

    def __init__(self, services: Services, options: RequestOptions) -> None:
        self.services = services
        self.options = options
        self._lane = services.flights.lane(options)

    @property
    def zone(self) -> tzinfo:
        """The zone of CJ's text dates."""
        return self.services.zone

    @property
    def token_source(self) -> TokenSource:
        """Where tokens come from."""
        assert self.services.tokens is not None, "the client wires it"
        return self.services.tokens

    def with_options(self, options: RequestOptions) -> Engine:
        """The same engine with other patience."""
        return Engine(self.services, options)

    def call(
        self, endpoint: Endpoint[T], params: Mapping[str, Any], *, token: str | None = None
    ) -> Coroutine[Any, Any, T]:
        """Make one call; see the resource's method for what it returns and raises. `token`: this one, and no other."""
        services = self.services
        request = build_request(services.base_url, endpoint, params)
        capture = capturing.get()
        call = Call(services, self.options, endpoint, request, token, capture)
        keep = endpoint.cached if services.cache else 0.0
        if not (services.coalesce or keep) or not endpoint.safe or endpoint.method != "GET" or capture is not None:
            return call.run()
        return services.flights.run(call, self._lane, keep)
