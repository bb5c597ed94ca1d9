"""Markdown as LLMs and `core.view` write it, to marked text.

What a chat can do without is kept all the same: line breaks are where they were written, blank lines too (any number
of them as one), lists keep their numbers, a link that Telegram would not take shows its target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it.token import Token

from adapters.telegram import syntax, tables
from adapters.telegram.entities import BOLD, LONG_QUOTE, PRE, QUOTE, UNDERLINE, Mark, Marks, Piece, Text
from adapters.telegram.inline import inline

_LONG_QUOTE = (3, 300)  # lines, characters: a longer one folds
_BULLETS = "•◦▪"
_RULE = "──────────"
_TAB = 4  # Telegram shows a tab as one space
_TASK = re.compile(r"\[([ xX])\] +")


def parse(markdown: str) -> Text:
    """Never fails: what is nested beyond reason is shown as it was written."""
    text = syntax.clean(markdown)
    found = syntax.tokens(text)
    return Text([(text, ())] if found is None else _Writer(text.split("\n")).write(found))


@dataclass(slots=True)
class _Container:
    """A list item or a quote: what its first line begins with, until that is written, and all others."""

    rest: str
    first: str | None = None


class _Writer:
    """Follows the tokens; `_containers` are those around the current one, the outer one first."""

    def __init__(self, source: Sequence[str]) -> None:
        self._source = source
        self._pieces: list[Piece] = []
        self._containers: list[_Container] = []
        self._lists: list[bool] = []  # whether it is ordered
        self._quotes = 0
        self._quote: Marks = ()  # the outer one; there is no other for Telegram
        self._quote_from = -1  # the outer quote's first piece, once there is one
        self._blocks = 0

    def write(self, tokens: Sequence[Token]) -> list[Piece]:
        """All of them."""
        stream = iter(tokens)
        for token in stream:
            match token.type:
                case "inline":
                    self._paragraph(token, ())
                case "heading_open":
                    title = (Mark(BOLD), Mark(UNDERLINE)) if token.tag == "h1" else (Mark(BOLD),)
                    self._paragraph(next(stream), title)
                case "fence" | "code_block":
                    self._code(token)
                case "hr":
                    self._begin(token)
                    self._add(_RULE)
                case "table_open":
                    self._table(token, stream)
                case "bullet_list_open" | "ordered_list_open":
                    self._lists.append(token.type == "ordered_list_open")
                case "bullet_list_close" | "ordered_list_close":
                    self._lists.pop()
                case "list_item_open":
                    self._item(token)
                case "list_item_close":
                    if self._containers[-1].first is not None:  # nothing is in it
                        self._begin(token)
                    self._containers.pop()
                case "blockquote_open":
                    self._quotes += 1
                    self._quote = self._quote or (Mark(QUOTE, number=self._number()),)
                    self._containers.append(_Container("│ " if self._quotes > 1 else ""))
                case "blockquote_close":
                    self._quotes -= 1
                    self._containers.pop()
                    if not self._quotes:
                        self._end_quote()
                case _:
                    pass
        return self._pieces

    # ── lines ──────────────────────────────────────────────────────────────────────────────────

    def _number(self) -> int:
        self._blocks += 1
        return self._blocks

    def _add(self, text: str, marks: Marks = ()) -> None:
        self._pieces.append((text, self._quote + marks))

    def _begin(self, token: Token, *, block: bool = False) -> None:
        """Goes to a new line and writes what stands before its text; before a block of code, an item's mark alone."""
        if self._pieces:
            before = token.map[0] - 1 if token.map else -1
            blank = before >= 0 and not self._source[before].strip(" \t>")
            self._pieces.append(("\n\n" if blank else "\n", self._quote if self._quote_from >= 0 else ()))
        if self._quotes and self._quote_from < 0:
            self._quote_from = len(self._pieces)
        if not self._containers:
            return
        marked = any(container.first is not None for container in self._containers)
        prefix = "".join(self._prefix())
        if marked or not block:
            self._add(f"{prefix.rstrip()}\n" if block else prefix)

    def _prefix(self) -> Iterator[str]:
        for container in self._containers:
            yield container.rest if container.first is None else container.first
            container.first = None

    @property
    def _break(self) -> str:
        """A line break within a paragraph."""
        return "\n" + "".join(container.rest for container in self._containers)

    def _end_quote(self) -> None:
        if self._quote_from >= 0:
            content = self._pieces[self._quote_from :]
            text = "".join(piece for piece, _ in content)
            lines, length = _LONG_QUOTE
            if text.count("\n") >= lines or len(text) > length:
                mark = self._quote[0]._replace(type=LONG_QUOTE)
                self._pieces[self._quote_from :] = [(piece, (mark, *marks[1:])) for piece, marks in content]
        self._quote_from = -1
        self._quote = ()

    # ── blocks ─────────────────────────────────────────────────────────────────────────────────

    def _item(self, token: Token) -> None:
        if self._lists[-1]:
            mark = f"{token.info}{token.markup} "  # the number as written
        else:
            mark = _BULLETS[min(len(self._lists), len(_BULLETS)) - 1] + " "
        self._containers.append(_Container(" " * len(mark), mark))

    def _paragraph(self, token: Token, marks: Marks) -> None:
        children = token.children or []
        if not token.content:
            return
        container = self._containers[-1] if self._containers else None
        if container and container.first and (task := _TASK.match(children[0].content)):
            box = "☐ " if task[1] == " " else "☑ "
            container.first = box if container.first[0] in _BULLETS else container.first + box
            children[0].content = children[0].content[task.end() :]
        self._begin(token)
        self._pieces.extend((text, self._quote + own) for text, own in inline(children, marks, self._break))

    def _code(self, token: Token) -> None:
        content = token.content.strip("\n").expandtabs(_TAB)
        if not content.strip():
            return
        self._begin(token, block=True)
        self._block(content, re.sub(r"[^\w+#.-]", "", token.info.split()[0])[:32] if token.info.strip() else "")

    def _block(self, content: str, language: str = "") -> None:
        self._add(content, (Mark(PRE, language, self._number()),))

    def _table(self, opened: Token, stream: Iterator[Token]) -> None:
        rows: list[list[str]] = []
        sides: list[str] = []
        for token in stream:
            match token.type:
                case "table_close":
                    break
                case "tr_open":
                    rows.append([])
                    line = self._source[token.map[0]] if token.map else ""
                case "th_open":
                    sides.append(str(token.attrs.get("style", "")).removeprefix("text-align:"))
                case "inline":
                    rows[-1].append("".join(text for text, _ in inline(token.children or [], (), " ", spell=True)))
                case "tr_close" if len(rows) > 1 and (more := tables.surplus(line, len(sides))):
                    rows[-1][-1] = " | ".join([rows[-1][-1], *more])
                case _:
                    pass
        first, last = opened.map or (0, 0)
        self._begin(opened, block=True)
        self._block(tables.aligned(rows, sides, "\n".join(self._source[first:last])))
