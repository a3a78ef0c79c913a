"""`cjasync pull`: files that hold what CJ holds, nothing half done under the final name, going on where it stopped."""

import json
import re
import urllib.request
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cjasync.catalog.sinks import SUFFIXES, read_rows
from cjasync.models.product import ListedProduct, SearchProduct

SUMMARY = {
    "products",
    "unique",
    "pages",
    "requests",
    "refused",
    "retried",
    "points",
    "skipped",
    "unreachable",
    "seconds",
    "file",
    "walk",
}


def summary(result):
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def requests(cj):
    """How many the sandbox has had."""
    with urllib.request.urlopen(f"{cj.origin}/_sandbox/stats") as answer:
        return json.load(answer)["requests"]


def made_at(product):
    made = product["created_ms"]
    return None if made is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=made)


def here():
    return sorted(path.name for path in Path().iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_what_cj_holds(cj, cjasync, suffix):
    file = f"products{suffix}"
    told = summary(cjasync("pull", "--out", file, "--json", *cj.access))
    assert told.keys() == SUMMARY
    report = told.pop("walk")
    assert report["proved"]
    assert (report["total_before"], report["total_after"], report["lower_bound"]) == (1_000, 1_000, 5)
    assert 5 < report["requests"] <= 8  # some pages twice, to see that nothing has moved
    assert told | {"seconds": 0} == {
        "products": report["products"],
        "unique": 1_000,
        "pages": report["requests"],
        "requests": report["requests"],
        "refused": 0,
        "retried": 0,
        "points": 50 * report["requests"],
        "skipped": 0,
        "unreachable": 0,
        "seconds": 0,
        "file": file,
    }
    assert here() == [file, f"{file}.checkpoint"]
    truth = cj.truth()
    rows = list(read_rows(file, ListedProduct))
    assert len(rows) == len(truth) == 1_000
    for row in rows:
        product = truth.pop(row["pid"])
        assert row["product_name_en"] == product["name_en"]
        assert row["product_name"] == tuple(product["names_zh"])
        assert (row["sell_price_low"], row["sell_price_high"]) == (
            Decimal(product["price_low"]),
            Decimal(product["price_high"]),
        )
        assert (row["product_weight_low"], row["product_weight_high"]) == (
            product["weight_low"],
            product["weight_high"],
        )
        assert row["create_time"] == made_at(product)
        assert row["is_free_shipping"] is product["free_shipping"]
        assert abs((row["fetched_at"] - datetime.now(UTC)).total_seconds()) < 600


def test_list_v2_is_pulled_a_hundred_a_page(cj, cjasync):
    told = summary(cjasync("pull", "--out", "p.parquet", "--api", "list_v2", "--json", *cj.access))
    listed = {pid for pid, product in cj.truth().items() if not product["delisted"]}
    assert (told["pages"], told["points"], told["unique"]) == (10, 500, len(listed))
    assert {row["id"] for row in read_rows("p.parquet", SearchProduct)} == listed


def test_filters_of_both_listings_reach_cj(cj, cjasync):
    category = next(iter(cj.truth().values()))["category_id"]
    told = summary(cjasync("pull", "-o", "a.jsonl", "--category-id", category, "--json", *cj.access))
    there = {pid for pid, product in cj.truth().items() if product["category_id"] == category}
    assert 0 < told["unique"] == len(there) < 1_000
    free = summary(cjasync("pull", "-o", "b.jsonl", "--is-free-shipping", "yes", "--json", *cj.access))
    paid = summary(cjasync("pull", "-o", "c.jsonl", "--is-free-shipping", "no", "--json", *cj.access))
    assert 0 < free["unique"] < 1_000 == free["unique"] + paid["unique"]
    ranges = ("--start-sell-price", "5", "--end-sell-price", "10.5", "--order-by", "2", "--sort", "asc")
    told = summary(cjasync("pull", "-o", "d.jsonl", "--api", "list_v2", *ranges, "--json", *cj.access))
    lows = [row["sell_price_low"] for row in read_rows("d.jsonl", SearchProduct)]
    assert lows == sorted(lows)
    assert told["unique"] == len(lows) > 0
    listed = cjasync(
        "pull", "-o", "e.jsonl", "--api", "list_v2", "--features", "enable_category,enable_video", "--json", *cj.access
    )
    assert summary(listed)["unique"] > 900
    assert all(row["three_category_name"] for row in read_rows("e.jsonl", SearchProduct))


def test_the_summary_reads_well(cj, cjasync):
    result = cjasync("pull", "--out", "p.csv", *cj.access)
    assert result.exit_code == 0
    first, second, third = result.stdout.splitlines()
    assert first == "1,000 products in p.csv"
    assert re.match(r"(\d) requests \(\1 product/list; 0 refused, 0 retried\), \d{3} points, ", second)
    assert third.startswith("Complete, as 1 window proves: CJ counted 1,000 before and 1,000 after")


def test_a_dry_run_asks_one_page_and_writes_nothing(cj, cjasync):
    before = requests(cj)
    result = cjasync("pull", "--out", "p.csv", "--dry-run", "--qps", "2", *cj.access)
    assert requests(cj) == before + 1
    assert result.exit_code == 0
    assert result.stdout.startswith("1,000 products match\n5 to about 8 requests, 250 to about 400 points, ")
    assert here() == []
    told = summary(cjasync("pull", "--out", "p.csv", "--dry-run", "--json", *cj.access))
    assert (told["products"], told["requests"], told["points"], told["days"]) == (1_000, 8, 400, 1)


def test_a_dry_run_beyond_the_window_says_what_it_may_cost(big_cj, cjasync):
    said = cjasync("pull", "--out", "p.csv", "--dry-run", *big_cj.access).stdout
    assert re.match(r"6,200 products match\n31 to about \d\d requests, 1,550 to about [\d,]+ points, ", said)
    told = summary(cjasync("pull", "--out", "p.csv", "--dry-run", "--json", *big_cj.access))
    walk = summary(cjasync("pull", "--out", "p.csv", "--json", *big_cj.access))
    assert told["least_requests"] == 31 < walk["requests"] <= told["requests"]
    again = summary(cjasync("pull", "--out", "p.csv", "--dry-run", "--json", *big_cj.access))
    assert again["there"] == 0
    assert told["least_requests"] == again["least_requests"] < again["requests"] < told["requests"]  # borders are known
    walk = summary(cjasync("pull", "--out", "p.csv", "--json", *big_cj.access))
    assert walk["requests"] <= again["requests"]
    fresh = summary(cjasync("pull", "--out", "p.csv", "--dry-run", "--fresh", "--json", *big_cj.access))
    assert fresh["requests"] == told["requests"]
    said = cjasync("pull", "--out", "p.csv", "--dry-run", "--api", "list_v2", *big_cj.access).stdout
    assert "out of reach; --incomplete-ok takes the others\n60 requests, 3,000 points" in said


def test_a_dry_run_of_a_pull_that_was_broken_off_says_what_is_left(big_cj, cjasync):
    pull = ["pull", "--out", "p.csv", *big_cj.access]
    assert cjasync(*pull, "--daily-calls", "20").exit_code == 4
    there = summary(cjasync(*pull, "--dry-run", "--json"))["there"]
    said = cjasync(*pull, "--dry-run").stdout
    least = -(-(6_200 - there) // 200)
    assert said.startswith(f"6,200 products match\n{there:,} of them are there already, from a run before; ")
    assert f"--fresh begins anew\n{least} to about " in said
    assert summary(cjasync(*pull, "--json"))["unique"] == 6_200
    assert there > 2_000


def test_a_day_that_is_used_up_ends_with_4_and_the_next_run_goes_on(cj, cjasync):
    pull = ["pull", "--out", "p.sqlite", "--concurrency", "1", *cj.access]
    result = cjasync(*pull, "--daily-calls", "2")
    assert result.exit_code == 4
    assert "your own limit of 2 calls a day is used up (2 of 2)" in result.stderr
    assert "--daily-calls none lifts it" in result.stderr
    assert "It can go on at " in result.stderr
    assert "400 products are safe in p.sqlite.partial; the same command goes on there." in result.stderr
    assert not Path("p.sqlite").exists()
    told = json.loads(cjasync(*pull, "--daily-calls", "1", "--json").stdout)
    assert (told["error"], told["exit_code"], told["products"]) == ("QuotaExhaustedError", 4, 600)
    assert told["source"] == "user"
    assert datetime.fromisoformat(told["goes_on_at"]) > datetime.now(UTC)
    assert told["message"].startswith("your own limit of 1 call a day is used up (1 of 1)")
    result = cjasync(*pull)
    assert "Going on with p.sqlite.partial: 600 products are there." in result.stderr
    assert result.stdout.startswith("1,000 products in p.sqlite\n2 requests (2 product/list; 0 refused, 0 retried)")
    assert {row["pid"] for row in read_rows("p.sqlite", ListedProduct)} == cj.truth().keys()
    assert here() == ["p.sqlite"]


def test_another_question_does_not_go_on_with_the_partial_file(cj, cjasync):
    assert cjasync("pull", "-o", "p.csv", *cj.access, "--daily-calls", "2").exit_code == 4
    result = cjasync("pull", "-o", "p.csv", "--min-price", "5", *cj.access)
    assert result.exit_code == 2
    assert "another question" in result.stderr
    assert f"product/list of {cj.base_url}, not product/list of {cj.base_url} with --min-price 5." in result.stderr
    assert "start anew with --fresh" in result.stderr
    assert "Going on" not in result.stderr
    result = cjasync("pull", "-o", "p.csv", "--api", "list_v2", *cj.access)
    assert f"product/list of {cj.base_url}, not product/listV2 of {cj.base_url}." in result.stderr
    assert summary(cjasync("pull", "-o", "p.csv", "--min-price", "5", "--fresh", "--json", *cj.access))["unique"] > 0


def damage(checkpoint, data):
    for each in Path().glob(f"{checkpoint}-*"):
        each.unlink()
    Path(checkpoint).write_bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "damaged"),
        (b"", "p.csv.partial is of a walk that this checkpoint knows nothing of; start anew with --fresh for both"),
    ],
)
def test_a_checkpoint_that_cannot_be_gone_on_with_says_so_and_nothing_else(cj, cjasync, data, said):
    assert cjasync("pull", "-o", "p.csv", *cj.access, "--daily-calls", "3").exit_code == 4
    damage("p.csv.checkpoint", Path("p.csv.checkpoint").read_bytes()[:5_000] if data is None else data)
    result = cjasync("pull", "-o", "p.csv", *cj.access)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "products are safe in p.csv.partial; --fresh deletes them." in result.stderr
    assert "goes on there" not in result.stderr
    assert "Going on" not in result.stderr
    assert cjasync("pull", "-o", "p.csv", "--fresh", *cj.access).exit_code == 0


def test_a_checkpoint_of_something_else_is_refused_before_anything_is_deleted(cj, cjasync):
    assert cjasync("pull", "-o", "p.csv", *cj.access, "--daily-calls", "3").exit_code == 4
    rows, data = Path("p.csv.partial").read_bytes(), b"no checkpoint" * 20
    damage("p.csv.checkpoint", data)
    for options in ([], ["--fresh"]):
        result = cjasync("pull", "-o", "p.csv", *options, *cj.access)
        assert result.exit_code == 2
        assert "p.csv.checkpoint is no checkpoint, and is not deleted: move it away yourself" in result.stderr
        assert Path("p.csv.checkpoint").read_bytes() == data
        assert Path("p.csv.partial").read_bytes() == rows
        assert here() == ["p.csv.checkpoint", "p.csv.partial", "p.csv.partial.commit"]


def test_the_end_of_a_day_before_the_first_page_speaks_of_no_checkpoint(cj, cjasync):
    result = cjasync("pull", "-o", "p.csv", *cj.access, "--daily-points", "10")
    assert result.exit_code != 0
    assert "checkpoint" not in result.stderr
    assert here() == []


def test_where_nothing_matches_the_filters_are_named(cj, cjasync):
    result = cjasync("pull", "-o", "p.csv", "--category-id", "nope", *cj.access)
    assert result.exit_code == 0
    assert result.stdout.startswith("0 products in p.csv\n")
    assert "note: no product matches: look at --category-id" in result.stderr


@pytest.mark.parametrize("suffix", [".sqlite", ".duckdb"])
def test_a_file_that_is_no_database_is_replaced_only_when_that_is_wanted(cj, cjasync, suffix):
    Path(f"p{suffix}").write_text("a letter")
    result = cjasync("pull", "-o", f"p{suffix}", *cj.access)
    assert result.exit_code == 2
    assert f"p{suffix} cannot be read: " in result.stderr
    assert "choose another file, or replace it with --fresh" in result.stderr
    assert Path(f"p{suffix}").read_text() == "a letter"
    assert cjasync("pull", "-o", f"p{suffix}", "--fresh", *cj.access).exit_code == 0


def test_what_cj_does_not_show_is_said_before_more_than_a_page_is_spent(big_cj, cjasync):
    pull = ["pull", "--out", "p.jsonl", "--api", "list_v2", *big_cj.access]
    listed = sum(not product["delisted"] for product in big_cj.truth().values())
    before = requests(big_cj)
    result = cjasync(*pull)
    assert result.exit_code == 5
    assert f"{listed - 6_000} are out of reach" in result.stderr
    assert "--incomplete-ok" in result.stderr
    assert requests(big_cj) == before + 1
    assert here() == []
    told = summary(cjasync(*pull, "--incomplete-ok", "--json"))
    assert (told["unique"], told["requests"], told["unreachable"]) == (6_000, 60, listed - 6_000)
    result = cjasync(*pull, "--incomplete-ok")
    assert f"{listed - 6_000:,} products that match are out of reach" in result.stderr


def test_a_part_that_was_begun_is_not_taken_for_the_whole(big_cj, cjasync):
    pull = ["pull", "--out", "p.jsonl", "--api", "list_v2", *big_cj.access]
    assert cjasync(*pull, "--incomplete-ok", "--daily-calls", "2").exit_code == 4
    result = cjasync(*pull)
    assert result.exit_code == 5
    assert "200 products are safe in p.jsonl.partial" in result.stderr
    assert "--incomplete-ok makes the file of them" in result.stderr
    assert summary(cjasync(*pull, "--incomplete-ok", "--json"))["unique"] == 6_000


def test_quiet_prints_the_result_only(cj, cjasync):
    result = cjasync("pull", "-o", "p.csv", "-q", *cj.access)
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 3
