"""The comparison that ratios come from: all contestants in one thread, small batches in random order, CPU time.

Slow drift, neighbours and the processor's clock hit all of them alike. The base takes part twice; how far it is from
its own copy (A/A) is how far any ratio can be trusted, and beyond 3 % nothing is judged.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from benchmarks.frame.targets import Figure

COPY = " (A/A)"
WARM_UP = 5  # rounds
FEWEST = 10  # rounds, however slow
CALM = 0.01  # an A/A closer than this needs no further rounds

Work = Callable[[], Awaitable[object]]


class Contestant(Struct, frozen=True):
    """What is asked of one: `requests` calls of `one` in a batch, on each of `width` workers."""

    one: Work
    requests: int
    width: int = 1


class Comparison(Struct):
    """CPU seconds per call, one sample a round, of every contestant. The first one is the base."""

    base: str
    samples: dict[str, list[float]]

    def __contains__(self, name: str) -> bool:
        return name in self.samples

    def cpu(self, name: str) -> float:
        """Median CPU seconds of a call."""
        return statistics.median(self.samples[name])

    def ratio(self, name: str, to: str | None = None) -> float:
        """How often the contestant does its work while the base (or `to`) does it once: the median over the rounds."""
        pairs = zip(self.samples[to or self.base], self.samples[name], strict=True)
        return statistics.median(base / own for base, own in pairs)

    def difference(self, name: str, to: str) -> float:
        """CPU seconds that a call costs beyond the other's, as the median over the rounds."""
        return statistics.median(own - other for own, other in zip(self.samples[name], self.samples[to], strict=True))

    @property
    def copy(self) -> float:
        """A/A: the base against its own copy."""
        return self.ratio(self.base + COPY)

    def figure(self, name: str, to: str | None = None, *, inverse: bool = False) -> Figure:
        """A ratio, with what tells whether it may be judged. inverse: of the times, where less is better."""
        ratio = self.ratio(name, to)
        return Figure(round(1 / ratio if inverse else ratio, 4), round(self.copy, 4))


async def compare_async(
    contestants: Mapping[str, Contestant], *, rounds: int, seconds: float, seed: int = 1
) -> Comparison:
    """Compare calls on the running loop: `rounds` rounds, and more until A/A is calm or `seconds` are over."""

    async def batch(contestant: Contestant) -> None:
        one, requests = contestant.one, contestant.requests

        async def worker() -> None:
            for _ in range(requests):
                await one()

        if contestant.width == 1:
            await worker()
        else:
            await asyncio.gather(*(worker() for _ in range(contestant.width)))

    comparison = await _rounds(contestants, batch, rounds, seconds, seed)
    for shape in {(contestant.requests, contestant.width) for contestant in contestants.values()}:
        # The batch itself, its tasks and loops, is no contestant's cost.
        nothing = await _rounds({"nothing": Contestant(_nothing, *shape)}, batch, 50, 1.0, seed)
        for name, samples in comparison.samples.items():
            contestant = contestants[name.removesuffix(COPY)]
            if (contestant.requests, contestant.width) == shape:
                samples[:] = [sample - nothing.cpu("nothing") for sample in samples]
    return comparison


async def _nothing() -> None:
    pass


def compare(
    contestants: Mapping[str, Callable[[], object]], *, rounds: int, seconds: float, calls: int = 1, seed: int = 1
) -> Comparison:
    """Compare functions, each called `calls` times a batch."""

    async def batch(contestant: Contestant) -> None:
        one = contestant.one
        for _ in range(calls):
            one()

    wrapped = {name: Contestant(one, calls) for name, one in contestants.items()}  # type: ignore[arg-type]
    coroutine = _rounds(wrapped, batch, rounds, seconds, seed)
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # nothing in it ever waits
    raise AssertionError("a function waited")


async def _rounds(
    contestants: Mapping[str, Contestant],
    batch: Callable[[Contestant], Awaitable[None]],
    rounds: int,
    seconds: float,
    seed: int,
) -> Comparison:
    base = next(iter(contestants))
    everyone = {base: contestants[base], base + COPY: contestants[base]} | dict(contestants)
    comparison = Comparison(base, {name: [] for name in everyone})
    order, names, clock = random.Random(seed), list(everyone), time.thread_time
    ends = time.perf_counter() + seconds
    done = 0
    gc.collect()
    gc.freeze()
    try:
        while done < WARM_UP + rounds or (abs(comparison.copy - 1) > CALM and time.perf_counter() < ends):
            order.shuffle(names)
            gc.collect()
            for name in names:
                contestant = everyone[name]
                began = clock()
                await batch(contestant)
                spent = clock() - began
                if done >= WARM_UP:
                    comparison.samples[name].append(spent / (contestant.requests * contestant.width))
            done += 1
            if done >= WARM_UP + FEWEST and time.perf_counter() > ends:
                break  # a slower machine than this was written on
    finally:
        gc.unfreeze()
    return comparison
