"""What prompts can name, and what is said when they name something else; tools of runs that only look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.opencode.checks import missing_agent, missing_model, missing_variant
from adapters.opencode.offers import KEPT, Kept, models_of, promptable
from adapters.opencode.reading import READING, closed_tools
from adapters.opencode.wire import AgentInfo, ModelInfo, Offered, ProviderInfo
from core.events import Trouble
from core.model import MessageId, SessionId
from core.ports import AgentModel, AgentProfile, AgentRun

HERE = Path("/p")
MODELS = [AgentModel("mock/m1", "M1", 100, ("high", "low")), AgentModel("mock/a/b", "a/b")]


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


def run(**more) -> AgentRun:
    return AgentRun(SessionId("ses_1"), HERE, MessageId("msg_1"), "hello", **more)


async def test_an_answer_is_kept_for_its_server_and_directory_for_a_while():
    asked: list[int] = []

    async def ask() -> int:
        asked.append(len(asked))
        return asked[-1]

    clock = Clock()
    kept: Kept[int] = Kept(clock)
    assert [await kept.get(1, HERE, ask) for _ in range(3)] == [0, 0, 0]
    assert await kept.get(1, HERE / "other", ask) == 1
    assert await kept.get(2, HERE, ask) == 2
    clock.time += timedelta(seconds=KEPT)
    assert await kept.get(2, HERE, ask) == 3
    clock.time -= timedelta(days=1)  # the clock was set back
    assert await kept.get(2, HERE, ask) == 4


async def test_a_failure_is_not_kept():
    async def fails() -> int:
        raise LookupError

    async def works() -> int:
        return 1

    kept: Kept[int] = Kept(Clock())
    with pytest.raises(LookupError):
        await kept.get(1, HERE, fails)
    assert await kept.get(1, HERE, works) == 1


def test_models_have_a_name_in_any_case():
    offered = Offered([ProviderInfo("mock", {"m1": ModelInfo("M1"), "m2": ModelInfo()})])
    assert [(model.id, model.name, model.context) for model in models_of(offered)] == [
        ("mock/m1", "M1", 0),
        ("mock/m2", "m2", 0),
    ]


def test_agents_that_prompts_can_name():
    agents = [
        AgentInfo("build", mode="primary", description="Builds"),
        AgentInfo("both", mode="all"),
        AgentInfo("helper", mode="subagent"),
        AgentInfo("title", mode="primary", hidden=True),
    ]
    assert promptable(agents) == [AgentProfile("build", "Builds"), AgentProfile("both")]
    assert missing_agent(run(), agents) is None
    assert missing_agent(run(agent="both"), agents) is None
    missing = missing_agent(run(agent="helper"), agents)
    assert missing is not None
    assert (missing.error_code, "build, both" in missing.error) == (Trouble.UNKNOWN_AGENT, True)


def test_models_and_variants_that_are_not_there():
    assert missing_model(run(), MODELS) is None
    assert missing_model(run(model="mock/a/b"), MODELS) is None
    missing = missing_model(run(model="mock/b"), MODELS)
    assert missing is not None
    assert (missing.error_code, "mock/b" in missing.error) == (Trouble.UNKNOWN_MODEL, True)
    assert missing_variant(run(variant="high"), MODELS) is None  # of the session's model, which is not known here
    assert missing_variant(run(model="mock/m1", variant="low"), MODELS) is None
    none = missing_variant(run(model="mock/a/b", variant="low"), MODELS)
    assert none is not None
    assert none.error == "mock/a/b has no variant `low`; it has none"


def test_what_is_not_known_to_read_is_closed():
    closed = closed_tools([*READING, "bash", "deploy"], ["my server", "git.hub"])
    assert not READING & set(closed)
    assert {"edit", "bash", "apply_patch", "task", "deploy", "my_server_*", "git_hub_*"} <= set(closed)
    assert len(set(closed)) == len(closed)
