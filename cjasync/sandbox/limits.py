"""CJ's limits, counted strictly and on their own: nothing here is shared with the client's way of keeping them."""

from __future__ import annotations

from collections import Counter, deque

from aiohttp import web

from cjasync._clock import Clock
from cjasync.sandbox.accounts import Account, Accounts
from cjasync.sandbox.refusal import Refusal
from cjasync.sandbox.settings import Settings
from cjasync.sandbox.stats import Stats

DAY = 86_400
_MINUTES = 1440

POINTS = {
    "product/listV2": 50,
    "product/list": 50,
    "product/query": 10,
    "product/variant/query": 10,
    "product/variant/queryByVid": 10,
    "product/stock/queryByVid": 10,
    "product/stock/queryBySku": 10,
    "product/stock/getInventoryByPid": 10,
}
WITHOUT_TOKEN = {"authentication/getAccessToken", "authentication/refreshAccessToken"}


class SlidingWindow:
    """At most `limit` requests in any second, counted at their arrival; below one, a request in 1/limit seconds."""

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self._count = max(1, int(limit)) if limit is not None else 0
        self.seconds = self._count / limit if limit is not None else 0.0
        self._taken: deque[float] = deque()

    def full(self, now: float) -> bool:
        """Whether a request arriving now is one too many."""
        if self.limit is None:
            return False
        while self._taken and self._taken[0] + self.seconds <= now:
            self._taken.popleft()
        return len(self._taken) >= self._count

    def take(self, now: float) -> None:
        """Count a request."""
        if self.limit is not None:
            self._taken.append(now)

    def __str__(self) -> str:
        # CJ writes "1 time/1second".
        return f"{self._count} time/{self.seconds:g}second"


class PointsBucket:
    """A day's points: full at 00:00 UTC, total/1440 come back at every full minute."""

    def __init__(self, total: int, now: float, *, refills: bool) -> None:
        self.total = total
        self.used = 0
        self._refills = refills
        # In 1440ths of a point, so that the refill of a minute is a whole number.
        self._left = total * _MINUTES
        self._minute = int(now // 60)

    @property
    def remaining(self) -> int:
        """Whole points left."""
        return self._left // _MINUTES

    def catch_up(self, now: float) -> None:
        """Let the clock's minutes bring points back."""
        minute = int(now // 60)
        if minute <= self._minute:
            return
        if minute // _MINUTES > self._minute // _MINUTES:
            self.used = 0
            self._left = self.total * _MINUTES
        elif self._refills:
            self._left = min(self.total * _MINUTES, self._left + (minute - self._minute) * self.total)
        self._minute = minute

    def take(self, cost: int) -> None:
        """Spend points that are there."""
        self.used += cost
        self._left -= cost * _MINUTES


class Meter:
    """What one account has used."""

    def __init__(self, account: Account, now: float, *, point_refill: bool) -> None:
        plan = account.plan
        self.plan = plan
        self.window = SlidingWindow(plan.qps)
        self.points = None if plan.daily_points is None else PointsBucket(plan.daily_points, now, refills=point_refill)
        self.calls: Counter[str] = Counter()
        self.sourcing = 0
        self.login_at: float | None = None
        self._day = int(now // DAY)

    def catch_up(self, now: float) -> None:
        """Begin a new day if there is one."""
        if now // DAY > self._day:
            self._day = int(now // DAY)
            self.calls.clear()
            self.sourcing = 0
        if self.points is not None:
            self.points.catch_up(now)


class Limits:
    """All counters of one sandbox."""

    def __init__(self, settings: Settings, clock: Clock, accounts: Accounts, stats: Stats) -> None:
        self._settings = settings
        self._clock = clock
        self._accounts = accounts
        self._stats = stats
        self._meters: dict[Account, Meter] = {}
        self._addresses: dict[str, SlidingWindow] = {}
        self._users: dict[str, dict[Account, float]] = {}

    def identify(self, request: web.Request, path: str) -> Account | None:
        """Note the arrival of a request and find out who asks; None where no token is needed."""
        now = self._clock.monotonic()
        address = _address(request)
        account = None
        try:
            if path not in WITHOUT_TOKEN:
                account = self._accounts.of_token(request.headers.get("CJ-Access-Token"))
        finally:
            self._stats.arrival(now, f"ip {address}", *([] if account is None else [f"account {account.number}"]))
        return account

    def admit(self, request: web.Request, path: str, account: Account | None) -> None:
        """Count a request against every limit; a Refusal if one of them is full."""
        now = self._clock.monotonic()
        address = _address(request)
        if account is None:
            self._take_windows(now, self._window_of(address))
            return
        self._check_users(address, account)
        meter = self.meter(account)
        self._take_windows(now, self._window_of(address), meter.window)
        self._charge(meter, path)

    def meter(self, account: Account) -> Meter:
        """The counters of an account as of now."""
        now = self._clock.time()
        meter = self._meters.get(account)
        if meter is None:
            meter = self._meters[account] = Meter(account, now, point_refill=self._settings.point_refill)
        meter.catch_up(now)
        return meter

    def points_info(self, account: Account) -> dict[str, int] | None:
        """What answers carry as `pointsInfo`; None for an account without points."""
        points = self.meter(account).points
        if points is None:
            return None
        return {"total": points.total, "usedToday": points.used, "remaining": points.remaining}

    def take_login(self, account: Account) -> None:
        """Count a getAccessToken call."""
        meter = self.meter(account)
        now = self._clock.time()
        interval = account.plan.login_interval
        if interval is not None and meter.login_at is not None and 0 <= now - meter.login_at < interval:
            text = f"{self._settings.refusal_text}, QPS limit is 1 time/{interval:g} seconds"
            raise Refusal(1600200, text, status=429, kind="login")
        meter.login_at = now

    def take_sourcing(self, account: Account) -> None:
        """Count a sourcing request."""
        meter = self.meter(account)
        limit = account.plan.sourcing_daily
        if limit is not None and meter.sourcing >= limit:
            raise Refusal(1600000, "Exceeded the daily source limit", kind="sourcing")
        meter.sourcing += 1

    def _window_of(self, address: str) -> SlidingWindow:
        # An address has no plan of its own: that of the first account says what holds for all of them.
        if address not in self._addresses:
            self._addresses[address] = SlidingWindow(next(iter(self._accounts)).plan.ip_qps)
        return self._addresses[address]

    def _check_users(self, address: str, account: Account) -> None:
        now = self._clock.monotonic()
        seen = self._users.get(address, {})
        users = self._users[address] = {user: at for user, at in seen.items() if now - at < DAY}
        limit = account.plan.accounts_per_ip
        if limit is not None and account not in users and len(users) >= limit:
            raise self._too_many(f"one IP is limited to a maximum of {limit} users", kind="accounts")
        users[account] = now

    def _take_windows(self, now: float, address: SlidingWindow, account: SlidingWindow | None = None) -> None:
        windows = [("ip", address)] + ([("account", account)] if account is not None else [])
        full = [(kind, window) for kind, window in windows if window.full(now)]
        if not full or self._settings.count_refused:
            for _, window in windows:
                window.take(now)
        if full:
            kind, window = full[0]
            raise self._too_many(f"QPS limit is {window}", kind=kind)

    def _too_many(self, text: str, *, kind: str) -> Refusal:
        settings = self._settings
        return Refusal(
            1600200,
            f"{settings.refusal_text}, {text}",
            status=settings.refusal_status,
            result=settings.refusal_result,
            kind=kind,
        )

    def _charge(self, meter: Meter, path: str) -> None:
        on_points = meter.points is not None and self._settings.points_info
        limit = None if on_points else meter.plan.daily_calls
        if limit is not None and meter.calls[path] >= limit:
            text = f"Too Many Requests, Sorry, you have reached the daily request limit ({limit} times/day)"
            raise Refusal(self._settings.daily_code, text, status=429, kind="daily")
        cost = meter.plan.costs.get(path, POINTS.get(path, 0))
        points = meter.points
        if points is not None and cost:
            if points.remaining < cost:
                code = self._settings.points_code
                text = (
                    f"Insufficient API points. Used today: {points.used}, Remaining: {points.remaining}, "
                    f"Required: {cost}. Points are restored gradually."
                )
                status = 429 if code == 429 else self._settings.refusal_status
                raise Refusal(code, text, status=status, kind="points")
            points.take(cost)
        meter.calls[path] += 1


def _address(request: web.Request) -> str:
    return request.headers.get("X-Sandbox-IP") or request.remote or "unknown"
