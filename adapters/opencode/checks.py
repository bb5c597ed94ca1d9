"""What a prompt names and opencode does not have: said before it is sent. Pure.

Otherwise `opencode run` takes another agent without a word in its events, or says no more than "Unexpected server
error", and 1.3's server accepts the prompt and drops it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.opencode.wire import AgentInfo
from core.errors import UsageError
from core.events import Finished, Outcome
from core.ports import AgentRun


def check_model_name(run: AgentRun) -> None:
    """Raises UsageError for what cannot be a model."""
    if run.model and "/" not in run.model:
        raise UsageError(f"`{run.model}` is no model", "Write it as provider/model, like anthropic/claude-sonnet-4-5")


def missing_agent(run: AgentRun, agents: Sequence[AgentInfo]) -> Finished | None:
    """How a run ends whose agent nobody can prompt."""
    usable = [agent.name for agent in agents if agent.mode != "subagent" and not agent.hidden]
    if not run.agent or run.agent in usable:
        return None
    problem = f"opencode has no agent `{run.agent}` for prompts; it has {', '.join(usable)}"
    return Finished(Outcome.FAILED, "agent_not_found", problem)


def missing_model(run: AgentRun, offered: Mapping[str, Sequence[str]]) -> Finished | None:
    """How a run ends whose model no provider has. `offered`: provider → its models."""
    provider, _, model = run.model.partition("/")
    if not run.model or model in offered.get(provider, ()):
        return None
    return Finished(Outcome.FAILED, "model_not_found", f"opencode has no model {run.model}")
