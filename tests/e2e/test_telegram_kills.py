"""SIGKILL at fixed seeds: a few prompts in a private chat and in threads, a kill at any instant, the bot again, and the
checker. `make soak` does the same three hundred times.
"""

from __future__ import annotations

import pytest

from tests.soak import runner, seeds
from tests.soak.world import Worlds

# Chosen by where they kill: a message has come in; a thread, a fork is made; a prompt is noted; words stream; a live
# message, a page is sent; an answer is on its way, and again on the way back; a decision reached the agent; any send.
SEEDS = (575, 388, 1, 1406, 625, 1159, 192, 438, 743, 96)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("seed", SEEDS)
async def test_killed(telegram_worlds: Worlds, seed: int) -> None:
    verdict = await runner.run(await telegram_worlds.get(), seeds.scenario(seed))
    assert verdict.kills, "nobody was killed"
    assert verdict.good, f"{verdict}\n{verdict.report}"
