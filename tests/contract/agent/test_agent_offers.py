"""What prompts can name: models, their variants, agents; and what is said of what opencode does not have."""

from __future__ import annotations

import pytest

from core.events import Finished, Outcome
from core.ports import AgentModel, AgentProfile

pytestmark = pytest.mark.asyncio(loop_scope="session")
DONE = Finished(Outcome.DONE)
CONFIG = {
    "provider": {
        "mock": {
            "models": {
                "m1": {"variants": {"high": {"reasoningEffort": "high"}, "off": {"disabled": True}}},
                "group/m2": {"limit": {"context": 8000, "output": 1000}},
            }
        }
    },
    "agent": {
        "reviewer": {"mode": "all", "description": "Looks twice", "prompt": "Look twice."},
        "helper": {"mode": "subagent", "description": "Helps"},
    },
}


async def test_models_and_agents_are_those_of_the_directory(lab):
    directory = lab.configured(CONFIG)
    models = {model.id: model for model in await lab.port.models(directory)}
    assert models["mock/m1"] == AgentModel("mock/m1", "M1", 100_000, ("high",))
    assert models["mock/group/m2"] == AgentModel("mock/group/m2", "group/m2", 8000)
    assert [model.id for model in await lab.port.models(lab.project)] == ["mock/m1"]
    agents = {agent.name: agent for agent in await lab.port.agents(directory)}
    assert agents["reviewer"] == AgentProfile("reviewer", "Looks twice")
    assert {"build", "plan"} <= set(agents)
    assert not {"helper", "general", "title", "compaction", "summary"} & set(agents)
    assert "reviewer" not in {agent.name for agent in await lab.port.agents(lab.project)}


async def test_a_variant_goes_with_the_prompt_and_only_one_that_exists(lab, text):
    directory = lab.configured(CONFIG)
    session = await lab.session(directory)
    listener = await lab.say(session.id, f"{text} high", directory, model="mock/m1", variant="high")
    assert listener.events[-1] == DONE
    assert lab.model.asked(f"{text} high")[0].body["reasoning_effort"] == "high"
    end = (await lab.say(session.id, f"{text} low", directory, model="mock/m1", variant="low")).events[-1]
    assert (end.outcome, end.error_code) == (Outcome.FAILED, "unknown_variant")
    assert "`low`; it has high" in end.error
    assert not lab.model.asked(f"{text} low")
