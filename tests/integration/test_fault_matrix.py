"""Everything that can go wrong on the wire, in each place where it can: what happens is the table of docs/faults.md.

Whatever happens, nothing hangs, leaks, loses a row, raises an untyped error or writes twice. After a change that is
meant: `python -m tests.integration.test_fault_matrix` writes the table anew.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from loops import run_clean

from cjasync import CJClient, CJError, OutcomeUnknownError, Plan, QuotaExhaustedError
from cjasync.sandbox import Sandbox
from cjasync.sandbox.faults import Fault
from cjasync.sandbox.mishaps import KINDS
from cjasync.testing import clock
from cjasync.testing.plugin import sandbox_client

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
COLUMNS = ("read", "write", "page of a walk", "token refresh")
PLAN = Plan(
    qps=None,
    ip_qps=None,
    accounts_per_ip=None,
    daily_calls=None,
    daily_points=None,
    sourcing_daily=None,
    login_interval=None,
)
QPS = "Too Many Requests, QPS limit is 1 time/1second"
POINTS = "Insufficient API points. Used today: 50000, Remaining: 0, Required: 10."


class Mishap(NamedTuple):
    """A row of the table."""

    name: str
    kind: str
    parameters: dict[str, Any]


def mishap(name: str, kind: str, **parameters: Any) -> Mishap:
    return Mishap(name, kind, parameters)


MISHAPS = (
    mishap("refused: busy (1600000)", "refuse"),
    mishap("refused: too fast (1600200)", "refuse", code=1600200, message=QPS),
    mishap("refused: too fast, without `result`", "refuse", code=1600200, message=QPS, without=("result", "success")),
    mishap("refused: points used up (16900500)", "refuse", code=16900500, message=POINTS),
    mishap("refused: token (1600001)", "refuse", code=1600001, message="Invalid API key or access token"),
    mishap("refused: parameter (1600300)", "refuse", code=1600300, message="Param error"),
    mishap("refused: read timed out (1600301)", "refuse", code=1600301, message="Read timed out"),
    mishap("HTTP 500", "status", status=500),
    mishap("HTTP 503, carried out", "status", status=503, executes=True),
    mishap("HTTP 429 without a body", "status", status=429),
    mishap("HTTP 401 without a body", "status", status=401),
    mishap("HTTP 403 page", "html", status=403),
    mishap("HTTP 404 page", "html", status=404),
    mishap("redirect", "status", status=302, headers={"Location": "http://127.0.0.1:9/"}),
    mishap("HTML with HTTP 200", "html"),
    mishap("text of a proxy", "not_json"),
    mishap("no HTTP at all", "not_http"),
    mishap("empty body", "empty"),
    mishap("success without data", "transient_empty"),
    mishap("closed before the answer", "close_before"),
    mishap("reset before the answer", "close_before", reset=True),
    mishap("carried out, then closed", "execute_then_drop"),
    mishap("carried out, then reset", "execute_then_drop", reset=True),
    mishap("kept-alive connection dropped", "drop_kept_alive"),
    mishap("closed behind the head", "close_headers"),
    mishap("closed in the body", "close_body"),
    mishap("closed after the answer", "close_after"),
    mishap("body cut short", "truncate"),
    mishap("body cut short, length not told", "truncate", announced=False),
    mishap("length too small", "wrong_length", by=-5),
    mishap("length too large", "wrong_length", by=5),
    mishap("late", "delay", seconds=0.2),
    mishap("later than the timeout", "delay", seconds=5.0),
    mishap("slow drip", "slow_drip", size=20_000, pause=0.01),
    mishap("drip slower than the timeout", "slow_drip", size=20, pause=0.5),
    mishap("no answer at all", "stall"),
    mishap("head, then nothing", "stall", after_headers=True),
    mishap("gzip that is none", "bad_gzip"),
    mishap("gzip cut short", "bad_gzip", form="truncated"),
    mishap("gzip with a wrong checksum", "bad_gzip", form="checksum"),
    mishap("gzip bomb", "gzip_bomb", size=20_000_000),
    mishap("body beyond max_body", "huge_body", size=5_000_000),
    mishap("body beyond max_body, length not told", "huge_body", size=5_000_000, announced=False),
    mishap("answer called HTML", "wrong_content_type"),
    mishap("no UTF-8 in the message", "bad_utf8"),
    mishap("no UTF-8 in a name", "bad_utf8", field="productNameEn"),
    mishap("keys twice, refusal first", "duplicate_keys"),
    mishap("keys twice, refusal last", "duplicate_keys", first=False),
    mishap("10,000 levels in the data", "deep_json"),
    mishap("10,000 levels of keys in the data", "deep_json", keys=True),
    mishap("10,000 levels in the message", "deep_json", field="message"),
    mishap("10,000 levels of keys where no field is", "deep_json", field="unheardOf", keys=True),
    mishap("code of 400 digits", "huge_number"),
    mishap("total of 400 digits", "huge_number", field="total"),
)
# A server that says no to what it has done cannot be seen through.
LIES = {"keys twice, refusal last"}


class Told(NamedTuple):
    """What became of a call."""

    words: str
    error: CJError | None = None


class Stage:
    """A sandbox and a client of it, before the fault."""

    def __init__(self, mishap: Mishap, box: Sandbox, cj: CJClient) -> None:
        self.mishap = mishap
        self.box = box
        self.cj = cj
        self.pids = [product.pid for product in box.catalogue.truth()]

    def sends(self, path: str) -> int:
        return self.box.stats()["by_path"].get(path, 0)

    def secrets_in(self, error: BaseException | None) -> bool:
        """Whether the error, or one that it came from, shows a key or a token."""
        tokens = self.box.account.tokens
        secrets = [self.box.api_key] + ([tokens.access, tokens.refresh] if tokens else [])
        while error is not None:
            shown = f"{error!r} {error} {error.args} {vars(error)}"
            if any(secret in shown for secret in secrets):
                return True
            error = error.__cause__ or error.__context__
        return False

    async def told(self, path: str, call: Callable[[], Awaitable[Any]]) -> tuple[Told, Any]:
        before = self.sends(path)
        error: CJError | None = None
        try:
            async with asyncio.timeout(300):  # never a hang
                value = await call()
        except CJError as raised:
            error = raised
        if error is not None:
            assert error.endpoint, "every error says where"
            assert not self.secrets_in(error)
            return Told(type(error).__name__, error), None
        sends = self.sends(path) - before
        return Told("answer" if sends == 1 else f"answer, {sends} sends"), value


async def read(stage: Stage) -> str:
    wanted = await stage.cj.products.query(pid=stage.pids[0])
    stage.box.faults.add(*due())
    told, value = await stage.told("product/query", lambda: stage.cj.products.query(pid=stage.pids[0]))
    if told.error is None:
        assert value == wanted or (value is None and "nothing" in wanted_words(told, value))
    return wanted_words(told, value)


def wanted_words(told: Told, value: Any) -> str:
    return "nothing" if told.error is None and value is None else told.words


async def write(stage: Stage) -> str:
    stage.box.faults.add(*due())
    told, value = await stage.told(
        "product/sourcing/create",
        lambda: stage.cj.sourcing.create(product_name="Hoodie", product_image="https://x.example/1.jpg"),
    )
    written = len(stage.box.shelf.sourcing)
    assert written <= 1, "never twice"
    if told.error is None:
        assert written == (value is not None)
    elif not isinstance(told.error, OutcomeUnknownError):
        assert written == 0 or stage.mishap.name in LIES, "an error that says no means no"
    return wanted_words(told, value)


async def walk(stage: Stage) -> str:
    rows = [row.pid async for row in stage.cj.products.list(page_size=4)]
    assert sorted(rows) == sorted(stage.pids)
    stage.box.faults.add(*due())
    had: list[str] = []
    skipped = 0

    async def all_pages() -> None:
        nonlocal skipped
        async for page in stage.cj.products.list(page_size=4).concurrently(2).pages():
            had.extend(row.pid for row in page)
            skipped += len(page.skipped)

    told, _ = await stage.told("product/list", all_pages)
    assert had == rows[: len(had)] or skipped
    if told.error is None:
        assert len(had) + skipped == len(rows), "every row once, or reported with its bytes"
        sends = told.words.replace("answer, 3 sends", "answer").replace("answer, 4 sends", "answer, 1 send more")
        return f"{skipped} rows skipped" if skipped else sends.replace("answer, 5 sends", "answer, 2 sends more")
    stage.box.faults.clear()
    assert told.error.cursor is not None
    if isinstance(told.error, QuotaExhaustedError):
        await asyncio.sleep(600)  # until there are points again
    had.extend([row.pid async for row in stage.cj.products.list(cursor=told.error.cursor)])
    assert had == rows, "going on at the cursor gives what is missing"
    return told.words


async def refresh(stage: Stage) -> str:
    await stage.cj.products.query(pid=stage.pids[0])
    stage.box.expire_tokens()
    stage.box.faults.add(*due())
    logins = stage.sends("authentication/getAccessToken")
    told, value = await stage.told(
        "authentication/refreshAccessToken", lambda: stage.cj.products.query(pid=stage.pids[0])
    )
    assert told.error is not None or value.pid == stage.pids[0]
    return "answer, by a login" if stage.sends("authentication/getAccessToken") > logins else told.words


ACTS = dict(zip(COLUMNS, (read, write, walk, refresh), strict=True))
PATHS = dict(
    zip(
        COLUMNS,
        ("product/query", "product/sourcing/create", "product/list", "authentication/refreshAccessToken"),
        strict=True,
    )
)
_due: list[Fault] = []


def due() -> list[Fault]:
    return _due


async def cell(mishap: Mishap, column: str) -> str:
    """What happens if it happens once, and if it goes on and on."""
    words = []
    for times in (1, None):
        parameters = dict(mishap.parameters)
        # The second page of the walk; of the others, the call itself.
        nth = {} if times is None else {"times": 1}
        if column == "page of a walk":
            nth["when"] = lambda request: request.query.get("pageNum") == "2"
        _due[:] = [Fault(mishap.kind, PATHS[column], **nth, **parameters)]
        time = asyncio.get_running_loop().clock  # type: ignore[attr-defined]
        async with (
            Sandbox(products=12, plan=PLAN, clock=time) as box,
            sandbox_client(
                box, access_token=None, api_key=box.api_key, clock=time, timeout=0.5, max_body=2_000_000
            ) as cj,
        ):
            stage = Stage(mishap, box, cj)
            await cj.categories.get()  # a token, and a connection
            words.append(await ACTS[column](stage))
            assert box.faults.hits or mishap.kind == "drop_kept_alive"
            box.faults.clear()
            await cj.with_options(max_wait=None).categories.get()  # and it works as before
    once, always = words
    return once if once == always else f"{once} / {always}"


async def row(mishap: Mishap) -> list[str]:
    return [await cell(mishap, column) for column in COLUMNS]


def documented() -> dict[str, list[str]]:
    """The rows of the table in the document."""
    rows = {}
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| what", "|--")):
            name, *cells = (part.strip() for part in line.strip("|").split("|"))
            rows[name] = cells
    return rows


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends of each socket are in one loop: what is sent is there at once."""
    monkeypatch.setattr(clock, "PATIENCE", 0.0)


@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.name)
def test_what_happens_is_what_the_document_says(mishap: Mishap) -> None:
    assert documented()[mishap.name] == run_clean(row(mishap), "virtual")


def test_every_kind_of_fault_is_in_the_table() -> None:
    assert {mishap.kind for mishap in MISHAPS} == set(KINDS)
    assert list(documented()) == [mishap.name for mishap in MISHAPS]


if __name__ == "__main__":
    lines = [f"| {' | '.join(['what goes wrong', *COLUMNS])} |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join([mishap.name, *run_clean(row(mishap), 'virtual')])} |" for mishap in MISHAPS]
    head = DOCUMENT.read_text("utf-8").split("| what goes wrong")[0] if DOCUMENT.exists() else ""
    DOCUMENT.write_text(head + "\n".join(lines) + "\n", "utf-8")
