"""`sandbox`: an embedded CJ to try things on."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from cjasync.cli.options import Common, starts_a_cj
from cjasync.cli.running import print_json
from cjasync.cli.words import counted
from cjasync.config import BASE_URL, Settings
from cjasync.sandbox import Sandbox
from cjasync.sandbox.shapes import SHAPES, shape_named


@starts_a_cj("the sandbox is asked, and asks nobody")
async def sandbox(
    common: Common,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 0,
    products: Annotated[int, typer.Option(help="How many products it holds.", min=0)] = 50_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same products.")] = 1,
    latency: Annotated[float, typer.Option(help="Seconds that a message takes, one way.", min=0)] = 0.0,
    shape: Annotated[
        str, typer.Option(help=f"How creation times are spread: {', '.join(SHAPES)}.", metavar="SHAPE")
    ] = "market",
) -> None:
    """Run an embedded CJ on this machine, until Ctrl-C.

    Real sockets, CJ's limits and oddities, made-up products.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    plan = common.limited(Settings.from_env(base_url=BASE_URL).plan)  # wherever CJ_BASE_URL leads
    times = shape_named(shape)
    common.err.print(f"Making {counted(products, 'product')} ...")
    async with Sandbox(port=port, products=products, seed=seed, latency=latency, shape=times, plan=plan) as running:
        if common.json:
            ready = {"base_url": running.base_url, "api_key": running.api_key, "access_token": running.access_token}
            print_json(ready)
        else:
            # They open nothing but this sandbox, and whoever runs it needs them.
            common.out.print(f"export CJ_BASE_URL={running.base_url}", markup=False)
            common.out.print(f"export CJ_API_KEY={running.api_key}", markup=False)
            if common.plan is not None:  # else who asks keeps to another plan than the one that is enforced
                common.out.print(f"export CJ_PLAN={common.plan}", markup=False)
            common.err.print("Paste these into another terminal, then try: [bold]cjasync pull --out products.jsonl[/]")
            common.err.print("Ctrl-C ends it.")
        await stop.wait()
