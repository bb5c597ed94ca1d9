"""Marked text and how it becomes a message: plain text beside entities, counted in UTF-16 units as Telegram does.

Entities instead of `parse_mode`: there is nothing to escape, so no text of an agent can break a message or format it.

Nobody may be pinged by what an agent writes, but Telegram itself makes a mention of every `@name` in plain text, with
entities or without. A word joiner behind the @ prevents that and is not seen. Inside code nothing is linked, so code
stays as it is and can be copied; a URL is linked as a whole and left alone too, if it is one beyond doubt.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

LIMIT = 4096  # UTF-16 units of a message
MAX_ENTITIES = 100  # of a message; Telegram ignores what is beyond
JOINER = "\u2060"

BOLD = "bold"
ITALIC = "italic"
UNDERLINE = "underline"
STRIKE = "strikethrough"
CODE = "code"
PRE = "pre"
LINK = "text_link"
QUOTE = "blockquote"
LONG_QUOTE = "expandable_blockquote"

# What goes first when there are too many: what is lost with it weighs least.
_WEIGHT = {UNDERLINE: 0, STRIKE: 0, ITALIC: 0, BOLD: 1, CODE: 2, QUOTE: 3, LONG_QUOTE: 3, LINK: 4, PRE: 5}

_SHADE = "\0"  # stands for what is in code: no space, no word, and never in a text (`markdown.clean`)
_ASTRAL = re.compile(r"[\U00010000-\U0010ffff]")
# Telegram finds mentions by (?<=\B)@([a-zA-Z0-9_]{2,32})(?=\b), over the borders of our entities.
_MENTION = re.compile(
    r"(?<![A-Za-z0-9_])https?://(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?:/[A-Za-z0-9_.~/%+=&?#@-]*)?"
    r"|(?<![A-Za-z0-9_])@(?=[\w\0])"
    r"|(?<=\0)(?=\w)"
)
# A message of these alone counts as empty.
_UNSEEN = re.compile(
    r"[\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc\U000e0000-\U000e0fff]*"
)


@dataclass(frozen=True, slots=True)
class Entity:
    """Telegram's MessageEntity; offset and length in UTF-16 units."""

    type: str
    offset: int
    length: int
    url: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One message. Entities are sorted, the outer one first, and either apart or one inside the other."""

    text: str
    entities: tuple[Entity, ...] = ()


class Mark(NamedTuple):
    """What a piece of text is. `number` keeps two blocks side by side apart; otherwise equal neighbours are one."""

    type: str
    value: str = ""  # the link's target, the code's language
    number: int = 0


Marks = tuple[Mark, ...]  # the outer one first
Piece = tuple[str, Marks]


class Units:
    """Positions in a text, counted in UTF-16 units."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._astral = [] if text.isascii() else [match.start() for match in _ASTRAL.finditer(text)]

    def at(self, position: int) -> int:
        """How many units come before the position."""
        return position + bisect_left(self._astral, position)

    def reach(self, start: int, units: int) -> int:
        """The furthest end of a text from `start` that is no longer than `units`."""
        return bisect_right(range(self._length + 1), self.at(start) + units, key=self.at) - 1

    def back(self, units: int) -> int:
        """Where the last `units` of the text begin."""
        return bisect_left(range(self._length + 1), self.at(self._length) - units, key=self.at)


class Text:
    """Text with marks, not yet cut into messages. Mentions are defused already."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        # Code of nothing but space would be an entity of nothing.
        kept = [(text, marks[:-1] if _is_code(marks) and text.isspace() else marks) for text, marks in pieces if text]
        self._marks = [marks for _, marks in kept]
        self._starts = []
        position = 0
        for text, _ in kept:
            self._starts.append(position)
            position += len(text)
        self.text = "".join(text for text, _ in kept)
        # The same, with code made unrecognisable: what may be searched for mentions, paragraphs and space to trim.
        self.shade = "".join(_SHADE * len(text) if _is_code(marks) else text for text, marks in kept)
        if "@" in self.text:
            self._defuse()

    def _defuse(self) -> None:
        holes = [
            match.end()
            for match in _MENTION.finditer(self.shade)
            if match[0] == "@" or (not match[0] and self.text[match.end() - 1] == "@")
        ]
        if not holes:
            return
        self._starts = [start + bisect_right(holes, start) for start in self._starts]
        borders = [0, *holes, len(self.text)]
        spans = list(pairwise(borders))
        self.text = JOINER.join(self.text[start:end] for start, end in spans)
        self.shade = JOINER.join(self.shade[start:end] for start, end in spans)

    def __len__(self) -> int:
        return len(self.text)

    def in_code(self, position: int) -> bool:
        """Whether the character there belongs to code."""
        return self.shade.startswith(_SHADE, position)

    def code_start(self, start: int, end: int) -> int:
        """Where the code begins that `end` stands in, not before `start`; `end` itself outside of code."""
        return start + len(self.shade[start:end].rstrip(_SHADE))

    def code_end(self, position: int) -> int:
        """Where the code ends that the position stands in."""
        return len(self.shade) - len(self.shade[position:].lstrip(_SHADE))

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[Piece]:
        """The part from `start` to `end`, to be put into another text."""
        stop = len(self.text) if end is None else end
        for begin, finish, marks in self._runs(start, stop):
            yield self.text[begin:finish], marks

    def _runs(self, start: int, end: int) -> Iterator[tuple[int, int, Marks]]:
        for number in range(max(0, bisect_right(self._starts, start) - 1), len(self._starts)):
            begin = self._starts[number]
            if begin >= end:
                return
            finish = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
            yield max(begin, start), min(finish, end), self._marks[number]

    def page(self, start: int = 0, end: int | None = None) -> Page | None:
        """That part as a message of its own; None if nothing of it would be seen.

        Space around it goes, as Telegram removes it too; only code keeps its indentation.
        """
        stop = len(self.text) if end is None else end
        stop = start + len(self.text[start:stop].rstrip())
        while start < stop and self.shade[start].isspace():
            start += 1
        text = self.text[start:stop]
        if _UNSEEN.fullmatch(text):
            return None
        units = Units(text)
        entities = []
        for begin, finish, mark in self._nested(start, stop):
            offset = units.at(begin - start)
            length = units.at(finish - start) - offset
            url = mark.value if mark.type == LINK else ""
            entities.append(Entity(mark.type, offset, length, url, mark.value if mark.type == PRE else ""))
        return Page(text, _most_important(entities))

    def _nested(self, start: int, end: int) -> list[tuple[int, int, Mark]]:
        """Runs to properly nested spans: a mark that ends inside another one ends that one for a moment."""
        opened: list[tuple[Mark, int]] = []
        closed: list[tuple[int, int, int, Mark]] = []  # sorts as Telegram wants them

        def close(depth: int, at: int) -> None:
            while len(opened) > depth:
                mark, since = opened.pop()
                begin, finish = self._trimmed(since, at)
                if begin < finish:
                    closed.append((begin, -finish, len(opened), mark))

        for begin, _, marks in self._runs(start, end):
            if not (marks or opened):
                continue
            keep = 0
            while keep < len(opened) and opened[keep][0] in marks:
                keep += 1
            close(keep, begin)
            held = {mark for mark, _ in opened}
            opened += [(mark, begin) for mark in marks if mark not in held]
        close(0, end)
        return [(begin, -finish, mark) for begin, finish, _, mark in sorted(closed)]

    def _trimmed(self, begin: int, end: int) -> tuple[int, int]:
        # Telegram moves and drops entities that begin with space or are nothing else. In code, space is no space.
        part = self.shade[begin:end]
        left = len(part) - len(part.lstrip())
        right = left if self.text[begin:end].isspace() else len(part.rstrip())
        return begin + left, begin + right


def _is_code(marks: Marks) -> bool:
    return bool(marks) and marks[-1].type in {CODE, PRE}


def _most_important(entities: list[Entity]) -> tuple[Entity, ...]:
    if len(entities) <= MAX_ENTITIES:
        return tuple(entities)
    ranked = sorted(range(len(entities)), key=lambda number: (-_WEIGHT[entities[number].type], number))
    return tuple(entities[number] for number in sorted(ranked[:MAX_ENTITIES]))


def plain(page: Page, limit: int = LIMIT) -> str:
    """The page's text alone, for when Telegram refuses its entities.

    Links' targets follow in brackets as far as the limit allows. Code is no code any more, so its @ signs become
    full-width ones: as harmless as a joiner, and no longer.
    """
    text = page.text
    units = Units(text)
    room = limit - units.at(len(text))
    parts: list[str] = []
    done = 0
    for entity in page.entities:
        addition = f" ({entity.url})"
        if entity.type != LINK or (cost := Units(addition).at(len(addition))) > room:
            continue
        end = units.reach(0, entity.offset + entity.length)
        parts += [text[done:end], addition]
        done = end
        room -= cost
    text = "".join([*parts, text[done:]])
    return _MENTION.sub(lambda match: "＠" if match[0] == "@" else match[0], text) if "@" in text else text
