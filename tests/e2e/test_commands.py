"""The command line without a bot: each command is its own process, holds the lock, does the work itself."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import PROJECT, REF, Machine, git


@pytest.mark.also
async def test_start_works_in_its_own_worktree_and_streams_what_happens(machine: Machine) -> None:
    machine.model.on("login form").call("bash", {"command": "pwd > where.txt", "description": "Where am I"}).then_say(
        "All ", "done.", delay=0.3
    )
    result = await machine.ok("start", REF, "implement the login form", "--json")

    kinds = [event["type"] for event in result.events]
    assert next(kind for kind in kinds if kind != "notice") == "started"
    assert {"text", "tool"} <= set(kinds)
    if machine.kind.asks:
        streamed = [event["text"] for event in result.events if event["type"] == "text"]
        assert streamed[-2:] == ["All ", "done."]
    finished = result.finished
    assert finished["ok"] is True
    assert finished["text"].endswith("All done.")
    assert finished["ref"] == REF
    assert finished["name"] == ""
    assert finished["session"].startswith("ses_")
    assert finished["directory"] == str(machine.worktree.resolve())
    assert finished["branch"] == "kugetsu/14"
    assert finished["error"] in {"", None}
    assert finished["duration"] > 0
    assert set(finished["tokens"]) == {"input", "output", "reasoning", "cache_read", "cache_write"}
    assert (machine.worktree / "where.txt").read_text().strip() == str(machine.worktree.resolve())
    assert git(machine.project, "status", "--porcelain") == ""  # nothing ran in the base checkout


async def test_continue_goes_on_in_the_same_session_with_its_history(machine: Machine) -> None:
    machine.model.on("first").say("one")
    machine.model.on("second").say("two")
    first = await machine.ok("start", REF, "first", "--json")
    second = await machine.ok("continue", REF, "second", "--json")
    assert second.finished["session"] == first.finished["session"]
    assert second.finished["text"] == "two"
    history = json.dumps(machine.model.asked("second")[-1].messages)
    assert "first" in history
    assert "one" in history


async def test_the_ref_is_understood_inside_the_worktree(machine: Machine) -> None:
    await machine.ok("start", REF, "first")
    result = await machine.ok("continue", "and more", "--json", cwd=machine.worktree, config=False)
    assert result.finished["ref"] == REF


async def test_a_second_start_makes_no_second_session(machine: Machine) -> None:
    await machine.ok("start", REF, "first")
    again = await machine.run("start", REF.upper().replace("GITHUB.COM", "GitHub.com"), "again", "--json")
    assert again.code == 1
    assert again.finished["ok"] is False
    assert "continue" in again.finished["error"]
    assert len((await machine.ok("list", "--json")).json) == 1
    assert not machine.model.asked("again")


async def test_list_and_files_name_every_session(machine: Machine) -> None:
    finished = (await machine.ok("start", REF, "first", "--json")).finished
    fork = (await machine.ok("fork", REF, "--name", "idea", "try it differently", "--json")).finished
    assert fork["name"] == "idea"
    assert fork["session"] != finished["session"]
    listed = (await machine.ok("list", "--json")).json
    keys = {"ref", "name", "session", "parent", "directory", "branch", "state", "places", "created", "updated"}
    assert all(set(entry) == keys for entry in listed)
    by_name = {entry["name"]: entry for entry in listed}
    assert by_name["idea"]["parent"] == finished["session"]
    assert by_name[""]["state"] == "idle"
    index = json.loads((machine.state / "index.json").read_text())
    assert index["base"][PROJECT] == by_name[""]["parent"]
    assert index["issues"][REF] == "github.com-shoko-kugetsu-14.json"
    record = json.loads((machine.state / "sessions" / "github.com-shoko-kugetsu-14.json").read_text())
    assert record["session"] == finished["session"]
    assert record["branch"] == "kugetsu/14"
    assert PROJECT in json.loads((machine.state / "sessions" / "base.json").read_text())
    assert (machine.state.stat().st_mode & 0o777) == 0o700


@pytest.mark.also
async def test_a_fork_takes_uncommitted_work_along_and_leaves_the_parent_alone(machine: Machine) -> None:
    machine.model.on("write").call("bash", {"command": "echo v1 > work.txt", "description": "w"}).then_say("ok")
    machine.model.on("change").call("bash", {"command": "echo v2 > work.txt", "description": "w"}).then_say("ok")
    await machine.ok("start", REF, "write it")
    await machine.ok("continue", REF, "change it")
    late = (await machine.ok("fork", REF, "--name", "late", "--json")).finished
    early = (await machine.ok("fork", REF, "--name", "early", "--at", "1", "now look", "--json")).finished
    read = {
        name: (machine.worktree.parent / f"{machine.worktree.name}~{name}" / "work.txt") for name in ("late", "early")
    }
    assert late["directory"] == str(read["late"].parent.resolve())
    assert read["late"].read_text() == "v2\n"
    assert read["early"].read_text() == "v1\n"
    assert (machine.worktree / "work.txt").read_text() == "v2\n"
    assert early["branch"] == "kugetsu/14-early"
    history = json.dumps(machine.model.asked("now look")[-1].messages)
    assert "write it" in history
    assert "change it" not in history


async def test_base_session_is_prepared_once_and_shared(machine: Machine) -> None:
    machine.configure_project(base_prompt="Read the README.")
    made = (await machine.ok("init", PROJECT, "--json")).json
    await machine.ok("start", REF, "first")
    await machine.ok("start", f"{PROJECT}#15", "other")
    assert len(machine.model.asked("Read the README.")) == 1
    parents = {entry["parent"] for entry in (await machine.ok("list", "--json")).json}
    assert parents == {made["session"]}
    assert "Read the README." in json.dumps(machine.model.asked("other")[-1].messages)


@pytest.mark.also
async def test_what_nobody_could_be_asked_about_is_listed_and_can_be_allowed_afterwards(machine: Machine) -> None:
    outside = machine.root / "elsewhere"
    outside.mkdir()
    (outside / "x.txt").write_text("found it")
    machine.model.on("peek").call("read", {"filePath": str(outside / "x.txt")}).then_say("that was it")
    result = await machine.run("start", REF, "peek outside", "--json")
    assert any("external_directory" in line for line in result.finished["refused"]), result.finished
    assert [button["label"] for button in result.finished["buttons"]][-1].startswith("Retry with external_directory ")
    told = [event for event in result.events if event["type"] == "notice" and "Nobody can be asked" in event["text"]]
    assert len(told) == (0 if machine.kind.asks else 1)
    assert not any("found it" in text for text in machine.model.asked("peek")[-1].tool_results)

    allowed = await machine.ok("retry", "--allow", REF, "--json")
    assert allowed.finished["refused"] == []
    assert allowed.finished["buttons"] == []
    assert any("found it" in text for text in machine.model.asked("peek")[-1].tool_results)


@pytest.mark.also("cli-newest", "cli-oldest")
async def test_project_rules_answer_permissions(machine: Machine) -> None:
    outside = machine.root / "elsewhere"
    outside.mkdir()
    (outside / "x.txt").write_text("found it")
    machine.configure_project(
        permissions=[{"permission": "external_directory", "pattern": f"{outside}/*", "action": "allow"}]
    )
    machine.model.on("peek").call("read", {"filePath": str(outside / "x.txt")}).then_say("read it")
    result = await machine.ok("start", REF, "peek outside", "--json")
    assert result.finished["refused"] == []
    assert any("found it" in text for text in machine.model.asked("peek")[-1].tool_results)


async def test_setup_and_copied_files(machine: Machine) -> None:
    (machine.project / ".env").write_text("SECRET=1\n")
    machine.configure_project(copy=[".env"], setup="cat .env > made-by-setup")
    await machine.ok("start", REF, "go")
    assert (machine.worktree / "made-by-setup").read_text() == "SECRET=1\n"


async def test_a_failing_setup_is_told_and_continued_by_retry(machine: Machine) -> None:
    machine.configure_project(setup="test -f /nonexistent/ok || { echo it broke >&2; exit 7; }")
    machine.model.on("go").say("went")
    failed = await machine.run("start", REF, "go", "--json")
    assert failed.code == 1
    assert "it broke" in failed.finished["error"]
    assert not machine.model.asked("go")
    machine.configure_project(setup="true")
    assert (await machine.ok("retry", REF, "--json")).finished["text"] == "went"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["start"], 2, "Which issue"),
        (["start", "kugetsu#1", "x"], 2, "github.com/shoko/kugetsu#14"),
        (["start", f"{PROJECT}#0", "x"], 2, "issue number"),
        (["start", f"{PROJECT}#99999999999", "x"], 2, "2147483647"),
        (["start", "github.com/../..#1", "x"], 2, "github.com/shoko/kugetsu#14"),
        (["start", REF, "  "], 2, "message"),
        (["start", "github.com/no/project#1", "x"], 1, "projects"),
        (["continue", REF, "x"], 1, "/start"),
        (["stop", REF], 1, "/start"),
        (["strat", REF, "x"], 2, "start"),
        (["fork", REF, "--name", "../x"], 2, "name"),
    ],
)
async def test_bad_input(machine: Machine, words: list[str], code: int, said: str) -> None:
    result = await machine.run(*words)
    assert result.code == code, result
    assert said.lower() in (result.err + result.out).lower(), result
    assert "Traceback" not in result.err
    assert not (machine.state / "worktrees").exists()


async def test_small_commands(machine: Machine) -> None:
    assert "console:local" in (await machine.ok("whoami")).out
    assert (await machine.ok("list", "--json")).json == []
    assert "start" in (await machine.ok("help")).out
    assert "kugetsu" in (await machine.ok("--version", config=False)).out
    assert "fine" in (await machine.ok("config", "check")).out


async def test_doctor_says_what_to_do(machine: Machine) -> None:
    report = (await machine.ok("doctor", "--json")).json
    assert all(check["ok"] for check in report), report
    machine.write(opencode={"command": str(machine.root / "missing")})
    broken = await machine.run("doctor")
    assert broken.code == 1
    assert "opencode" in broken.out
