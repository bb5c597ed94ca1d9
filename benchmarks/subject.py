"""The process in which one scenario is played: `python -m benchmarks.subject`, order in, findings out, as JSON."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from benchmarks.scenarios import PATIENCE, SCENARIOS


async def _play(name: str, order: bytes) -> bytes:
    scenario = SCENARIOS[name]
    async with asyncio.timeout(PATIENCE):
        return msgspec.json.encode(await scenario.play(msgspec.json.decode(order, type=scenario.order)))


if __name__ == "__main__":
    sys.stdout.buffer.write(asyncio.run(_play(sys.argv[1], sys.stdin.buffer.read())))
