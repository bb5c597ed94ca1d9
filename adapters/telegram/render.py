"""Documents, answers and the live message as Telegram's messages (pure).

Why not telegramify-markdown: its entities are right and it is fast, but it swallows HTML (`List<String>` loses its
type), footnotes and `||`, renumbers lists, nests quotes, which Telegram does not know, folds none, aligns no tables of
wide characters, leaves mentions alive and cuts at lines only. markdown-it, made for being extended, does as it is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from wcwidth import grapheme_boundary_before

from adapters.telegram import markdown as reader
from adapters.telegram.entities import LIMIT, Entity, Page, Piece, Text, Units, plain
from adapters.telegram.split import pages

__all__ = ["LIMIT", "Entity", "Page", "plain", "render", "render_live"]

_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})([^\n`]*)")
_INDENT = 100  # characters before a fence, at most
_ELLIPSIS = "…"


def render(markdown: str, limit: int = LIMIT) -> tuple[Page, ...]:
    """Messages of no more than `limit` UTF-16 units, none of them empty; none at all if there is nothing to see.

    Cut at a paragraph, else a line, a sentence, a word, anywhere; nothing is lost but space at the cuts.
    """
    return pages(reader.parse(markdown), limit)


def render_live(head: str, lines: Sequence[str], body: str, limit: int = LIMIT) -> Page:
    """The live message: `head` and what the agent does, then as much of the end of `body` as there is room for.

    All are Markdown, and `body` may break off anywhere. The oldest lines go when they and the head take more than half.
    """
    start = _shortened(reader.parse(head), limit)
    used = _length(start)
    shown: list[Text] = []
    for line in reversed(lines):
        text = reader.parse(line)
        if not shown:  # the newest is never left out
            text = _shortened(text, max(limit // 2 - used, min(limit // 4, limit - used)) - 1)
        elif used + _length(text) + 1 > limit // 2:
            used += 2
            shown.append(Text([(_ELLIPSIS, ())]))
            break
        used += _length(text) + 1
        shown.append(text)
    pieces = [*start.pieces()]
    for text in reversed(shown):
        pieces += [("\n", ()), *text.pieces()]
    room = limit - used - 2
    if room > 2 and (tail := _tail(body, room)):
        pieces += [("\n\n", ()), *tail]
    whole = Text(pieces)
    return whole.page(0, Units(whole.text).reach(0, limit)) or Page(_ELLIPSIS)


def _shortened(text: Text, room: int) -> Text:
    """The beginning of a text, with an ellipsis if it is not the whole."""
    if _length(text) <= room:
        return text
    end = max(0, Units(text.text).reach(0, room - 1))
    return Text([*text.pieces(0, end), (_ELLIPSIS, ())] if room > 0 else ())


def _length(text: Text) -> int:
    return Units(text.text).at(len(text))


def _tail(body: str, room: int) -> list[Piece]:
    """The end of the body, behind an ellipsis if it is not the whole."""
    source = _source(body, room)
    text = reader.parse(_closed(source))
    units = Units(text.text)
    if len(source) >= len(body) and units.at(len(text)) <= room:
        return list(text.pieces())
    start = _border(text, units.back(room - 2)) if units.at(len(text)) > room - 2 else 0
    gap = "\n" if text.in_code(start) or text.text.startswith("\n", start - 1) or not start else " "
    return [(_ELLIPSIS + gap, ()), *text.pieces(start)]


def _source(body: str, room: int) -> str:
    """So much of the source's end as can fill the room, as Markdown that can be read by itself.

    What is far behind is not parsed: this runs once a second for every run.
    """
    start = len(body) - room
    if start <= 0:
        return body
    for border, within in (("\n\n", room // 4), ("\n", room // 2), (" ", room // 2)):
        found = body.find(border, start - 1, start + within)
        if found >= 0:
            start = found + len(border)
            break
    fence = _open_fence(body, start)
    return f"{fence}\n{body[start:]}" if fence else body[start:].lstrip(" \t")


def _open_fence(body: str, end: int) -> str:
    """The line that opens the code in which `end` stands."""
    opened = mark = ""
    for at in sorted([*_places("```", body, end), *_places("~~~", body, end)]):
        match = _FENCE.match(body, body.rfind("\n", max(0, at - _INDENT), at) + 1, end)
        if not match or match.start(1) != at:
            continue
        if not opened:
            opened, mark = match[0], match[1]
        elif match[1].startswith(mark) and not match[2].strip():
            opened = ""
    return opened


def _places(mark: str, text: str, end: int) -> Iterator[int]:
    """Faster than any regular expression."""
    at = text.find(mark, 0, end)
    while at >= 0:
        yield at
        at = text.find(mark, at + len(mark), end)


def _border(text: Text, start: int) -> int:
    """A place to begin at, not far behind `start`: a line, a word, at least a whole character."""
    far = start + (len(text) - start) // 4
    for border in ("\n", " "):
        if (found := text.text.find(border, start - 1, far)) >= 0:
            return found + 1
    back = grapheme_boundary_before(text.text[: start + 32], start + 1)
    return start if back == start else min(start + 1, len(text))


def _closed(source: str) -> str:
    """With emphasis and code closed that is still being written in the last line, so that marks do not flicker."""
    line = source[source.rfind("\n") + 1 :]
    if source.count("```") % 2 or "~~~" in source:
        return source  # in a fence, maybe
    if line.strip() and not line.strip(" `"):
        return source.rstrip("`")  # a fence, perhaps, of which more is to come
    outside = line.split("`")
    if len(outside) % 2 == 0:
        return source + "`" if outside[-1].strip() else source.rstrip("`")
    if "".join(outside[::2]).count("**") % 2:
        return source.removesuffix("**") if source.endswith("**") else source + "**" * (not source.endswith((" ", "*")))
    return source
