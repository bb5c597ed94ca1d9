"""What prompts can name in a directory: models, their variants, agents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from adapters.opencode.wire import AgentInfo, Offered
from core.ports import AgentModel, AgentProfile, Clock

KEPT = 10.0  # seconds
T = TypeVar("T")


class Kept(Generic[T]):
    """Answers kept for as long as a person picks from them: chats ask again with every key typed, and where many
    providers are in use an answer has hundreds of kilobytes. No longer, for a provider may just have been added.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[tuple[int, Path], tuple[float, T]] = {}

    async def get(self, generation: int, directory: Path, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, or gave a moment ago: of the same server, for the same directory."""
        now = self._clock.now().timestamp()
        self._answers = {key: kept for key, kept in self._answers.items() if 0 <= now - kept[0] < KEPT}
        if (kept := self._answers.get((generation, directory))) is not None:
            return kept[1]
        answer = await ask()
        self._answers[generation, directory] = (now, answer)
        return answer


def promptable(agents: Iterable[AgentInfo]) -> list[AgentProfile]:
    """Without sub-agents and opencode's own helpers."""
    return [
        AgentProfile(agent.name, agent.description or "")
        for agent in agents
        if agent.mode != "subagent" and not agent.hidden
    ]


def models_of(offered: Offered) -> list[AgentModel]:
    """Of all providers, in opencode's order."""
    return [
        AgentModel(f"{provider.id}/{name}", model.name or name, int(model.limit.context), tuple(model.variants))
        for provider in offered.providers
        for name, model in provider.models.items()
    ]
