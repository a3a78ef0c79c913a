"""The whole catalogue: how many questions a complete walk takes beside the usual ways, and what it misses.

The planner against the simulated server of the tests, in virtual time: no socket, no clock. Everything is seeded.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.frame import Bar, Chart, Figure, Findings, Table, question
from benchmarks.frame.fresh import in_fresh_process

sys.path.insert(0, str(Path(__file__).parent.parent))  # the simulator lives with the tests

from cjasync.catalog.planner import Planner
from cjasync.catalog.planning.question import Answer, Facts, Question, Region, Sort
from tests.simulator.catalogue import OLDEST, START, catalogue
from tests.simulator.server import Server
from tests.simulator.walk import Walk, walk

SIZE, WINDOW = 200, 6000
SHAPES = ("uniform", "growth", "halfday", "bursty", "onesecond", "loguniform", "cantor", "ties201", "ties6001")
CHANGING = ("growth", "bursty")
DAY = 86400
PACE = 86.4  # seconds per call: a thousand a day
WEAKNESSES: dict[str, dict[str, Any]] = {
    "none": {},
    "filter in UTC": {"zone": 0},
    "12:xx read as 00:xx": {"noon": True},
    "bounds exclude their second": {"after": True, "before": True},
    "window of 2,000, not 6,000": {"window": 2000},
    "ties in any order": {"replicas": 2},
    "rows hide their create time": {"hide": True},
    "sort ignored": {"ignore": ("sort",)},
    "time filter ignored": {"ignore": ("time",)},
    "counts to 10,000 only": {"cap": 10_000},
    "counts to 4,000 only": {"cap": 4000},
}


@question("How many questions does a complete walk take, and what does it miss while the catalogue changes?")
def run(products: int = 200_000, moving: int = 24_000, seeds: int = 1) -> Findings:
    """products: of catalogues that stand still. moving: of those that change. seeds: walks per line of the table."""
    found = Findings()
    apart = partial(in_fresh_process, core=None)
    with ThreadPoolExecutor(2) as pool:  # these are counts, which nothing beside them changes
        walks = pool.map(partial(apart, costs, products), SHAPES)
        changes = pool.map(partial(apart, changing, moving, seeds), CHANGING)
        weaknesses = pool.map(partial(apart, weakened, moving), CHANGING)
        _report_costs(found, products, dict(zip(SHAPES, walks, strict=True)))
        _report_change(found, moving, seeds, changes)
        _report_weaknesses(found, moving, weaknesses)
    return found


def _report_costs(found: Findings, n: int, told: dict[str, dict[str, tuple[float, float]]]) -> None:
    rows = [[shape, *(_cell(*told[shape].get(way, told[SHAPES[0]][way])) for way in WAYS)] for shape in SHAPES]
    note = (
        "Questions / ceil(N/200); in brackets the share of the catalogue that was reached, where not all was. Numbered "
        "pages and categories know nothing of times: they are counted once. No cut: of the time, into windows of whole "
        "seconds, had one known beforehand when everything was created."
    )
    columns = ["created", *WAYS]
    found.tables.append(Table(f"{n:,} products that stand still, a window of {WINDOW:,}", columns, rows, note))
    bars = [Bar(shape, told[shape][FIRST][0], ours=True) for shape in SHAPES]
    found.charts.append(Chart("Questions beside the fewest possible, first walk", "times", bars))

    def cost(way: str, *shapes: str) -> Figure:
        return Figure(max(told[shape][way][0] for shape in shapes))

    found.figures["smooth"] = cost(FIRST, "uniform", "growth", "halfday")
    found.figures["bursty"] = cost(FIRST, "bursty")
    found.figures["ties"] = cost(FIRST, "ties201", "onesecond")
    found.figures["worst"] = cost(FIRST, *SHAPES)
    found.figures["second_walk"] = cost(SECOND, "uniform", "growth", "halfday")
    found.figures["unproved"] = Figure(sum(told[shape]["unproved"][0] for shape in SHAPES))


def costs(n: int, shape: str) -> dict[str, tuple[float, float]]:
    """Of each way: questions beside the fewest possible, and the share that it reached. And how many were unproved."""
    pages = -(-n // SIZE)
    products = catalogue(n, shape)
    server = Server(products)  # for all of them: nothing in it changes
    first = Planner.start(now=START)
    walks = {FIRST: walk(first, server, products, in_flight=8)}
    again = Planner.start(now=START + DAY, facts=first.report().facts, earlier=first.report().certificates)
    walks[SECOND] = walk(again, server, products, in_flight=8)
    told = {name: (one.report.requests / pages, 1 - len(one.missed) / n) for name, one in walks.items()}
    told[FEWEST] = fewest_pages(product.created for product in products.products) / pages, 1.0
    told["unproved"] = sum(not one.report.proved or bool(one.missed) for one in walks.values()), 1.0
    for name, peer in PEERS.items():
        if name not in TIMELESS or shape == SHAPES[0]:
            desk = Desk(server)
            peer(desk)
            told[name] = desk.asked / pages, len(desk.seen) / n
    return told


def fewest_pages(created: Iterable[int | None]) -> int:
    """The least that any cut into windows of whole seconds reads, had one known all; larger seconds count alone."""
    seconds = [count for _, count in sorted(Counter(created).items())]
    before = list(accumulate(seconds, initial=0))
    read = Counter({0: 0})  # pages to the seconds that they read at most
    pages = 0
    while (start := read[pages]) < len(seconds):
        for burst in (*range(1, WINDOW // SIZE + 1), -(-seconds[start] // SIZE)):
            end = bisect_right(before, before[start] + burst * SIZE) - 1
            read[pages + burst] = max(read[pages + burst], end)
        pages += 1
        read[pages] = max(read[pages], start)
    return pages


def changing(n: int, seeds: int, shape: str) -> list[dict[str, Any]]:
    """What walks through catalogues of that shape have to tell, while they change."""
    told = []
    for window in (2000, 6000, 10_000):
        for churn in (1, 10, 50):
            walks = [_moving_walk(n, shape, window, churn, seed) for seed in range(seeds)]
            told.append(
                {
                    "window": window,
                    "churn": churn,
                    "missed": sum(len(one.missed) for one in walks),
                    "doubled": sum(one.doubled for one in walks),
                    "lived": sum(one.lived for one in walks),
                    "overhead": sum(one.report.requests for one in walks) / (seeds * -(-n // SIZE)),
                    "repaired": sum(one.report.repaired for one in walks) / seeds,
                }
            )
    return told


def _report_change(found: Findings, n: int, seeds: int, told: Iterable[list[dict[str, Any]]]) -> None:
    walks = [(shape, seen) for shape, some in zip(CHANGING, told, strict=True) for seen in some]
    rows: list[list[str | int | float | None]] = [
        [
            shape,
            f"{seen['window']:,}",
            f"x{seen['churn']}",
            seen["missed"],
            seen["doubled"],
            round(seen["overhead"], 4),
            seen["repaired"],
        ]
        for shape, seen in walks
    ]
    columns = ["created", "window", "change", "missed", "doubled", "questions / ceil(N/200)", "windows repaired"]
    note = (
        "x1: 0.3 % new, 0.2 % gone, 0.05 % listed again, 5 % repriced a day. A thousand calls a day, each window one "
        "burst, 8 in flight and answered in any order, and the process lost after 2 % of the answers."
    )
    found.tables.append(Table(f"{n:,} products that change, {seeds} walks a line", columns, rows, note))
    lost, doubled, lived = (sum(seen[what] for _, seen in walks) for what in ("missed", "doubled", "lived"))
    found.figures["missed"] = Figure(lost)
    found.figures["doubled"] = Figure(doubled)
    found.notes.append(f"{lived:,} products lived through the walks of that table; {lost} of them were not delivered.")


def _moving_walk(n: int, shape: str, window: int, churn: int, seed: int) -> Walk:
    days = n / SIZE * PACE / DAY
    products = catalogue(n, shape, churn=churn, days=1.3 * days, seed=seed + 1)
    planner, server = Planner.start(now=START, window=window), Server(products, window=window)
    return walk(planner, server, products, in_flight=8, seconds=PACE, crash=0.02, seed=seed)


def weakened(n: int, shape: str) -> list[list[Any]]:
    """What walks have to tell of servers with each weakness: modes, overhead, missed, proved."""
    products, told = catalogue(n, shape), []
    for weakness in WEAKNESSES.values():
        result = walk(Planner.start(now=START), Server(products, **weakness), products, in_flight=8)
        report = result.report
        overhead, proved = round(report.requests / -(-n // SIZE), 4), "yes" if report.proved else "no"
        told.append([", ".join(report.modes), overhead, len(result.missed), proved])
    return told


def _report_weaknesses(found: Findings, n: int, told: Iterable[list[list[Any]]]) -> None:
    by_weakness = zip(*told, strict=True)
    rows: list[list[str | int | float | None]] = [
        [name, shape, *seen]
        for name, some in zip(WEAKNESSES, by_weakness, strict=True)
        for shape, seen in zip(CHANGING, some, strict=True)
    ]
    columns = ["what the server does", "created", "modes", "questions / ceil(N/200)", "missed", "proved"]
    found.tables.append(Table(f"What the planner is not told, {n:,} products", columns, rows))


def _cell(overhead: float, reached: float) -> str:
    return f"{overhead:.4f}" if reached >= 1 else f"{overhead:.3f} ({reached:.1%})"


class Desk:
    """Where the usual ways ask their questions."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.asked = 0
        self.seen: set[str] = set()
        self._facts = Facts(size=SIZE, window=WINDOW)

    def ask(self, region: Region, page: int, sort: Sort = "asc") -> Answer:
        """One question; its rows are kept."""
        bounds = self._facts.from_text(region.start), self._facts.to_text(region.end)
        answer = self.server.answer(Question(0, 0, "page", 1, region, page, SIZE, sort, *bounds))
        self.asked += 1
        self.seen.update(row.pid for row in answer.rows)
        return answer

    def read(self, region: Region, total: int) -> None:
        """The pages of a region behind its first, as far as they can be reached."""
        for page in range(2, min(-(-total // SIZE), WINDOW // SIZE) + 1):
            self.ask(region, page)


def numbered_pages(desk: Desk) -> None:
    """Newest first, until the server refuses."""
    page = 1
    while desk.ask(Region(), page, "desc").rows:
        page += 1


def day_windows(desk: Desk) -> None:
    """A question per day, and the pages behind it."""
    for day in range(OLDEST, START + 1, DAY):
        region = Region(day, day + DAY - 1)
        desk.read(region, desk.ask(region, 1).total)


def categories(desk: Desk) -> None:
    """Every category, as far as its pages go."""
    for name in sorted({product.category for product in desk.server.products}):
        region = Region(category=name)
        desk.read(region, desk.ask(region, 1).total)


def halving(desk: Desk) -> None:
    """Halve the time until a part can be reached, keeping the first pages."""
    for region, total in _halves(desk, OLDEST, START):
        desk.read(region, total)


def _halves(desk: Desk, start: int, end: int) -> Iterator[tuple[Region, int]]:
    total = desk.ask(Region(start, end), 1).total
    if total > WINDOW and end > start:
        middle = (start + end) // 2
        yield from _halves(desk, start, middle)
        yield from _halves(desk, middle + 1, end)
    else:
        yield Region(start, end), total


PEERS: dict[str, Callable[[Desk], None]] = {
    "numbered pages": numbered_pages,
    "a day at a time": day_windows,
    "categories": categories,
    "halving the time": halving,
}
TIMELESS = ("numbered pages", "categories")
FIRST, SECOND, FEWEST = "first walk", "second walk", "no cut needs less"
WAYS = (FIRST, SECOND, FEWEST, *PEERS)


def main(arguments: list[str]) -> None:
    """By hand: python benchmarks/catalogue.py [PRODUCTS [MOVING [SEEDS]]]."""
    from benchmarks.frame import text

    print(text.terminal(run(*map(int, arguments))))


if __name__ == "__main__":
    main(sys.argv[1:])
