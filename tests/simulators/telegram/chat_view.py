"""A chat as a person sees it, as plain JSON: for the web page, for pictures and for checkers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from . import views
from .state import Chat, Message, World


def build(world: World, chat: Chat, thread: int | None = None) -> dict[str, Any]:
    """All of a chat, or one topic of it. `thread=0` is a forum's General."""
    topic = chat.topics.get(thread or 0)
    shown = [m for m in chat.visible() if thread is None or (m.thread or 0) == thread]
    subtitle = "bot" if chat.private else f"{sum(m.present for m in chat.members.values())} members"
    return {
        "id": chat.id,
        "type": chat.type,
        "forum": chat.forum,
        "title": world.bot.name if chat.private else chat.title,
        "subtitle": f"{chat.title} · topic" if topic else subtitle,
        "topic": topic.name if topic else "",
        "user": chat.user.id if chat.user else None,
        "blocked": chat.blocked,
        "pinned": chat.pinned,
        "topics": [views.topic(t) | {"closed": t.closed} for t in chat.topics.values() if not t.deleted],
        "messages": [_message(world, chat, m) for m in shown],
        "drafts": [
            {"id": d.id, "text": d.text, "entities": list(d.entities), "thread": d.thread}
            for d in chat.drafts.values()
            if thread in {None, d.thread or 0}
        ],
    }


def _message(world: World, chat: Chat, item: Message) -> dict[str, Any]:
    replied = chat.messages.get(item.reply_to or 0)
    counted = Counter(r.get("emoji", "✨") for theirs in item.reactions.values() for r in theirs)
    return {
        "id": item.id,
        "sender": chat.title if item.sender_chat == chat.id else item.sender.name,
        "sender_id": item.sender.id,
        "own": item.outgoing,  # the bot's
        "date": item.wall,
        "edited": item.edited is not None,
        "text": item.text,
        "entities": list(item.entities),
        "buttons": (item.markup or {}).get("inline_keyboard", []),
        "reactions": [{"emoji": emoji, "count": count} for emoji, count in counted.items()],
        "media": _media(item.media),
        "group": item.group,
        "service": _service(world, item),
        "reply": {"id": replied.id, "sender": replied.sender.name, "text": replied.text[:120]} if replied else None,
        "thread": item.thread,
        "silent": item.silent,
        "history": [{"date": r.wall, "text": r.text} for r in item.history],
    }


def _media(media: dict[str, Any] | None) -> dict[str, Any] | None:
    match media:
        case {"photo": sizes}:
            big = sizes[-1]
            return {"kind": "photo", "name": "Photo", "size": big["file_size"], "file_id": big["file_id"]} | {
                "width": big["width"],
                "height": big["height"],
            }
        case {"voice": voice}:
            return {"kind": "voice", "name": f"Voice message, {voice['duration']} s", "size": voice["file_size"]} | {
                "file_id": voice["file_id"]
            }
        case {"document": document}:
            return {"kind": "document", "name": document["file_name"], "size": document["file_size"]} | {
                "file_id": document["file_id"]
            }
    return None


def _service(world: World, item: Message) -> str:
    who = item.sender.name
    match item.service or {}:
        case {"forum_topic_created": what}:
            return f"{who} created the topic “{what['name']}”"
        case {"forum_topic_edited": what}:
            return f"{who} changed the topic to “{what.get('name', 'another icon')}”"
        case {"forum_topic_closed": _}:
            return f"{who} closed the topic"
        case {"forum_topic_reopened": _}:
            return f"{who} reopened the topic"
        case {"pinned_message": _}:
            return f"{who} pinned a message"
        case {"new_chat_members": people}:
            return f"{who} added {', '.join(p['first_name'] for p in people)}"
        case {"left_chat_member": person}:
            return f"{person['first_name']} left the group"
        case {"migrate_to_chat_id": _} | {"migrate_from_chat_id": _}:
            return "The group became a supergroup"
        case {}:
            return "" if not item.service else next(iter(item.service))
    return ""
