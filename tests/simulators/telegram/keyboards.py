"""Which `reply_markup` Telegram takes."""

from __future__ import annotations

import json
from typing import Any

from .entities import check_url
from .errors import bad
from .state import Chat

_MOST_IN_ROW, _MOST = 12, 300
_MOST_BYTES = 10_240  # *public reports*: about 10 kB for the whole markup
_OTHER_TYPES = (
    "callback_game",
    "pay",
    "switch_inline_query",
    "switch_inline_query_chosen_chat",
    "switch_inline_query_current_chat",
    "login_url",
    "web_app",
    "copy_text",
)
_STYLES = {"", "default", "primary", "danger", "success"}


def parse(raw: Any) -> dict[str, Any] | None:
    """The shape of a decoded `reply_markup`; what depends on the chat comes in `check`."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise bad("Object expected as reply markup")
    if rows := _rows(raw, "keyboard", 'Field "keyboard" must be an Array of Arrays'):
        for button in (button for row in rows for button in row):
            if not isinstance(button, str | dict):
                raise bad("Can't parse keyboard button: KeyboardButton must be a String or an Object")
        return raw | {"keyboard": rows}
    text = 'Field "inline_keyboard" of the InlineKeyboardMarkup must be an Array of Arrays'
    if rows := _rows(raw, "inline_keyboard", text):
        return {"inline_keyboard": [[_button(button) for button in row] for row in rows]}
    if raw.get("remove_keyboard") or raw.get("force_reply"):
        return raw
    return None


def _rows(raw: dict[str, Any], name: str, text: str) -> list[list[Any]]:
    rows = raw.get(name)
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise bad(f'Field "{name}" must be of type Array')
    if any(not isinstance(row, list) for row in rows):
        raise bad(text)
    return rows


def _button(raw: Any) -> dict[str, Any]:
    what = "Can't parse inline keyboard button: "
    if not isinstance(raw, dict):
        raise bad(f"{what}InlineKeyboardButton must be an Object")
    if "text" not in raw:
        raise bad(f'{what}Can\'t find field "text"')
    if not isinstance(raw["text"], str | int):
        raise bad(f'{what}Field "text" must be of type String')
    if str(raw.get("style") or "").lower() not in _STYLES:
        raise bad(f"{what}invalid button style specified")
    data = raw.get("callback_data")
    if data is not None and not isinstance(data, str | int):
        raise bad(f'{what}Field "callback_data" must be of type String')
    if not raw.get("url") and not data and not any(name in raw for name in _OTHER_TYPES):
        raise bad(f"{what}Text buttons are unallowed in the inline keyboard")
    return {k: str(v) if k in {"text", "callback_data", "url"} else v for k, v in raw.items() if v is not None}


def check(markup: dict[str, Any] | None, chat: Chat, *, inline_only: bool = False) -> dict[str, Any] | None:
    """The markup as it will be shown: buttons without a text vanish, links and data are checked."""
    if markup is None:
        return None
    if "inline_keyboard" not in markup:
        if inline_only:
            raise bad("Inline keyboard expected")
        return markup
    rows: list[list[dict[str, Any]]] = []
    for row in markup["inline_keyboard"]:
        shown = [button for button in row if button["text"]][:_MOST_IN_ROW]
        for button in shown:
            _check_button(button, chat)
        if shown and sum(map(len, rows)) < _MOST:
            rows.append(shown)
    if len(json.dumps(rows, ensure_ascii=False).encode()) > _MOST_BYTES:
        raise bad("reply markup is too long")
    return {"inline_keyboard": rows} if rows else None


def _check_button(button: dict[str, Any], chat: Chat) -> None:
    if url := button.get("url"):
        check_url(url, "Inline keyboard button ")
    elif data := button.get("callback_data"):
        if len(data.encode()) > 64:
            raise bad("BUTTON_DATA_INVALID")
    elif "web_app" in button and not chat.private:
        raise bad("BUTTON_TYPE_INVALID")
