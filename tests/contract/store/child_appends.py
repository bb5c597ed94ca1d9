"""Appends numbers for ever and prints each one that was acknowledged."""

import asyncio
import sys
from pathlib import Path

from store_values import ANNA, HERE, KEY, SteppedClock

from adapters.store.sql import SqlStore
from core.ports import Chunk


async def main() -> None:
    store = SqlStore(Path(sys.argv[1]), SteppedClock())
    await store.open()
    run = await store.add_run(KEY, "count", ANNA, HERE)
    number = 0
    while True:
        await store.append_text([Chunk(run.id, "p", f"{number} ")])
        print(number, flush=True)
        number += 1


asyncio.run(main())
