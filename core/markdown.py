"""Words of others inside sentences of ours, as Markdown. Pure."""

from __future__ import annotations

NBSP = "\u00a0"  # Markdown drops spaces at the beginning of a line, and empty lines end a quote
_MARKS = "\\`*_[]<>~|#"


def plain(text: str) -> str:
    """One line, with no formatting of its own."""
    return escaped(" ".join(text.split()))


def escaped(text: str) -> str:
    """The same characters, none of them a mark."""
    return "".join(f"\\{character}" if character in _MARKS else character for character in text)


def code(text: str) -> str:
    """One line, to stand between backticks."""
    return " ".join(text.replace("`", "'").split())


def quoted(text: str) -> list[str]:
    """Lines of a quote, each as it is; long ones are folded where a platform can."""
    lines = [escaped(line.rstrip().replace("  ", f"{NBSP} ")) or NBSP for line in text.splitlines()]
    return [f"> {line}  " for line in lines]
