"""The chart of the last hours under `cjasync usage`."""

from datetime import UTC, datetime, timedelta

from cjasync.cli.usage import hourly
from cjasync.quota.usage import BucketUsage, HourUsage

NOW = datetime(2026, 3, 1, 15, 40, tzinfo=UTC)


def bucket(**hours_ago: int) -> BucketUsage:
    this = NOW.replace(minute=0)
    hours = tuple(
        HourUsage(starts_at=this - timedelta(hours=int(ago[1:])), used=used) for ago, used in hours_ago.items()
    )
    return BucketUsage(name="points", unit="points", limit=100, used=1, remaining=99, hours=hours)


def test_the_running_hour_stands_last_and_the_fullest_is_a_whole_block():
    assert hourly(bucket(h0=8, h1=4, h3=1), NOW) == "········▁·▄█"


def test_hours_too_long_ago_are_left_out_and_nothing_makes_no_chart():
    assert hourly(bucket(h12=5, h11=1), NOW) == "█···········"
    assert hourly(bucket(), NOW) == ""
