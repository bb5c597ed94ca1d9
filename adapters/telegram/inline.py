"""The inside of a paragraph: emphasis, links, code."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it.token import Token

from adapters.telegram.entities import BOLD, CODE, ITALIC, LINK, STRIKE, Mark, Marks, Piece

# Telegram refuses a message with a target it cannot parse, and makes a mention of tg://user?id=…
_TARGET = re.compile(r"https?://[^\s/?#@:\[\]\\]+(?::\d{1,5})?(?:[/?#]\S{0,2000})?")
_BREAK = re.compile(r" *\n")
_STYLES = {"strong": Mark(BOLD), "em": Mark(ITALIC), "s": Mark(STRIKE)}


def inline(tokens: Sequence[Token], marks: Marks, line_break: str, *, spell: bool = False) -> list[Piece]:
    """The pieces of a paragraph; `line_break` leads to its next line, `spell` writes links out as `text (target)`.

    Telegram's rules: nothing is in code and code is in nothing but a quote, so a style around code stops for it; in a
    link, code is plain.
    """
    writer = _Writer(marks, line_break, spell=spell)
    writer.write(tokens)
    return writer.pieces


class _Writer:
    def __init__(self, marks: Marks, line_break: str, *, spell: bool) -> None:
        self.pieces: list[Piece] = []
        self._stack = list(marks)
        self._marks = marks
        self._break = line_break
        self._spell = spell
        self._links: list[tuple[str, bool, int]] = []  # target, whether it is linked, first piece

    def write(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            match token.type:
                case "text" | "text_special":
                    text = token.content
                    self._add(_BREAK.sub(self._break, text) if "\n" in text else text)
                case "hardbreak":
                    self._add(self._break)
                case "code_inline" | "math_inline":
                    linked = any(mark.type == LINK for mark in self._stack)
                    self.pieces.append((token.content, self._marks if linked else (Mark(CODE),)))
                case "strong_open" | "em_open" | "s_open":
                    self._enter(_STYLES[token.tag])
                case "strong_close" | "em_close" | "s_close":
                    self._leave()
                case "link_open":
                    self._enter_link(str(token.attrs.get("href", "")))
                case "link_close":
                    self._leave_link()
                case "image":
                    self._enter_link(str(token.attrs.get("src", "")))
                    self._add("🖼 " + "".join(text for text, _ in inline(token.children or [], (), " ")))
                    self._leave_link()
                case _:
                    self._add(token.content)

    def _add(self, text: str) -> None:
        self.pieces.append((text, self._marks))

    def _enter(self, mark: Mark) -> None:
        self._stack.append(mark)
        self._marks = tuple(dict.fromkeys(self._stack))  # bold within bold is bold

    def _leave(self) -> None:
        self._stack.pop()
        self._marks = tuple(dict.fromkeys(self._stack))

    def _enter_link(self, target: str) -> None:
        linked = not self._spell and bool(_TARGET.fullmatch(target)) and not any(m.type == LINK for m in self._stack)
        self._links.append((target, linked, len(self.pieces)))
        if linked:
            self._enter(Mark(LINK, target))

    def _leave_link(self) -> None:
        target, linked, first = self._links.pop()
        text = "".join(text for text, _ in self.pieces[first:])
        if linked:
            self._leave()
        if not text.strip():
            self._add(target)
        elif target and not linked and text != target:
            self._add(f" ({target})")
