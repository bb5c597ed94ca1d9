"""Tables as aligned text: Telegram's messages know no tables, and code is what they show in one width."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wcwidth import wcswidth

_WIDEST = 40  # columns; a longer cell sticks out of its column instead of blowing up all others
_PIPE = re.compile(r"(?<!\\)\|")


def surplus(line: str, columns: int) -> list[str]:
    """The cells of a table's source line beyond its columns, which Markdown drops; such as those of a `|` in code."""
    cells = _PIPE.split(line.strip(" \t>").removeprefix("|"))
    if cells and not cells[-1].strip():
        cells.pop()
    return [cell.strip() for cell in cells[columns:]]


def aligned(rows: Sequence[Sequence[str]], sides: Sequence[str], source: str) -> str:
    """Rows of cells, the first one the header; `sides` are left, right, center or empty.

    A table that would become several times as long as its source, all padding, stays as it is written.
    """
    cells = [[cell.replace("\n", " ").replace("\t", " ").strip() for cell in row] for row in rows]
    widths = [
        max(min(_width(row[column]), _WIDEST) if column < len(row) else 1 for row in cells)
        for column in range(len(sides))
    ]
    lines = ["  ".join(map(_padded, row, widths, sides)).rstrip() for row in cells]
    lines.insert(1, "  ".join("─" * width for width in widths))
    table = "\n".join(lines)
    return table if len(table) <= 4 * len(source) + 400 else source


def _width(text: str) -> int:
    return len(text) if text.isascii() else max(wcswidth(text), 0)


def _padded(text: str, width: int, side: str) -> str:
    room = max(0, width - _width(text))
    left = room if side == "right" else room // 2 if side == "center" else 0
    return " " * left + text + " " * (room - left)
