"""After a restart a button may be pressed before the run behind it is found again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.asks import COMING, WITHDRAWN, Asks
from core.errors import NotFound
from core.model import AskId, Decision, PermissionRequest, RunId, RunState, SessionId
from core.ports import Ask
from tests.fakes.clock import LoopClock
from tests.fakes.world import ANN, LOBBY, key

pytestmark = pytest.mark.looptime

ASK = Ask(AskId("a"), RunId(1), key(), PermissionRequest("per", SessionId("ses"), "bash", ("ls",)), datetime.now(UTC))


class Outside:
    """The store, the agent and the audience, as far as a press needs them."""

    def __init__(self, ask: Ask) -> None:
        self.stored = ask
        self.decided: list[Decision] = []

    async def ask(self, _ask: AskId) -> Ask:
        return self.stored

    async def open_asks(self) -> list[Ask]:
        return [] if self.stored.decision else [self.stored]

    async def save_ask(self, ask: Ask) -> None:
        self.stored = ask

    async def decide(self, _session: object, _directory: object, _request: str, decision: Decision) -> bool:
        self.decided.append(decision)
        return True

    def __getattr__(self, name: str) -> Any:
        async def nothing(*_args: object, **_more: object) -> list[object]:
            return []

        return nothing


async def restored(asks: Asks) -> None:
    run: Any = type("Run", (), {"id": RunId(1), "state": RunState.ASKING})()
    session: Any = type("Session", (), {"agent_id": SessionId("ses"), "directory": None, "key": key()})()
    await asks.restore(run, session, lambda _granted: asyncio.sleep(0))


def asks_of(outside: Any) -> Asks:
    return Asks(outside, outside, outside, LoopClock(), timedelta(hours=1))


async def test_it_waits_for_its_run_and_counts() -> None:
    outside = Outside(ASK)
    asks = asks_of(outside)
    pressing = asyncio.create_task(asks.press(ASK.id, "once", "", ANN, LOBBY))
    await asyncio.sleep(COMING / 2)
    assert not pressing.done()
    await restored(asks)
    assert (await pressing).decision == Decision("once")
    assert outside.decided == [Decision("once")]


async def test_not_for_ever() -> None:
    asks = asks_of(Outside(ASK))
    with pytest.raises(NotFound):
        await asks.press(ASK.id, "once", "", ANN, LOBBY)


async def test_what_is_decided_is_said_at_once() -> None:
    asks = asks_of(Outside(replace(ASK, decision=WITHDRAWN)))
    with pytest.raises(NotFound):
        async with asyncio.timeout(1):
            await asks.press(ASK.id, "once", "", ANN, LOBBY)
