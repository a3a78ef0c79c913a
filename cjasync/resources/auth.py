"""`client.auth`: logging in and out, and the three calls that the token manager makes by itself."""

from __future__ import annotations

from msgspec.structs import replace

from cjasync._endpoint import Endpoint
from cjasync._params import text
from cjasync.auth import Tokens
from cjasync.errors import BadResponseError
from cjasync.models import token
from cjasync.resources._resource import Resource

GET_ACCESS_TOKEN: Endpoint[token.Tokens | None] = Endpoint(
    method="POST",
    path="authentication/getAccessToken",
    answer=token.Tokens,
    authenticated=False,
    params={"api_key": text("apiKey", required=True)},
    section="Authentication",
)
REFRESH_ACCESS_TOKEN: Endpoint[token.Tokens | None] = Endpoint(
    method="POST",
    path="authentication/refreshAccessToken",
    answer=token.Tokens,
    authenticated=False,
    params={"refresh_token": text("refreshToken", max_length=4000, required=True)},
    section="Authentication",
)
LOGOUT: Endpoint[bool] = Endpoint(
    method="POST", path="authentication/logout", answer=bool, safe=False, section="Authentication"
)

LOGIN_WAIT = 5.0  # seconds for the turn among other requests, but not for the next login


class Auth(Resource):
    """Tokens. A client with an API key needs none of this: it logs in and refreshes by itself."""

    __slots__ = ()

    async def login(self) -> Tokens:
        """Have a valid pair of tokens now; CJ is asked only if none is stored that is good.

        POST authentication/getAccessToken, 0 points, once in 300 seconds per account.

        Raises:
            AuthError: CJ refused the key.
            WaitTooLongError: the 300 seconds are not over, and no token is stored.
        """
        return await self._engine.token_source.login(self._engine.options.max_wait)

    async def logout(self) -> None:
        """End both tokens, for every process that uses them (POST authentication/logout, 0 points)."""
        await self._engine.token_source.logout()

    async def authenticate(self, api_key: str) -> Tokens:
        """One getAccessToken call, without store or floor: what the token manager uses."""
        # Neither repeated nor waited for: CJ takes one in 300 seconds, and the manager knows what to do meanwhile.
        engine = self._engine.with_options(replace(self._engine.options, retries=0, max_wait=LOGIN_WAIT))
        return _tokens(await engine.call(GET_ACCESS_TOKEN, self._encoded(GET_ACCESS_TOKEN, {"api_key": api_key})))

    async def renew(self, refresh_token: str) -> Tokens:
        """One refreshAccessToken call: what the token manager uses."""
        return _tokens(await self._call(REFRESH_ACCESS_TOKEN, {"refresh_token": refresh_token}))

    async def revoke(self, access_token: str) -> None:
        """One logout call with the client's token: what the token manager uses."""
        await self._engine.call(LOGOUT, {}, token=access_token)


def _tokens(answer: token.Tokens | None) -> Tokens:
    if answer is None:
        raise BadResponseError("CJ's answer holds no access token")
    return Tokens.from_answer(
        access_token=answer.access_token,
        access_expires_at=answer.access_token_expiry_date,
        refresh_token=answer.refresh_token,
        refresh_expires_at=answer.refresh_token_expiry_date,
        created_at=answer.create_date,
        open_id=answer.open_id,
    )
