"""Runs: what is told while the agent works, and how they end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import pairwise

import pytest

from core.errors import AgentSessionGone, UsageError
from core.events import Finished, Metered, Outcome, Planned, Retrying, Said, Started, Step, StepState, Trouble
from core.model import Attachment, SessionId
from core.ports import Known

pytestmark = pytest.mark.asyncio(loop_scope="session")
UNKNOWN = SessionId("ses_df85a4eb2ffefJpqu0TR1hhhHx")
DONE = Finished(Outcome.DONE)


async def test_an_answer_from_start_to_end(lab, text):
    session = await lab.session()
    lab.model.on(text).say("Hello", " from", " the moon", delay=0.02)
    listener = await lab.say(session.id, text)
    capabilities = await lab.port.capabilities()
    began = listener.events[0]
    assert isinstance(began, Started)
    assert (began.session, began.model) == (session.id, "mock/m1")
    assert began.message_id.startswith("msg_")
    assert (began.message_id == listener.run.message_id) is capabilities.message_ids
    assert listener.events[-1] == DONE
    assert listener.progress.text == "Hello from the moon"
    assert text not in listener.progress.text
    assert listener.progress.tokens.input == 100
    if capabilities.token_deltas:
        said = [event for event in listener.events if isinstance(event, Said)]
        assert [event.text for event in said if event.text] == ["Hello", " from", " the moon"]
        assert said[-1].final


async def test_a_second_prompt_remembers_the_first(lab, text):
    session = await lab.session()
    await lab.say(session.id, f"{text} one")
    await lab.say(session.id, f"{text} two")
    assert any(f"{text} one" in str(message) for message in lab.model.asked(f"{text} two")[0].messages[:-1])


async def test_tools_really_run_and_are_told(lab, text):
    session = await lab.session()
    file = lab.project / f"{text}.txt"
    (
        lab.model.on(text)
        .say("I write it.")
        .call("write", {"filePath": str(file), "content": "moon\n"})
        .then()
        .call("bash", {"command": f"cat {file.name}\n# second line", "description": "Read"})
        .then_say("Done.")
    )
    listener = await lab.say(session.id, text)
    assert file.read_text() == "moon\n"
    assert listener.progress.text == "I write it.\n\nDone."
    write, bash = listener.progress.steps
    assert (write.tool, write.state, write.title) == ("write", StepState.COMPLETED, file.name)
    assert (bash.tool, bash.title, bash.output.strip()) == ("bash", f"cat {file.name}", "moon")
    assert [event.context for event in listener.events if isinstance(event, Metered)] == [120, 120, 120]
    assert listener.progress.tokens.output == 60
    steps = [event for event in listener.events if isinstance(event, Step)]
    assert all(one != other for one, other in pairwise(steps))


async def test_a_failing_tool_is_told_as_such(lab, text):
    session = await lab.session()
    lab.model.on(text).call("read", {"filePath": str(lab.project / "missing")}).then_say("Not there.")
    listener = await lab.say(session.id, text)
    assert listener.progress.steps[0].state is StepState.ERROR
    assert "missing" in listener.progress.steps[0].error
    assert listener.events[-1] == DONE


async def test_the_plan(lab, text):
    session = await lab.session()
    todos = [{"content": "Look", "status": "in_progress", "priority": "high", "id": "1"}]
    lab.model.on(text).call("todowrite", {"todos": todos}).then_say("Planned.")
    listener = await lab.say(session.id, text)
    plan = next(event for event in listener.events if isinstance(event, Planned))
    assert [(todo.text, todo.status) for todo in plan.todos] == [("Look", "in_progress")]


async def test_attachments_reach_the_model(lab, text):
    session = await lab.session()
    note = lab.root / "note ü.txt"
    note.write_text("attached words")
    files = (Attachment(note, "text/plain", note.name),)
    assert (await lab.say(session.id, text, attachments=files)).events[-1] == DONE
    assert "attached words" in lab.model.asked(text)[0].user_text


async def test_model_and_system_are_passed_on(lab, text):
    session = await lab.session()
    await lab.say(session.id, text, model="mock/m1", system="You are in a group chat.")
    assert "You are in a group chat." in lab.model.asked(text)[0].system


async def test_a_model_without_a_provider_is_refused(lab, text):
    session = await lab.session()
    with pytest.raises(UsageError):
        await lab.say(session.id, text, model="m1")


async def test_an_unknown_session_is_gone(lab, text):
    with pytest.raises(AgentSessionGone):
        await lab.say(UNKNOWN, text)
    with pytest.raises(AgentSessionGone):
        await lab.port.lookup(lab.prompt(UNKNOWN, text))
    attached = lab.attach(lab.prompt(UNKNOWN, text))
    with pytest.raises(AgentSessionGone):
        await attached.finished()


async def test_an_unknown_model_fails_the_run_with_its_name(lab, text):
    session = await lab.session()
    end = (await lab.say(session.id, text, model="mock/nope")).events[-1]
    assert end.outcome is Outcome.FAILED
    assert "mock/nope" in end.error
    assert end.error_code == Trouble.UNKNOWN_MODEL
    assert "\n" not in end.error
    # opencode remembers it as the session's model, so the way back is to name one
    assert (await lab.say(session.id, text, model="mock/m1")).events[-1] == DONE


async def test_an_unknown_agent_fails_the_run(lab, text):
    session = await lab.session()
    end = (await lab.say(session.id, text, agent="nope")).events[-1]
    assert end.outcome is Outcome.FAILED
    assert "nope" in end.error or end.error_code == "not_taken"  # 1.3 tells it to its log alone
    assert (await lab.say(session.id, text)).events[-1] == DONE


async def test_a_refusal_of_the_provider_fails_the_run(lab, text):
    session = await lab.session()
    lab.model.on(text).fail(400, "This account is on fire")
    end = (await lab.say(session.id, text)).events[-1]
    assert (end.outcome, end.error_code, end.error) == (
        Outcome.FAILED,
        Trouble.BAD_REQUEST,
        "This account is on fire",
    )


@pytest.mark.parametrize(
    ("status", "said", "trouble"),
    [
        (401, "Incorrect API key provided", Trouble.NO_CREDENTIALS),
        (402, "Payment required", Trouble.NO_CREDIT),
        (404, "The model `m1` does not exist", Trouble.UNKNOWN_MODEL),
    ],
)
async def test_troubles_are_told_apart(lab, text, status, said, trouble):
    session = await lab.session()
    lab.model.on(text).fail(status, said)
    end = (await lab.say(session.id, text)).events[-1]
    assert (end.outcome, end.error_code) == (Outcome.FAILED, trouble)
    assert said in end.error


@pytest.mark.parametrize(("reason", "trouble"), [("length", Trouble.OUTPUT_FULL), ("content_filter", Trouble.DECLINED)])
async def test_an_answer_that_is_cut_off_is_none(lab, text, reason, trouble):
    session = await lab.session()
    lab.model.on(text).say("Half of").end(reason)
    end = (await lab.say(session.id, text)).events[-1]
    assert (end.outcome, end.error_code) == (Outcome.FAILED, trouble)


async def test_what_the_model_thinks_is_told_apart_from_what_it_says(lab, text):
    session = await lab.session()
    lab.model.on(text).think("Let me", " see.").say("Seen.")
    listener = await lab.say(session.id, text)
    assert listener.progress.text == "Seen."
    assert [item.text for item in listener.progress.items if item.reasoning] == ["Let me see."]


@pytest.mark.needs("token_deltas")
async def test_retries_are_told(lab, text):
    session = await lab.session()
    headers = {"retry-after-ms": "300"}
    lab.model.on(text).fail(429, "Slow down", times=1, headers=headers).say("Made it.")
    listener = await lab.say(session.id, text)
    retrying = next(event for event in listener.events if isinstance(event, Retrying))
    assert (retrying.attempt, retrying.reason, retrying.code) == (1, "Slow down", Trouble.RATE_LIMITED)
    assert 0 <= retrying.next_in < 10
    assert listener.progress.text == "Made it."
    assert listener.events[-1] == DONE


@pytest.mark.needs("token_deltas")
@pytest.mark.parametrize(
    ("status", "said", "trouble"),
    [
        (429, "You exceeded your current quota, please check your plan and billing details.", Trouble.NO_CREDIT),
        (500, "Internal server error", Trouble.OVERLOADED),
        (529, "Overloaded", Trouble.OVERLOADED),
    ],
)
async def test_what_is_tried_again_is_told_apart_too(lab, text, status, said, trouble):
    session = await lab.session()
    lab.model.on(text).fail(status, said)
    listener = lab.start(lab.prompt(session.id, text))
    await listener.until(lambda listener: listener.progress.retrying)
    retrying = next(event for event in listener.events if isinstance(event, Retrying))
    assert retrying.code == trouble
    await lab.port.stop(session.id, lab.project)
    assert await listener.finished() == Finished(Outcome.STOPPED)


@pytest.mark.needs("token_deltas")
async def test_a_provider_that_stays_in_trouble(lab, text):
    session = await lab.session()
    lab.model.on(text).fail(429, "Slow down", headers={"retry-after-ms": "50"})
    listener = lab.start(lab.prompt(session.id, text))
    gives_up = not (await lab.port.capabilities()).version.startswith("1.3.")
    if not gives_up:
        await listener.until(lambda listener: sum(isinstance(event, Retrying) for event in listener.events) > 5)
        await lab.port.stop(session.id, lab.project)
    end = await listener.finished()
    assert end.error_code == (Trouble.RATE_LIMITED if gives_up else "")
    assert end.outcome is (Outcome.FAILED if gives_up else Outcome.STOPPED)


@pytest.mark.needs("token_deltas")
async def test_a_provider_that_cannot_be_reached(lab, text):
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": "http://127.0.0.1:9/v1", "apiKey": "x"},
        "models": {"m1": {"tool_call": True}},
    }
    directory = lab.configured({"provider": {"away": provider}})
    session = await lab.session(directory)
    listener = lab.start(lab.prompt(session.id, text, directory, model="away/m1"))
    told = await listener.until(
        lambda listener: next((e for e in listener.events if isinstance(e, Retrying | Finished)), None)
    )
    assert (told.code if isinstance(told, Retrying) else told.error_code) == Trouble.NETWORK
    await lab.port.stop(session.id, directory)
    await listener.finished()


async def test_a_full_context_that_cannot_be_summarised(lab, text):
    session = await lab.session()
    full = "This model's maximum context length is 100 tokens. However, your messages resulted in 200 tokens"
    await lab.say(session.id, f"{text} before")
    lab.model.on(f"{text} now").fail(400, full)
    lab.model.on_summary(text).fail(400, full)
    end = (await lab.say(session.id, f"{text} now")).events[-1]
    assert (end.outcome, end.error_code) == (Outcome.FAILED, Trouble.CONTEXT_FULL)


async def test_an_empty_answer_is_a_failure(lab, text):
    session = await lab.session()
    lab.model.on(text).say("")
    end = (await lab.say(session.id, text)).events[-1]
    assert (end.outcome, end.error_code) == (Outcome.FAILED, "no_answer")


async def test_five_megabytes_in_one_piece(lab, text):
    session = await lab.session()
    lab.model.on(text).say("x" * 5_000_000)
    listener = await lab.say(session.id, text)
    assert listener.progress.text == "x" * 5_000_000
    assert listener.events[-1] == DONE
    await lab.port.delete_session(session.id)


async def test_megabytes_from_a_tool_are_clipped(lab, text):
    session = await lab.session()
    command = "head -c 5000000 /dev/zero | tr '\\0' y; echo; echo the end"
    lab.model.on(text).call("bash", {"command": command, "description": "Much"}).then_say("Much.")
    listener = await lab.say(session.id, text)
    assert len(listener.progress.steps[0].output) < 21_000
    assert listener.events[-1] == DONE


@pytest.mark.needs("token_deltas")  # the next test asks the same of all, and more
async def test_a_full_context_is_compacted_and_the_run_goes_on(lab, text):
    session = await lab.session()
    await lab.say(session.id, "something to summarise")
    full = "This model's maximum context length is 100 tokens. However, your messages resulted in 200 tokens"
    lab.model.on(text).fail(400, full, times=1).say("After the compaction.")
    listener = await lab.say(session.id, text)
    assert listener.events[-1] == DONE
    assert listener.progress.text == "After the compaction."
    assert any(request.is_summary for request in lab.model.requests)


async def test_a_full_context_between_two_steps(lab, text):
    session = await lab.session()
    await lab.say(session.id, "something to summarise")
    full = "This model's maximum context length is 100 tokens. However, your messages resulted in 200 tokens"
    rule = lab.model.on(text).call("bash", {"command": "echo once", "description": "x"})
    rule.then().fail(400, full, times=1).say("Carried on.")
    listener = await lab.say(session.id, text)
    assert listener.events[-1] == DONE
    assert listener.progress.text == "Carried on."


async def test_a_sub_agent_is_told_apart(lab, text):
    session = await lab.session()
    task = {"description": "Look around", "prompt": f"child-{text}", "subagent_type": "general"}
    lab.model.on(f"child-{text}").call("bash", {"command": "echo child", "description": "x"}).then_say("Child text.")
    lab.model.on(f"root-{text}").call("task", task).then_say("Root text.")
    listener = await lab.say(session.id, f"root-{text}")
    assert listener.progress.text == "Root text."
    own = [step for step in listener.progress.steps if step.sub_agent is None]
    childs = [step for step in listener.progress.steps if step.sub_agent is not None]
    assert [(step.tool, step.title) for step in own] == [("task", "Look around")]
    assert [(step.tool, step.title) for step in childs] == [("bash", "echo child")]
    assert listener.progress.tokens.input == 400  # two steps each
    assert sorted(event.context for event in listener.events if isinstance(event, Metered)) == [0, 0, 120, 120]
    child = await lab.port.find_session(childs[0].sub_agent)
    assert child is not None
    assert child.parent_id == session.id
    assert child.id not in {root.id for root in await lab.port.list_sessions(lab.project)}


async def test_two_sessions_at_once_do_not_mix(lab, text):
    many = 4 if (await lab.port.capabilities()).token_deltas else 2  # each a process that fills a core
    sessions = [await lab.session() for _ in range(many)]
    for number in range(many):
        lab.model.on(f"{text}-{number}").say(*[f"{number} "] * 20, delay=0.01)
    listeners = [lab.start(lab.prompt(session.id, f"{text}-{n}")) for n, session in enumerate(sessions)]
    for number, listener in enumerate(listeners):
        assert await listener.finished() == DONE
        assert set(listener.progress.text.split()) == {str(number)}


@pytest.mark.needs("token_deltas")
async def test_two_prompts_at_once_are_answered_each_for_itself(lab, text):
    session = await lab.session()
    lab.model.on(f"{text} first").say(*["a "] * 10, delay=0.02)
    lab.model.on(f"{text} second").say("b")
    first = lab.start(lab.prompt(session.id, f"{text} first"))
    await first.until(lambda listener: listener.progress.text)
    second = lab.start(lab.prompt(session.id, f"{text} second"))
    assert await first.finished() == DONE
    assert await second.finished() == DONE
    assert set(first.progress.text.split()) == {"a"}
    assert second.progress.text == "b"


@pytest.mark.needs("token_deltas")
async def test_a_prompt_that_cuts_in_between_two_steps_takes_over(lab, text):
    session = await lab.session()
    rule = lab.model.on(f"{text} first").call("bash", {"command": "sleep 0.5", "description": "x"})
    rule.then_say("never said")
    lab.model.on(f"{text} second").say("b")
    first = lab.start(lab.prompt(session.id, f"{text} first"))
    await first.until(lambda listener: listener.progress.steps)
    second = await lab.say(session.id, f"{text} second")
    assert second.progress.text == "b"
    assert (await first.finished()).error_code == "overtaken"


@pytest.mark.needs("message_ids")
async def test_an_id_made_long_before_it_is_sent(lab, text):
    session = await lab.session()
    early = lab.prompt(session.id, f"{text} early")
    await lab.say(session.id, f"{text} in between")
    end = await lab.start(early).finished()
    # 1.3 goes by the order of ids and takes it for answered: make an id when it is sent, not when it is queued.
    assert end == DONE or end.error_code == "no_answer"


# ── doubt ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.needs("token_deltas")
async def test_lookup_of_a_prompt_never_sent_running_and_over(lab, text):
    session = await lab.session()
    rule = lab.model.on(text).say("A").hang().say("B")
    run = lab.prompt(session.id, text)
    assert await lab.port.lookup(run) is Known.ABSENT
    listener = lab.start(run)
    await listener.until(lambda listener: listener.progress.text)
    assert await lab.port.lookup(run) is Known.RUNNING
    rule.release()
    await listener.finished()
    assert await lab.port.lookup(run) is Known.OVER


@pytest.mark.needs("token_deltas")
async def test_attach_to_what_runs(lab, text):
    session = await lab.session()
    rule = lab.model.on(text).say("Text before a tool.").call("bash", {"command": "echo tool", "description": "x"})
    rule.then().say("The ").hang().say("end.")
    first = lab.start(lab.prompt(session.id, text))
    await first.until(lambda listener: "The" in listener.progress.text)
    await first.leave()
    again = lab.attach(first.run)
    await again.until(lambda listener: listener.progress.steps)
    rule.release()
    assert await again.finished() == DONE
    assert again.progress.text == "Text before a tool.\n\nThe end."
    assert again.progress.tokens.input == 200
    assert len(lab.model.asked(text)) == 2  # nothing was sent a second time


async def test_attach_to_what_is_over(lab, text):
    session = await lab.session()
    lab.model.on(text).say("All ", "said.")
    first = await lab.say(session.id, text)
    again = lab.attach(first.run)
    assert await again.finished() == DONE
    assert again.progress == first.progress


async def test_attach_to_what_never_came(lab, text):
    session = await lab.session()
    listener = lab.attach(lab.prompt(session.id, text))
    end = await listener.finished()
    assert (end.outcome, end.error_code) == (Outcome.FAILED, "not_taken")


@pytest.mark.needs("token_deltas")
async def test_leaving_a_run_does_not_stop_it(lab, text):
    session = await lab.session()
    lab.model.on(text).say(*["word "] * 10, delay=0.02)
    run = lab.prompt(session.id, text)
    async with aclosing(lab.port.run(run)) as events:
        async for event in events:
            if isinstance(event, Said):
                break
    again = lab.attach(run)
    assert await again.finished() == DONE
    assert again.progress.text.count("word") == 10


# ── stopping ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.needs("token_deltas")
async def test_stop_keeps_what_was_said(lab, text):
    session = await lab.session()
    lab.model.on(text).say("Some text.").hang()
    listener = lab.start(lab.prompt(session.id, text))
    await listener.until(lambda listener: listener.progress.text)
    await lab.port.stop(session.id, lab.project)
    assert await listener.finished() == Finished(Outcome.STOPPED)
    assert listener.progress.text == "Some text."


@pytest.mark.needs("token_deltas")
async def test_the_second_idle_of_an_abort_does_not_end_the_next_run(lab, text):
    session = await lab.session()
    for number in range(5):
        lab.model.on(f"{text} long {number}").say("On and on.").hang()
        lab.model.on(f"{text} next {number}").say("Answered.", delay=0.1)
        first = lab.start(lab.prompt(session.id, f"{text} long {number}"))
        await first.until(lambda listener: listener.progress.text)
        await lab.port.stop(session.id, lab.project)
        second = lab.start(lab.prompt(session.id, f"{text} next {number}"))  # the abort is still cleaning up
        assert (await first.finished()).outcome is Outcome.STOPPED
        assert await second.finished() == DONE
        assert second.progress.text == "Answered."


@pytest.mark.needs("token_deltas")
async def test_stop_while_a_tool_runs(lab, text):
    session = await lab.session()
    late = lab.project / f"{text}.late"
    command = f"sleep 1; touch {late}"
    lab.model.on(text).call("bash", {"command": command, "description": "x"}).then_say("never")
    listener = lab.start(lab.prompt(session.id, text))
    await listener.until(lambda listener: [s for s in listener.progress.steps if s.state is StepState.RUNNING])
    await lab.port.stop(session.id, lab.project)
    assert (await listener.finished()).outcome is Outcome.STOPPED
    assert listener.progress.steps[0].state in {StepState.ERROR, StepState.COMPLETED}
    assert not late.exists()


@pytest.mark.needs("token_deltas")
async def test_stop_while_it_waits_to_ask_the_provider_again(lab, text):
    session = await lab.session()
    lab.model.on(text).fail(500, "Overloaded")
    listener = lab.start(lab.prompt(session.id, text))
    await listener.until(lambda listener: listener.progress.retrying)
    await lab.port.stop(session.id, lab.project)
    assert (await listener.finished()).outcome is Outcome.STOPPED


async def test_stop_right_after_the_prompt(lab, text):
    session = await lab.session()
    lab.model.on(text).say("On and on.").hang()
    listener = lab.start(lab.prompt(session.id, text))
    for _ in range(200):
        if await lab.port.lookup(listener.run) is not Known.ABSENT:
            break
        await asyncio.sleep(0.005)
    await lab.port.stop(session.id, lab.project)
    assert (await listener.finished()).outcome is Outcome.STOPPED


@pytest.mark.needs("token_deltas")
async def test_stop_drops_what_waits_behind_too(lab, text):
    session = await lab.session()
    lab.model.on(f"{text} first").say("Long.").hang()
    first = lab.start(lab.prompt(session.id, f"{text} first"))
    await first.until(lambda listener: listener.progress.text)
    second = lab.start(lab.prompt(session.id, f"{text} second"))
    for _ in range(200):
        if await lab.port.lookup(second.run) is not Known.ABSENT:
            break
        await asyncio.sleep(0.005)
    await lab.port.stop(session.id, lab.project)
    assert (await first.finished()).outcome is Outcome.STOPPED
    assert (await second.finished()).outcome is Outcome.STOPPED


@pytest.mark.needs("token_deltas")
async def test_a_session_deleted_under_its_run(lab, text):
    session = await lab.session()
    lab.model.on(text).say("Some text.").hang()
    listener = lab.start(lab.prompt(session.id, text))
    await listener.until(lambda listener: listener.progress.text)
    await lab.port.delete_session(session.id)
    assert (await listener.finished()).outcome in {Outcome.STOPPED, Outcome.CUT}


async def test_stopping_what_does_not_run(lab):
    session = await lab.session()
    await lab.port.stop(session.id, lab.project)
