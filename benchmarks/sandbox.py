"""Is the sandbox ever the bottleneck? Start, memory and pages a second of one process, with 1.5 million products.

The client is a bare asyncio protocol that reads bytes and counts answers, so that what is measured is the server.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from benchmarks.frame import Bar, Chart, Findings, Table, question
from benchmarks.frame.fresh import in_fresh_process
from cjasync.config import Plan
from cjasync.sandbox import SandboxProcess

NO_LIMITS = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


class Reader(asyncio.Protocol):
    """Sends one request after the other on one connection; counts answers and their bytes."""

    def __init__(self, requests: list[bytes]) -> None:
        self.requests = requests
        self.answers = 0
        self.bytes = 0
        self.refused = 0
        self.missing = 0
        self.head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.transport.write(self.requests[self.answers % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.missing == 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = int(self.head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            self.refused += b'"result":true' not in self.head[: end + 200]
            data = self.head[end + 4 :]
            self.head = b""
            self.missing = length
        self.missing -= len(data)
        if self.missing == 0:
            self.answers += 1
            self.ask()


async def measure(sandbox: SandboxProcess, targets: list[str], connections: int, seconds: float) -> dict[str, float]:
    host, port = sandbox.origin.removeprefix("http://").split(":")
    requests = [
        f"GET /api2.0/v1/{target} HTTP/1.1\r\nHost: {host}\r\nCJ-Access-Token: {sandbox.access_token}\r\n\r\n".encode()
        for target in targets
    ]
    loop = asyncio.get_running_loop()
    readers = []
    cpu, began = cpu_seconds(sandbox.pid), time.perf_counter()
    for place in range(connections):
        start = place * len(requests) // connections
        _, reader = await loop.create_connection(
            lambda start=start: Reader(requests[start:] + requests[:start]), host, int(port)
        )
        readers.append(reader)
    await asyncio.sleep(seconds)
    for reader in readers:
        reader.transport.abort()
    took = time.perf_counter() - began
    answers = sum(reader.answers for reader in readers)
    assert not any(reader.refused for reader in readers), "the sandbox refused a page"
    spent = cpu_seconds(sandbox.pid) - cpu
    return {
        "pages_per_second": round(answers / took),
        "mb_per_second": round(sum(reader.bytes for reader in readers) / took / 1e6),
        # What one undisturbed core would give; the line above suffers from whatever else the machine does.
        "pages_per_cpu_second": round(answers / spent),
        "server_cpu_us_per_page": round(spent / answers * 1e6),
    }


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_mb(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) // 1024


@question("Is the sandbox ever the bottleneck?")
def run(products: int = 1_500_000, seconds: float = 3.0, connections: int = 8) -> Findings:
    """products: of its catalogue. seconds: of asking for each kind of page. connections: that ask."""
    told = in_fresh_process(measure_all, products, seconds, connections)
    pages = {name: figures for name, figures in told.items() if isinstance(figures, dict)}
    facts: list[list[Any]] = [[name, figure] for name, figure in told.items() if name not in pages]
    columns = list(next(iter(pages.values())))
    rows: list[list[Any]] = [[name, *(figures[column] for column in columns)] for name, figures in pages.items()]
    bars = [Bar(name, figures["pages_per_cpu_second"], ours=True) for name, figures in pages.items()]
    return Findings(
        tables=[
            Table("The sandbox", ["what", ""], facts),
            Table("Answers", ["question", *(column.replace("_", " ") for column in columns)], rows),
        ],
        charts=[Chart("Answers of the sandbox per CPU second of its own", "", bars)],
    )


def measure_all(products: int, seconds: float, connections: int) -> dict[str, Any]:
    return asyncio.run(_measure_all(products, seconds, connections))


async def _measure_all(products: int, seconds: float, connections: int) -> dict[str, Any]:
    began = time.perf_counter()
    async with SandboxProcess(products=products, plan=NO_LIMITS, list_window=None, listv2_window=None) as sandbox:
        result: dict[str, Any] = {
            "products": products,
            "start_seconds": round(time.perf_counter() - began, 1),
            "memory_mb_at_start": memory_mb(sandbox.pid, "VmRSS"),
        }
        pages = -(-products // 200)
        questions = {
            "product/list, 200 rows, newest first": [f"product/list?pageSize=200&pageNum={n}" for n in range(1, pages)],
            "product/list, 200 rows, oldest first, in a time range": [
                "product/list?pageSize=200&sort=asc&createTimeFrom=2019-01-01%2000:00:00"
                f"&createTimeTo=2025-05-01%2000:00:00&pageNum={n}"
                for n in range(1, min(pages, 5000))
            ],
            "product/listV2, 100 rows": [f"product/listV2?size=100&orderBy=3&page={n}" for n in range(1, 1000)],
            "product/getCategory": ["product/getCategory"],
        }
        for name, targets in questions.items():
            result[name] = await measure(sandbox, targets, connections, seconds)
        result["memory_mb_peak"] = memory_mb(sandbox.pid, "VmHWM")
    return result
