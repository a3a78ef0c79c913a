"""A process that brings a whole catalogue into a file: `python walk_process.py BASE_URL TOKEN FILE`.

Prints the report as JSON when it is done.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from cjasync import CJClient, Plan
from cjasync.catalog import walk
from cjasync.catalog.sinks import open_sink
from cjasync.models import ListedProduct

FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None, list_window=1000)


async def main(base_url: str, token: str, file: Path) -> None:
    client = CJClient(access_token=token, base_url=base_url, plan=FREE, quota="memory", token_store="memory")
    async with (
        client as cj,
        walk(cj, checkpoint=file.with_name(file.name + ".checkpoint")) as catalogue,
        await open_sink(file, ListedProduct, question=catalogue.question) as sink,
    ):
        report = await catalogue.into(sink)
    told = {name: getattr(report, name) for name in ("delivered", "requests", "proved", "runs", "reasons", "seconds")}
    print(msgspec.json.encode(told).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
