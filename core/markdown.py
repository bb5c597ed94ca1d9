"""Words of others inside sentences of ours, as Markdown. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

NBSP = "\u00a0"  # Markdown drops spaces at the beginning of a line, and empty lines end a quote

# Without its beginning a bracket is none at the end; with both escaped it would be maths, as `\[x\]`.
_MARKS = re.compile(r"[\\`*_\[<>~|#$]|&(?=#?\w+;)")
_BLOCK = re.compile(r"(\s*\d*)([-+=.)])")  # at the beginning of a line: lists, headings by underlining, rules
_ROUND = str.maketrans("[]", "()")
_IN_ADDRESSES = "!#$%&'*+,/:;=?@[]~"  # not parentheses and spaces, which would end it


def plain(text: str) -> str:
    """One line, with no formatting of its own."""
    return escaped(" ".join(text.split()))


def escaped(text: str) -> str:
    """The same characters of one line, none of them a mark."""
    found = _BLOCK.match(text)
    begins = f"{found[1]}\\{found[2]}" if found else ""
    return begins + _MARKS.sub(r"\\\g<0>", text[found.end() if found else 0 :])


def label(text: str) -> str:
    """The same inside a link, which square brackets would end: they become round."""
    return plain(text.translate(_ROUND))


def link(words: str, url: str) -> str:
    """`words` are Markdown; the address may be of others."""
    return f"[{words}]({quote(url, safe=_IN_ADDRESSES)})"


def code(text: str) -> str:
    """One line, to stand between backticks."""
    return " ".join(text.replace("`", "'").split())


def quoted(text: str) -> list[str]:
    """Lines of a quote, each as it is; long ones are folded where a platform can."""
    lines = [escaped(line.rstrip().expandtabs(4).replace("  ", f"{NBSP} ")) or NBSP for line in text.splitlines()]
    return [f"> {line}  " for line in lines]
