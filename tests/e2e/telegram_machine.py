"""A machine whose bot is on Telegram: the simulator in this process, kugetsu in one of its own, real opencode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.e2e.harness import PATIENCE, PROJECT, Machine, finish
from tests.simulators.telegram import Chat, TelegramSimulator, User

REF = f"{PROJECT}#14"


@dataclass(slots=True)
class TelegramMachine:
    """`machine` with the people on Telegram."""

    machine: Machine
    sim: TelegramSimulator
    alice: User
    chat: Chat

    def write(self, **changes: object) -> None:
        """config.yaml with Alice as admin."""
        adapters = {"console": {}, "telegram": {"token": self.sim.token, "api_base": self.sim.url}}
        self.machine.write(adapters=adapters, access={"admins": [f"telegram:{self.alice.id}"]}, **changes)

    @asynccontextmanager
    async def bot(
        self, env: dict[str, str] | None = None, module: str = "bot"
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """`kugetsu run`, listening to Telegram too; ended by SIGTERM if it still lives."""
        process = await self.machine.start_process("--config", str(self.machine.config), "run", env=env, module=module)
        try:
            assert process.stdout
            async with asyncio.timeout(PATIENCE):
                line = await process.stdout.readline()
            assert b"listens" in line, (line, await process.stderr.read() if process.stderr else b"")
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await finish(process)


async def on_telegram(machine: Machine, sim: TelegramSimulator) -> TelegramMachine:
    """Alice is admin and has begun a chat with the bot."""
    alice = sim.user("Alice")
    made = TelegramMachine(machine, sim, alice, sim.private(alice))
    made.write()
    return made
