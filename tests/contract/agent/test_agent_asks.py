"""Permissions and questions: asked, answered, withdrawn. For backends that can ask."""

from __future__ import annotations

import pytest

from core.events import Asked, Finished, Outcome, Settled, StepState
from core.model import Choice, Decision, PermissionRequest, QuestionRequest

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("asks")]
DONE = Finished(Outcome.DONE)
QUESTION = {
    "questions": [
        {
            "question": "Which moon?",
            "header": "Moon",
            "options": [{"label": "Io", "description": "the hot one"}, {"label": "Europa", "description": "ice"}],
        },
        {"question": "Which ones?", "header": "More", "options": [{"label": "A", "description": ""}], "multiple": True},
    ]
}


def touch(text: str) -> dict[str, str]:
    return {"command": f"touch ask-{text}", "description": "Touch"}


async def test_allowed_once(lab, text):
    session = await lab.session()
    lab.model.on(text).call("bash", touch(text)).then_say("Done.")
    listener = lab.start(lab.prompt(session.id, text))
    request = await listener.asked()
    assert isinstance(request, PermissionRequest)
    assert (request.session, request.permission) == (session.id, "bash")
    assert request.patterns == (f"touch ask-{text}",)
    assert request.detail == f"touch ask-{text}"
    assert request.always == ("touch *",)
    assert not (lab.project / f"ask-{text}").exists()
    assert await lab.port.decide(session.id, lab.project, request.id, Decision("once"))
    assert await listener.finished() == DONE
    assert (lab.project / f"ask-{text}").exists()
    assert Settled(request.id) in listener.events
    assert listener.progress.text == "Done."
    assert not await lab.port.decide(session.id, lab.project, request.id, Decision("once"))


async def test_always_is_sent_as_once(lab, text):
    session = await lab.session()
    call = touch(text)
    lab.model.on(text).call("bash", call).then().call("bash", call).then_say("Done.")
    listener = lab.start(lab.prompt(session.id, text))
    request = await listener.asked()
    assert await lab.port.decide(session.id, lab.project, request.id, Decision("always"))
    await listener.until(lambda listener: sum(isinstance(event, Asked) for event in listener.events) == 2)
    second = next(event.request for event in reversed(listener.events) if isinstance(event, Asked))
    assert await lab.port.decide(session.id, lab.project, second.id, Decision("once"))
    assert await listener.finished() == DONE


async def test_rejected_with_a_reason(lab, text):
    session = await lab.session()
    lab.model.on(text).call("bash", touch(text)).then_say("As you wish.")
    listener = lab.start(lab.prompt(session.id, text))
    request = await listener.asked()
    decision = Decision("reject", message="Not on a Sunday")
    assert await lab.port.decide(session.id, lab.project, request.id, decision)
    end = await listener.finished()
    assert listener.progress.steps[0].state is StepState.ERROR
    assert not (lab.project / f"ask-{text}").exists()
    if end == DONE:  # 1.18: the agent reads the reason and goes on; 1.3 ends the run
        assert "Not on a Sunday" in str(lab.model.asked(text)[-1].tool_results)
    else:
        assert end.outcome is Outcome.STOPPED


async def test_rejected_without_a_reason_ends_the_run(lab, text):
    session = await lab.session()
    lab.model.on(text).call("bash", touch(text)).then_say("never")
    listener = lab.start(lab.prompt(session.id, text))
    request = await listener.asked()
    assert await lab.port.decide(session.id, lab.project, request.id, Decision("reject"))
    end = await listener.finished()
    assert (end.outcome, end.error_code) == (Outcome.STOPPED, "rejected")
    assert (await lab.say(session.id, "Something else")).progress.text


async def test_questions_are_answered_together(lab, text):
    session = await lab.session()
    lab.model.on(text).call("question", QUESTION).then_say("Thanks.")
    listener = lab.start(lab.prompt(session.id, text))
    request = await listener.asked()
    assert isinstance(request, QuestionRequest)
    first, second = request.questions
    assert (first.header, first.text, first.multiple) == ("Moon", "Which moon?", False)
    assert first.choices == (Choice("Io", "the hot one"), Choice("Europa", "ice"))
    assert second.multiple
    decision = Decision("answer", answers=(("Europa",), ("A", "something of my own")))
    assert await lab.port.decide(session.id, lab.project, request.id, decision)
    assert await listener.finished() == DONE
    result = str(lab.model.asked(text)[-1].tool_results)
    assert "Europa" in result
    assert "something of my own" in result
    assert Settled(request.id) in listener.events


async def test_a_question_rejected_ends_the_run(lab, text):
    session = await lab.session()
    lab.model.on(text).call("question", QUESTION).then_say("never")
    listener = lab.start(lab.prompt(session.id, text))
    request = await listener.asked()
    assert await lab.port.decide(session.id, lab.project, request.id, Decision("reject"))
    assert (await listener.finished()).outcome is Outcome.STOPPED
    assert not await lab.port.decide(session.id, lab.project, request.id, Decision("reject"))


async def test_a_sub_agent_asks(lab, text):
    session = await lab.session()
    task = {"description": "Look", "prompt": f"child-{text}", "subagent_type": "general"}
    lab.model.on(f"child-{text}").call("bash", touch(text)).then_say("Child.")
    lab.model.on(f"root-{text}").call("task", task).then_say("Root.")
    listener = lab.start(lab.prompt(session.id, f"root-{text}"))
    request = await listener.asked()
    assert request.session != session.id
    assert await lab.port.decide(session.id, lab.project, request.id, Decision("once"))
    assert await listener.finished() == DONE
    assert Settled(request.id) in listener.events
    assert listener.progress.text == "Root."


async def test_stop_withdraws_what_was_asked(lab, text):
    session = await lab.session()
    lab.model.on(text).call("bash", touch(text)).then_say("never")
    listener = lab.start(lab.prompt(session.id, text))
    request = await listener.asked()
    await lab.port.stop(session.id, lab.project)
    assert (await listener.finished()).outcome is Outcome.STOPPED
    assert not await lab.port.decide(session.id, lab.project, request.id, Decision("once"))
    assert not (lab.project / f"ask-{text}").exists()
    assert (await lab.say(session.id, "Something else")).events[-1].outcome is Outcome.DONE


async def test_stop_withdraws_what_a_sub_agent_asked(lab, text):
    session = await lab.session()
    task = {"description": "Look", "prompt": f"child-{text}", "subagent_type": "general"}
    lab.model.on(f"child-{text}").call("bash", touch(text)).then_say("Child.")
    lab.model.on(f"root-{text}").call("task", task).then_say("Root.")
    listener = lab.start(lab.prompt(session.id, f"root-{text}"))
    request = await listener.asked()
    await lab.port.stop(session.id, lab.project)
    assert (await listener.finished()).outcome is Outcome.STOPPED
    assert not await lab.port.decide(session.id, lab.project, request.id, Decision("once"))


async def test_attaching_asks_again(lab, text):
    session = await lab.session()
    task = {"description": "Look", "prompt": f"child-{text}", "subagent_type": "general"}
    lab.model.on(f"child-{text}").call("bash", touch(text)).then_say("Child.")
    lab.model.on(f"root-{text}").call("task", task).then_say("Root.")
    first = lab.start(lab.prompt(session.id, f"root-{text}"))
    request = await first.asked()
    await first.leave()
    again = lab.attach(first.run)
    assert await again.asked() == request
    assert await lab.port.decide(session.id, lab.project, request.id, Decision("once"))
    assert await again.finished() == DONE
    assert (lab.project / f"ask-{text}").exists()


async def test_a_request_nobody_made(lab):
    session = await lab.session()
    for unknown in ("per_207a5b846001323m3iwLykrLzh", "que_207a5b846001323m3iwLykrLzh", "nonsense"):
        assert not await lab.port.decide(session.id, lab.project, unknown, Decision("once"))
