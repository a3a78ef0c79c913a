"""CJ's protocol as pure functions: build a request, read an answer, say what it means. No clock, no socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, quote_plus, urlsplit

import msgspec
from msgspec import Struct

from cjasync._decode import AnswerDecoder
from cjasync._endpoint import Endpoint, Paging
from cjasync._envelope import Envelope, Malformed, decode_envelope
from cjasync.errors import (
    CODES,
    AlreadyExistsError,
    APIError,
    AuthError,
    BadResponseError,
    CJError,
    QuotaExhaustedError,
    RateLimitedError,
    TooManyAccountsError,
    UnavailableError,
    WaitTooLongError,
)
from cjasync.quota.facts import BUCKETS, PointsInfo, Refusal

TOKEN_HEADER = "CJ-Access-Token"  # noqa: S105 - the header's name
BODY_KEPT = 64 * 1024  # bytes of an unreadable answer that its error keeps
TEXT_KEPT = 1000  # characters of CJ's message

# The codes that say "this token is no longer any good": worth one refresh (CJ's table, 3 Global error codes).
_STALE_TOKEN = frozenset((1600001, 1600003, 1600030))
_LOGIN = "authentication/getAccessToken"
# Those of other requests too, and what is left of one that was cut short: CJ's keys and tokens by their look.
_CREDENTIAL = re.compile(r"API@CJ[\w@:.-]*|(?:CJ\d{1,20})?@api@[\w.-]*", re.ASCII)
_CREDENTIAL_BYTES = re.compile(_CREDENTIAL.pattern.encode())
# Figures of a sane length only: a number of 5000 digits is no number, and no refusal lasts for years.
_RATE = re.compile(r"qps limit is\s*(\d{1,6})\s*times?\s*/\s*(\d{1,5}(?:\.\d{1,6})?)\s*second", re.ASCII)
_USERS = re.compile(r"maximum of (\d{1,6}) users", re.ASCII)
_DAILY = re.compile(r"daily request limit\s*\(?\s*(\d{1,12})?\b", re.ASCII)
_POINTS = re.compile(
    r"used today:\s*(\d{1,12})\b.*?remaining:\s*(\d{1,12})\b(?:.*?required:\s*(\d{1,12})\b)?", re.ASCII | re.DOTALL
)


class Request(Struct, frozen=True):
    """What goes over the wire; the token is added where it is sent."""

    method: str
    url: str
    body: bytes | None = None


class Verdict(Struct, frozen=True):
    """What an answer means: its value, or the error and what may be done about it."""

    value: Any = None
    error: CJError | None = None
    points: PointsInfo | None = None
    refusal: Refusal | None = None
    request_id: str | None = None
    stale_token: bool = False
    passing: bool = False  # the same request may well work in a moment
    doubtful: bool = False  # CJ may have carried the request out all the same


def build_request(base_url: str, endpoint: Endpoint[Any], params: Mapping[str, Any]) -> Request:
    """The request of one call. Query values are texts already; a body is JSON."""
    url = f"{base_url}/{endpoint.path}"
    if endpoint.method == "POST":
        return Request("POST", url, msgspec.json.encode(params) if params else None)
    return Request("GET", f"{url}?{_query(params)}" if params else url)


def _query(params: Mapping[str, Any]) -> str:
    pairs = []
    for name, value in params.items():
        text = str(value)
        # Most are numbers and ids, of which nothing needs quoting, as in CJ's names; asking costs much less than doing.
        plain = text.isascii() and text.replace("-", "").isalnum()
        pairs.append(f"{name}={text if plain else quote_plus(text)}")
    return "&".join(pairs)


_DECODERS: dict[str, AnswerDecoder[Any]] = {}


def _decoder_of(endpoint: Endpoint[Any]) -> AnswerDecoder[Any]:
    decoder = _DECODERS.get(endpoint.path)
    if decoder is None:
        decoder = _DECODERS[endpoint.path] = AnswerDecoder(endpoint.answer)
    return decoder


def page_asked_for(paging: Paging, request: Request) -> int:
    """The number of the page that this request is for."""
    return int(parse_qs(urlsplit(request.url).query)[paging.page][0])


def read_answer(endpoint: Endpoint[Any], http_status: int, body: bytes | memoryview, max_depth: int = 64) -> Verdict:
    """Judge an answer: CJ's code first, then the HTTP status, then the shape."""
    try:
        if 200 <= http_status < 300:
            envelope, value = _decoder_of(endpoint).decode(body, max_depth)
            if envelope.succeeded:
                return Verdict(value, None, envelope.points_info, None, envelope.request_id)
        else:
            envelope = decode_envelope(bytes(body))
    except Malformed as malformed:
        return _unreadable(endpoint, http_status, bytes(body), malformed)
    if envelope.succeeded is None or (envelope.succeeded and http_status < 400):
        return _unreadable(endpoint, http_status, bytes(body), Malformed("is no answer of CJ's"))
    return _refused(endpoint, http_status, envelope)


def _unreadable(endpoint: Endpoint[Any], http_status: int, body: bytes, why: Malformed) -> Verdict:
    facts: dict[str, Any] = {"http_status": http_status, "endpoint": endpoint.path}
    if http_status == 429:
        error: CJError = RateLimitedError("CJ refused the request for going too fast", **facts)
        return Verdict(error=error, refusal=Refusal(kind="login" if endpoint.path == _LOGIN else "qps"), passing=True)
    if http_status in (401, 403):
        return Verdict(error=AuthError("CJ refused access", **facts), stale_token=http_status == 401)
    if http_status >= 500:
        error = UnavailableError(f"CJ answered HTTP {http_status}", **facts)
        return Verdict(error=error, passing=True, doubtful=True)
    facts["body"] = body[:BODY_KEPT]
    if 300 <= http_status < 400:
        text = f"CJ answered with a redirect (HTTP {http_status}), which is not followed so that the token stays here"
        return Verdict(error=BadResponseError(text, **facts), doubtful=True)
    text = f"the answer {why} (HTTP {http_status}, {len(body)} bytes, at {why.path}; it begins {_begins(body)})"
    success = http_status < 300
    # Bytes that are no answer may be whole the next time. A value inside an answer stays as odd as it is.
    passing = success and not why.path.startswith("data.")
    return Verdict(error=BadResponseError(text, path=why.path, **facts), passing=passing, doubtful=success)


def conceal(error: CJError, endpoint: Endpoint[Any], request: Request, token: str | None) -> None:
    """Take out of an error what must not be seen, should CJ's answer repeat it."""
    if isinstance(error, BadResponseError) and getattr(endpoint.answer, "__secret__", None):
        error.body = b""
        if error.path is not None:
            error.args = (
                f"the answer, which may hold secrets, cannot be read at {error.path} (HTTP {error.http_status})",
            )
    secrets = [token] if token else []
    if not endpoint.authenticated and request.body is not None:
        secrets += msgspec.json.decode(request.body, type=dict[str, str]).values()
    for secret in secrets:
        error.args = (error.message.replace(secret, "***"),)
        if isinstance(error, BadResponseError):
            error.body = error.body.replace(secret.encode(), b"***")
    error.args = (_CREDENTIAL.sub("***", error.message),)
    if isinstance(error, BadResponseError):
        error.body = _CREDENTIAL_BYTES.sub(b"***", error.body)


def _begins(body: bytes) -> str:
    return repr(body[:60].decode("utf-8", "replace")) if body else "with nothing: it is empty"


def _refused(endpoint: Endpoint[Any], http_status: int, envelope: Envelope[Any]) -> Verdict:
    code, text = envelope.code, (envelope.message or "")[:TEXT_KEPT].strip()
    said = text.lower()
    facts: dict[str, Any] = {
        "code": code,
        "http_status": http_status,
        "request_id": envelope.request_id,
        "endpoint": endpoint.path,
        "points": envelope.points_info,
    }
    text = text or "CJ refused without saying why"
    told: dict[str, Any] = {"points": envelope.points_info, "request_id": envelope.request_id}
    refusal = _refusal(endpoint, http_status, code, said)
    if refusal is not None and refusal.kind == "account":
        full = TooManyAccountsError(text, limit=refusal.limit or 0, endpoint=endpoint.path)
        return Verdict(error=full, refusal=refusal, **told)
    if refusal is not None and refusal.kind in ("qps", "login"):
        return Verdict(error=RateLimitedError(text, **facts), refusal=refusal, passing=True, **told)
    if refusal is not None:
        bucket, limit = BUCKETS[refusal.kind], refusal.limit
        if bucket == "points" and envelope.points_info is not None:
            limit = envelope.points_info.total
        spent = QuotaExhaustedError(text, bucket=bucket, used=refusal.used, limit=limit, **facts)
        return Verdict(error=spent, refusal=refusal, **told)
    broken = http_status >= 500 or 500 <= (code or 0) < 600  # CJ was seen to put HTTP's codes into the body
    cls = CODES.get(code or 0) or CODES.get(http_status) or (UnavailableError if broken else APIError)
    if code == 1600000 and not endpoint.safe and ("has been added" in said or "already" in said):
        return Verdict(error=AlreadyExistsError(text, **facts), **told)
    if cls in (QuotaExhaustedError, RateLimitedError):
        cls = APIError  # `_refusal` has taken all that are really about a quota
    stale = code in _STALE_TOKEN or 401 in (code, http_status)
    passing = cls is UnavailableError
    contradicts_itself = True in (envelope.result, envelope.success)
    # "System busy" is an answer: it was not carried out.
    doubtful = contradicts_itself or (passing and (broken or code != 1600000))
    return Verdict(error=cls(text, **facts), stale_token=stale, passing=passing, doubtful=doubtful, **told)


def no_other_token(refused: CJError, why: AuthError | WaitTooLongError) -> CJError:
    """CJ refused a token, and this is why there is no other: one error that tells both."""
    told = refused if isinstance(why, AuthError) and why.code is None else why  # CJ's facts, where `why` has none
    told.args = (f"CJ refused the token ({refused.message}); {why.message}",)
    return told


def _refusal(endpoint: Endpoint[Any], http_status: int, code: int | None, said: str) -> Refusal | None:
    """Which limit refused, and the figures that its text states. Texts decide where codes are shared."""
    if code == 16900500 or "insufficient api points" in said:
        figures = _POINTS.search(said)
        used, remaining, required = map(_int, figures.groups()) if figures else (None, None, None)
        return Refusal(kind="points", used=used, remaining=remaining, required=required)
    if "daily request limit" in said or code == 1600201:
        figures = _DAILY.search(said)
        return Refusal(kind="daily", limit=_int(figures[1]) if figures else None)
    if "daily source limit" in said:
        return Refusal(kind="sourcing")
    if users := _USERS.search(said):
        return Refusal(kind="account", limit=_int(users[1]))
    if code in (1600200, 429) or http_status == 429 or "too many requests" in said or "too much request" in said:
        rate = _RATE.search(said)
        kind: Literal["login", "qps"] = "login" if endpoint.path == _LOGIN else "qps"
        if rate is None:
            return Refusal(kind=kind)
        return Refusal(kind=kind, times=int(rate[1]), seconds=float(rate[2]))
    return None


def _int(text: str | None) -> int | None:
    return int(text) if text else None
