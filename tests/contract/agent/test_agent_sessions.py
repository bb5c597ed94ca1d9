"""Sessions: made, forked into a directory, found, listed, renamed, deleted."""

from __future__ import annotations

import pytest

from core.errors import AgentSessionGone, WrongDirectory
from core.model import PermissionRule, SessionId
from tests.simulators.opencode_home import git_project

pytestmark = pytest.mark.asyncio(loop_scope="session")
UNKNOWN = SessionId("ses_df85a4eb2ffefJpqu0TR1hhhHx")


@pytest.mark.needs("sessions")
async def test_a_session_is_made_and_found(lab):
    made = await lab.port.create_session(lab.project, "Login form #14")
    found = await lab.port.find_session(made.id)
    assert found == made
    assert (found.title, found.directory, found.parent_id) == ("Login form #14", lab.project, None)


@pytest.mark.needs("sessions")
async def test_what_does_not_exist_is_none(lab):
    assert await lab.port.find_session(UNKNOWN) is None
    assert await lab.port.find_session(SessionId("nonsense")) is None


@pytest.mark.needs("sessions")
async def test_no_session_in_a_directory_that_does_not_exist(lab):
    with pytest.raises(WrongDirectory):
        await lab.port.create_session(lab.root / "nowhere", "Lost")


@pytest.mark.needs("sessions")
async def test_rename_and_delete(lab):
    session = await lab.session()
    await lab.port.rename_session(session.id, "Übersetzung 🌕")
    found = await lab.port.find_session(session.id)
    assert found is not None
    assert found.title == "Übersetzung 🌕"
    await lab.port.delete_session(session.id)
    assert await lab.port.find_session(session.id) is None
    await lab.port.delete_session(session.id)
    with pytest.raises(AgentSessionGone):
        await lab.port.rename_session(session.id, "Too late")


async def test_a_fork_works_in_its_worktree_and_knows_what_was_said(lab, text):
    base = await lab.session()
    await lab.say(base.id, f"{text} remember the moon")
    worktree = lab.worktree()
    fork = await lab.port.fork_session(base.id, worktree)
    await lab.port.settle_directory(fork.id, worktree)
    found = await lab.port.find_session(fork.id)
    assert found is not None
    assert found.directory == worktree
    assert found.parent_id is None

    lab.model.on(f"{text} go").call("bash", {"command": "pwd > here.txt", "description": "Where"}).then_say("There.")
    listener = await lab.say(fork.id, f"{text} go", worktree)
    assert listener.progress.text == "There."
    assert (worktree / "here.txt").read_text().strip() == str(worktree)
    assert not (lab.project / "here.txt").exists()
    said = [str(message.get("content")) for message in lab.model.asked(f"{text} go")[0].messages]
    assert any("remember the moon" in content for content in said)


@pytest.mark.needs("sessions")
async def test_a_fork_before_a_message_forgets_it(lab, text):
    base = await lab.session()
    await lab.say(base.id, f"{text} one")
    second = await lab.say(base.id, f"{text} two")
    fork = await lab.port.fork_session(base.id, lab.project, second.events[0].message_id)
    await lab.port.settle_directory(fork.id, lab.project)
    await lab.say(fork.id, f"{text} three")
    said = "".join(str(message.get("content")) for message in lab.model.asked(f"{text} three")[0].messages)
    assert f"{text} one" in said
    assert f"{text} two" not in said


async def test_a_symlink_is_the_directory_it_leads_to(lab):
    link = lab.root / "link"
    link.symlink_to(lab.project)
    session = await lab.session()
    await lab.port.settle_directory(session.id, link)
    through = await lab.session(link)
    assert through.directory == lab.project
    assert (await lab.say(through.id, "hello", link)).progress.text == "ok"


@pytest.mark.needs("sessions")
async def test_a_session_cannot_be_settled_in_another_project(lab):
    session = await lab.session()
    other = git_project(lab.root / "other")
    with pytest.raises(WrongDirectory) as refused:
        await lab.port.settle_directory(session.id, other)
    assert str(lab.project) in str(refused.value)
    assert refused.value.hint


@pytest.mark.needs("sessions")
async def test_forking_or_settling_what_is_gone(lab):
    with pytest.raises(AgentSessionGone):
        await lab.port.fork_session(UNKNOWN, lab.project)
    with pytest.raises(AgentSessionGone):
        await lab.port.settle_directory(UNKNOWN, lab.project)


@pytest.mark.needs("sessions")
async def test_the_list_has_all_of_the_project_with_its_worktrees_and_nothing_else(lab):
    worktree = lab.worktree()
    elsewhere = git_project(lab.root / "elsewhere")
    sessions = [(await lab.session()).id for _ in range(105)]  # opencode stops at 100 unless told otherwise
    sessions.append((await lab.session(worktree)).id)
    foreign = await lab.session(elsewhere)
    listed = {session.id for session in await lab.port.list_sessions(lab.project)}
    assert listed >= set(sessions)
    assert foreign.id not in listed
    assert {session.id for session in await lab.port.list_sessions(worktree)} == listed


@pytest.mark.needs("sessions")
async def test_rules_of_a_session_hold(lab, text):
    rules = [PermissionRule("bash", "pwd*", "deny")]
    session = await lab.port.create_session(lab.project, "Ruled", rules)
    lab.model.on(text).call("bash", {"command": "pwd", "description": "Where"}).then_say("No.")
    listener = await lab.say(session.id, text)
    assert [step.state for step in listener.progress.steps] == ["error"]


@pytest.mark.needs("sessions")
async def test_the_default_model_is_the_configured_one(lab):
    assert await lab.port.default_model(lab.project) == "mock/m1"


async def test_warming_never_fails(lab):
    await lab.port.warm(lab.project)
    await lab.port.warm(lab.root / "nowhere")
