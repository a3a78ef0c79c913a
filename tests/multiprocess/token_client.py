"""A client in a process: `python token_client.py BASE_URL API_KEY FOLDER` makes a call and prints "done"."""

import asyncio
import sys

from cjasync import CJClient, Plan

FREE = Plan(qps=None, ip_qps=None, accounts_per_ip=None, daily_calls=None, daily_points=None)


async def main(base_url: str, api_key: str, folder: str) -> None:
    async with CJClient(api_key, base_url=base_url, plan=FREE, quota="memory", token_store=folder) as cj:
        await cj.categories.get()
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
