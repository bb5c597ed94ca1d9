"""What a prompt names and opencode does not have: said before it is sent. Pure.

Otherwise `opencode run` takes another agent without a word in its events, or says no more than "Unexpected server
error", and 1.3's server accepts the prompt and drops it.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.opencode.offers import promptable
from adapters.opencode.wire import AgentInfo
from core.errors import UsageError
from core.events import Finished, Outcome, Trouble
from core.ports import AgentModel, AgentRun


def check_model_name(run: AgentRun) -> None:
    """Raises UsageError for what cannot be a model."""
    if run.model and "/" not in run.model:
        raise UsageError(f"`{run.model}` is no model", "Write it as provider/model, like anthropic/claude-sonnet-4-5")


def missing_agent(run: AgentRun, agents: Sequence[AgentInfo]) -> Finished | None:
    """How a run ends whose agent nobody can prompt."""
    usable = [agent.name for agent in promptable(agents)]
    if not run.agent or run.agent in usable:
        return None
    problem = f"opencode has no agent `{run.agent}` for prompts; it has {', '.join(usable)}"
    return Finished(Outcome.FAILED, Trouble.UNKNOWN_AGENT, problem)


def missing_model(run: AgentRun, models: Sequence[AgentModel]) -> Finished | None:
    """How a run ends whose model no provider has."""
    if not run.model or any(model.id == run.model for model in models):
        return None
    return Finished(Outcome.FAILED, Trouble.UNKNOWN_MODEL, f"opencode has no model {run.model}")


def missing_variant(run: AgentRun, models: Sequence[AgentModel]) -> Finished | None:
    """How a run ends whose model has no such variant, where the run names the model: opencode would take the model
    without a variant and not say so.
    """
    model = next((model for model in models if model.id == run.model), None)
    if not run.variant or model is None or run.variant in model.variants:
        return None
    has = f"it has {', '.join(model.variants)}" if model.variants else "it has none"
    return Finished(Outcome.FAILED, "unknown_variant", f"{run.model} has no variant `{run.variant}`; {has}")
