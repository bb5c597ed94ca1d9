"""Text in pictures: how wide it is about, and where its lines break. No font is at hand, so widths are estimates."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SIZE, LINE = 15.0, 20.0
MONO_SIZE, MONO_LINE = 13.0, 18.0
_ROOM = 1.09  # the widest of the common system fonts still fits
MONO_WIDTH = 0.602  # of the size, in every common monospaced font
_NARROW, _SLIM, _WIDE, _BROAD = (
    set("ijl.,:;'|!` "),
    set('frtI()[]{}/\\-"'),
    set("mwMWQOG@%"),
    set("ABCDEFHKNPRSTUVXYZ&"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one look. `kinds` are the entity types over them."""

    text: str
    kinds: frozenset[str] = frozenset()

    @property
    def width(self) -> float:
        return text_width(self.text, mono=bool(self.kinds & {"code", "pre"}), bold="bold" in self.kinds)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together: `text`, `pre` (a box of code) or `quote`."""

    kind: str
    lines: tuple[tuple[Run, ...], ...]
    language: str = ""

    @property
    def height(self) -> float:
        if self.kind == "pre":
            return len(self.lines) * MONO_LINE + 16 + (18 if self.language else 0)
        return len(self.lines) * LINE + (6 if self.kind == "quote" else 0)

    @property
    def width(self) -> float:
        widest = max((sum(run.width for run in line) for line in self.lines), default=0.0)
        return widest + {"pre": 20, "quote": 18}.get(self.kind, 0)


def text_width(text: str, *, size: float = 0.0, mono: bool = False, bold: bool = False) -> float:
    size = size or (MONO_SIZE if mono else SIZE)
    total = 0.0
    for char in text:
        if char == "\ufe0f" or unicodedata.combining(char) or char == "\u200d":
            continue
        if ord(char) > 0x2300 and (unicodedata.east_asian_width(char) in "WF" or ord(char) > 0x1F000):
            total += 1.25 if ord(char) > 0x1F000 else 1.0
        elif mono:
            total += MONO_WIDTH
        elif char in _NARROW:
            total += 0.29
        elif char in _SLIM:
            total += 0.37
        elif char in _WIDE:
            total += 0.86
        elif char in _BROAD:
            total += 0.68
        else:
            total += 0.56
    return total * size * (1.0 if mono else _ROOM) * (1.07 if bold and not mono else 1.0)


def runs_of(text: str, entities: Iterable[dict[str, Any]]) -> list[tuple[Run, str]]:
    """The text cut wherever an entity begins or ends, with the language of code."""
    units = text.encode("utf-16-le")
    given = [(e["offset"], e["offset"] + e["length"], e["type"], e.get("language", "")) for e in entities]
    edges = sorted({0, len(units) // 2} | {edge for e in given for edge in e[:2]})
    runs = []
    for begin, end in itertools.pairwise(edges):
        over = [e for e in given if e[0] <= begin and e[1] >= end]
        piece = units[begin * 2 : end * 2].decode("utf-16-le", "replace")
        runs.append((Run(piece, frozenset(e[2] for e in over)), next((e[3] for e in over if e[3]), "")))
    return runs


def layout(text: str, entities: Iterable[dict[str, Any]], width: float) -> list[Block]:
    """Blocks whose lines are no wider than `width`."""
    blocks: list[Block] = []
    kind, language, waiting = "text", "", list[Run]()

    def close() -> None:
        if waiting and "".join(run.text for run in waiting).strip("\n"):
            room = width - {"pre": 20, "quote": 18}.get(kind, 0)
            blocks.append(Block(kind, tuple(_lines(waiting, room, whole=kind == "pre")), language))
        waiting.clear()

    for run, spoken in runs_of(text, entities):
        now = (
            "pre" if "pre" in run.kinds else "quote" if run.kinds & {"blockquote", "expandable_blockquote"} else "text"
        )
        if now != kind or (now == "pre" and spoken != language):
            close()
        kind, language = now, spoken
        waiting.append(run)
    close()
    return blocks


def _lines(runs: list[Run], width: float, *, whole: bool) -> list[tuple[Run, ...]]:
    """Break at newlines and where a word does not fit; a word too long for a line is cut."""
    lines: list[list[Run]] = [[]]
    used = 0.0
    for run in _strip(runs):
        for piece in re.findall(r"\n|[^\S\n]+|[^\s]+", run.text):
            if piece == "\n":
                lines.append([])
                used = 0.0
                continue
            for part in _fit(Run(piece, run.kinds), width):
                if used + part.width > width and used:
                    lines.append([])
                    used = 0.0
                    if part.text.isspace() and not whole:
                        continue
                lines[-1].append(part)
                used += part.width
    return [tuple(_join(line)) for line in lines]


def _strip(runs: list[Run]) -> list[Run]:
    """Without the newlines at both ends."""
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return [Run(first.text.strip("\n"), first.kinds)]
    return [Run(first.text.lstrip("\n"), first.kinds), *runs[1:-1], Run(last.text.rstrip("\n"), last.kinds)]


def _fit(run: Run, width: float) -> list[Run]:
    if run.width <= width:
        return [run]
    parts, text = [], run.text
    while text:
        cut = len(text)
        while cut > 1 and Run(text[:cut], run.kinds).width > width:
            cut -= 1
        parts.append(Run(text[:cut], run.kinds))
        text = text[cut:]
    return parts


def _join(line: list[Run]) -> list[Run]:
    joined: list[Run] = []
    for run in line:
        if joined and joined[-1].kinds == run.kinds:
            joined[-1] = Run(joined[-1].text + run.text, run.kinds)
        else:
            joined.append(run)
    return joined


def shorten(text: str, width: float, **look: Any) -> str:
    """One line, with an ellipsis where it is cut."""
    text = " ".join(text.split())
    if text_width(text, **look) <= width:
        return text
    while text and text_width(text + "…", **look) > width:
        text = text[:-1]
    return text.rstrip() + "…"
