"""The buckets in Redis: one truth for several machines. Every booking is one script, in one round trip."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import msgspec

from cjasync._to_the_end import to_the_end
from cjasync.config import without_password
from cjasync.errors import ConfigError, StoreError
from cjasync.quota.bucket import Budget, Claim, Rate
from cjasync.quota.delays import Delays
from cjasync.quota.keeper import Keeper
from cjasync.quota.ledger import Settlement
from cjasync.quota.state import Blocked, BudgetState, Exhausted, NotBefore, RateState, SeatsState, State
from cjasync.quota.tickets import Booking, Ticket

if TYPE_CHECKING:
    from cjasync.quota.desk import Desk

T = TypeVar("T")

MICRO = 1000  # nanoseconds; Lua's numbers hold no more
ROOT = "cjasync:{quota}:"  # one hash slot, so that a script may take all of a request's buckets
SCRIPT = ("ground", "rate", "budget", "seats", "work")
SECONDS = 5.0  # for a connection or an answer

_encode = msgspec.json.encode


class RedisStore:
    """Limits that several machines share: redis://host:port/db. Days are those of the server's clock.

    Give each machine that has an address of its own its `egress`. `client`: a redis.asyncio client to use, which stays
    yours to close.
    """

    shared = True

    def __init__(self, url: str = "redis://localhost:6379/0", *, client: Any = None) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or 6379
        except ValueError:  # whose text may hold a part of the password
            where = without_password(url)
            raise ConfigError(f"quota: {where} is no Redis URL; write redis://user:password@host:port/db") from None
        # without a password
        self._name = "behind the given client" if client else f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"
        self._url = url
        self._given = client
        self._client: Any = client
        self._script: Any = None
        self._era: str | None = None
        self._keeper = Keeper()
        _stores.add(self)

    async def open(self, desk: Desk) -> None:
        """Connect. Raises StoreError, and ConfigError without the extra."""
        await self._run(desk, {})
        from redis.exceptions import ResponseError

        try:
            memory = await _minded(self._client.info("memory"))
        except ResponseError:  # some servers do not tell, and then it is on trust
            return
        except Exception as error:
            raise self._explained(error) from error
        if memory.get("maxmemory") and memory.get("maxmemory_policy", "noeviction") != "noeviction":
            raise StoreError(
                f"the quota store {self._name} may drop buckets when its memory is full "
                f"(maxmemory-policy {memory['maxmemory_policy']}), and limits with them; use one with noeviction"
            )

    def try_book(self, booking: Booking, desk: Desk, token: int) -> None:
        """Never at once: the buckets are elsewhere."""

    async def book(self, booking: Booking, desk: Desk, token: int) -> Ticket | Blocked:
        """Take all that a request needs, or nothing. Raises StoreError."""
        if booking.cache is None:
            booking.cache = [_claim(claim) for claim in booking.claims]
        asked = desk.ns()
        work = {"book": booking.cache, "token": str(token), "who": str(desk.who)}
        if answered := desk.hand_over():
            work["settle"] = [_job(settlement, asked) for settlement in answered]
        answer = await self._run(desk, work)
        if answer[0] == "start":
            # As of asking, so that the way to the store and back shortens no window.
            return Ticket(desk, booking, token, asked, int(answer[1]), desk.ns())
        at = desk.ns() + int(answer[1]) * MICRO
        if answer[0] == "wait":
            return NotBefore(at, answer[2])
        _, _, bucket, used, limit, source = answer
        return Exhausted(at, int(used), int(limit), bucket, source)

    def try_settle(self, settlements: Sequence[Settlement], desk: Desk) -> bool:
        """Never at once."""
        return False

    async def settle(self, settlements: Sequence[Settlement], desk: Desk) -> None:
        """Write down what became of requests. Raises StoreError."""
        await self._run(desk, {"settle": [_job(settlement, desk.ns()) for settlement in settlements]})

    async def read(self, prefix: str, desk: Desk) -> tuple[int, dict[str, State]]:
        """The moment on the buckets' clock, and the buckets whose keys begin so. Raises StoreError."""
        now = int((await self._run(desk, {}))[1]) * MICRO
        try:
            names = sorted(_text(name).split(" ", 1) for name in await _minded(self._client.smembers(ROOT + "keys")))
            ours = [(kind, key) for kind, key in names if key.startswith(prefix)]
            return now, {key: await _minded(self._fetch(kind, ROOT + key)) for kind, key in ours}
        except Exception as error:
            raise self._explained(error) from error

    async def _fetch(self, kind: str, key: str) -> State:
        redis = self._client
        if kind == "seats":
            seats = await redis.zrange(key, 0, -1, withscores=True)
            return SeatsState({_text(account): int(at) * MICRO for account, at in seats})
        found = {_text(name): int(value) for name, value in (await redis.hgetall(key)).items()}
        if kind == "budget":
            lines = [_text(line).split() for line in await redis.lrange(key + ":hours", 0, -1)]
            return BudgetState(
                charged=found.get("charged", 0),
                returned=found.get("returned", 0),
                ends=found.get("ends", 0) * MICRO,
                trickled=found.get("trickled", 0) * MICRO,
                shut=found.get("shut", 0) * MICRO,
                limit=found.get("limit"),
                filled=found.get("filled", 0) * MICRO,
                filled_at=found.get("filled_at", 0) * MICRO,
                dawn=found.get("dawn", 0),
                reported=bool(found.get("reported")),
                hours=[(int(hour), int(charged)) for hour, charged in lines],
            )
        flying = await redis.zrange(key + ":flying", 0, -1, withscores=True)
        lesser = await redis.zrange(key + ":lesser", 0, -1, withscores=True)
        coming = [int(at) * MICRO for _, at in await redis.zrange(key + ":coming", 0, -1, withscores=True)]
        said = found.get("said_limit")
        return RateState(
            flying={int(token): int(at) * MICRO for token, at in flying},
            coming=coming,
            counts=[1] * len(coming),
            away=len(coming),
            not_before=found.get("stop", 0) * MICRO,
            said=(said, found["said_per"] * MICRO, found["said_until"] * MICRO) if said else None,
            jitter=found.get("jitter", 0) * MICRO,
            jitter_until=found.get("jitter_until", 0) * MICRO,
            lesser={int(jitter) * MICRO: int(until) * MICRO for jitter, until in lesser},
            delays=Delays(credit=found.get("credit", 0) * MICRO, margin=found.get("margin", 0) * MICRO),
        )

    async def aclose(self) -> None:
        """Close the connections, unless they are the user's."""
        client, self._client, self._script = self._client, self._given, None
        if client is not None and self._given is None:
            await to_the_end(client.aclose())

    def forked(self) -> None:
        """In a child process: connections of its own."""
        self._client, self._script = self._given, None
        self._keeper = Keeper()

    def clock(self, desk: Desk) -> int:
        """Microseconds since 1970 for the script; 0 for the server's own clock."""
        return 0

    async def _run(self, desk: Desk, work: dict[str, Any]) -> list[Any]:
        self._keeper.check()
        if self._script is None:
            self._connect()
        if self._era is None:
            self._era = (await self._ask(desk, {"greeting": secrets.token_hex(8)}))[2]
        answer = await self._ask(desk, {**work, "era": self._era})
        if answer[0] == "lost":
            self._era = None
            raise StoreError(
                f"the quota store {self._name} was emptied or replaced (restarted without persistence, flushed, "
                "another server): nobody knows what today has used. The next call begins a new ledger"
            )
        return answer

    async def _ask(self, desk: Desk, work: dict[str, Any]) -> list[str]:
        try:
            answer = await _minded(self._script(keys=[ROOT], args=[_encode(work), self.clock(desk)]))
        except Exception as error:
            raise self._explained(error) from error
        return [_text(part) for part in answer]

    def _connect(self) -> None:
        if self._client is None:
            try:
                from redis.asyncio import Redis
            except ImportError as error:
                raise ConfigError(
                    "quota in Redis needs the extra `redis`: install it with pip install 'cjasync[redis]'"
                ) from error
            try:
                self._client = Redis.from_url(
                    self._url, decode_responses=True, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
                )
            except ValueError as error:
                raise ConfigError(f"{self._name} is no redis URL: redis://host:port/db") from error
        self._script = self._client.register_script(read_script())

    def _explained(self, error: Exception) -> StoreError:
        return StoreError(
            f"the quota store {self._name} failed, and nothing is sent meanwhile: "
            f"{str(error).rstrip('.') or type(error).__name__}"
        )


async def _minded(answer: Awaitable[T]) -> T:
    """Await it. A cancellation that it swallows passes all the same.

    redis-py sends under `asyncio.wait_for`, which in Python 3.11 loses one that comes just when the sending is over.
    """
    task = asyncio.current_task()
    assert task is not None, "this is a coroutine of some task"
    before = task.cancelling()
    result = await answer
    if task.cancelling() > before:
        raise asyncio.CancelledError
    return result


def read_script() -> str:
    """What runs on the server."""
    folder = files("cjasync.quota").joinpath("lua")
    return "\n".join(folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in SCRIPT)


def _claim(claim: Claim) -> dict[str, Any]:
    """A claim in the script's words."""
    if isinstance(claim, Rate):
        spoken = {"kind": "rate", "limit": claim.limit, "per": claim.per // MICRO, "jitter": claim.jitter // MICRO}
    elif isinstance(claim, Budget):
        spoken = {"kind": "budget", "limit": claim.limit, "cost": claim.cost, "keep": claim.keep}
        spoken |= {"trickles": claim.trickles, "offset": claim.offset // MICRO, "until_points": claim.until_points}
        spoken |= {"cap": claim.cap, "cap_keep": claim.cap_keep}
    else:
        spoken = {"kind": "seats", "limit": claim.limit, "account": claim.account, "stay": claim.stay // MICRO}
    return _stated({"key": claim.key, "scope": claim.scope, **spoken})


def _job(settlement: Settlement, now: int) -> dict[str, Any]:
    """A settlement in the script's words; moments become times ago, as the script has another clock."""
    refusal, points = settlement.refusal, settlement.points
    spoken = {
        "claims": [_claim(claim) for claim in settlement.booking.claims],
        "token": str(settlement.token),
        "what": settlement.what,
        "ago": max(0, now - settlement.at) // MICRO if settlement.at else 0,
        "took": settlement.took // MICRO,
        "charged": settlement.charged,
        "scope": settlement.scope,
        "stop": max(0, settlement.stop - now) // MICRO if settlement.stop else 0,
    }
    if points is not None:
        spoken["points"] = _stated({"total": points.total, "remaining": points.remaining})
    if refusal is not None:
        per = int(refusal.seconds * 1e6) if refusal.seconds else None
        spoken["refusal"] = _stated(
            {
                "kind": refusal.kind,
                "times": refusal.times,
                "per": per,
                "limit": refusal.limit,
                "remaining": refusal.remaining,
            }
        )
    return _stated(spoken)


def _text(answer: bytes | str) -> str:
    """A client of the user's may leave answers as bytes."""
    return answer.decode() if isinstance(answer, bytes) else answer


def _stated(fields: dict[str, Any]) -> dict[str, Any]:
    """What is known; Lua has another word for nothing."""
    return {name: value for name, value in fields.items() if value is not None}


_stores: WeakSet[RedisStore] = WeakSet()


def _after_fork() -> None:
    for store in _stores:
        store.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
