"""How the Bot API writes users, chats, members and messages as JSON."""

from __future__ import annotations

from typing import Any

from .state import RIGHTS, Chat, Member, Message, Topic, User, World

ANONYMOUS_ADMIN = {"id": 1087968824, "is_bot": True, "first_name": "Group", "username": "GroupAnonymousBot"}
_CHANNEL_RIGHTS = {"can_post_messages", "can_edit_messages"}
_GROUP_RIGHTS = {"can_pin_messages", "can_manage_topics"}
_PERMISSIONS = [
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
]


def user(person: User) -> dict[str, Any]:
    view: dict[str, Any] = {"id": person.id, "is_bot": person.is_bot, "first_name": person.first_name}
    optional = {"last_name": person.last_name, "username": person.username}
    view |= {name: value for name, value in optional.items() if value}
    return view if person.is_bot else view | {"language_code": person.language}


def me(world: World) -> dict[str, Any]:
    return user(world.bot) | {
        "can_join_groups": True,
        "can_read_all_group_messages": world.reads_all,
        "supports_inline_queries": False,
        "supports_guest_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": world.has_topics,
        "allows_users_to_create_topics": world.has_topics,
        "can_manage_bots": False,
    }


def chat(place: Chat) -> dict[str, Any]:
    view: dict[str, Any] = {"id": place.id, "type": place.type}
    if person := place.user:
        view["first_name"] = person.first_name
        view |= {"last_name": person.last_name} if person.last_name else {}
        return view | ({"username": person.username} if person.username else {})
    view["title"] = place.title
    if place.type == "group":
        view["all_members_are_administrators"] = False
    view |= {"username": place.username} if place.username else {}
    return view | ({"is_forum": True} if place.forum else {})


def full_chat(world: World, place: Chat) -> dict[str, Any]:
    gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")
    view = chat(place) | {
        "accent_color_id": place.id % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, place.private),
    }
    if not place.private and place.type != "channel":
        view["permissions"] = dict.fromkeys(_PERMISSIONS, True) | {"can_manage_topics": place.topics_may_be_made}
    if place.pinned and (pinned := place.messages.get(place.pinned[-1])):
        view["pinned_message"] = message(world, pinned, with_reply=False)
    return view


def member(place: Chat, person: User, state: Member) -> dict[str, Any]:
    view: dict[str, Any] = {"user": user(person), "status": state.status}
    if state.status == "creator":
        view["is_anonymous"] = state.anonymous
    elif state.status == "administrator":
        view["can_be_edited"] = False
        for right in RIGHTS:
            if right in _CHANNEL_RIGHTS and place.type != "channel":
                continue
            if right in _GROUP_RIGHTS and place.type == "channel":
                continue
            if right == "can_manage_topics" and place.type != "supergroup":
                continue
            view[right] = right in state.rights
        view["is_anonymous"] = state.anonymous
    elif state.status == "restricted":
        view |= {"until_date": 0, "is_member": True} | dict.fromkeys(_PERMISSIONS, False)
        view["can_send_messages"] = state.can_send
    elif state.status == "kicked":
        view["until_date"] = 0
    return view


def message(world: World, item: Message, *, with_reply: bool = True) -> dict[str, Any]:
    place = world.chats[item.chat_id]
    view: dict[str, Any] = {"message_id": item.id}
    if item.sender_chat is not None:
        view["sender_chat"] = chat(world.chats[item.sender_chat])
        if item.sender_chat == item.chat_id and place.type != "channel":
            view["from"] = ANONYMOUS_ADMIN
    elif place.type == "channel":
        view["sender_chat"] = chat(place)
    else:
        view["from"] = user(item.sender)
    view |= {"chat": chat(place), "date": int(item.wall)}
    if item.edited is not None and not item.service:
        view["edit_date"] = int(item.edited)
    if item.thread is not None:
        view["message_thread_id"] = item.thread
        view |= {"is_topic_message": True} if item.topic_message else {}
    view |= item.origin or {}
    if with_reply and (replied := reply_of(place, item)):
        view["reply_to_message"] = message(world, replied, with_reply=False)
    optional = {
        "quote": item.quote,
        "media_group_id": item.group,
        "has_protected_content": item.protected,
        "link_preview_options": item.preview,
        "show_caption_above_media": item.above,
    }
    view |= {name: value for name, value in optional.items() if value}
    view |= item.media or {}
    if item.text:
        view["caption" if item.media else "text"] = item.text
        if item.entities:
            view["caption_entities" if item.media else "entities"] = [dict(entity) for entity in item.entities]
    if item.markup and "inline_keyboard" in item.markup:
        view["reply_markup"] = item.markup
    if item.service:
        view |= service(world, place, item.service)
    return view


def reply_of(place: Chat, item: Message) -> Message | None:
    """What the message answers; in a topic, what answers nothing hangs on the message that opened the topic."""
    number = item.reply_to or (item.thread if item.topic_message and not item.service and not place.private else None)
    replied = place.messages.get(number) if number else None
    return replied if replied is not item and replied and replied.deleted is None else None


def service(world: World, place: Chat, what: dict[str, Any]) -> dict[str, Any]:
    if number := what.get("pinned_message"):
        pinned = place.messages[number]
        return {"pinned_message": message(world, pinned, with_reply=False)}
    return what


def topic(item: Topic) -> dict[str, Any]:
    view = {"message_thread_id": item.id, "name": item.name, "icon_color": item.color}
    return view | ({"icon_custom_emoji_id": item.icon} if item.icon else {})
