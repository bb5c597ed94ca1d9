"""A summary in place of the conversation, asked for from outside.

opencode says yes whatever became of it, so what it stored is looked at. A summary that failed or was stopped it would
try again before the next prompt, and for ever; so its traces are taken out, and the conversation is as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from adapters.opencode import troubles
from adapters.opencode.http import AgentRefusal, gone
from adapters.opencode.sessions import PAGE, Sessions
from adapters.opencode.wire import ABORTED, StoredMessage
from core.errors import AgentError, AgentUnavailable
from core.model import SessionId

# Seconds. A full context takes a slow model a minute to read and the summary some more to write; and a provider in
# trouble is asked again, after pauses that opencode lets grow.
LIMIT = 600.0
_NEW = 10  # messages looked at afterwards; a compaction adds two
_ENDING = 5.0  # seconds for what was aborted


async def compact(sessions: Sessions, session: SessionId, directory: Path, model: str, within: float = LIMIT) -> None:
    """Raises AgentError, in the provider's words where it was the provider; AgentSessionGone."""
    await sessions.at_rest(session, directory)
    before = {message.info.id for message in await sessions.latest(session, PAGE)}
    if not before:
        raise AgentError("There is nothing to summarise yet", "Prompt the session first")
    problem = ""
    try:
        await _summarise(sessions, session, directory, model, within)
    except AgentRefusal as error:
        if error.status == 404:
            raise gone(session) from error
        problem = str(error)
    except AgentUnavailable as error:
        if not isinstance(error.__cause__, TimeoutError):
            raise
        await _abort(sessions, session, directory)
        problem = f"The summary was not ready within {within / 60:g} minutes"
    made = [message for message in await sessions.latest(session, _NEW) if message.info.id not in before]
    if problem := problem or _problem(made):
        for message in made:
            await sessions.delete_message(session, message.info.id)
        raise AgentError(problem, "The conversation is as it was")


async def _summarise(sessions: Sessions, session: SessionId, directory: Path, model: str, within: float) -> None:
    provider, _, name = model.partition("/")
    body = {"providerID": provider, "modelID": name}
    await sessions.http.post(f"/session/{session}/summarize", body, directory=directory, within=within)


async def _abort(sessions: Sessions, session: SessionId, directory: Path) -> None:
    await sessions.abort(session, directory)
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDING):
            while await sessions.busy(session, directory):  # noqa: ASYNC110  no run listens here
                await asyncio.sleep(0.1)


def _problem(made: Sequence[StoredMessage]) -> str:
    summary = next((message for message in reversed(made) if message.info.is_summary), None)
    if summary is None:
        return "opencode made no summary"
    if summary.info.error is not None:
        stopped = summary.info.error.name == ABORTED
        return "The summary was stopped before it was written" if stopped else troubles.words(summary.info.error)
    if not summary.info.completed:
        return "The summary was not finished"
    spoke = any(part.type == "text" and part.text.strip() for part in summary.parts)
    return "" if spoke else "The model wrote an empty summary"
