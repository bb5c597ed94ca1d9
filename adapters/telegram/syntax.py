"""The Markdown that is understood: markdown-it's CommonMark with tables and strike-through, less what loses text here.

Left out are HTML and character references (agents write about HTML: it is shown as written), link reference
definitions (shown, not swallowed) and headings by underlining (a list's first dash, just arriving, would make a heading
of the line before it). Added are maths, names with double underscores and bare URLs; line breaks and the indentation
behind them stay in the text. Much of it is written for speed: all live messages are read again every second.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from adapters.telegram import maths

DEPTH = 100  # markdown-it leaves out what is nested deeper than this

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?"
)
# Control characters, what turns text around (Telegram removes some of it by itself), and halves of characters, which
# cannot be sent.
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Where the inside of a paragraph may be something else than text.
_SPECIAL = re.compile(r"[\\`*_~\[\]$]|!(?=\[)|<(?=http)|:(?=//)")
_STRONG = re.compile(r"\*\*(\w(?:[^\\`*_~\[\]$!<:]*\w)?)\*\*(?!\*)")
_URL = re.compile(r"://[^\s<>\[\]`*]*[\w/#=&-]")
_ANGLED = re.compile(r"<(https?://[^\s<>]+)>")
_DUNDER = re.compile(r"__[a-z][a-z0-9_]*__(?!_)")
_DOLLARS = re.compile(r"\$\$([^$]+)\$\$|\$(?=[^\s$])([^$\n]*[^\s$])\$(?![\w$])")
_BRACKETS = re.compile(r"\\\[(.+?)(?<!\\)\\\]|\\\((.+?)(?<!\\)\\\)", re.DOTALL)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


class _Parser(MarkdownIt):
    """Takes every link as it is: what may be linked is decided when it is written."""

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802
        return url


def _url(state: StateInline, silent: bool) -> bool:  # noqa: FBT001
    """`https://x.org/_next_/$a` has no emphasis and no maths in it."""
    char = state.src[state.pos]
    if char == ":":
        if not (
            state.src.endswith(("http", "https"), 0, state.pos)
            and (match := _URL.match(state.src, state.pos, state.posMax))
        ):
            return False
        text = match[0]
    elif char == "<":
        match = _ANGLED.match(state.src, state.pos, state.posMax)
        text = match[1] if match else ""
    else:
        return False
    if not match:
        return False
    if not silent:
        state.append_pending(_ESCAPED.sub(r"\1", text))
    state.pos = match.end()
    return True


def _strong(state: StateInline, silent: bool) -> bool:  # noqa: FBT001
    """`**just words**` at once, which CommonMark puts together from four tokens."""
    if state.src[state.pos] != "*" or state.src.endswith("*", 0, state.pos):
        return False
    match = _STRONG.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    if not silent:
        state.push("strong_open", "strong", 1)
        state.push("text", "", 0).content = match[1]
        state.push("strong_close", "strong", -1)
    state.pos = match.end()
    return True


def _dunder(state: StateInline, silent: bool) -> bool:  # noqa: FBT001
    """`__init__.py` is a file and no bold word, other than CommonMark has it."""
    if state.src[state.pos] != "_" or state.src.endswith("_", 0, state.pos):
        return False
    match = _DUNDER.match(state.src, state.pos, state.posMax)
    if not match:
        return False
    if not silent:
        state.append_pending(match[0])
    state.pos = match.end()
    return True


def _maths(state: StateInline, silent: bool) -> bool:  # noqa: FBT001
    r"""`$…$`, `$$…$$`, `\(…\)`, `\[…\]`, if a formula is in it; `$5 and $10` and `\[an escape\]` are none."""
    char = state.src[state.pos]
    if char not in "$\\":
        return False
    match = (_DOLLARS if char == "$" else _BRACKETS).match(state.src, state.pos, state.posMax)
    tex = match[match.lastindex or 0] if match else ""
    if not match or not maths.is_maths(tex):
        return False
    if not silent:
        state.push("math_inline", "", 0).content = maths.readable(tex)
    state.pos = match.end()
    return True


def _inside(state: StateCore) -> None:
    """markdown-it's own rule, but for paragraphs that are nothing but text."""
    for token in state.tokens:
        if token.type != "inline":
            continue
        if _SPECIAL.search(token.content):
            token.children = state.md.inline.parse(token.content, state.md, state.env, [])
        else:
            token.children = [Token("text", "", 0, content=token.content)]


def _parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False, "maxNesting": DEPTH})
    parser.enable(["table", "strikethrough"])
    parser.disable(["lheading", "reference", "html_block", "html_inline", "entity", "autolink", "newline"])
    parser.disable(["normalize", "text_join"])  # done by `clean`, and not needed
    parser.core.ruler.at("inline", _inside)
    parser.inline.terminator_re = _SPECIAL
    rules = parser.inline.ruler
    rules.before("escape", "maths", _maths)
    rules.before("escape", "url", _url)
    rules.before("emphasis", "dunder", _dunder)
    rules.before("emphasis", "strong", _strong)
    return parser


_PARSER = _parser()  # keeps nothing between two texts


def clean(text: str) -> str:
    """Without escape sequences and control characters; line breaks and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _UNWANTED.sub("", _ESCAPES.sub("", text))


def tokens(text: str) -> list[Token] | None:
    """markdown-it's tokens of cleaned text; None if it is nested so deeply that something would be left out."""
    try:
        found = _PARSER.parse(text)
    except RecursionError:
        return None
    return None if any(token.level >= DEPTH - 2 for token in found) else found
