"""What the processes of test_sink_kills.py do.

`sink_processes.py grow FILE COUNT` writes COUNT products in batches of 20, some twice, commits after each batch,
says so, and finishes. The token is the number of batches that are safe. `full FILE` writes until the disk is full.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from datetime import timedelta
from pathlib import Path

from cjasync.catalog.sinks import Batch, open_sink
from cjasync.errors import OutputError
from tests.sink_rows import NOON, Thing, decoded_page

SIZE = 20


def rows(number: int) -> Batch[Thing]:
    """Batch `number`; its first product is also the last of the batch before, with an older count."""
    first = max(0, number * SIZE - 1)
    wired = (
        {"pid": f"p{pid}", "count": number, "sellPrice": "1.10 -- 2.20"} for pid in range(first, (number + 1) * SIZE)
    )
    return Batch(decoded_page(*wired), NOON + timedelta(seconds=number))


async def grow(path: Path, count: int) -> None:
    async with await open_sink(path, Thing, question="grow") as sink:
        start = int(sink.token or b"0")
        print(f"opened {start}", flush=True)
        for number in range(start, count // SIZE):
            await sink.write(rows(number))
            await sink.commit(b"%d" % (number + 1))
            print(number + 1, flush=True)
        await sink.finish()


async def full(path: Path) -> None:
    # A limit on the size of files stands in for a full disk: both are refused in the middle of a write.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with await open_sink(path, Thing, question="grow") as sink:
        for number in range(50):
            await sink.write(rows(number))
        await sink.commit(b"50")
        safe = 50
        largest = max(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 50_000, resource.RLIM_INFINITY))
        try:
            for number in range(50, 5_000):
                await sink.write(rows(number))
                await sink.commit(b"%d" % (number + 1))
                safe = number + 1
        except OutputError as error:
            print(f"{safe} {error}", flush=True)
        try:
            await sink.commit(b"later")
        except OutputError:
            print("still refused", flush=True)


if __name__ == "__main__":
    what, file, *rest = sys.argv[1:]
    asyncio.run(grow(Path(file), int(rest[0])) if what == "grow" else full(Path(file)))
