"""Writes against a limit on the size of files, then without it, and prints what became of it."""

import asyncio
import resource
import sys
from pathlib import Path

from store_values import ANNA, HERE, KEY, SteppedClock

from adapters.store.sql import SqlStore
from core.errors import StoreError
from core.ports import Chunk


async def main() -> None:
    state_dir = Path(sys.argv[1])
    store = SqlStore(state_dir, SteppedClock())
    await store.open()
    run = await store.add_run(KEY, "go", ANNA, HERE)
    await store.append_text([Chunk(run.id, "p", "before")])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((state_dir / "kugetsu.db-wal").stat().st_size, hard))

    async def append(text: str, count: int) -> str:
        try:
            await store.append_text([Chunk(run.id, "p", text) for _ in range(count)])
        except StoreError as error:
            return "refused" if error.hint and str(state_dir) in str(error) else repr(error)
        return "written"

    print(await append("x" * 3000, 100))
    print(await store.received_text(run.id))
    print(await append("x" * 3000, 100))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(await append("+after", 1))
    print(await store.received_text(run.id))
    await store.close()


asyncio.run(main())
