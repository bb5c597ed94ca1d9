"""What a terminal shows: protocol events to lines of styled text (pure).

Nothing an agent or a person wrote reaches the terminal with control characters in it: every piece of foreign text
goes through `clean`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from adapters.console import wire
from core.errors import AgentInDoubt
from core.model import LOCAL_PERSON, Button, Tokens
from core.view_life import file_size

Span = tuple[str, str]  # a style class of `terminal.STYLE` (empty: none) and text
Line = tuple[Span, ...]

# Whole escape sequences (also cut off ones: text arrives in pieces), then what is left of control characters.
_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC: titles, links, clipboard
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # DCS and its like
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # with what turns text around
_MARKS = re.compile(r"(`[^`]+`|\*\*[^*]+\*\*)")

TODO = {"pending": "☐", "in_progress": "▶", "completed": "☑", "cancelled": "☒"}


def clean(text: str) -> str:
    """Without escape sequences and control characters; line breaks and tabs stay, carriage returns go."""
    return _CONTROL.sub("", _ESCAPES.sub("", text))


def one_line(text: str, limit: int = 120) -> str:
    """The first line that says something, cut to `limit` characters."""
    first = next((line.strip() for line in clean(text).splitlines() if line.strip()), "").replace("\t", " ")
    return first if len(first) <= limit else first[: limit - 1] + "…"


def plain(line: Line) -> str:
    """The text of a line alone."""
    return "".join(text for _, text in line)


def markdown(text: str) -> list[Line]:
    """Markdown as it is, lightly coloured: its marks stay, so that it can be copied."""
    styled = Styled()
    return [styled.line(line) for line in clean(text).rstrip("\n").split("\n")]


class Styled:
    """Colours Markdown line by line; knows whether it is inside a code fence."""

    def __init__(self) -> None:
        self._fence = ""

    def line(self, text: str) -> Line:
        """The next line of the text."""
        mark = re.match(r"\s*(`{3,}|~{3,})", text)
        if self._fence:
            if mark and mark[1].startswith(self._fence):
                self._fence = ""
            return (("code", text),)
        if mark:
            self._fence = mark[1]
            return (("code", text),)
        if re.match(r"#{1,6} ", text):
            return (("heading", text),)
        return tuple((_mark(piece), piece) for piece in _MARKS.split(text) if piece) or (("", ""),)


def _mark(piece: str) -> str:
    if len(piece) > 2 and piece[0] == piece[-1] == "`":
        return "code"
    return "strong" if len(piece) > 4 and piece.startswith("**") and piece.endswith("**") else ""


def reply(message: wire.Reply) -> list[Line]:
    """What the bot answered at once."""
    if not message.text:
        return []
    if message.ok:
        return markdown(message.text)
    return [(("failed", "✗ " if n == 0 else "  "), *line) for n, line in enumerate(markdown(message.text))]


def choices(buttons: Sequence[Button]) -> list[Line]:
    """Numbered, to be chosen by typing the number."""
    return [(("choice", f"  {n}"), ("", f"  {one_line(button.label)}")) for n, button in enumerate(buttons, 1)]


def tool(event: wire.Tool, *, mark: str = "") -> Line:
    """`⚙ read README.md ✓`, one line each."""
    nested = "  ↳ " if event.nested else ""
    name = (("tool", f"{nested}⚙ {one_line(event.tool, 40)}"), ("", f" {one_line(event.title)}" if event.title else ""))
    if event.state == "error":
        return (*name, ("failed", f" ✗ {one_line(event.error)}"))
    return (*name, ("done", " ✓")) if event.state == "completed" else (*name, ("dim", mark))


def output(event: wire.Tool, most: int = 5) -> list[Line]:
    """The end of what a tool printed."""
    lines = [line for line in clean(event.output).splitlines() if line.strip()]
    return [(("dim", f"    {one_line(line)}"),) for line in lines[-most:]]


def plan(event: wire.Plan) -> list[Line]:
    """The agent's todo list."""
    return [(("dim", f"{TODO.get(todo.status, '·')} {one_line(todo.text)}"),) for todo in event.todos]


def permission(event: wire.Permission) -> list[Line]:
    """What it wants to do, whole: a person must see what they consent to."""
    wanted = ", ".join(clean(pattern).replace("\n", " ") for pattern in event.patterns)
    lines: list[Line] = [
        (("asking", f"? may it use {one_line(event.permission)}"), ("", f": {wanted}" if wanted else ""))
    ]
    if event.detail and event.detail not in event.patterns:
        lines += [(("code", f"  {line}"),) for line in clean(event.detail).splitlines()]
    return lines + choices(event.buttons)


def question(event: wire.Questions, index: int) -> list[Line]:
    """One of the questions, with its choices."""
    asked = event.questions[index]
    many = f" ({index + 1} of {len(event.questions)})" if len(event.questions) > 1 else ""
    lines: list[Line] = [(("asking", f"? {one_line(asked.header)}{many}"),)] if asked.header or many else []
    lines += [(("asking", "  "), *line) for line in markdown(asked.text)]
    for n, choice in enumerate(asked.choices, 1):
        about = f" · {one_line(choice.description)}" if choice.description else ""
        lines.append((("choice", f"  {n}"), ("", f"  {one_line(choice.label)}"), ("dim", about)))
    several = "several as 1,3 · " if asked.multiple else ""
    numbers = "type a number or " if asked.choices else "type "
    return [*lines, (("dim", f"  {several}{numbers}your own answer · - refuses to answer"),)]


def decided(event: wire.Decided) -> Line:
    """Who decided what."""
    word = {"once": "allowed once", "always": "allowed from now on", "reject": "refused", "answer": "answered"}
    by = f" by {one_line(event.by)}" if event.by and event.by != LOCAL_PERSON else ""
    what = word.get(event.reply) or one_line(event.reply) or "withdrawn"
    return (("dim", f"  {what}{by}"),)


def file(event: wire.File) -> Line:
    """`📎 docs/report.pdf 12 kB  /where/it/is`."""
    return (("strong", f"📎 {one_line(event.name)}"), ("dim", f" {file_size(event.size)}  {one_line(event.path, 500)}"))


def finished(event: wire.Finished) -> list[Line]:
    """The footer of a run."""
    facts = " · ".join(_facts(event))
    lines: list[Line] = []
    if event.ok:
        lines.append((("done", "✓"), ("dim", f" {facts}")))
    else:
        error = clean(event.error).strip() or "failed"
        lines += [(("failed", ("✗ " if n == 0 else "  ") + line),) for n, line in enumerate(error.splitlines())]
        again = "" if event.code == AgentInDoubt.code else " · /retry runs it again"
        lines.append((("dim", f"  {facts}{again}"),))
    if event.refused:
        lines.append((("failed", f"  refused, as nobody allowed it: {'; '.join(map(one_line, event.refused))}"),))
        if event.buttons:
            lines.append((("dim", "  /retry --allow allows that from now on, and runs it again"),))
    return lines


def _facts(event: wire.Finished) -> Iterable[str]:
    yield duration(event.duration)
    if count := _count(event.tokens):
        yield f"{count} tokens"
    if event.cost:
        yield f"${event.cost:.4f}" if event.cost < 0.01 else f"${event.cost:.2f}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _count(tokens: Tokens) -> str:
    total = tokens.total
    return f"{total / 1000:.1f}k" if total >= 1000 else str(total or "")


def label(thread: str, title: str, limit: int = 32) -> str:
    """`#14 implement login`: a session's name for people, from its key and title."""
    mark = max(thread.rfind("#"), thread.rfind("!"))
    tag = thread[mark:] if mark >= 0 else thread
    rest = one_line(title, 200)
    for prefix in (thread, tag):
        if rest.casefold().startswith(prefix.casefold()):
            rest = rest[len(prefix) :].lstrip(" :·-–—")
    return one_line(f"{tag} {one_line(rest, limit)}", 2 * limit)
