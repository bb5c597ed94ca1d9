"""Sessions that people wrote into the files: taken up when opencode and git bear them out, else reported."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.store.edits import MirrorEdits
from adapters.store.mirror import Mirror
from adapters.store.sql import FILE, SqlStore
from core.adoption import Adoption
from core.bases import Bases
from core.errors import AgentDenied, AgentUnavailable, WorkspaceError, WrongDirectory
from core.model import LOCAL_PERSON, Place, Project, RunState, Session, SessionId, SessionKey, SessionState
from core.ports import AgentSession, Located, Trace
from core.projects import Projects
from core.sessions import Sessions
from tests.fakes.agent import ScriptedAgent
from tests.fakes.clock import ManualClock
from tests.fakes.workspace import FakeWorkspace
from tests.fakes.world import PROJECT, key

INDEX = "index.json"
SESSION = "sessions/github.com-shoko-kugetsu-14.json"


class Repositories(FakeWorkspace):
    """Checkouts known by their top folders; worktrees belong to the one project."""

    def __init__(self) -> None:
        super().__init__()
        self.tops: list[Path] = []
        self.trees: list[Trace] = []

    async def locate(self, directory: Path) -> Located | None:
        self._pass("locate")
        if not directory.exists():
            raise WorkspaceError(f"{directory} does not exist.")
        top = next((top for top in self.tops if directory.is_relative_to(top)), None)
        return Located(top, PROJECT) if top else None

    async def traces(self, project: Project, worktrees: Path) -> list[Trace]:
        return [tree for tree in self.trees if tree.directory and tree.directory.is_relative_to(worktrees)]


class House:
    """One process on a state folder, as far as it takes up what people wrote."""

    def __init__(
        self, root: Path, agent: ScriptedAgent, workspace: Repositories, clock: ManualClock, opened: list[House]
    ) -> None:
        self.root, self.agent, self.workspace, self.clock, self.opened = root, agent, workspace, clock, opened
        self.state = root / "state"
        self.said: list[str] = []
        self.marked: list[SessionKey] = []
        self.kept: list[str] = []
        self.project = Project(PROJECT, root / "checkout", base_branch="main")
        self.store = SqlStore(self.state, clock, self.changed)
        self.mirror = Mirror(self.state, self.store, clock, self.kept.append)
        projects = Projects({PROJECT.key: self.project}, self.store)
        port: Any = workspace
        some_agent: Any = agent
        bases = Bases(self.store, some_agent, port, clock, "", "")
        sessions = Sessions(
            self.store,
            some_agent,
            port,
            bases,
            clock,
            self.state,
            lambda _directory, marked: self.marked.append(marked),
            lambda _point: None,
        )
        edits = MirrorEdits(self.state, self.store, self.mirror, "github.com")
        self.adoption = Adoption(edits, self.store, some_agent, port, projects, sessions, clock, self.said.append)

    def changed(self) -> None:
        self.mirror.changed()

    async def open(self) -> House:
        self.opened.append(self)
        await self.store.open()
        return self

    async def restart(self) -> House:
        """As a service starts: before the mirror."""
        await self.store.close()
        house = await self.successor().open()
        await house.adoption.pick_up()
        await house.mirror.flush()
        return house

    def successor(self) -> House:
        return House(self.root, self.agent, self.workspace, self.clock, self.opened)

    async def start(self) -> list[str]:
        report = await self.adoption.pick_up()
        await self.mirror.flush()
        return report

    def write(self, name: str, value: object) -> None:
        (self.state / name).parent.mkdir(exist_ok=True)
        (self.state / name).write_text(json.dumps(value))

    def read(self, name: str) -> Any:
        return json.loads((self.state / name).read_bytes())

    def edit(self, name: str, **changes: Any) -> None:
        self.write(name, self.read(name) | changes)

    def worktree(self, name: str, branch: str) -> Path:
        top = self.folder(name)
        self.workspace.trees.append(Trace(top, branch, registered=True, present=True))
        return top

    def folder(self, name: str) -> Path:
        top = self.root / name
        top.mkdir(parents=True, exist_ok=True)
        self.workspace.tops.append(top)
        return top

    def opencode_has(self, agent_id: str, directory: Path, title: str = "By hand", parent: str = "") -> SessionId:
        made = AgentSession(
            SessionId(agent_id), title, directory, self.clock.now(), SessionId(parent) if parent else None
        )
        self.agent.sessions[made.id] = made
        return made.id

    async def session(self, of: SessionKey | None = None) -> Session:
        found = await self.store.session(of or key())
        assert found
        return found


@pytest.fixture
async def house(tmp_path: Path, blank_database: Path) -> AsyncIterator[House]:
    clock = ManualClock()
    house = House(tmp_path, ScriptedAgent(clock), Repositories(), clock, [])
    house.folder("checkout")
    house.state.mkdir()
    shutil.copyfile(blank_database, house.state / FILE)
    await house.open()
    yield house
    for one in house.opened:
        await one.store.close()


@pytest.fixture
async def settled(house: House) -> House:
    """With a session, taken up and mirrored."""
    house.opencode_has("ses_old", house.worktree("trees/14", "issue-14"))
    house.write(INDEX, {"issues": {str(key()): "ses_old"}})
    await house.start()
    return house


# ── the first start ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("as_file", [True, False])
async def test_the_researchs_index_is_taken_up(house: House, *, as_file: bool) -> None:
    tree = house.worktree("trees/14", "issue-14")
    house.opencode_has("ses_base", house.project.path, "Base")
    house.opencode_has("ses_old", tree, "Login form")
    if as_file:
        house.write("sessions/old.json", {"session_id": "ses_old", "worktree": "/elsewhere", "x": []})
    house.write(INDEX, {"base": "ses_base", "issues": {str(key()): "old.json" if as_file else "ses_old"}})
    report = await house.start()
    session = await house.session()
    assert (session.agent_id, session.directory, session.branch) == ("ses_old", tree, "issue-14")
    assert (session.state, session.title, session.slug) == (
        SessionState.IDLE,
        "Login form",
        "github.com-shoko-kugetsu-14",
    )
    assert house.marked == [key()]
    base = await house.store.base(PROJECT)
    assert base
    assert (base.agent_id, base.directory, base.ready) == ("ses_base", house.project.path, True)
    assert len(report) == 2
    assert report == house.said == house.adoption.report()
    assert house.read(INDEX) == {"base": {str(PROJECT): "ses_base"}, "issues": {str(key()): Path(SESSION).name}}
    assert len(list(house.state.glob("index.json.kept-*"))) == 1
    again = await house.restart()
    assert again.said == []


async def test_without_anything_to_take_up_the_agent_is_not_asked(house: House) -> None:
    assert await house.start() == []
    assert house.agent.calls == []


async def test_a_lost_database_is_made_again_from_the_files(settled: House, blank_database: Path) -> None:
    tree = settled.worktree("trees/fork", "kugetsu/14-other")
    settled.opencode_has("ses_fork", tree)
    settled.edit(INDEX, issues={str(key(name="other")): "ses_fork"} | settled.read(INDEX)["issues"])
    await settled.start()
    settled.edit(SESSION, title="Mine")
    await settled.store.close()
    (settled.state / FILE).unlink()
    shutil.copyfile(blank_database, settled.state / FILE)
    again = await settled.restart()
    main, fork = await again.session(), await again.session(key(name="other"))
    assert (main.agent_id, main.title) == ("ses_old", "Mine")
    assert (fork.agent_id, fork.branch, fork.parent) == ("ses_fork", "kugetsu/14-other", key())


async def test_a_session_in_the_projects_checkout_has_no_branch_to_remove(house: House) -> None:
    house.opencode_has("ses_old", house.project.path)
    house.opencode_has("ses_main", house.worktree("trees/main", "main"))
    house.write(INDEX, {"issues": {str(key()): "ses_old", str(key(15)): "ses_main"}})
    await house.start()
    assert (await house.session()).branch == ""
    assert (await house.session(key(15))).branch == ""
    assert house.marked == []


async def test_the_parent_of_a_fork_may_come_after_it(house: House) -> None:
    house.opencode_has("ses_old", house.worktree("trees/14", "issue-14"))
    house.opencode_has("ses_fork", house.worktree("trees/fork", "fork"))
    fork = key(name="x")
    house.write(INDEX, {"issues": {str(fork): {"session": "ses_fork", "parent": "ses_old"}, str(key()): "ses_old"}})
    await house.start()
    assert (await house.session(fork)).parent == key()
    assert (await house.session(fork)).parent_id == "ses_old"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ses_gone", "opencode has no session"),
        ("ses_elsewhere", "not in the repository"),
        ("ses_nowhere", "no git checkout"),
        ("ses_vanished", "does not exist"),
        ("ses_inside", "a folder inside the checkout"),
        ("ses_child", "sub-agent"),
        ("ses_base", "the base of"),
        ("ses_13", f"the session of {key(13)}"),
        ("ses_13b", f"the worktree of {key(13)}"),
        ("../../etc/passwd", "neither"),
        ("gone.json", "which is not there"),
    ],
)
async def test_what_is_not_borne_out_is_reported_and_kept(house: House, value: str, said: str) -> None:
    tree = house.worktree("trees/13", "issue-13")
    house.opencode_has("ses_base", house.project.path)
    house.opencode_has("ses_13", tree)
    house.opencode_has("ses_13b", tree)
    house.opencode_has("ses_elsewhere", house.folder("another/checkout"))
    (house.root / "plain").mkdir()
    house.opencode_has("ses_nowhere", house.root / "plain")
    house.opencode_has("ses_vanished", house.root / "vanished")
    inside = house.worktree("trees/14", "issue-14") / "src"
    inside.mkdir()
    house.opencode_has("ses_inside", inside)
    house.opencode_has("ses_child", house.project.path, parent="ses_13")
    house.write(INDEX, {"base": {str(PROJECT): "ses_base"}, "issues": {str(key(13)): "ses_13", str(key()): value}})
    report = await house.start()
    assert await house.store.session(key()) is None
    assert (await house.session(key(13))).agent_id == "ses_13"
    assert said in report[-1]
    assert report[-1].startswith(INDEX)
    (kept,) = house.state.glob("index.json.kept-*")
    assert value in kept.read_text()


async def test_sessions_of_unknown_projects_and_bases_of_none(house: House) -> None:
    house.opencode_has("ses_base", house.folder("another/checkout"))
    house.write(INDEX, {"base": "ses_base", "issues": {"github.com/no/project#1": "ses_1"}})
    base, session = await house.start()
    assert "belongs to no project" in base
    assert "There is no project `github.com/no/project`" in session
    assert await house.store.bases() == []


# ── opencode is not there ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [AgentUnavailable("it is down.", "Start it."), AgentDenied("no.")])
async def test_without_opencode_the_index_waits_for_it(house: House, error: Exception) -> None:
    house.opencode_has("ses_old", house.worktree("trees/14", "issue-14"))
    house.opencode_has("ses_15", house.worktree("trees/15", "issue-15"))
    house.opencode_has("ses_base", house.project.path)
    index = {"base": "ses_base", "issues": {str(key()): "ses_old", str(key(15)): "ses_15"}}
    house.write(INDEX, index)
    house.agent.raising["find_session"] = error
    (said,) = await house.start()
    assert str(error) in said
    assert house.agent.calls == ["find_session"]
    assert house.read(INDEX) == index
    again = await house.restart()
    assert (await again.session()).agent_id == "ses_old"
    assert len(await again.store.bases()) == 1
    assert (await again.session(key(15))).agent_id == "ses_15"


async def test_what_was_begun_is_gone_on_with(house: House) -> None:
    for number in (14, 15):
        house.opencode_has(f"ses_{number}", house.worktree(f"trees/{number}", f"issue-{number}"))
    house.write(INDEX, {"issues": {str(key(number)): f"ses_{number}" for number in (14, 15)}})
    house.workspace.raising["locate"] = RuntimeError("killed")
    with pytest.raises(RuntimeError):
        await house.start()
    house = await house.restart()
    assert [session.agent_id for session in await house.store.sessions()] == ["ses_14", "ses_15"]


# ── edits by hand ──────────────────────────────────────────────────────────────────────────────


async def test_a_title_is_taken(settled: House) -> None:
    settled.edit(SESSION, title="  Mine \nsecond line")
    again = await settled.restart()
    assert (await again.session()).title == "Mine"
    assert again.read(SESSION)["title"] == "Mine"
    assert again.said == [f"{key()} is called “Mine” now."]
    assert again.kept == []


async def test_another_session_comes_into_the_issues_worktree(settled: House) -> None:
    settled.opencode_has("ses_new", settled.project.path)
    tree = (await settled.session()).directory
    settled.edit(SESSION, session="ses_new", title="Both")
    again = await settled.restart()
    session = await again.session()
    assert (session.agent_id, session.directory, session.branch, session.title) == (
        "ses_new",
        tree,
        "issue-14",
        "Both",
    )
    assert again.agent.sessions[SessionId("ses_new")].directory == tree
    assert again.read(SESSION)["session"] == "ses_new"
    assert again.kept == []


@pytest.mark.parametrize("file", [SESSION, INDEX])
async def test_a_session_of_another_repository_is_not_taken(settled: House, file: str) -> None:
    settled.opencode_has("ses_new", settled.folder("another/checkout"))
    if file == SESSION:
        settled.edit(SESSION, session="ses_new")
    else:
        settled.edit(INDEX, issues={str(key()): "ses_new"})
    again = await settled.restart()
    assert (await again.session()).agent_id == "ses_old"
    assert "not in the repository" in again.said[0]
    assert again.read(SESSION)["session"] == "ses_old"
    assert len(again.kept) == 1


async def test_a_session_that_cannot_be_moved_is_not_taken(settled: House) -> None:
    settled.opencode_has("ses_new", settled.project.path)
    settled.agent.raising["settle_directory"] = WrongDirectory("It stays where it is.")
    settled.edit(SESSION, session="ses_new")
    again = await settled.restart()
    assert (await again.session()).agent_id == "ses_old"
    assert "It stays where it is." in again.said[0]


async def test_a_session_at_work_is_not_exchanged(settled: House) -> None:
    run = await settled.store.add_run(key(), "go", LOCAL_PERSON, Place("fake", "lobby"))
    await settled.store.save_run(replace(run, state=RunState.RUNNING))
    settled.opencode_has("ses_new", settled.project.path)
    settled.edit(SESSION, session="ses_new")
    (said,) = await settled.start()
    assert "is at work" in said
    assert (await settled.session()).agent_id == "ses_old"


@pytest.mark.parametrize("state", [SessionState.NEW, SessionState.ARCHIVED])
async def test_a_session_without_worktree_is_not_exchanged(settled: House, state: SessionState) -> None:
    await settled.store.save_session(replace(await settled.session(), state=state))
    await settled.mirror.flush()
    settled.edit(SESSION, session="ses_new")
    (said,) = await settled.start()
    assert f"is {state}" in said


async def test_a_session_that_opencode_lost_can_be_given_another(settled: House) -> None:
    await settled.store.save_session(replace(await settled.session(), state=SessionState.GONE))
    await settled.mirror.flush()
    settled.opencode_has("ses_new", settled.project.path)
    settled.edit(SESSION, session="ses_new")
    await settled.start()
    assert (await settled.session()).state is SessionState.IDLE


async def test_what_is_not_to_be_changed_there_is_reported(settled: House) -> None:
    settled.edit(SESSION, branch="other", directory="/", ref="github.com/a/b#1", title="Mine")
    again = await settled.restart()
    assert "is called “Mine” now" in again.said[0]
    assert "`ref`, `directory`, `branch` are not taken" in again.said[1]
    assert again.read(SESSION)["branch"] == "issue-14"
    assert len(again.kept) == 1


async def test_what_was_deleted_is_written_again(settled: House) -> None:
    (settled.state / SESSION).unlink()
    settled.edit(INDEX, issues={})
    again = await settled.restart()
    assert again.read(INDEX)["issues"] == {str(key()): Path(SESSION).name}
    assert again.read(SESSION)["session"] == "ses_old"
    assert len(again.said) == 2
    assert all("missing and is written again" in said and "/destroy" in said for said in again.said)
    assert again.kept == []


async def test_a_session_destroyed_meanwhile_is_not_missed(settled: House) -> None:
    await settled.store.remove_session(key())
    (settled.state / SESSION).unlink()
    again = await settled.restart()
    assert again.said == []
    assert again.read(INDEX)["issues"] == {}


async def test_an_entry_added_later_is_taken_up_while_running(settled: House) -> None:
    settled.opencode_has("ses_15", settled.worktree("trees/15", "issue-15"))
    settled.edit(INDEX, issues=settled.read(INDEX)["issues"] | {"shoko/kugetsu#15": "ses_15"})
    (said,) = await settled.start()
    assert "is taken up" in said
    assert (await settled.session(key(15))).branch == "issue-15"
    assert settled.read(INDEX)["issues"] == {
        str(key()): Path(SESSION).name,
        str(key(15)): "github.com-shoko-kugetsu-15.json",
    }
    assert await settled.start() == []


async def test_an_old_index_put_back_does_not_undo_what_happened_since(settled: House) -> None:
    settled.opencode_has("ses_15", settled.worktree("trees/15", "issue-15"))
    await settled.store.close()
    fresh = await settled.successor().open()
    await fresh.store.disown_files([INDEX, SESSION, "sessions/base.json"])
    fresh.write(INDEX, {"issues": {str(key()): "ses_15"}})
    (said,) = await fresh.start()
    assert "It has the session `ses_old` already" in said
    assert (await fresh.session()).agent_id == "ses_old"


async def test_a_base_is_exchanged_by_hand(settled: House) -> None:
    settled.opencode_has("ses_base", settled.project.path)
    settled.opencode_has("ses_base2", settled.project.path)
    settled.edit(INDEX, base={str(PROJECT): "ses_base"})
    await settled.start()
    settled.edit(INDEX, base="ses_base2")
    await settled.start()
    base = await settled.store.base(PROJECT)
    assert base
    assert base.agent_id == "ses_base2"
    settled.edit(INDEX, base={})
    (said,) = await settled.start()
    assert f"/destroy --base {PROJECT}" in said
    assert settled.read(INDEX)["base"] == {str(PROJECT): "ses_base2"}


async def test_a_second_base_for_a_project_is_not_taken(house: House) -> None:
    house.opencode_has("ses_a", house.project.path)
    house.opencode_has("ses_b", house.project.path)
    house.write(INDEX, {"base": {str(PROJECT): "ses_a", str(PROJECT).upper(): "ses_b"}})
    taken, refused = await house.start()
    assert "ses_a" in taken
    assert "already" in refused


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"issues": 7, "base": 7}', b"\xff" * 100, b'{"issues": {"": 1}}']
)
async def test_nonsense_changes_nothing_and_is_said(settled: House, content: bytes) -> None:
    before = settled.read(SESSION)
    (settled.state / INDEX).write_bytes(content)
    (settled.state / SESSION).write_bytes(content)
    again = await settled.restart()
    assert again.said
    assert (await again.session()).agent_id == "ses_old"
    assert again.read(SESSION) == before
    assert again.read(INDEX)["issues"] == {str(key()): Path(SESSION).name}
    assert len(again.kept) == 2
    copies = [path.read_bytes() for path in again.state.rglob("*.json.*-2026*")]
    assert copies.count(content) == 2
