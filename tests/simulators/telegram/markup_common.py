"""What both kinds of markup share: refusals, positions and links."""

from __future__ import annotations

import re
from typing import Any

from .errors import Refused, bad

Entities = list[dict[str, Any]]


def cannot(text: str) -> Refused:
    return bad(f"Can't parse entities: {text}")


def byte_at(text: str, index: int) -> int:
    return len(text[:index].encode())


def link(url: str) -> dict[str, Any]:
    """A link's fields; empty for what is no link, which Telegram shows as plain text."""
    if user := re.fullmatch(r"tg://user\?id=(\d+)", url):
        return {"user": {"id": int(user[1])}}
    if "://" not in url and re.match(r"[\w-]+(\.[\w-]+)+", url):
        url = f"http://{url}/" if "/" not in url else f"http://{url}"
    return {"url": url} if re.match(r"(https?://[^\s/]+\.[^\s]+|tg://\S+)", url) else {}
