"""A prompt that nobody watches, to its end: what it asks is answered at once, by a function."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from core.events import Asked
from core.model import AgentRequest, Decision
from core.ports import AgentPort, AgentRun
from core.progress import Progress, fold


async def run_unattended(
    agent: AgentPort,
    run: AgentRun,
    answer: Callable[[AgentRequest], Decision],
    watch: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """How it ended; `watch` sees how far it is. Raises AgentError when it could not be begun."""
    progress = Progress()
    async with aclosing(agent.run(run)) as events:
        async for event in events:
            progress = fold(progress, event)
            watch(progress)
            if isinstance(event, Asked):
                await agent.decide(run.session, run.directory, event.request.id, answer(event.request))
    return progress
