"""Whatever is wrong: the right exit code, a sentence that says what and where, no traceback, no secret, no file."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cjasync.sandbox.shapes import SHAPES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "p.xlsx"], "p.xlsx: the suffix says the format; use one of .jsonl"),
        (["--out", "nowhere/p.csv"], "the folder nowhere does not exist"),
        (["--out", "."], "the suffix says the format"),
        (["--out", "p.csv", "--min-price", "cheap"], "--min-price: expected an amount, got 'cheap'"),
        (["--out", "p.csv", "--page-size", "500"], "--page-size: must be 1 to 200"),
        (["--out", "p.csv", "--delivery-time", "25"], "--delivery-time: must be one of 24, 48, 72"),
        (["--out", "p.csv", "--is-free-shipping", "perhaps"], "--is-free-shipping: expected yes or no, got 'perhaps'"),
        (["--out", "p.csv", "--key-word", "dress"], "--key-word is a filter of --api list_v2, not of list"),
        (["--out", "p.csv", "--api", "list_v2", "--pid", "1"], "--pid is a filter of --api list, not of list_v2"),
        (["--out", "p.csv", "--min-price", "9", "--max-price", "2"], "--min-price '9' is above --max-price '2'"),
        (["--out", "p.csv", "--concurrency", "0"], "--concurrency must be 1 or more"),
        (["--out", "p.csv", "--qps", "many"], "--qps: expected a number above 0, or none; not 'many'"),
        (["--out", "p.csv", "--jitter", "99"], "--jitter must be a minute at most, in seconds; not 99"),
        (["--out", "p.csv", "--qps", "-1"], "--qps: expected a number above 0, or none; not '-1'"),
        (["--out", "p.csv", "--plan", "gold"], "unknown plan 'gold'"),
        (["--out", "p.csv", "--base-url", "ftp://example.com"], "--base-url must begin with https://"),
        (["--out", "p.csv", "--base-url", "http://example.com"], "use https, or give --allow-http\n"),
        (["--out", "p.csv", "--quota-url", "ouija://board"], "quota"),
    ],
)
def test_usage_errors_end_with_2_before_anything_is_sent(cj, cjasync, arguments, said):
    before = requests(cj)
    result = cjasync("pull", *cj.access, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert list(Path().iterdir()) == []
    assert requests(cj) == before


def test_a_file_that_cannot_be_written_ends_with_5_before_anything_is_sent(cj, cjasync):
    before = requests(cj)
    result = cjasync("pull", *cj.access, "--out", "/proc/p.csv")
    assert result.exit_code == 5
    assert "cannot write /proc/p.csv: No such file or directory" in result.stderr
    told = json.loads(cjasync("pull", *cj.access, "--out", "/proc/p.csv", "--json").stdout)
    assert (told["error"], told["exit_code"]) == ("OutputError", 5)
    assert requests(cj) == before


def test_the_exit_codes_are_in_the_help(cjasync):
    assert "4 a quota is used up" in " ".join(cjasync("--help").stdout.split())


def requests(cj):
    import urllib.request

    with urllib.request.urlopen(f"{cj.origin}/_sandbox/stats") as answer:
        return json.load(answer)["requests"]


@pytest.mark.parametrize(
    "arguments", [["pull"], ["pull", "--out", "p.csv", "--no-such"], ["fetch"], ["search"], ["show"]]
)
def test_what_typer_refuses_ends_with_2(cjasync, arguments):
    result = cjasync(*arguments)
    assert result.exit_code == 2
    assert "Usage: cjasync" in result.stderr


def test_a_search_for_nothing_is_told_in_words(cjasync):
    result = cjasync("search", " ")
    assert result.exit_code == 2
    assert "no words to search for" in result.stderr


def test_an_unknown_choice_is_told_without_the_checkers_own_words(cjasync):
    result = cjasync("pull", "--out", "p.csv", "--with", "foo", env={"COLUMNS": "120"})
    assert result.exit_code == 2
    assert "Invalid value for '--with': 'foo' is not one of 'query', 'stock'" in result.stderr


@pytest.mark.parametrize("command", [["pull", "--out", "p.csv"], ["search", "x"], ["show", "1"], ["usage"], ["login"]])
def test_without_credentials_it_ends_with_3_and_says_what_to_set(cjasync, command):
    result = cjasync(*command)
    assert result.exit_code == 3
    assert "CJ_API_KEY" in result.stderr
    assert list(Path().iterdir()) == []


def test_a_wrong_token_and_a_wrong_key_end_with_3_and_are_never_printed(cj, cjasync):
    for number, option in enumerate(("--access-token", "--api-key", "--access-token", "--api-key")):
        secret = f"CJ12345{number}@api@0123456789abcdef0123456789abcdef"
        more = ["--json"] if number > 1 else []
        result = cjasync(
            "pull", "--out", "p.csv", "--base-url", cj.base_url, "--quota-url", "memory", option, secret, *more
        )
        assert result.exit_code == 3
        assert secret not in result.output
        assert "0123456789abcdef" not in result.output
    assert list(Path().iterdir()) == []


def test_wrong_keys_leave_the_seats_of_the_address_free(cj, cjasync):
    limits = ["--base-url", cj.base_url, "--qps", "none", "--ip-qps", "none"]
    for n in range(4):
        wrong = ("--api-key", f"CJ77{n}@api@wrong") if n % 2 else ("--access-token", f"API@CJ77{n}@CJ:wrong")
        assert cjasync("search", "dress", *limits, *wrong).exit_code == 3
    told = json.loads(cjasync("usage", *limits, "--access-token", cj.access_token, "--json").stdout)
    seats = next(bucket for bucket in told["buckets"] if bucket["unit"] == "accounts")
    assert (seats["used"], seats["limit"]) == (1, 3)
    told = json.loads(
        cjasync("usage", *limits, "--access-token", cj.access_token, "--json", "--accounts-per-ip", "none").stdout
    )
    assert not [bucket for bucket in told["buckets"] if bucket["unit"] == "accounts"]


def test_a_ledger_that_fails_ends_with_5_and_a_place_for_one_that_cannot_be_with_2(cj, cjasync):
    access = ["--base-url", cj.base_url, "--access-token", cj.access_token, "--quota-url"]
    result = cjasync("usage", *access, "redis://127.0.0.1:1/0")
    assert result.exit_code == 5
    assert "redis://127.0.0.1:1/0 failed, and nothing is sent meanwhile: " in result.stderr
    assert ".;" not in result.stderr
    Path("q.db").write_text("no ledger" * 100)
    result = cjasync("usage", *access, "sqlite:///" + str(Path("q.db").absolute()))
    assert result.exit_code == 5
    assert "q.db is damaged" in result.stderr
    Path("q.db").unlink()
    result = cjasync("usage", *access, "sqlite:///" + str(Path("no/q.db").absolute()))
    assert result.exit_code == 2
    assert "no for the quota database does not exist; create it first" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_what_starts_a_cj_of_its_own_takes_no_other(cjasync, command):
    result = cjasync(command, "--base-url", "http://127.0.0.1:1")
    assert result.exit_code == 2
    assert "--base-url has no meaning here" in result.stderr
    shown = cjasync(command, "--help").stdout
    assert "--daily-points" in shown
    for option in ("--base-url", "--allow-http", "--access-token", "--api-key", "--quota-url", "--retries"):
        assert option not in shown
        assert option in cjasync("search", "--help").stdout


def test_an_unknown_shape_is_told_before_products_are_made(cjasync):
    result = cjasync("sandbox", "--shape", "foo", env={"CJ_BASE_URL": "http://cj.example"})
    assert result.exit_code == 2
    assert result.stderr.startswith("error: unknown shape 'foo': choose one of market, ")
    shown = cjasync("sandbox", "--help").stdout
    assert all(shape in shown for shape in SHAPES)


def test_an_unknown_product_is_what_was_asked_wrongly(cj, cjasync):
    result = cjasync("show", "no-such-product", *cj.access)
    assert result.exit_code == 2
    assert "Product not found" in result.stderr
    told = json.loads(cjasync("show", "no-such-product", "--json", *cj.access).stdout)
    assert (told["error"], told["exit_code"], told["code"]) == ("NotFoundError", 2, 1602001)


RUBBISH = {
    "html": b"<html><h1>It works!</h1></html>",
    "empty": b"",
    "cut": b'{"code":200,"data":{"list":[{"pid"',
}


class Rubbish(BaseHTTPRequestHandler):
    def do_GET(self):
        what = self.path.split("/")[1]
        body = RUBBISH.get(what, b"<html>Bad Gateway</html>")
        self.send_response(200 if what in RUBBISH else 502)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def rubbish():
    """A server that answers with anything but CJ's envelopes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Rubbish) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("html", "is not a JSON object"),
        ("empty", "it is empty"),
        ("cut", "is not a JSON object"),
        ("gateway", "HTTP 502"),
    ],
)
def test_answers_that_are_none_end_with_5(rubbish, cjasync, what, said):
    access = [
        "--base-url",
        f"{rubbish}/{what}",
        "--access-token",
        "TOKEN-OF-OURS",
        "--quota-url",
        "memory",
        "--retries",
        "0",
    ]
    result = cjasync("pull", "--out", "p.csv", *access)
    assert result.exit_code == 5
    assert said in result.stderr
    assert "product/list" in result.stderr
    assert list(Path().iterdir()) == []


def test_nobody_at_the_base_url_ends_with_5(cjasync):
    access = [
        "--base-url",
        "http://127.0.0.1:1/",
        "--access-token",
        "TOKEN-OF-OURS",
        "--quota-url",
        "memory",
        "--retries",
        "0",
    ]
    result = cjasync("search", "dress", *access)
    assert result.exit_code == 5
    assert "no connection" in result.stderr
    told = json.loads(cjasync("pull", "--out", "p.csv", "--json", *access).stdout)
    assert told["error"] == "ConnectError"
    assert told["partial"] is None
