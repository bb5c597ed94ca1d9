"""`parse_mode`. Positions in refusals are bytes, positions in entities UTF-16 units."""

from __future__ import annotations

from .errors import bad
from .markup_common import Entities
from .markup_html import Html
from .markup_markdown import MarkdownV2, old_markdown


def parse(text: str, mode: str) -> tuple[str, Entities]:
    """The plain text and its entities. Raises `Refused` for an unknown mode and for what does not parse."""
    match mode.lower():
        case "" | "none":
            return text, []
        case "html":
            return Html(text).read()
        case "markdownv2":
            return MarkdownV2(text).read()
        case "markdown":
            return old_markdown(text)
    raise bad("Unsupported parse_mode")
