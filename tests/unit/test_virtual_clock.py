"""A clock that jumps: timers fire in order and at once, while sockets and threads get the real time they need."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from cjasync.testing.clock import VirtualClock, VirtualLoop, run


def test_a_week_takes_no_time_and_timers_keep_their_order():
    clock, rings = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)), []

    async def main():
        async def ring(after):
            await clock.sleep(after)
            rings.append((after, clock.time()))

        await asyncio.gather(*(ring(day * 86_400) for day in (7, 1, 3, 0.5)))
        assert asyncio.get_running_loop().time() == clock.monotonic()

    run(main(), clock=clock)
    assert [after for after, _ in rings] == [43_200, 86_400, 259_200, 604_800]
    assert rings[-1][1] == datetime(2026, 1, 8, tzinfo=UTC).timestamp()


def test_the_clock_on_the_wall_can_be_set_and_the_other_one_cannot_run_back():
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    before = clock.monotonic()
    clock.set_wall(-3600)
    assert clock.time() == datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp()
    assert clock.monotonic() == before
    clock.advance(60)
    assert clock.monotonic() == before + 60
    with pytest.raises(ValueError, match="never runs backwards"):
        clock.advance(-1)


def test_both_ends_of_a_socket_may_live_in_one_loop():
    clock = VirtualClock()

    over = []

    async def echo(reader, writer):
        over.append(asyncio.current_task())
        while line := await reader.readline():
            await asyncio.sleep(3600)  # an hour of thinking
            writer.write(line)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        began = clock.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in range(5):
            async with asyncio.timeout(4000):  # time must not jump past it while the bytes are on their way
                writer.write(b"%d\n" % n)
                assert await reader.readline() == b"%d\n" % n
        assert 5 * 3600 <= clock.monotonic() - began < 5 * 3600 + 60
        writer.close()
        await writer.wait_closed()
        await asyncio.wait(over)
        server.close()
        await server.wait_closed()

    run(main(), clock=clock)


def test_threads_hold_time_still():
    clock = VirtualClock()

    async def main():
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.02)
        assert clock.monotonic() == 1000.0

    run(main(), clock=clock)


def test_threads_that_end_late_hold_time_still_too():
    clock = VirtualClock()

    async def main():
        threads = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(threads)
        threads.submit(time.sleep, 0.02)

    run(main(), clock=clock)
    assert clock.monotonic() == 1000.0


def test_who_only_asks_what_time_it_is_sees_it_pass():
    clock = VirtualClock()

    async def main():
        while clock.monotonic() <= 1000.0:  # noqa: ASYNC110
            await asyncio.sleep(0)

    run(main(), clock=clock)


def test_a_loop_may_be_given_to_a_runner():
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.sleep(1e6))
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        assert loop.clock.monotonic() >= 1e6


def test_what_would_wait_for_ever_is_an_error(monkeypatch):
    monkeypatch.setattr("cjasync.testing.clock.STUCK", 0.05)

    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="wait for ever"):
        run(main())
