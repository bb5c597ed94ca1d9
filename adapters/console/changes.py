"""What became visible between two states of a run, as protocol events (pure).

A live message sees only the newest progress; terminals want what was added. Both come together here.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.console import wire
from core.model import Button, PermissionRequest, RunState
from core.ports import Ask, RunHeader, RunReport
from core.progress import Item, Progress, Text


def started(thread: str, header: RunHeader) -> wire.Started:
    """The first event of a run."""
    run, session = header.run, header.session
    return wire.Started(
        thread=thread,
        run=run.id,
        number=run.number,
        ref=str(session.key.ref),
        name=session.key.name,
        session=session.agent_id,
        parent=session.parent_id,
        directory=str(session.directory),
        branch=session.branch,
        title=session.title,
        prompt=run.prompt,
        asker=header.asker,
        verbosity=header.verbosity.value,
    )


def changes(thread: str, run: int, before: Progress, after: Progress) -> Iterator[wire.RunEvent]:
    """What leads from `before` to `after`, in the order people read it."""
    for index, item in enumerate(after.items):
        known = before.items[index] if index < len(before.items) else None
        if known is not item:
            yield from _item(thread, run, known, item)
    if after.todos != before.todos:
        yield wire.Plan(thread, run, after.todos)
    if after.retrying and after.retrying != before.retrying:
        retrying = after.retrying
        yield wire.Retry(thread, run, retrying.attempt, retrying.reason, retrying.next_in)


def _item(thread: str, run: int, known: Item | None, item: Item) -> Iterator[wire.RunEvent]:
    if not isinstance(item, Text):
        if known != item:
            nested = item.sub_agent is not None
            yield wire.Tool(
                thread, run, item.id, item.tool, item.state, item.title, item.output, item.error, nested=nested
            )
        return
    kind = wire.Reasoning if item.reasoning else wire.Text
    had = known.text if isinstance(known, Text) and known.part == item.part else ""
    if item.text.startswith(had):
        if len(item.text) > len(had):
            yield kind(thread, run, item.part, item.text[len(had) :])
    else:
        yield kind(thread, run, item.part, item.text, whole=True)


def finished(thread: str, report: RunReport) -> wire.Finished:
    """The last event of a run."""
    run, session = report.run, report.session
    return wire.Finished(
        thread=thread,
        run=run.id,
        ok=run.state is RunState.DONE,
        ref=str(session.key.ref),
        name=session.key.name,
        session=session.agent_id,
        directory=str(session.directory),
        branch=session.branch,
        text=run.text,
        error=run.error,
        code=run.error_code,
        cost=run.cost,
        tokens=run.tokens,
        duration=run.duration,
        refused=tuple(refusal.line for refusal in run.refused),
        buttons=report.buttons,
    )


def asked(thread: str, ask: Ask) -> wire.Asking:
    """A request of the agent with the buttons that settle it."""
    reject = Button(f"{ask.id}:reject", "Reject")
    if isinstance(ask.request, PermissionRequest):
        request = ask.request
        buttons = (Button(f"{ask.id}:once", "Allow once"), Button(f"{ask.id}:always", "Always"), reject)
        return wire.Permission(
            thread, ask.run, ask.id, request.permission, request.patterns, request.detail, buttons=buttons
        )
    questions = ask.request.questions
    return wire.Questions(thread, ask.run, ask.id, questions, (Button(f"{ask.id}:answer", "Answer"), reject))


def decided(thread: str, ask: Ask) -> wire.Decided:
    """The end of what `asked` began."""
    reply = ask.decision.reply if ask.decision else ""
    return wire.Decided(thread, ask.id, ask.decided_by or "", reply, ask.decided_at)
