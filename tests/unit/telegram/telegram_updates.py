"""Updates as Telegram sends them, for the tests of what becomes of them."""

from __future__ import annotations

from typing import Any

from adapters.telegram.parse import Me

ME = Me(777, "kugetsu_bot")
ALICE: dict[str, Any] = {"id": 1001, "is_bot": False, "first_name": "Alice", "last_name": "Arndt", "username": "alice"}
PRIVATE: dict[str, Any] = {"id": 1001, "type": "private", "first_name": "Alice"}
GROUP: dict[str, Any] = {"id": -5001, "type": "group", "title": "Team"}
FORUM: dict[str, Any] = {"id": -1001234567890, "type": "supergroup", "title": "Forum", "is_forum": True}
BOT: dict[str, Any] = {"id": 777, "is_bot": True, "first_name": "Kugetsu", "username": "kugetsu_bot"}
DATE = 1_770_000_000


def message(text: str = "", chat: dict[str, Any] = PRIVATE, kind: str = "message", **more: Any) -> dict[str, Any]:
    said = {"text": text} if text else {}
    return {
        "update_id": 5,
        kind: {"message_id": 42, "from": ALICE, "chat": chat, "date": DATE, **said, **more},
    }


def mention(text: str, name: str = "@kugetsu_bot") -> list[dict[str, Any]]:
    start = len(text[: text.index(name)].encode("utf-16-le")) // 2
    return [{"type": "mention", "offset": start, "length": len(name)}]


def in_topic(number: int, **more: Any) -> dict[str, Any]:
    """What every message in a topic looks like: it seems to answer the message that opened it."""
    root = {"message_id": number, "from": BOT, "chat": FORUM, "date": DATE, "forum_topic_created": {"name": "#14"}}
    return {"message_thread_id": number, "is_topic_message": True, "reply_to_message": root, **more}


def press(data: str = "b1", chat: dict[str, Any] = PRIVATE, **more: Any) -> dict[str, Any]:
    on = {"message_id": 43, "from": BOT, "chat": chat, "date": DATE, "text": "Allow?", **more}
    return {"update_id": 6, "callback_query": {"id": "9", "from": ALICE, "message": on, "data": data}}


def membership(status: str, chat: dict[str, Any] = GROUP) -> dict[str, Any]:
    old = {"user": BOT, "status": "member"}
    change = {"chat": chat, "from": ALICE, "date": DATE, "old_chat_member": old}
    return {"update_id": 7, "my_chat_member": {**change, "new_chat_member": {"user": BOT, "status": status}}}
