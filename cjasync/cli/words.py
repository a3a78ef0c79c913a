"""Times, durations and other people's text, as they are printed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape


def safe(text: object) -> str:
    """Text that was written elsewhere: no markup of rich's, and nothing that would steer the terminal."""
    return escape("".join(each if each.isprintable() else " " for each in str(text)))


def counted(number: float, one: str, many: str | None = None) -> str:
    """`1 page`, `2,000 pages`; `many` where it is not `one` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def going_on(where: Path, products: int) -> str:
    """What is said when an earlier run is continued."""
    return f"Going on with {where}: {counted(products, 'product')} {'is' if products == 1 else 'are'} there."


def moment(at: datetime) -> str:
    """A time as people read it, in UTC as CJ's days are, and how far away it is."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({duration((at - datetime.now(UTC)).total_seconds())} from now)"


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `7 h 5 min`, `12 d 3 h`."""
    whole = max(0, round(seconds))
    for big, small, size, part in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {big}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s" if seconds >= 1 or not seconds else f"{seconds:.1f} s"
