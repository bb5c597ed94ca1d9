"""A running bot with its terminals: one process drives, the others are clients and see the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from adapters.console import wire
from adapters.console.client import ConsoleClient
from tests.e2e.harness import PROJECT, REF, Machine, Result, finish, until


async def follow(process: asyncio.subprocess.Process, kind: str) -> dict[str, Any]:
    """The next event of that kind."""
    assert process.stdout
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            event = json.loads(line)
            if event["type"] == kind:
                return event
    raise AssertionError(f"no {kind}")


async def background(machine: Machine, *words: str) -> asyncio.subprocess.Process:
    return await machine.start_process("--config", str(machine.config), *words)


async def test_commands_are_clients_of_the_running_bot(machine: Machine) -> None:
    machine.model.on("one").say("first")
    machine.model.on("two").say("second")
    async with machine.bot():
        started = await machine.ok("start", REF, "one", "--json")
        continued = await machine.ok("continue", REF, "two", "--json")
        assert continued.finished["session"] == started.finished["session"]
        second = await machine.run("run")
        assert second.code == 1
        assert "Another kugetsu process" in second.err


@pytest.mark.also
async def test_queue_stop_and_retry(machine: Machine) -> None:
    slow = machine.model.on("slow").say("begun ").hang()
    machine.model.on("next").say("answered")
    async with machine.bot():
        running = await background(machine, "start", REF, "slow work", "--json")
        await (follow(running, "text") if machine.kind.asks else slow.seen.wait())
        queued = await background(machine, "continue", REF, "next thing", "--json")
        await until(lambda: waiting(machine), "the second prompt waits")
        assert (await machine.ok("list", "--json")).json[0]["state"] == "running"
        stopped = await machine.ok("stop", REF)
        assert "Stopped" in stopped.out
        first, second = await finish(running), await finish(queued)
        assert first.finished["ok"] is False
        if machine.kind.asks:  # else the text is there when it is whole
            assert first.finished["text"].strip() == "begun"
        assert [button["label"] for button in first.finished["buttons"]] == ["Retry"]
        assert second.finished["text"] == "answered"
        assert first.code == 1
        slow.release()
        assert "answered" in (await machine.run("retry", REF)).err  # the last one was answered: nothing to retry


async def waiting(machine: Machine) -> bool:
    return (await machine.ok("status", REF, "--json")).json["waiting"] == 1


@pytest.mark.also("server-oldest")
async def test_a_person_allows_and_rejects(machine: Machine) -> None:
    outside = machine.root / "elsewhere"
    outside.mkdir()
    (outside / "x.txt").write_text("found it")
    machine.model.on("peek").call("read", {"filePath": str(outside / "x.txt")}).then_say("that was it")
    async with machine.bot(), await person(machine) as terminal:
        for number, (reply, found) in enumerate([("once", True), ("reject", False)], start=1):
            said = await terminal.say(f"/{'start' if number == 1 else 'continue'} {REF} peek outside")
            assert said.ok, said
            async for event in terminal.events():
                if isinstance(event, wire.Permission):
                    assert event.permission == "external_directory"
                    pressed = await terminal.press(f"{event.ask}:{reply}", thread=REF)
                    assert pressed.ok, pressed
                if isinstance(event, wire.Finished):
                    break
            assert event.refused == ()  # a person's no is no refusal for want of one
            last = machine.model.asked("peek")[-1]
            assert any("found it" in text for text in last.tool_results) is found, last.tool_results


async def person(machine: Machine) -> ConsoleClient:
    """Somebody at a terminal, who can be asked."""
    hello = wire.Hello("ada", interactive=True, all=True, directory=str(machine.root))
    return await ConsoleClient.connect(machine.state / "kugetsu.sock", hello)


async def test_retry_after_a_failure(machine: Machine) -> None:
    machine.model.on("go").fail(400, "the provider said no", times=1).say("worked")
    async with machine.bot():
        failed = await machine.run("start", REF, "go", "--json")
        assert failed.code == 1
        assert "the provider said no" in failed.finished["error"]
        assert (await machine.ok("retry", REF, "--json")).finished["text"] == "worked"


async def test_two_starts_at_once_make_one_session(machine: Machine) -> None:
    async with machine.bot():
        results = await asyncio.gather(*(machine.run("start", REF, f"go {n}", "--json") for n in range(2)))
        assert sorted(result.code for result in results) == [0, 1], results
        assert len((await machine.ok("list", "--json")).json) == 1


async def test_issues_run_side_by_side(machine: Machine) -> None:
    slow = machine.model.on("slow").say("begun").hang()
    machine.model.on("quick").say("quick answer")
    async with machine.bot():
        running = await background(machine, "start", REF, "slow", "--json")
        await follow(running, "text")
        assert (await machine.ok("start", f"{PROJECT}#15", "quick", "--json")).finished["text"] == "quick answer"
        slow.release()
        assert (await finish(running)).code == 0


async def test_a_project_without_worktrees_runs_one_at_a_time(machine: Machine) -> None:
    machine.configure_project(worktrees=False)
    slow = machine.model.on("slow").say("begun").hang()
    async with machine.bot():
        running = await background(machine, "start", REF, "slow", "--json")
        await follow(running, "text")
        other = await background(machine, "start", f"{PROJECT}#15", "quick", "--json")
        await until(lambda: listed(machine, 2), "the second session is made")
        assert not machine.model.asked("quick")
        slow.release()
        assert (await finish(running)).finished["directory"] == str(machine.project.resolve())
        assert (await finish(other)).code == 0


async def listed(machine: Machine, count: int) -> bool:
    return len((await machine.ok("list", "--json")).json) == count


async def test_base_session_lost_and_session_deleted_behind_our_back(machine: Machine) -> None:
    async with machine.bot():
        await machine.ok("start", REF, "go")
        base = json.loads((machine.state / "index.json").read_text())["base"][PROJECT]
        session = (await machine.ok("status", REF, "--json")).json["session"]
    for lost in (base, session):
        process = await asyncio.create_subprocess_exec(
            machine.settings["opencode"]["command"], "session", "delete", lost,
            cwd=machine.project, env=machine.env | {"PWD": str(machine.project)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert (await finish(process)).code == 0
    async with machine.bot():
        other = await machine.ok("start", f"{PROJECT}#15", "go")
        assert "made again" in other.out
        gone = await machine.run("continue", REF, "on", "--json")
        assert gone.code == 1
        assert "/start" in gone.finished["error"]
        anew: Result = await machine.ok("start", REF, "again", "--json")
        assert anew.finished["session"] != session
        assert anew.finished["directory"] == str(machine.worktree.resolve())


async def test_secrets_never_show(machine: Machine) -> None:
    machine.write(debug=True, opencode=machine.settings["opencode"] | {"password": "hunter2-hunter2"})
    machine.model.on("env").call("bash", {"command": "env; cat /proc/$PPID/environ", "description": "e"}).then_say("ok")
    result = await machine.ok("start", REF, "show env", "--json")
    assert "hunter2" not in result.err
    log = machine.state / "logs" / "github.com-shoko-kugetsu-14" / "debug.log"
    assert log.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["direction"] for line in lines} == {"sent", "received"}
    assert "hunter2" not in log.read_text()


async def test_debug_flag_writes_the_log_of_that_session(machine: Machine) -> None:
    await machine.ok("start", REF, "go", "--debug")
    assert (machine.state / "logs" / "github.com-shoko-kugetsu-14" / "debug.log").exists()


async def test_model_not_found(machine: Machine) -> None:
    machine.write(opencode=machine.settings["opencode"] | {"model": "mock/nonsense"})
    result = await machine.run("start", REF, "go", "--json")
    assert result.code == 1
    assert "nonsense" in result.finished["error"]


async def test_prompts_of_all_sizes(machine: Machine) -> None:
    machine.model.on("word").say("read it")
    async with machine.bot():
        big = "word " * 200_000
        assert (await machine.ok("start", REF, "-", "--json", stdin=big)).finished["text"] == "read it"
        nul = await machine.run("continue", REF, "-", stdin="a\0b")
        assert nul.code == 2
        assert "NUL" in nul.err
        huge = await machine.run("continue", REF, "-", stdin="x" * 3_000_000)
        assert huge.code == 2
        assert "MB" in huge.err


async def test_chat_through_a_pipe(machine: Machine) -> None:
    machine.model.on("hello").say("Hi there.")
    machine.model.on("more").say("And more.")
    result = await machine.ok("chat", stdin=f"/start {REF} hello\nmore please\n")
    assert "Hi there." in result.out
    assert "And more." in result.out
    assert "\x1b" not in result.out
    failing = machine.model.on("bad")
    failing.fail(400, "no way")
    assert (await machine.run("chat", stdin=f"/continue {REF} bad\n")).code == 1
    assert (await machine.run("chat", stdin="/nonsense\n")).code == 2


async def test_chat_takes_the_checkout_it_stands_in(machine: Machine) -> None:
    machine.settings["projects"] = {}
    machine.write()
    refused = await machine.run("chat", cwd=machine.project, stdin="hello\n")
    assert refused.code == 1
    assert "--yes" in refused.err
    machine.model.on("hello").say("Hi there.")
    result = await machine.ok("chat", "--yes", cwd=machine.project, stdin="/start local/project#1 hello\n")
    assert "Hi there." in result.out
    assert (await machine.ok("list", "--json")).json[0]["ref"] == "local/project#1"


async def test_the_demo_answers_without_any_configuration(machine: Machine) -> None:
    env = {"ANTHROPIC_API_KEY": "sk-never-used"}
    lines = "/start local/demo#1 add a greeting\nshow me the readme\n"
    result = await machine.run("chat", "--demo", config=False, stdin=lines, env=env | {"PATH": demo_path(machine)})
    assert result.code == 0, result
    assert result.out.startswith("This is a demo")
    assert "Hallo" in result.out
    assert not (machine.home.root / ".local" / "share" / "opencode").exists()  # nothing of the user's is touched


def demo_path(machine: Machine) -> str:
    """PATH with the tested opencode first."""
    folder = machine.root / "bin"
    folder.mkdir(exist_ok=True)
    link = folder / "opencode"
    if not link.exists():
        link.symlink_to(machine.settings["opencode"]["command"])
    return f"{folder}:{machine.env['PATH']}"
