"""A prompt that carries no id of ours, found among the messages opencode has stored. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from adapters.opencode.ids import made_at
from adapters.opencode.wire import StoredMessage
from core.errors import AgentInDoubt
from core.ports import AgentRun

_SLACK = 1000.0  # milliseconds by which the clock may have been set back in between


def find_prompts(stored: Sequence[StoredMessage], run: AgentRun, now: datetime) -> list[StoredMessage]:
    """What the run's prompt may have become, oldest first: by its id, where that is known, or by text and time.

    After a compaction opencode stores a prompt again, which is one more reason why the first is the one.
    """
    prompts = [message for message in stored if message.info.role == "user"]
    if known := [message for message in prompts if message.info.id == run.message_id]:
        return known
    earliest = made_at(run.message_id, now).timestamp() * 1000 - _SLACK
    wanted = run.prompt.strip()
    return [message for message in prompts if message.info.time.created >= earliest and _text(message) == wanted]


def the_prompt(stored: Sequence[StoredMessage], run: AgentRun, now: datetime) -> StoredMessage | None:
    """None when it is not there. Raises AgentInDoubt when it may be one of several."""
    found = find_prompts(stored, run, now)
    if len(found) > 1 and not _compacted_between(stored, found):
        raise AgentInDoubt(
            f"opencode has this prompt {len(found)} times in the session, and which one was ours cannot be told",
            "Look at what the agent did; if it did not answer, send it again",
        )
    return found[0] if found else None


def _compacted_between(stored: Sequence[StoredMessage], found: Sequence[StoredMessage]) -> bool:
    """Whether all but the first are opencode's own repetitions, each right behind a compaction."""
    order = [message.info.id for message in stored]
    behind = [stored[order.index(message.info.id) - 1] for message in found[1:]]
    return all(message.info.is_summary for message in behind)


def _text(message: StoredMessage) -> str:
    """As it was typed: without the contents of attached files, and the line break that 1.3 puts before it."""
    return "".join(part.text for part in message.parts if part.type == "text" and not part.synthetic).strip()
