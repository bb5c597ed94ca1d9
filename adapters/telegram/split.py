"""Cutting marked text into messages. Marks go on on the next page: code keeps its language, a quote stays one.

Every page but the last is filled to a third at least, so that there are never many more than needed, and each takes
at least one character, so that there is an end to it.
"""

from __future__ import annotations

import re

from wcwidth import grapheme_boundary_before

from adapters.telegram.entities import Page, Text, Units

_SENTENCE = re.compile(r"""[.!?…]["'”’)\]]*(?=\s)|[。！？]""")
_SPACE = re.compile(r"\s")


def pages(text: Text, limit: int) -> tuple[Page, ...]:
    """Messages of no more than `limit` UTF-16 units, none of them empty; none at all for a text of nothing.

    Below 2 units, a character of two is still a page of its own.
    """
    units = Units(text.text)
    found = []
    start = _first(text, 0)
    while start < len(text):
        end = max(units.reach(start, limit), start + 1)
        if end < len(text):
            end = _cut(text, units, start, end, limit)
        if page := text.page(start, end):
            found.append(page)
        start = _first(text, end)
    return tuple(found)


def _first(text: Text, start: int) -> int:
    """The next character to be shown; code begins with its line's indentation."""
    rest = text.text[start : start + 1]
    seen = start
    while rest.isspace():
        seen += 1
        rest = text.text[seen : seen + 1]
    if not text.in_code(seen):
        return seen
    start = max(start, text.text.rfind("\n", start, seen) + 1)
    return text.code_start(start, seen) if text.in_code(seen - 1) else seen


def _cut(text: Text, units: Units, start: int, end: int, limit: int) -> int:
    """Where a page that begins at `start` and may reach to `end` had better end."""
    low = start + max(1, (end - start) // 3)
    in_code = text.in_code(end - 1) and text.in_code(end)
    if in_code:
        # Code that fits on the next page stays whole.
        code = text.code_start(start, end)
        whole = units.at(text.code_end(end)) - units.at(code) <= limit
        if whole and code >= low and text.text[code - 1].isspace():
            return code
    if (found := text.shade.rfind("\n\n", low, end + 1)) >= low and not in_code:
        return found
    if in_code and (found := text.text.rfind("\n\n", low, end + 1)) >= low:
        return found
    if (found := text.text.rfind("\n", low, end + 1)) >= low:
        return found
    for pattern, furthest in ((_SENTENCE, end), (_SPACE, end + 1)):
        ends = [match.end() for match in pattern.finditer(text.text, low, end + 1)]
        if found := max((at for at in ends if at <= furthest), default=0):
            return found
    # No space at all. At least no emoji and no accent is torn off.
    boundary = start + grapheme_boundary_before(text.text[start : end + 1], end + 1 - start)
    return boundary if start < boundary <= end else end
