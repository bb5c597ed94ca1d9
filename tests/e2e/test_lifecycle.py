"""The end of sessions on real opencode and real git: destroy, prune, archive, export and import, send, new."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.e2e.harness import PROJECT, REF, Machine, git, make_machine, until
from tests.simulators.model import ScriptedModel


async def working(machine: Machine) -> None:
    """A session with one uncommitted file."""
    await working_at(machine, REF)


async def working_at(machine: Machine, ref: str) -> None:
    machine.model.on("write").call("bash", {"command": "echo work > new.txt", "description": "w"}).then_say("done")
    await machine.ok("start", ref, "write it")


async def test_destroy_asks_first_and_refuses_to_lose_work(machine: Machine) -> None:
    await working(machine)
    asked = await machine.run("destroy", REF)
    assert asked.code == 1
    assert "new.txt" in asked.err
    kept = await machine.run("destroy", REF, "-y")
    assert kept.code == 1
    assert "--force" in kept.err
    assert (machine.worktree / "new.txt").exists()

    await machine.ok("destroy", REF, "--force")
    assert not machine.worktree.exists()
    assert git(machine.project, "branch", "--list", "kugetsu/*") == ""
    assert git(machine.project, "for-each-ref", "refs/kugetsu") == ""
    assert (await machine.ok("list", "--json")).json == []
    assert json.loads((machine.state / "index.json").read_text())["issues"] == {}
    await machine.ok("start", REF, "again")  # the ref is free


async def test_destroy_base_leaves_its_forks(machine: Machine) -> None:
    await machine.ok("start", REF, "go")
    await machine.ok("destroy", "--base", PROJECT, "-y")
    assert json.loads((machine.state / "index.json").read_text())["base"] == {}
    await machine.ok("continue", REF, "on")
    await machine.ok("start", f"{PROJECT}#15", "go")


async def test_prune_repairs_lists_and_removes(machine: Machine) -> None:
    await machine.ok("start", REF, "go")
    assert "nothing to prune" in (await machine.ok("prune")).out
    shutil.rmtree(machine.worktree)
    repaired = await machine.ok("prune")
    assert "repaired" in repaired.out
    assert (machine.worktree / "README.md").exists()
    await machine.ok("continue", REF, "on")

    # What a lost database leaves behind: worktree and opencode session without a record.
    for name in ("kugetsu.db", "kugetsu.db-wal", "kugetsu.db-shm", "index.json"):
        (machine.state / name).unlink(missing_ok=True)
    shutil.rmtree(machine.state / "sessions")
    listed = (await machine.ok("prune", "--json")).json
    assert {finding["remedy"] for finding in listed} >= {"remove"}
    assert machine.worktree.exists()
    await machine.ok("prune", "--force")
    assert not machine.worktree.exists()
    assert not [f for f in (await machine.ok("prune", "--json")).json if f["remedy"] == "remove"]


async def test_archive_and_back(machine: Machine) -> None:
    await working(machine)
    refused = await machine.run("archive", REF)
    assert refused.code == 1
    assert "new.txt" in refused.err
    commit_all(machine.worktree)
    await machine.ok("archive", REF)
    assert not machine.worktree.exists()
    assert (await machine.ok("list", "--json")).json[0]["state"] == "archived"
    machine.model.on("back").say("here")
    assert (await machine.ok("continue", REF, "back again", "--json")).finished["text"] == "here"
    assert (machine.worktree / "new.txt").read_text() == "work\n"


async def test_what_is_unused_for_long_is_archived_by_the_bot(machine: Machine) -> None:
    await machine.ok("start", REF, "go")
    await working_at(machine, f"{PROJECT}#15")
    machine.write(sessions={"archive_after": 0.1})
    async with machine.bot():
        await until(lambda: not machine.worktree.exists(), "the clean one is archived")
    states = {entry["ref"]: entry["state"] for entry in (await machine.ok("list", "--json")).json}
    assert states == {REF: "archived", f"{PROJECT}#15": "idle"}


async def test_the_maximum_offers_the_oldest_clean_one(machine: Machine) -> None:
    machine.write(sessions={"max_per_project": 1})
    await machine.ok("start", REF, "go")
    git(machine.worktree, "branch", "-f", "elsewhere", "HEAD")
    full = await machine.run("start", f"{PROJECT}#15", "go")
    assert full.code == 1
    assert REF in full.err
    await machine.ok("archive", REF)
    await machine.ok("start", f"{PROJECT}#15", "go")


@pytest.mark.also
async def test_a_session_moves_between_machines(machine: Machine, model: ScriptedModel, tmp_path: Path) -> None:
    await working(machine)
    exported = (await machine.ok("export", REF, "--json")).json
    archive = Path(exported["file"])
    assert archive.stat().st_mode & 0o777 == 0o600

    other = await make_machine(tmp_path / "other", model, machine.kind)
    shutil.rmtree(other.project)
    git(tmp_path, "clone", "-q", str(machine.project), str(other.project))
    imported = (await other.ok("import", str(archive), "--json")).json
    assert imported["ref"] == REF
    assert (other.worktree / "new.txt").read_text() == "work\n"
    model.on("remember").say("I do")
    finished = (await other.ok("continue", REF, "remember?", "--json")).finished
    assert finished["text"] == "I do"
    assert finished["directory"] == str(other.worktree.resolve())
    assert "write it" in json.dumps(model.asked("remember")[-1].messages)

    twice = await other.run("import", str(archive))
    assert twice.code == 1
    assert "destroy" in twice.err


async def test_what_cannot_be_imported(machine: Machine, tmp_path: Path) -> None:
    nonsense = tmp_path / "x.kugetsu.tar.gz"
    nonsense.write_bytes(b"nonsense")
    assert (await machine.run("import", str(nonsense))).code == 2
    assert (await machine.run("import", str(tmp_path / "missing"))).code == 2
    await working(machine)
    archive = Path((await machine.ok("export", REF, "--json")).json["file"])
    newer = repacked(archive, tmp_path / "newer.tar.gz", {"format": 99})
    assert "newer kugetsu" in (await machine.run("import", str(newer))).err
    unknown = repacked(archive, tmp_path / "unknown.tar.gz", {"ref": "github.com/no/project#1"})
    assert "projects" in (await machine.run("import", str(unknown))).err


async def test_the_agent_sends_files_of_its_worktree_only(machine: Machine) -> None:
    (machine.root / "secret.txt").write_text("s")
    commands = "echo report > report.txt; kugetsu send report.txt; kugetsu send ../../../secret.txt"
    machine.model.on("report").call("bash", {"command": commands, "description": "r"}).then_say("sent")
    result = await machine.ok("start", REF, "report please", "--json")
    files = [event for event in result.events if event["type"] == "file"]
    assert [file["name"] for file in files] == ["report.txt"]
    output = "\n".join(machine.model.asked("report")[-1].tool_results)
    assert "report.txt (7 bytes) is in the thread" in output
    assert "outside the worktree" in output


@pytest.mark.also("cli-newest")
async def test_the_agents_shell_sends_files_and_does_nothing_else(machine: Machine) -> None:
    commands = f"kugetsu destroy --force '{REF}'; kugetsu list; env -u KUGETSU_AGENT kugetsu send README.md"
    machine.model.on("wild").call("bash", {"command": commands, "description": "w"}).then_say("sent")
    result = await machine.ok("start", REF, "wild work", "--json")
    assert [event["name"] for event in result.events if event["type"] == "file"] == ["README.md"]
    output = "\n".join(machine.model.asked("wild")[-1].tool_results)
    assert output.count("sends files, and does nothing else") == 2
    (mark,) = (machine.project / ".git" / "worktrees").glob("*/kugetsu.json")
    assert mark.stat().st_mode & 0o777 == 0o600
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"token": "0" * 64}))
    refused = await machine.run("send", "README.md", cwd=machine.worktree, config=False)
    assert refused.code == 1
    assert "not the token" in refused.err
    await machine.ok("continue", REF, "on")  # renews it
    await machine.ok("send", "README.md", cwd=machine.worktree, config=False)


async def test_new_needs_no_issue(machine: Machine) -> None:
    machine.model.on("colour").say("done")
    first = (await machine.ok("new", "try another colour scheme", "--json")).finished
    second = (await machine.ok("new", "colour it blue", "--json")).finished
    assert (first["ref"], second["ref"]) == ("local/project#1", "local/project#2")
    assert (await machine.ok("continue", "local/project#1", "colour more", "--json")).finished["text"] == "done"


def commit_all(worktree: Path) -> None:
    git(worktree, "add", "--all")
    git(worktree, "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "Work")


def repacked(archive: Path, target: Path, changes: dict[str, object]) -> Path:
    """The same archive with another manifest."""
    folder = target.with_suffix(".d")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(target, "w:gz") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    return target
