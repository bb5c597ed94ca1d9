"""A run as messages: while it goes on, and its answer. Pure; the platform renders the Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core import view_trouble
from core.events import Step, StepState, Todo
from core.markdown import code, plain
from core.model import Button, Document, Run, RunState, Session, Verbosity
from core.ports import RunHeader, RunReport
from core.progress import Progress, Text

STEPS = 6  # tool calls a live message shows, the newest last
STEPS_IN_DETAIL = 12
TODOS = 5  # lines of the plan
LINE = 60  # characters; about what a phone shows in one or two lines
LABEL = 40  # characters of a button; phones cut longer ones

_MARKS = {StepState.COMPLETED: " ✓", StepState.ERROR: " ✗"}
_TODO = {"completed": "☑", "in_progress": "▸", "cancelled": "☒"}
_ENDS = {RunState.DONE: "✓", RunState.FAILED: "✗", RunState.STOPPED: "■", RunState.CUT: "✗"}

Rows = tuple[tuple[Button, ...], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a live message is made of."""

    head: str
    lines: tuple[str, ...]
    body: str


def live(header: RunHeader, progress: Progress, seconds: float) -> Shown:
    """`seconds` since the run began. How much it shows is the place's choice."""
    run, session = header.run, header.session
    if progress.asking:
        doing = "waits for an answer"
    elif progress.retrying:
        doing = view_trouble.trying_again(progress.retrying.code, progress.retrying.reason, progress.retrying.next_in)
    else:
        doing = "working"
    head = f"**{session.key.tag}** {plain(session.title)}\n▸ run {run.number} · {doing} · {duration(seconds)}"
    if header.verbosity is Verbosity.QUIET:
        return Shown(head, (), "")
    detailed = header.verbosity is Verbosity.DETAILED
    lines: list[str] = []
    for step in progress.steps[-(STEPS_IN_DETAIL if detailed else STEPS) :]:
        lines.append(step_line(step))
        lines += _last_words(step.error or step.output) if detailed else ()
    if detailed:
        lines += _thought(progress)
    return Shown(head, (*lines, *_plan(progress.todos)), progress.text)


def _last_words(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.strip()]
    return [f"　{plain(cut(lines[-1], LINE))}"] if lines else []


def _thought(progress: Progress) -> list[str]:
    """What the model thinks right now."""
    last = progress.items[-1] if progress.items else None
    if not isinstance(last, Text) or not last.reasoning:
        return []
    lines = [line for line in last.text.splitlines() if line.strip()]
    return [f"💭 {plain(cut(lines[-1], 2 * LINE))}"] if lines else []


def _plan(todos: Sequence[Todo]) -> list[str]:
    """The agent's todo list, around what it is at."""
    if not todos:
        return []
    at = next((n for n, todo in enumerate(todos) if todo.status == "in_progress"), None)
    if at is None:
        at = sum(todo.status in {"completed", "cancelled"} for todo in todos)
    first = max(0, min(at - 1, len(todos) - TODOS))
    done = sum(todo.status == "completed" for todo in todos)
    shown = [f"{_TODO.get(todo.status, '☐')} {plain(cut(todo.text, LINE))}" for todo in todos[first : first + TODOS]]
    return [f"plan {done}/{len(todos)}", *shown]


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
        done = [step_line(step) for step in report.steps[-STEPS:]]
        parts.append("\n".join([f"■ {run.error}", *done]))
    elif run.state is not RunState.DONE:
        parts.append(f"✗ {run.error or 'It failed, and did not say why.'}")
    if run.refused:
        parts.append("Not allowed:\n" + "\n".join(f"- {refusal.line}" for refusal in run.refused))
    return Document("\n\n".join([*parts, footer(report)]), report.buttons)


def footer(report: RunReport) -> str:
    """`#14 · run 3 · 12 s · 3,120 tokens · $0.0123 · model · 2 files changed`."""
    run = report.run
    parts = [report.session.key.tag, f"run {run.number}", duration(run.duration)]
    if total := run.tokens.total:
        parts.append(f"{total:,} tokens")
    if run.context_limit and (full := run.context / run.context_limit) >= 0.01:
        parts.append(f"{full:.0%} of context")
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


# ── small things ───────────────────────────────────────────────────────────────────────────────


def rows(buttons: Sequence[Button]) -> Rows:
    """Two short ones side by side, long ones alone."""
    made: list[tuple[Button, ...]] = []
    for button in buttons:
        short = Button(button.id, _label(button.label))
        if made and len(made[-1]) == 1 and len(made[-1][0].label) + len(short.label) <= 24:
            made[-1] = (*made[-1], short)
        else:
            made.append((short,))
    return tuple(made)


def title(session: Session) -> str:
    """Of a session's thread: `#14 implement the login form`."""
    return f"{session.key.tag} {session.title}".strip()


def looks(report: RunReport) -> Rows:
    """Below what a live message shrinks to: what can be looked at of the run."""
    run, buttons = report.run, []
    if report.steps:
        buttons.append(Button(f"details:{run.id}", "Details"))
    if report.files_changed:
        buttons.append(Button(f"diff:{run.id}", "Diff"))
    return (tuple(buttons),) if buttons else ()


def stop_button(run: Run, session: Session) -> Rows:
    """Below a live message."""
    return ((Button(f"stop:{run.id}", f"Stop {session.key.tag}"),),)


def step_line(step: Step) -> str:
    """`⚙ bash npm test ✓`; those of sub-agents are set in."""
    detail = f" `{code(step.title)}`" if step.title else ""
    nested = "↳ " if step.sub_agent else ""
    return f"{nested}⚙ {plain(step.tool)}{detail}{_MARKS.get(step.state, ' …')}"


def _label(label: str) -> str:
    return cut(" ".join(label.split()) or "–", LABEL)


def cut(line: str, most: int) -> str:
    """At most that many characters."""
    return line if len(line) <= most else f"{line[: most - 1]}…"
