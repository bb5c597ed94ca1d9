"""The conversation taken back and brought back, and a summary put in its place."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from adapters.opencode.compaction import compact
from core.errors import AgentError, AgentSessionGone
from core.events import Finished, Outcome
from core.model import MessageId, SessionId
from tests.simulators.model import SUMMARY

pytestmark = pytest.mark.asyncio(loop_scope="session")
UNKNOWN = SessionId("ses_df85a4eb2ffefJpqu0TR1hhhHx")
NOBODYS = MessageId("msg_0123456789abcdefghijklmnop")
DONE = Finished(Outcome.DONE)


async def talked(lab, text: str, *words: str) -> tuple[SessionId, list[MessageId]]:
    """A session with a prompt for each word, and the prompts' ids in opencode."""
    session = await lab.session()
    return session.id, [(await lab.say(session.id, f"{text} {word}")).events[0].message_id for word in words]


async def remembered(lab, text: str, session: SessionId, question: str, directory=None) -> str:
    """All that the model is told with the next prompt."""
    assert (await lab.say(session, f"{text} {question}", directory)).events[-1] == DONE
    return lab.model.asked(f"{text} {question}")[-1].text


async def test_a_reverted_exchange_is_gone_with_the_next_prompt(lab, text):
    session, (first, second) = await talked(lab, text, "first", "second")
    await lab.port.revert(session, lab.project, first)
    await lab.port.revert(session, lab.project, second)  # not so far
    told = await remembered(lab, text, session, "third")
    assert f"{text} first" in told
    assert f"{text} second" not in told
    with pytest.raises(AgentError, match="does not have this prompt"):
        await lab.port.revert(session, lab.project, second)


@pytest.mark.needs("sessions")
async def test_further_back_and_a_fork_from_there(lab, text):
    session, (_, second, third) = await talked(lab, text, "first", "second", "third")
    await lab.port.revert(session, lab.project, third)
    await lab.port.revert(session, lab.project, second)
    fork = await lab.port.fork_session(session, lab.project)
    await lab.port.settle_directory(fork.id, lab.project)
    for where in (fork.id, session):
        told = await remembered(lab, text, where, f"next in {where}")
        assert f"{text} first" in told
        assert f"{text} second" not in told
        assert f"{text} third" not in told


async def test_what_was_reverted_comes_back(lab, text):
    session, (first, _) = await talked(lab, text, "first", "second")
    await lab.port.revert(session, lab.project, None)  # nothing yet: fine
    await lab.port.revert(session, lab.project, first)
    await lab.port.revert(session, lab.project, None)
    told = await remembered(lab, text, session, "third")
    assert f"{text} first" in told
    assert f"{text} second" in told


@pytest.mark.needs("sessions")
async def test_nothing_is_reverted_that_is_not_there(lab, text):
    session, (first,) = await talked(lab, text, "first")
    other, _ = await talked(lab, text, "other")
    for message, where in ((NOBODYS, session), (first, other)):
        with pytest.raises(AgentError, match="does not have this prompt"):
            await lab.port.revert(where, lab.project, message)
    assert f"{text} first" in await remembered(lab, text, session, "second")
    for message in (first, None):
        with pytest.raises(AgentSessionGone):
            await lab.port.revert(UNKNOWN, lab.project, message)


async def test_a_session_at_work_is_left_alone(lab, text):
    session, (first,) = await talked(lab, text, "first")
    rule = lab.model.on(f"{text} long").say("x").hang()
    listener = lab.start(lab.prompt(session, f"{text} long"))
    async with asyncio.timeout(20):
        await rule.seen.wait()
    for call in (
        partial(lab.port.revert, session, lab.project, first),
        partial(lab.port.revert, session, lab.project, None),
        partial(lab.port.compact, session, lab.project, "mock/m1"),
    ):
        with pytest.raises(AgentError, match="at work"):
            await call()
    rule.release()
    assert await listener.finished() == DONE


async def test_files_are_as_they_stay_when_revert_returns(lab, text):
    directory = lab.configured({"snapshot": True})  # 1.18 then restores them
    session = await lab.session(directory)
    file = directory / f"{text}.txt"
    lab.model.on(f"{text} write").call("write", {"filePath": str(file), "content": "x"}).then_say("Written.")
    prompt = (await lab.say(session.id, f"{text} write", directory)).events[0].message_id
    await lab.port.revert(session.id, directory, prompt)
    there = file.exists()
    if there:
        file.unlink()
    await asyncio.sleep(0.3)
    assert not file.exists()
    assert f"{text} write" not in await remembered(lab, text, session.id, "next", directory)
    assert not file.exists()


async def test_a_summary_takes_the_place_of_the_conversation(lab, text):
    session, (_, second) = await talked(lab, text, "first", "second")
    await lab.port.revert(session, lab.project, second)
    lab.model.on_summary(text).say(f"In short {text}.", delay=0.3)
    await lab.port.compact(session, lab.project, "mock/m1")
    (asked,) = lab.model.summarised(text)
    assert f"{text} first" in asked.text
    assert f"{text} second" not in asked.text
    told = await remembered(lab, text, session, "third")
    assert f"In short {text}." in told
    assert f"{text} first" not in told


async def test_a_summary_that_fails_leaves_the_conversation_as_it_was(lab, text):
    session, _ = await talked(lab, text, "first")
    rule = lab.model.on_summary(text).fail(400, "The account is on fire\n at line 1")
    with pytest.raises(AgentError, match=r"^The account is on fire$"):
        await lab.port.compact(session, lab.project, "mock/m1")
    rule.turns[0].pieces[:] = [" "]
    with pytest.raises(AgentError, match="empty summary"):
        await lab.port.compact(session, lab.project, "mock/m1")
    told = await remembered(lab, text, session, "second")
    assert f"{text} first" in told
    assert SUMMARY not in told
    assert len(lab.model.summarised(text)) == 2  # opencode would have tried again before the prompt


async def test_a_summary_is_stopped(lab, text):
    session, _ = await talked(lab, text, "first")
    rule = lab.model.on_summary(text).say("Half").hang()
    compacting = asyncio.create_task(lab.port.compact(session, lab.project, "mock/m1"))
    async with asyncio.timeout(20):
        await rule.seen.wait()
    began = time.monotonic()
    await lab.port.stop(session, lab.project)
    with pytest.raises(AgentError, match="stopped"):
        await compacting
    assert time.monotonic() - began < 2
    assert f"{text} first" in await remembered(lab, text, session, "second")
    assert len(lab.model.summarised(text)) == 1


@pytest.mark.needs("sessions")
async def test_a_summary_that_takes_too_long_is_ended(lab, text):
    session, _ = await talked(lab, text, "first")
    lab.model.on_summary(text).say("Half").hang()
    sessions = await lab.port._sessions()
    with pytest.raises(AgentError, match="not ready within"):
        await compact(sessions, session, lab.project, "mock/m1", within=0.5)
    assert f"{text} first" in await remembered(lab, text, session, "second")


@pytest.mark.needs("sessions")
async def test_nothing_to_summarise_with_or_in(lab, text):
    session = await lab.session()
    with pytest.raises(AgentError, match="nothing to summarise"):
        await lab.port.compact(session.id, lab.project, "mock/m1")
    with pytest.raises(AgentError, match="no model mock/nope"):
        await lab.port.compact(session.id, lab.project, "mock/nope")
    with pytest.raises(AgentSessionGone):
        await lab.port.compact(UNKNOWN, lab.project, "mock/m1")
