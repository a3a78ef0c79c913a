"""`client.settings`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from cjasync._endpoint import Endpoint
from cjasync.models.account import AccountSettings
from cjasync.resources._resource import Resource

GET: Endpoint[AccountSettings | None] = Endpoint(
    method="GET", path="setting/get", answer=AccountSettings, section="Settings"
)


class Settings(Resource):
    """The account behind the token."""

    __slots__ = ()

    def get(self) -> Coroutine[Any, Any, AccountSettings | None]:
        """The account, its stated limits and webhooks; None if CJ has nothing to tell.

        GET setting/get, 0 points. The stated limits are not those that CJ enforces: `client.usage()` knows better.

        Raises:
            NotFoundError: CJ does not know the account.
            APIError: any other refusal.
            TransportError: no readable answer.
        """
        return self._call(GET, locals())
