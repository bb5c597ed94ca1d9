"""Pages, buttons and places as the Bot API's parameters (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters

from adapters.telegram import render as renderer
from core.messages import CHAIN, Outgoing, Page, is_chain
from core.model import Button, Place

CAPTION = 1024  # UTF-16 units
ROOM = 40  # characters that core may add to a page
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
# An @ that would call somebody: the renderer has disarmed those outside of code, and code is none without formatting.
_CALLING = re.compile(r"(?<![A-Za-z0-9_])@(?=[A-Za-z0-9_])")


def pages(markdown: str) -> list[Page]:
    """See core.messages.Messenger."""
    return [_page(page) for page in renderer.render(markdown, renderer.LIMIT - ROOM)]


def live_page(head: str, lines: Sequence[str], body: str) -> Page:
    """See core.messages.Messenger."""
    return _page(renderer.render_live(head, lines, body))


def _page(page: renderer.Page) -> Page:
    return Page(page.text, msgspec.json.encode(_entities(page.entities)).decode() if page.entities else "")


def _entities(entities: Iterable[renderer.Entity]) -> list[dict[str, Any]]:
    optional = ("url", "language")
    return [
        {"type": entity.type, "offset": entity.offset, "length": entity.length}
        | {name: value for name in optional if (value := getattr(entity, name))}
        for entity in entities
    ]


def text(page: Page) -> str:
    """As it is sent: nobody is called by it."""
    return page.text if page.format else _CALLING.sub("＠", page.text)


def entities(page: Page, name: str = "entities") -> dict[str, Any]:
    """For `api_kwargs`: the JSON is handed on as it is, without being taken apart and put together again."""
    return {name: page.format} if page.format else {}


def topic(place: Place) -> int | None:
    """None in a chat itself and in a reply chain."""
    return int(place.thread) if place.thread.isdecimal() else None


def chain_root(place: Place) -> str:
    """The message whose replies the place consists of; empty elsewhere."""
    return place.thread.removeprefix(CHAIN) if is_chain(place) else ""


def reply_target(place: Place, message: Outgoing) -> int | None:
    """In a chain everything replies to something, so that whoever replies to it leads back to the session."""
    wanted = message.reply_to or chain_root(place)
    return int(wanted) if wanted.isdecimal() else None


def addressing(place: Place, message: Outgoing) -> dict[str, Any]:
    """Parameters of every new message."""
    target = reply_target(place, message)
    return {
        "chat_id": int(place.chat),
        "message_thread_id": topic(place),
        "disable_notification": message.silent or None,
        "reply_parameters": ReplyParameters(target, allow_sending_without_reply=True) if target else None,
        "reply_markup": keyboard(message.buttons),
    }


def content(message: Outgoing) -> dict[str, Any]:
    """Parameters of a text."""
    return {
        "text": text(message.page),
        "link_preview_options": _NO_PREVIEW,
        "api_kwargs": entities(message.page),
    }


def keyboard(rows: Sequence[Sequence[Button]]) -> InlineKeyboardMarkup | None:
    """None takes the buttons away."""
    shown = [[InlineKeyboardButton(button.label, callback_data=button.id) for button in row] for row in rows if row]
    return InlineKeyboardMarkup(shown) if shown else None
