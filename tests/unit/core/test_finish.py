"""`commit`, `push` and `pr`: shown first, done when pressed, and shown again where something has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import ForgeError, PushRejected, WorkspaceError
from core.events import Finished, Outcome
from core.ports import FileChange, Reply, Work
from tests.fakes.forge import FakeForge
from tests.fakes.workspace import FakeWorkspace
from tests.fakes.world import BOB, VIEWER, World, key

REF = "github.com/shoko/kugetsu#14"
BRANCH = "kugetsu/14"
CHANGED = Work((FileChange("a.py", 3, 1),), (), (), "head", "origin", "https://forge.test/kugetsu")
COMMITTED = replace(CHANGED, uncommitted=(), commits=("c1 add",), unpushed=("c1 add",))
PUSHED = replace(COMMITTED, unpushed=())


@pytest.fixture
async def started(world: World) -> World:
    world.outside.forge = FakeForge()
    await world.say(f"/start {REF} add the form")
    await world.quiet()
    return world


@pytest.fixture
def git(started: World) -> FakeWorkspace:
    started.outside.workspace.standing = CHANGED
    return started.outside.workspace


@pytest.fixture
def forge(started: World) -> FakeForge:
    forge = started.outside.forge
    assert isinstance(forge, FakeForge)
    return forge


def button(reply: Reply) -> str:
    [only] = reply.document.buttons
    return only.id


# ── commit ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_commit_is_shown_and_then_made(started: World, git: FakeWorkspace) -> None:
    asked = await started.say(f"/commit {REF} add *the* form")
    assert (asked.ok, asked.code, git.commits) == (False, "confirm", [])
    assert "`a.py` +3 −1" in asked.document.markdown
    assert "add \\*the\\* form" in asked.document.markdown
    done = await started.press_button(button(asked))
    assert done.ok
    assert [message for _, message in git.commits] == ["add *the* form"]


async def test_without_a_message_it_is_the_sessions_title(started: World, git: FakeWorkspace) -> None:
    await started.press_button(button(await started.say(f"/commit {REF}")))
    assert git.commits[0][1] == "add the form (#14)"


async def test_a_message_of_several_lines_stays_whole(started: World, git: FakeWorkspace) -> None:
    await started.press_button(button(await started.say(f"/commit {REF} Title\n\n- a --yes body")))
    assert git.commits[0][1] == "Title\n\n- a --yes body"


async def test_pressed_twice_it_is_made_once(started: World, git: FakeWorkspace) -> None:
    asked = await started.say(f"/commit {REF}")
    await started.press_button(button(asked))
    again = await started.press_button(button(asked), BOB)
    assert not again.ok
    assert "nothing to commit" in again.document.markdown
    assert len(git.commits) == 1


async def test_files_that_changed_since_are_shown_again(started: World, git: FakeWorkspace) -> None:
    asked = await started.say(f"/commit {REF}")
    git.differing = [FileChange("late.py", 1)]
    again = await started.press_button(button(asked))
    assert "have changed since" in again.document.markdown
    assert git.commits == []
    git.differing = []
    assert (await started.press_button(button(again))).ok


async def test_a_hook_that_refuses_is_quoted(started: World, git: FakeWorkspace) -> None:
    git.raising["commit"] = WorkspaceError("The hook pre-commit says: line too long", "Fix it, then commit again.")
    refused = await started.say(f"/commit -y {REF}")
    assert not refused.ok
    assert "line too long" in refused.document.markdown


@pytest.mark.parametrize("command", ["commit", "push", "pr"])
async def test_not_while_a_run_goes_on(started: World, git: FakeWorkspace, command: str) -> None:
    import asyncio  # noqa: PLC0415

    gate = asyncio.Event()
    started.agent.scripts.append([gate, Finished(Outcome.DONE)])
    await started.say(f"/continue {REF} more")
    refused = await started.say(f"/{command} -y {REF}")
    assert refused.code == "busy"
    gate.set()
    await started.quiet()
    assert git.commits == git.pushes == []


@pytest.mark.parametrize("command", ["commit", "push", "pr"])
async def test_viewers_finish_nothing(started: World, git: FakeWorkspace, command: str) -> None:
    assert (await started.say(f"/{command} -y {REF}", VIEWER)).code == "not_allowed"
    asked = await started.say(f"/commit {REF}")
    assert (await started.press_button(button(asked), VIEWER)).code == "not_allowed"
    assert git.commits == []


async def test_after_the_end_of_the_session_the_button_says_so(started: World, git: FakeWorkspace) -> None:
    asked = await started.say(f"/commit {REF}")
    await started.say(f"/destroy --force {REF}")
    gone = await started.press_button(button(asked))
    assert not gone.ok
    assert "has no session" in gone.document.markdown


async def test_without_worktrees_git_itself_does_it(started: World) -> None:
    await started.store.change_session(key(), lambda now: replace(now, branch=""))
    assert "no branch for it" in (await started.say(f"/commit {REF}")).document.markdown


# ── push ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_push_is_shown_and_then_made(started: World, git: FakeWorkspace) -> None:
    git.standing = COMMITTED
    asked = await started.say(f"/push {REF}")
    assert "c1 add" in asked.document.markdown
    assert git.pushes == []
    done = await started.press_button(button(asked))
    assert [(branch, remote) for _, branch, remote in git.pushes] == [(BRANCH, "origin")]
    assert [each.label for each in done.document.buttons] == ["Pull request…"]


async def test_other_commits_since_are_shown_again(started: World, git: FakeWorkspace) -> None:
    git.standing = COMMITTED
    asked = await started.say(f"/push {REF}")
    git.standing = replace(COMMITTED, head="another")
    assert "other commits now" in (await started.press_button(button(asked))).document.markdown
    assert git.pushes == []


async def test_a_rejected_push_says_what_to_do(started: World, git: FakeWorkspace) -> None:
    git.standing = COMMITTED
    git.raising["push"] = PushRejected("The remote has commits that the branch lacks.", "Bring them in first.")
    refused = await started.say(f"/push -y {REF}")
    assert refused.code == "push_rejected"
    assert "Bring them in first." in refused.document.markdown


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (replace(COMMITTED, remote=""), "no remote"),
        (CHANGED, "1 file is not committed"),
        (PUSHED, "nothing to push"),
    ],
)
async def test_nothing_to_push(started: World, git: FakeWorkspace, standing: Work, words: str) -> None:
    git.standing = standing
    refused = await started.say(f"/push -y {REF}")
    assert not refused.ok
    assert words in refused.document.markdown
    assert git.pushes == []


async def test_a_forge_that_fails_does_not_undo_a_push(started: World, git: FakeWorkspace, forge: FakeForge) -> None:
    git.standing = COMMITTED
    forge.raising["pull_request"] = ForgeError("It is down.")
    assert (await started.say(f"/push -y {REF}")).ok


# ── pull requests ──────────────────────────────────────────────────────────────────────────────


async def test_a_request_is_shown_and_then_opened(started: World, git: FakeWorkspace, forge: FakeForge) -> None:
    git.standing = COMMITTED
    asked = await started.say(f"/pr {REF}")
    assert "into `main`" in asked.document.markdown
    assert "answer to add the form" in asked.document.markdown
    assert forge.requests == {}
    done = await started.press_button(button(asked))
    assert done.ok
    assert len(git.pushes) == 1
    assert forge.requests[BRANCH].title == "add the form"
    assert forge.texts == ["answer to add the form\n\nCloses #14"]
    assert "[#7 add the form](https://forge.test/7)" in done.document.markdown


async def test_title_and_text_may_be_the_persons(started: World, git: FakeWorkspace, forge: FakeForge) -> None:
    git.standing = PUSHED
    await started.press_button(button(await started.say(f"/pr --draft {REF} My title\nMy words")))
    assert forge.requests[BRANCH].title == "Draft: My title"
    assert forge.texts == ["My words\n\nCloses #14"]
    assert git.pushes == []


async def test_one_that_is_there_is_shown_or_gets_the_new_commits(
    started: World, git: FakeWorkspace, forge: FakeForge
) -> None:
    git.standing = PUSHED
    await started.say(f"/pr -y {REF}")
    assert "has a pull request" in (await started.say(f"/pr -y {REF}")).document.markdown
    git.standing = COMMITTED
    assert (await started.say(f"/pr -y {REF}")).ok
    assert len(git.pushes) == 1
    assert len(forge.texts) == 1
    forge.end(BRANCH, "merged")
    assert "is merged" in (await started.say(f"/pr -y {REF}")).document.markdown


async def test_a_push_that_fails_opens_nothing(started: World, git: FakeWorkspace, forge: FakeForge) -> None:
    git.standing = COMMITTED
    git.raising["push"] = PushRejected("No.", "Do.")
    assert (await started.say(f"/pr -y {REF}")).code == "push_rejected"
    assert forge.requests == {}


async def test_a_forge_that_is_down_says_so(started: World, git: FakeWorkspace, forge: FakeForge) -> None:
    git.standing = PUSHED
    forge.raising["open_pull_request"] = ForgeError("The forge is down.", "Later.")
    assert "The forge is down." in (await started.say(f"/pr -y {REF}")).document.markdown


async def test_without_commits_there_is_nothing_to_merge(started: World, git: FakeWorkspace) -> None:
    refused = await started.say(f"/pr -y {REF}")
    assert "`/commit" in refused.document.markdown
    git.standing = replace(CHANGED, uncommitted=())
    assert "nothing to merge" in (await started.say(f"/pr -y {REF}")).document.markdown


async def test_without_a_forge_it_says_how_to_configure_one(started: World, git: FakeWorkspace) -> None:
    started.outside.forge = None
    git.standing = PUSHED
    assert "forges:" in (await started.say(f"/pr {REF}")).document.markdown
