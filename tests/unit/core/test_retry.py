"""What can be done about a run that ended badly, or without all it wanted to do: said below it, and by command."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.errors import AgentInDoubt, StoreError, WorkspaceError
from core.events import Finished, Outcome, Refused, Said, Started
from core.model import (
    Button,
    MessageId,
    PermissionRequest,
    PermissionRule,
    Refusal,
    RunState,
    SessionId,
    SessionState,
)
from core.ports import RunReport
from tests.fakes.agent import Script
from tests.fakes.world import BOB, VIEWER, Outside, World, key

REF = "github.com/shoko/kugetsu#14"
SES = SessionId("ses")
OUTSIDE = PermissionRequest("r1", SES, "external_directory", ("/tmp/*",), "/tmp/x", ("/tmp/*",))
PUSH = PermissionRequest("r2", SES, "bash", ("git push",), "git push")
FORBIDDEN = PermissionRequest("r3", SES, "bash", ("rm x",), "rm x")
FAILS: Script = [Said("p", "half"), Finished(Outcome.FAILED, "api", "the provider is down")]


def refusing(*requests: PermissionRequest) -> Script:
    return [*(Refused(request) for request in requests), Said("p", "done"), Finished(Outcome.DONE)]


async def started(world: World, script: Script) -> RunReport:
    """The end of the session's first run, as its place saw it."""
    world.agent.scripts.append(script)
    assert (await world.say(f"/start {REF} do it")).ok
    await world.quiet()
    return last(world)


def last(world: World) -> RunReport:
    report: RunReport = world.chat.of("answer")[-1]
    return report


def labelled(report: RunReport) -> dict[str, Button]:
    return {button.label: button for button in report.buttons}


# ── what is offered ────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_offered_below_an_answer(world: World) -> None:
    report = await started(world, [Said("p", "done"), Finished(Outcome.DONE)])
    assert report.buttons == ()


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.STOPPED, Outcome.CUT])
async def test_what_did_not_come_through_can_be_tried_again(world: World, outcome: Outcome) -> None:
    report = await started(world, [Said("p", "half"), Finished(outcome)])
    assert [*labelled(report)] == ["Retry"]
    assert (await world.press_button(report.buttons[0].id, VIEWER)).code == "not_allowed"
    assert (await world.press_button(report.buttons[0].id, BOB)).ok
    await world.quiet()
    assert world.agent.prompts == ["do it", "do it"]
    assert last(world).run.state is RunState.DONE


async def test_a_button_is_about_its_own_run_and_tries_it_once(world: World) -> None:
    first = await started(world, FAILS)
    await world.say(f"/continue {REF} other")
    await world.quiet()
    assert (await world.press_button(first.buttons[0].id)).ok
    await world.quiet()
    again = await world.press_button(first.buttons[0].id)
    assert not again.ok
    assert "run 3" in again.document.markdown
    assert world.agent.prompts == ["do it", "other", "do it"]


@pytest.mark.parametrize("method", ["add_worktree", "set_up"])
async def test_a_start_that_failed_is_tried_again_whether_or_not_it_had_an_effect(
    outside: Outside, method: str
) -> None:
    outside.project = replace(outside.project, setup="make")
    outside.workspace.raising[method] = WorkspaceError("disk on fire")
    world = await World(outside).open()
    await world.say(f"/start {REF} --do-it\nnow")
    await world.quiet()
    (button,) = last(world).buttons
    assert (await world.store.session(key()) is None) is (method == "add_worktree")
    assert (await world.press_button(button.id)).ok
    await world.quiet()
    assert world.agent.prompts == ["--do-it\nnow"]
    assert not (await world.press_button(button.id)).ok
    await world.close()


async def test_a_session_that_opencode_lost_is_not_tried_again(world: World) -> None:
    report = await started(world, FAILS)
    world.agent.sessions.clear()
    await world.press_button(report.buttons[0].id)
    await world.quiet()
    assert (await world.session()).state is SessionState.GONE
    assert last(world).buttons == ()


async def test_a_run_cut_off_with_its_process_is_offered_again(outside: Outside) -> None:
    outside.choices = replace(outside.choices, auto_resume=False)
    world = await World(outside).open()
    world.agent.scripts.append([Started(SessionId(""), MessageId("")), asyncio.Event()])
    await world.say(f"/start {REF} do it")
    while not (runs := await world.run_list()) or runs[0].state is not RunState.RUNNING:
        await asyncio.sleep(0)
    world.runs.hand_over()
    await world.close()
    outside.agent.die()
    world = await World(outside).open()
    await world.resume()
    await world.quiet()
    report = last(world)
    assert [button.label for button in report.buttons] == ["Retry"]
    assert (await world.press_button(report.buttons[0].id)).ok
    await world.quiet()
    assert world.agent.prompts == ["do it", "do it"]
    await world.close()


async def test_without_room_for_buttons_the_answer_comes_all_the_same(outside: Outside) -> None:
    def full(point: str) -> None:
        if point == "store.add_offer":
            raise StoreError("There is no room left")

    world = await World(outside, full).open()
    report = await started(world, FAILS)
    assert report.buttons == ()
    assert "no buttons" in world.complaints[0][0]
    await world.close()


# ── what was refused ───────────────────────────────────────────────────────────────────────────


async def test_where_the_backend_cannot_ask_it_gets_the_rules_and_people_are_told_once(outside: Outside) -> None:
    rule = PermissionRule("bash", "rm *", "deny")
    outside.project = replace(outside.project, permissions=(rule,))
    outside.agent.asks = False
    world = await World(outside).open()
    report = await started(world, refusing(OUTSIDE, FORBIDDEN, OUTSIDE))
    assert world.chat.sentences().count("Nobody can be asked on this transport") == 1
    (sent,) = world.agent.messages.values()
    assert sent.run.rules == (rule,)
    external = Refusal("external_directory /tmp/x", "external_directory", ("/tmp/*",))
    assert report.run.refused == (external, Refusal("bash rm x"))
    assert [*labelled(report)] == ["Retry with external_directory /tmp/*"]
    await world.say(f"/continue {REF} more")
    await world.quiet()
    assert world.chat.sentences().count("Nobody can be asked on this transport") == 1
    await world.close()


async def test_retry_with_what_was_refused_works_after_a_restart(outside: Outside) -> None:
    world = await World(outside).open()
    report = await started(world, refusing(OUTSIDE, PUSH))
    await world.close()
    world = await World(outside).open()
    (button,) = report.buttons
    assert button.label == "Retry with external_directory /tmp/* and 1 more"
    assert (await world.press_button(button.id)).ok
    await world.quiet()
    granted = (PermissionRule("external_directory", "/tmp/*", "allow"), PermissionRule("bash", "git push", "allow"))
    assert (await world.session()).rules == granted
    assert [message.run.rules for message in world.agent.messages.values()] == [(), granted]
    assert world.agent.prompts == ["do it", "do it"]
    await world.close()


async def test_the_same_by_command(world: World) -> None:
    await started(world, refusing(PUSH))
    assert (await world.say(f"/retry {REF}")).code == "usage"  # it was answered
    assert (await world.say(f"/retry --allow {REF}")).ok
    await world.quiet()
    assert (await world.session()).rules == (PermissionRule("bash", "git push", "allow"),)
    nothing = await world.say(f"/retry --allow {REF}")
    assert nothing.code == "usage"
    assert "refused nothing" in nothing.document.markdown


async def test_what_the_projects_rules_deny_is_listed_and_not_offered(outside: Outside) -> None:
    outside.project = replace(outside.project, permissions=(PermissionRule("bash", "rm *", "deny"),))
    world = await World(outside).open()
    report = await started(world, refusing(FORBIDDEN))
    assert report.run.refused == (Refusal("bash rm x"),)
    assert report.buttons == ()
    refused = await world.say(f"/retry --allow {REF}")
    assert "config.yaml" in refused.document.markdown
    assert (await world.session()).rules == ()
    await world.close()


async def test_a_failed_run_that_was_refused_something_offers_both(world: World) -> None:
    report = await started(world, [Refused(PUSH), Finished(Outcome.FAILED, "api", "down")])
    assert [*labelled(report)] == ["Retry", "Retry with bash git push"]
    assert (await world.press_button(labelled(report)["Retry"].id)).ok
    await world.quiet()
    assert (await world.session()).rules == ()


async def test_scripts_get_lines(world: World) -> None:
    await started(world, refusing(OUTSIDE, PUSH))
    status = await world.say(f"/status {REF}")
    assert status.data["runs"][0]["refused"] == ["external_directory /tmp/x", "bash git push"]


# ── in doubt ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def doubtful(world: World) -> RunReport:
    """The second run was recorded and perhaps sent; the agent cannot tell which of its prompts that was."""
    await started(world, [Said("p", "done"), Finished(Outcome.DONE)])
    (run,) = await world.run_list()
    second = await world.store.add_run(key(), "go on", run.person, run.place)
    await world.store.save_run(replace(second, state=RunState.SENDING, message_id=MessageId("msg_9")))
    world.agent.raising["lookup"] = AgentInDoubt("opencode has this prompt 2 times", "Look at what the agent did")
    world.mailboxes.wake(key())
    await world.quiet()
    return last(world)


async def test_a_run_in_doubt_is_not_sent_and_a_person_is_asked(world: World, doubtful: RunReport) -> None:
    assert world.agent.prompts == ["do it"]
    assert (doubtful.run.state, doubtful.run.error_code) == (RunState.FAILED, "agent_in_doubt")
    assert "2 times" in doubtful.run.error
    assert [*labelled(doubtful)] == ["Send it again", "Leave it"]


async def test_it_is_sent_again_on_demand_also_when_others_came_after_it(world: World, doubtful: RunReport) -> None:
    await world.say(f"/continue {REF} other")
    await world.quiet()
    assert (await world.press_button(labelled(doubtful)["Send it again"].id)).ok
    await world.quiet()
    assert world.agent.prompts == ["do it", "other", "go on"]
    assert not (await world.press_button(labelled(doubtful)["Leave it"].id)).ok


async def test_it_is_left_on_demand(world: World, doubtful: RunReport) -> None:
    assert (await world.session()).state is SessionState.FAILED
    left = await world.press_button(labelled(doubtful)["Leave it"].id)
    assert "nothing is sent again" in left.document.markdown
    assert (await world.session()).state is SessionState.IDLE
    assert world.agent.prompts == ["do it"]


async def test_what_is_left_does_not_touch_what_came_after(world: World, doubtful: RunReport) -> None:
    world.agent.scripts.append(FAILS)
    await world.say(f"/continue {REF} other")
    await world.quiet()
    assert (await world.press_button(labelled(doubtful)["Leave it"].id)).ok
    assert (await world.session()).state is SessionState.FAILED


@pytest.mark.parametrize("line", ["/retry --run 9", "/retry --run x", "/retry --run"])
async def test_a_run_that_is_not_there_is_said(world: World, line: str) -> None:
    await started(world, FAILS)
    reply = await world.say(f"{line} {REF}")
    assert not reply.ok
    assert reply.code in {"not_found", "ref", "usage"}
