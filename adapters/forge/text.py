"""What other people wrote, made fit to be passed on: no control characters, no end-of-line surprises, bounded. Pure.

The content is not judged here: it stays untrusted, and whoever puts it into a prompt has to say so.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MAX_TITLE = 300  # characters; the forges themselves stop at 255 or 256
MAX_TEXT = 50_000  # of an issue's own text
MAX_COMMENT = 4_000
MAX_NAME = 100
MAX_URL = 2_000
CUT = "… (cut)"

_LINE_ENDS = re.compile(r"\r\n?")
# C0 and C1 but tab and newline: escape sequences would reach terminals, NUL would end strings.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Marks that turn the direction of what follows make a title look like another one.
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def block(text: str | None, limit: int) -> str:
    """Text of several lines; what is above `limit` characters is cut, and that is said."""
    clean = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text or "")).strip()
    return clean if len(clean) <= limit else f"{clean[:limit]}{CUT}"


def line(text: str | None, limit: int = MAX_TITLE) -> str:
    """One line for titles, names and messages."""
    # Only the beginning can show: a title of megabytes is not worth reading to its end.
    clean = _DIRECTIONS.sub("", _CONTROLS.sub(" ", (text or "")[: 4 * limit]))
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"


def link(url: str | None) -> str:
    """A web address that can be shown and pressed, else nothing."""
    url = url or ""
    if len(url) > MAX_URL or not url.isprintable() or " " in url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in {"http", "https"} and parts.netloc else ""
