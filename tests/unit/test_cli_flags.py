"""Errors speak in parameters, and on the command line in options."""

import pytest

from cjasync.cli.flags import flag, in_flags

OPTIONS = {"min_price", "qps", "daily_calls", "fresh", "with_", "quota_url", "page_size", "country_code"}


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("`min_price`: is empty", "--min-price: is empty"),
        ("start anew with `fresh=True`", "start anew with --fresh"),
        ("`Plan.qps` must be a number", "--qps must be a number"),
        ("`Plan(daily_calls=None)` lifts it", "--daily-calls none lifts it"),
        ('`quota="memory"` needs no file', "--quota-url memory needs no file"),
        ('with `country_code="US"`, `with_="query"`', "with --country-code US, --with query"),
        ("`size` must be 1 to 100", "--page-size must be 1 to 100"),
        ("`grace` must be a number", "`grace` must be a number"),
        ("`cjasync login` tries a key", "`cjasync login` tries a key"),
        ("min_price", "min_price"),
    ],
)
def test_a_parameter_in_backticks_is_spoken_of_as_the_option_that_gives_it(text, spoken):
    assert in_flags(text, OPTIONS) == spoken


def test_names_of_options():
    assert (flag("min_price"), flag("with_")) == ("--min-price", "--with")
