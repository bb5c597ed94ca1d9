"""What the agent asks, as one message with buttons, and how it was settled. Pure; the platform renders the Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.markdown import plain
from core.model import AskId, Button, Choice, PermissionRequest, Question, QuestionRequest
from core.ports import Ask
from core.view_run import LABEL, Rows, cut

DETAIL = 1500  # characters of a command that is asked about; the rest is in the session itself

_DECIDED = {"once": "Allowed once", "always": "Always allowed", "reject": "Rejected", "withdrawn": "No longer asked"}


@dataclass(frozen=True, slots=True)
class Asking:
    """The message of a request."""

    markdown: str
    rows: Rows


def is_form(request: QuestionRequest) -> bool:
    """Whether answers are gathered before they are sent: several questions, or several choices of one."""
    return len(request.questions) > 1 or request.questions[0].multiple


def is_sent(request: QuestionRequest) -> bool:
    """Whether somebody has to say that a form is filled in: of several choices nobody knows which is the last."""
    return any(question.multiple for question in request.questions)


def asking(ask: Ask) -> Asking:
    """What is shown of it, ringing; of a form, with what is chosen so far."""
    tag = f"**{ask.session.tag}**"
    request = ask.request
    if isinstance(request, PermissionRequest):
        return Asking(f"{tag} {_wanted(request)}", _permission_rows(ask.id))
    several = len(request.questions) > 1
    blocks = [
        _question(question, ask.answers.get(number, ()), f"**{number + 1}** " if several else "", form=is_form(request))
        for number, question in enumerate(request.questions)
    ]
    rows = [row for number, question in enumerate(request.questions) for row in _choice_rows(ask, number, question)]
    if is_sent(request):
        still = len(open_questions(ask))
        rows.append((Button(f"{ask.id}:send", f"Send ({still} open)" if still else "Send"),))
    rows.append((Button(f"{ask.id}:reject", "Do not answer"),))
    hint = "Reply to answer in your own words"
    hint += ", one line a question, or `2: …` for one of them." if several else "."
    return Asking("\n\n".join([f"{tag} {blocks[0]}", *blocks[1:], hint]), tuple(rows))


def open_questions(ask: Ask) -> list[Question]:
    """Those of a form that have no answer yet."""
    return [question for number, question in enumerate(ask.request.questions) if not ask.answers.get(number)]


def settled(ask: Ask, by: str) -> str:
    """The same message once it is decided; `by` names who did, empty for nobody."""
    at = f" at {ask.decided_at:%H:%M} UTC" if ask.decided_at else ""
    who = f" by {by}" if by else ""
    tag, decision = f"**{ask.session.tag}**", ask.decision
    reply = decision.reply if decision else "withdrawn"
    if decision and reply == "answer" and not isinstance(ask.request, PermissionRequest):
        pairs = zip(ask.request.questions, decision.answers, strict=True)
        lines = [f"{plain(question.text)}\n**{plain(', '.join(chosen))}**" for question, chosen in pairs]
        return "\n".join([f"{tag} {lines[0]}", *lines[1:]]) + f" – answered{who}{at}"
    why = ""
    if decision and reply == "reject" and decision.message:
        # Of what is told the agent when nobody decided, the rest is for the agent alone.
        why = f": {plain(decision.message if by else decision.message.partition('. ')[0])}"
    return f"{tag} {_asked(ask)}\n**{_DECIDED.get(reply, reply)}**{who}{at}{why}"


def asked_again(ask: Ask) -> str:
    """In place of a message whose buttons were there while kugetsu was not."""
    return f"**{ask.session.tag}** {_asked(ask)}\n**Asked again below**"


def ask_why(ask: Ask) -> str:
    """Somebody wants to say why not."""
    return f"**{ask.session.tag}** Why not? Reply to this message: your words reject it, and the agent reads them."


def _asked(ask: Ask) -> str:
    request = ask.request
    if isinstance(request, PermissionRequest):
        return _wanted(request)
    return "\n".join(plain(question.text) for question in request.questions)


def _wanted(request: PermissionRequest) -> str:
    detail = request.detail or " ".join(request.patterns)
    shown = f"{detail[:DETAIL]}\n…" if len(detail) > DETAIL else detail
    fence = "````" if "```" in shown else "```"
    return f"May it use **{plain(request.permission)}**?\n{fence}\n{shown}\n{fence}"


def _permission_rows(ask: AskId) -> Rows:
    rows = (("once", "Allow once"), ("always", "Always")), (("reject", "Reject"), ("why", "Reject, because…"))
    return tuple(tuple(Button(f"{ask}:{reply}", label) for reply, label in row) for row in rows)


def _question(question: Question, chosen: Sequence[str], number: str, *, form: bool) -> str:
    lines = [f"{number}{plain(question.text)}" + (" (several)" if question.multiple else "")]
    for place, choice in enumerate(question.choices, start=1):
        about = f" – {plain(choice.description)}" if choice.description else ""
        mark = _mark(question, choice, chosen) if form else f"{place}."
        lines.append(f"{mark} {plain(choice.label)}{about}")
    own = [answer for answer in chosen if answer not in {choice.label for choice in question.choices}]
    lines += [f"✎ {plain(answer)}" for answer in own]
    return "\n".join(lines)


def _choice_rows(ask: Ask, number: int, question: Question) -> Rows:
    form, several = is_form(ask.request), len(ask.request.questions) > 1
    chosen = ask.answers.get(number, ())
    rows = []
    for place, choice in enumerate(question.choices, start=1):
        mark = f"{_mark(question, choice, chosen)} " if form else ""
        label = cut(f"{f'{number + 1} ' if several else ''}{mark}{' '.join(choice.label.split()) or '–'}", LABEL)
        rows.append((Button(f"{ask.id}:q{number}c{place}", label),))
    return tuple(rows)


def _mark(question: Question, choice: Choice, chosen: Sequence[str]) -> str:
    if question.multiple:
        return "☑" if choice.label in chosen else "☐"
    return "◉" if choice.label in chosen else "○"
