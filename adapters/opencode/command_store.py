"""What opencode has stored of a prompt given to `opencode run`, which never says what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import dropwhile

from adapters.opencode.command_wire import Prompted
from adapters.opencode.sessions import Sessions
from adapters.opencode.stored import find_prompts
from adapters.opencode.wire import StoredMessage
from core.model import MessageId
from core.ports import AgentRun


@dataclass(frozen=True, slots=True)
class Store:
    """`messages` are the prompt's and what came after it; `sub_agents` what theirs said and did since then."""

    prompt: MessageId
    messages: Sequence[StoredMessage]
    sub_agents: Sequence[StoredMessage] = ()


async def whose_answer(sessions: Sessions, run: AgentRun, message: str, now: datetime) -> Prompted | None:
    """The prompt that the first message of a run answers."""
    info = (await sessions.message(run.session, message)).info
    prompt = info.parent
    if info.is_summary:  # the context was full already, and was compacted first
        found = find_prompts(await sessions.messages(run.session, run.message_id), run, now)
        prompt = found[0].info.id if found else ""
    return Prompted(MessageId(prompt), info.provider, info.model) if prompt else None


async def stored_of(sessions: Sessions, run: AgentRun, prompted: Prompted | None, now: datetime) -> Store | None:
    """None when the prompt is not there. Raises AgentSessionGone."""
    stored = await sessions.messages(run.session, prompted.id if prompted else run.message_id)
    if prompted is None:
        found = find_prompts(stored, run, now)
        if not found:
            await sessions.existing(run.session)  # 1.3 lists the messages of a session that does not exist: none
            return None
        prompted = Prompted(MessageId(found[0].info.id))
    return await with_sub_agents(sessions, run, prompted.id, stored)


async def with_sub_agents(sessions: Sessions, run: AgentRun, prompt: str, stored: Sequence[StoredMessage]) -> Store:
    """Of `stored` what came since `prompt`, and what sub-agents did meanwhile."""
    since = list(dropwhile(lambda message: message.info.id != prompt, stored))
    theirs: list[StoredMessage] = []
    if any(part.tool == "task" for message in since for part in message.parts):
        begun = since[0].info.time.created
        messages = await sessions.messages_of(await sessions.descendants(run.session, run.directory))
        theirs += (message for message in messages if message.info.time.created >= begun)
    return Store(MessageId(prompt), since, theirs)
