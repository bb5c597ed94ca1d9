"""A run as messages: while it goes on, what it asks, and its answer. Pure; the platform renders the Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.events import Step, StepState, Todo
from core.model import (
    Button,
    Document,
    PermissionRequest,
    Question,
    Run,
    RunState,
    Session,
)
from core.ports import Ask, RunHeader, RunReport
from core.progress import Progress

STEPS = 6  # tool calls a live message shows, the newest last
DETAIL = 1500  # characters of a command that is asked about; the rest is in the session itself
LABEL = 40  # characters of a button; phones cut longer ones

_MARKS = {StepState.COMPLETED: " ✓", StepState.ERROR: " ✗"}
_ENDS = {RunState.DONE: "✓", RunState.FAILED: "✗", RunState.STOPPED: "■", RunState.CUT: "✗"}
_DECIDED = {"once": "Allowed once", "always": "Always allowed", "reject": "Rejected", "withdrawn": "No longer asked"}

Rows = tuple[tuple[Button, ...], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a live message is made of."""

    head: str
    lines: tuple[str, ...]
    body: str


def live(header: RunHeader, progress: Progress, seconds: float) -> Shown:
    """`seconds` since the run began."""
    run, session = header.run, header.session
    if progress.asking:
        doing = "waits for an answer"
    elif progress.retrying:
        doing = f"the provider failed ({progress.retrying.reason}), attempt {progress.retrying.attempt}"
    else:
        doing = "working"
    head = f"**{session.key.tag}** {_plain(session.title)}\n▸ run {run.number} · {doing} · {duration(seconds)}"
    lines = [_step(step) for step in progress.steps[-STEPS:]]
    if todo := next((todo for todo in progress.todos if todo.status == "in_progress"), None):
        lines.append(_todo(todo, progress.todos))
    return Shown(head, tuple(lines), progress.text)


def live_mark(header: RunHeader) -> str:
    """The message that carries Stop, where the text itself is shown as a draft."""
    return f"▸ {header.session.key.tag} · run {header.run.number} is working"


def over(report: RunReport) -> str:
    """What a live message shrinks to."""
    run = report.run
    words = {RunState.STOPPED: " · stopped", RunState.FAILED: " · failed", RunState.CUT: " · cut off"}
    figures = f"{report.session.key.tag} · run {run.number} · {duration(run.duration)}"
    return f"{_ENDS[run.state]} {figures}{words.get(run.state, '')}"


def answer(report: RunReport) -> Document:
    """Exactly what the agent said, how it ended where that was not well, and the figures."""
    run = report.run
    parts = [run.text] if run.text.strip() else []
    if run.state is RunState.STOPPED:
        parts.append(f"■ {run.error}")
    elif run.state is not RunState.DONE:
        parts.append(f"✗ {run.error or 'It failed, and did not say why.'}")
    if run.refused:
        parts.append("Not allowed:\n" + "\n".join(f"- {refusal.line}" for refusal in run.refused))
    return Document("\n\n".join([*parts, footer(report)]), report.buttons)


def footer(report: RunReport) -> str:
    """`#14 · run 3 · 12 s · 3,120 tokens · $0.0123 · model · 2 files changed`."""
    run = report.run
    parts = [report.session.key.tag, f"run {run.number}", duration(run.duration)]
    tokens = run.tokens
    if total := tokens.input + tokens.output + tokens.reasoning + tokens.cache_read + tokens.cache_write:
        parts.append(f"{total:,} tokens")
    if run.cost:
        parts.append(f"${run.cost:.4f}")
    if run.model:
        parts.append(f"`{run.model}`")
    if report.files_changed:
        parts.append(f"{report.files_changed} {'file' if report.files_changed == 1 else 'files'} changed")
    return f"{_ENDS[run.state]} {' · '.join(parts)}"


def duration(seconds: float) -> str:
    """`8.4 s`, `42 s`, `3 min 5 s`, `1 h 2 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


# ── what the agent asks ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Asking:
    """One message of a request; a request with several questions has one for each."""

    markdown: str
    rows: Rows


def asking(ask: Ask) -> list[Asking]:
    """What is shown of it, ringing."""
    tag = ask.session.tag
    if isinstance(ask.request, PermissionRequest):
        return [Asking(f"**{tag}** {_wanted(ask.request)}", _permission_rows(ask))]
    return [
        Asking(f"**{tag}** {_question(question)}", _question_rows(ask, number, question))
        for number, question in enumerate(ask.request.questions)
    ]


def settled(ask: Ask, number: int, by: str) -> str:
    """The same message once it is decided; `by` names who did, empty for nobody."""
    at = f" at {ask.decided_at:%H:%M} UTC" if ask.decided_at else ""
    who = f" by {by}" if by else ""
    decision = ask.decision
    reply = decision.reply if decision else "withdrawn"
    if isinstance(ask.request, PermissionRequest):
        why = f": {_plain(decision.message)}" if decision and reply == "reject" and by and decision.message else ""
        return f"**{ask.session.tag}** {_wanted(ask.request)}\n**{_DECIDED.get(reply, reply)}**{who}{at}{why}"
    question = ask.request.questions[number]
    if decision and reply == "answer":
        chosen = ", ".join(decision.answers[number])
        return f"**{ask.session.tag}** {_plain(question.text)}\n**{_plain(chosen)}** – answered{who}{at}"
    return f"**{ask.session.tag}** {_plain(question.text)}\n**{_DECIDED.get(reply, reply)}**{who}{at}"


def answered(ask: Ask, number: int, chosen: str, by: str) -> str:
    """One question of several; the others are still open."""
    assert not isinstance(ask.request, PermissionRequest)
    return f"**{ask.session.tag}** {_plain(ask.request.questions[number].text)}\n**{_plain(chosen)}** – chosen by {by}"


def asked_again(ask: Ask, number: int) -> str:
    """In place of a message whose buttons were there while kugetsu was not."""
    request = ask.request
    what = _wanted(request) if isinstance(request, PermissionRequest) else _plain(request.questions[number].text)
    return f"**{ask.session.tag}** {what}\n**Asked again below**"


def _wanted(request: PermissionRequest) -> str:
    detail = request.detail or " ".join(request.patterns)
    cut = f"{detail[:DETAIL]}\n…" if len(detail) > DETAIL else detail
    fence = "````" if "```" in cut else "```"
    return f"May it use **{_plain(request.permission)}**?\n{fence}\n{cut}\n{fence}"


def _permission_rows(ask: Ask) -> Rows:
    choices = (("once", "Allow once"), ("always", "Always"), ("reject", "Reject"))
    return (tuple(Button(f"{ask.id}:{reply}", label) for reply, label in choices),)


def _question(question: Question) -> str:
    lines = [_plain(question.text)]
    lines += [
        f"{number}. {_plain(choice.label)}{' – ' + _plain(choice.description) if choice.description else ''}"
        for number, choice in enumerate(question.choices, start=1)
    ]
    hint = "Reply to this message to answer in your own words"
    lines += ["", f"{hint}, or with numbers, like 1, 3." if question.multiple else f"{hint}."]
    return "\n".join(lines)


def _question_rows(ask: Ask, number: int, question: Question) -> Rows:
    choices = tuple(
        (Button(f"{ask.id}:q{number}c{place}", _cut(choice.label)),)
        for place, choice in enumerate(question.choices, start=1)
    )
    return (*choices, (Button(f"{ask.id}:reject", "Do not answer"),))


# ── small things ───────────────────────────────────────────────────────────────────────────────


def rows(buttons: Sequence[Button]) -> Rows:
    """Two short ones side by side, long ones alone."""
    made: list[tuple[Button, ...]] = []
    for button in buttons:
        cut = Button(button.id, _cut(button.label))
        if made and len(made[-1]) == 1 and len(made[-1][0].label) + len(cut.label) <= 24:
            made[-1] = (*made[-1], cut)
        else:
            made.append((cut,))
    return tuple(made)


def title(session: Session) -> str:
    """Of a session's thread: `#14 implement the login form`."""
    return f"{session.key.tag} {session.title}".strip()


def stop_button(run: Run, session: Session) -> Rows:
    """Below a live message."""
    return ((Button(f"stop:{run.id}", f"Stop {session.key.tag}"),),)


def _step(step: Step) -> str:
    detail = f" `{_code(step.title)}`" if step.title else ""
    return f"⚙ {_plain(step.tool)}{detail}{_MARKS.get(step.state, ' …')}"


def _todo(now: Todo, all_of_them: Sequence[Todo]) -> str:
    done = sum(todo.status == "completed" for todo in all_of_them)
    return f"☐ {done}/{len(all_of_them)} {_plain(now.text)}"


def _cut(label: str) -> str:
    line = " ".join(label.split()) or "–"
    return line if len(line) <= LABEL else f"{line[: LABEL - 1]}…"


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _plain(text: str) -> str:
    """Words of an agent or a person inside a sentence of ours: no formatting of their own."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_[]<>~|#" else character for character in line)
