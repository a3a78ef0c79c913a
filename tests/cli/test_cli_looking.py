"""The commands that look: search, show, usage, login, doctor, the help; and `demo`, which proves the main job."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cjasync.catalog.sinks import read_rows
from cjasync.cli import demo as demo_module
from cjasync.cli import show as show_module
from cjasync.cli.tables import table_of
from cjasync.models._build import build
from cjasync.models.product import ListedProduct
from cjasync.models.stock import Stock


def words_of(product):
    return product["name_en"].split()[-1]


def test_search_shows_a_table_and_says_how_many_match(cj, cjasync):
    product = next(product for product in cj.truth().values() if not product["delisted"])
    result = cjasync("search", words_of(product), "-n", "3", *cj.access)
    assert result.exit_code == 0
    assert re.search(r"product id +name +price \$ +stock +listed", result.stdout)
    assert re.search(r"^\d+ of [\d,]+ products match$", result.stdout, re.MULTILINE)
    told = json.loads(cjasync("search", words_of(product), "--json", *cj.access).stdout)
    assert told["total"] >= len(told["products"]) > 0
    first = told["products"][0]
    assert first["id"] in result.stdout
    assert Decimal(first["sell_price_low"]) <= Decimal(first["sell_price_high"])


def test_show_tells_a_product_its_variants_and_their_stock(cj, cjasync):
    product = next(product for product in cj.truth().values() if not product["delisted"])
    told = json.loads(cjasync("show", product["pid"], "--json", *cj.access).stdout)
    assert told["product"]["product_name_en"] == product["name_en"]
    assert Decimal(told["product"]["sell_price_low"]) == Decimal(product["price_low"])
    assert told["stock"]["inventories"]
    by_sku = cjasync("show", product["sku"], *cj.access)
    by_id = cjasync("show", product["pid"], *cj.access)
    assert by_sku.stdout == by_id.stdout
    assert by_id.stdout.startswith(product["name_en"] + "\n")
    for variant in told["product"]["variants"]:
        assert variant["vid"] in by_id.stdout


@pytest.mark.parametrize("width", [40, 50, 80])
def test_a_narrow_terminal_folds_ids_and_cuts_nothing(cj, cjasync, monkeypatch, width):
    product = next(product for product in cj.truth().values() if not product["delisted"])
    monkeypatch.setenv("COLUMNS", str(width))
    for arguments in (["search", words_of(product), "-n", "3"], ["show", product["pid"]]):
        lines = cjasync(*arguments, *cj.access).stdout.splitlines()
        shown = lines[next(n for n, line in enumerate(lines) if "──" in line) - 2 :]
        assert max(map(len, shown)) <= width
        assert "…" not in "".join(shown)


@pytest.mark.parametrize("width", [40, 50, 80, 200])
def test_a_table_of_ids_leaves_room_for_the_rest(width):
    pid, name = "1CC17F5D-6D2B-44A0-A6E1-EAAF8C82D6FA", "Winter Plush Dog Bed"
    table = table_of([pid], "id", width)
    table.add_column("name", overflow="fold")
    table.add_row(pid, name)
    console = Console(width=width, file=StringIO())
    console.print(table)
    rows = console.file.getvalue().partition("──")[2].splitlines()[1:]
    assert "".join(row.split()[0] for row in rows if row.strip()).startswith(pid)
    assert all(word in " ".join(rows) for word in name.split())


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"countryCode": "CN", "totalInventoryNum": 2097}, "CN 2,097"),
        ({"countryCode": "CN", "totalInventory": 5, "stock": [{"inventory": 2, "factoryInventory": 3}]}, "CN 5"),
        ({"totalInventoryNum": 2097, "stock": [{"inventory": 13505}]}, "? 2,097 (13,505 by warehouse)"),
        ({"areaEn": "China Warehouse", "stock": [{"inventory": 4}]}, "China Warehouse ? (4 by warehouse)"),
        ({"countryCode": "US"}, "US ?"),
    ],
)
def test_show_prefers_neither_count_of_stock(row, shown):
    assert show_module._in_stock([build(Stock, row)]) == shown


def test_usage_counts_what_was_asked(cj, cjasync):
    limits = ["--daily-calls", "1000", "--daily-points", "50000", "--quota-url", "sqlite"]
    assert cjasync("usage", *cj.access, *limits, "--offline").exit_code == 0
    assert cjasync("search", "dress", *cj.access, *limits).exit_code == 0
    told = json.loads(cjasync("usage", "--json", *cj.access, *limits).stdout)
    buckets = {bucket["name"]: bucket for bucket in told["buckets"]}
    assert buckets["calls product/listV2"]["used"] == 1
    assert buckets["calls setting/get"]["used"] == 1
    shown = cjasync("usage", "--offline", *cj.access, *limits).stdout
    assert re.search(r"calls product/listV2 .* 999 of 1,000 .* you *$", shown, re.MULTILINE)
    assert re.search(r"^  points .* 49,950 of 50,000 .* you *$", shown, re.MULTILINE)
    assert cj.access_token not in shown
    shown = cjasync("usage", "--offline", *cj.access, "--quota-url", "sqlite").stdout
    assert "no limit" not in shown
    assert re.search(r"^  calls product/listV2 +[·█]+ +1 *$", shown, re.MULTILINE)


@pytest.mark.parametrize("width", [50, 70, 80, 110])
def test_usage_names_every_limit_on_a_narrow_terminal(cj, cjasync, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    limits = ["--daily-calls", "1000", "--daily-points", "50000", "--quota-url", "sqlite"]
    assert cjasync("search", "dress", *cj.access, *limits).exit_code == 0
    lines = cjasync("usage", "--offline", *cj.access, *limits).stdout.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert any(re.match(r"  points .* 49,950 of 50,000 .* you *$", line) for line in lines)
    assert any(line.startswith("  accounts") for line in lines)


def test_login_keeps_the_token_for_the_next_commands(cj, cjasync, monkeypatch, tmp_path):
    access = ["--base-url", cj.base_url, "--quota-url", "memory", "--qps", "none"]
    monkeypatch.setenv("CJ_API_KEY", cj.api_key)
    result = cjasync("login", *access)
    assert result.exit_code == 0
    assert result.stdout.startswith("Logged in.\nThe access token is good until ")
    assert cj.api_key not in result.output
    kept = list((tmp_path / "state" / "cjasync").glob("tokens-*.json"))
    assert len(kept) == 1
    assert kept[0].stat().st_mode & 0o077 == 0
    assert cjasync("search", "dress", *access).exit_code == 0
    told = json.loads(cjasync("login", "--json", *access).stdout)
    assert told.keys() == {"good_until", "kept_in"}
    assert told["good_until"].endswith("Z")  # as all times, though CJ's are China's


def test_doctor_goes_through_everything_and_compares_answers(cj, cjasync):
    result = cjasync("doctor", *cj.access)
    assert result.exit_code == 0
    steps = [re.split(r" {2,}", line[4:])[0] for line in result.stdout.splitlines()]
    assert steps == ["settings", "credentials", "quota store", "login", "CJ", "clock", "day"]
    assert all(line.startswith("ok ") for line in result.stdout.splitlines())
    told = json.loads(cjasync("doctor", "--drift", "--json", *cj.access).stdout)
    assert told["ok"] is True
    assert told["drift"]["drifted"] is False
    assert "product/list" in told["drift"]["answers"]
    assert "product/list: no changes in 1 answer" in cjasync("doctor", "--drift", *cj.access).stdout


def test_doctor_tells_the_users_own_limits_from_cjs_and_a_day_that_is_used_up(cj, cjasync):
    limits = ["--daily-points", "50", "--daily-calls", "100", "--quota-url", "sqlite"]
    told = cjasync("doctor", *cj.access, *limits).stdout
    assert "your own limit of 100 calls a day, your own limit of 50 points a day" in told
    assert told.splitlines()[-1] == "ok  day          points: 50 of 50 left of your own limit"
    assert cjasync("search", "dress", *cj.access, *limits).exit_code == 0
    result = cjasync("doctor", *cj.access, *limits)
    assert result.exit_code == 4
    assert result.stdout.splitlines()[-1].startswith(
        "bad day          your own limit of 50 points a day is used up (50"
    )
    assert "50,000 until then" in cjasync("doctor", "--base-url", cj.base_url, "--plan", "plus").stdout


def test_doctor_stops_at_what_is_wrong(cj, cjasync):
    result = cjasync("doctor", *cj.access, "--access-token", "API@CJ777@CJ:wrong")
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-1].startswith("bad CJ")
    assert "wrong" not in result.output
    result = cjasync("doctor", *cj.access, "--base-url", "gopher://x")
    assert result.exit_code == 2
    assert result.stdout.startswith("bad settings     --base-url must begin with https://")
    shown = cjasync("doctor", "--access-token", "x", "--base-url", "https://me:hunter2@example.com").stdout
    assert shown == "bad settings     --base-url must not hold a user, password, query or fragment\n"
    shown = cjasync("doctor", *cj.access, "--quota-url", "ouija://board").stdout
    assert shown.splitlines()[-1].startswith("bad quota store  unknown quota store")
    told = json.loads(cjasync("doctor", "--json").stdout)
    assert (told["ok"], told["checks"][-1]["name"]) == (False, "credentials")


def test_the_help_lists_every_command_and_every_filter(cjasync):
    shown = cjasync("--help").stdout
    for command in ("demo", "pull", "search", "show", "usage", "sandbox", "login", "doctor"):
        assert re.search(rf"^│ {command} ", shown, re.MULTILINE)
    pull = cjasync("pull", "--help").stdout
    assert "All of product/list, also where CJ shows only a window of it" in " ".join(pull.split())
    for option in ("--out", "--api", "--category-id", "--key-word", "--daily-points", "--json", "--quiet", "--fresh"):
        assert option in pull
    assert cjasync("--version").stdout.startswith("cjasync 0.")


def test_every_command_that_asks_cj_takes_the_common_options(cjasync):
    for command in ("pull", "search", "show", "usage", "login", "doctor"):
        shown = cjasync(command, "--help").stdout
        for option in ("base-url", "access-token", "api-key", "plan", "qps", "ip-qps", "daily-calls", "daily-points"):
            assert f"--{option} " in shown
        for option in ("quota-url", "json", "quiet"):
            assert f"--{option} " in shown
        for variable in ("CJ_BASE_URL", "CJ_ACCESS_TOKEN", "CJ_API_KEY", "CJ_PLAN", "CJ_QUOTA_URL"):
            assert variable in shown


WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("typer", "rich"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
from cjasync.cli import main
sys.exit(main())
"""


def test_without_the_extra_it_says_what_to_install():
    ran = subprocess.run([sys.executable, "-c", WITHOUT, "--help"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "pip install 'cjasync[cli]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys, contextlib\n"
        "from cjasync.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
        "print(*{'aiohttp', 'pyarrow', 'duckdb', 'cjasync.sandbox', 'cjasync.catalog'} & sys.modules.keys(), sep='!')"
    )
    ran = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == ""


def test_demo_pulls_everything_and_proves_it(cjasync):
    told = json.loads(cjasync("demo", "--products", "900", "--json").stdout)
    assert told["perfect"] is True
    assert (told["held"], told["unique"], told["refused"]) == (900, 900, 0)
    assert 5 <= told["requests"] == told["walk"]["requests"] <= 8  # some pages twice, to see that nothing has moved
    assert (told["missing"], told["doubled"], told["altered"], told["unknown"]) == (0, 0, 0, 0)
    result = cjasync("demo", "--products", "300", "--out", "kept.csv")
    assert result.exit_code == 0
    assert "Complete: every product is there once, as CJ holds it." in result.stdout
    assert sum(1 for _ in read_rows("kept.csv", ListedProduct)) == 300
    result = cjasync("demo", "--out", "kept.xlsx")
    assert (result.exit_code, "Starting" in result.stderr) == (2, False)


@pytest.mark.parametrize("harm", ["missing", "doubled", "altered", "unknown"])
def test_demo_ends_otherwise_if_a_single_product_is_wrong(cjasync, monkeypatch, harm):
    def harmed(path, model):
        rows = list(read_rows(path, model))
        match harm:
            case "missing":
                rows.pop(7)
            case "doubled":
                rows.append(rows[7])
            case "altered":
                rows[7]["sell_price_high"] += Decimal("0.01")
            case "unknown":
                rows.append(rows[7] | {"pid": "made up"})
        return rows

    monkeypatch.setattr("cjasync.catalog.sinks.read_rows", harmed)
    result = cjasync("demo", "--products", "250", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == demo_module.FAILED != 0
    assert told["perfect"] is False
    assert {name for name in ("missing", "doubled", "altered", "unknown") if told[name]} == {harm}
    assert told[harm] == 1
    assert not Path("products.jsonl").exists()
