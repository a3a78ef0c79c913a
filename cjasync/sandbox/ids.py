"""The three kinds of product ids that CJ has given out over the years."""

from __future__ import annotations

import time

SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
CHINA_SECONDS = 8 * 3600

# When each kind came into use (seconds since 1970).
_SNOWFLAKES_FROM = 1_593_561_600  # 2020-07-01
_DATED_FROM = 1_704_067_200  # 2024-01-01


def product_id(number: int, key: int, created: int) -> str:
    """The pid of product `number`, made at `created` (seconds since 1970).

    Upper-case GUIDs in the first years; then snowflakes, whose (id >> 22) + 1288834974657 is the time in ms;
    lately the time in China as yyMMddHHmmss and seven digits. One in sixteen of the later ones is a GUID all the same.
    """
    if created < _SNOWFLAKES_FROM or key & 15 == 0:
        # Multiplying by an odd number shuffles without collisions, so the low half is the number in disguise.
        digits = f"{key:016X}{(number * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF:016X}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    if created < _DATED_FROM:
        milliseconds = created * 1000 + (key >> 4) % 1000 - SNOWFLAKE_EPOCH_MS
        return str(milliseconds << 22 | (number * 2_654_435_761 & 0x3FFFFF))
    stamp = time.strftime("%y%m%d%H%M%S", time.gmtime(created + CHINA_SECONDS))
    return f"{stamp}{number * 6_364_137 % 10_000_000:07d}"
