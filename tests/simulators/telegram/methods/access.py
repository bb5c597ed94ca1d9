"""Whether the bot may do what it asks, in the order in which Telegram looks."""

from __future__ import annotations

from typing import Any

from tests.simulators.telegram.core import Core
from tests.simulators.telegram.errors import bad, forbidden, migrated
from tests.simulators.telegram.params import Params
from tests.simulators.telegram.state import GENERAL_TOPIC, Chat, Message, Topic

READ, EDIT, WRITE = 0, 1, 2
_CONTENTS = {
    "text": "text messages",
    "document": "documents",
    "photo": "photos",
    "voice": "voice notes",
}


def find_chat(core: Core, params: Params, access: int = WRITE, name: str = "chat_id") -> Chat:
    """The chat named by a parameter, as far as the bot knows it."""
    raw = params.text(name)
    if not raw:
        raise bad("chat_id is empty")
    chat = core.world.find_chat(raw)
    if chat is None or not chat.known:
        raise bad("chat not found")
    return check_access(core, chat, access)


def check_access(core: Core, chat: Chat, access: int) -> Chat:
    if chat.user:
        if chat.user.deactivated and access >= EDIT:
            raise forbidden("user is deactivated")
        return chat
    what = {"group": "group", "supergroup": "supergroup", "channel": "channel"}[chat.type]
    if chat.type == "group" and chat.migrated_to:
        if access >= WRITE:
            raise migrated(chat.migrated_to)
        return chat
    me = core.world.me(chat)
    hidden = not (chat.type == "group" or chat.username)  # what is public or a basic group can still be read
    if me.status == "kicked" and (access >= EDIT or chat.type != "group"):
        raise forbidden(f"bot was kicked from the {what} chat")
    if me.status == "left" and (access >= EDIT or hidden):
        raise forbidden(f"bot is not a member of the {what} chat")
    return chat


def find_topic(core: Core, chat: Chat, params: Params) -> int | None:
    """The thread to send to. Groups without topics ignore the parameter, as on Telegram."""
    number = max(params.integer("message_thread_id"), 0)
    if not number or not (chat.forum or chat.private):
        return None
    topic = chat.topics.get(number)
    if number == GENERAL_TOPIC or topic is None or topic.deleted:
        raise bad("message thread not found")
    return number


def check_send(core: Core, chat: Chat, thread: int | None, content: str = "text") -> None:
    """The last checks before something new appears in a chat."""
    if chat.user:
        if chat.user.is_bot:
            raise forbidden("the bot can't send messages to the bot")
        if not chat.started:
            raise forbidden("bot can't initiate conversation with a user")
        if chat.blocked:
            raise forbidden("bot was blocked by the user")
        return
    me = core.world.me(chat)
    if chat.type == "channel":
        if not me.may("can_post_messages"):
            raise bad("need administrator rights in the channel chat")
        return
    if me.status == "restricted" and not me.can_send:
        raise bad(f"not enough rights to send {_CONTENTS[content]} to the chat")
    topic = chat.topics.get(thread or 0)
    if topic and topic.closed and not (me.may("can_manage_topics") or topic.creator_id == core.bot.id):
        raise bad("TOPIC_CLOSED")


def find_message(core: Core, params: Params, what: str, access: int) -> tuple[Chat, Message]:
    """The message named by `chat_id` and `message_id`. `what` as in "message to edit"."""
    chat = find_chat(core, params, access)
    message = chat.messages.get(params.integer("message_id"))
    if message is None or message.deleted is not None:
        raise bad(f"{what} not found")
    return chat, message


def read_reply(params: Params) -> dict[str, Any]:
    """`reply_parameters` or the older `reply_to_message_id`."""
    raw = params.json("reply_parameters", "reply parameters JSON object")
    if raw is None:
        number = params.integer("reply_to_message_id")
        return {"message_id": number, "loose": params.flag("allow_sending_without_reply")} if number > 0 else {}
    if not isinstance(raw, dict):
        raise bad("Object expected as reply parameters")
    if not raw:
        return {}
    if "message_id" not in raw:
        raise bad('Can\'t find field "message_id"')
    try:
        number = int(raw["message_id"])
    except (TypeError, ValueError):
        raise bad('Field "message_id" must be of type Number') from None
    reply = {"message_id": number, "loose": raw.get("allow_sending_without_reply") is True}
    return reply | {"chat_id": raw.get("chat_id"), "quote": raw.get("quote")}


def find_reply(core: Core, chat: Chat, reply: dict[str, Any]) -> tuple[int | None, dict[str, Any] | None]:
    """The message answered, or None when it is gone and that was allowed; and the quote."""
    if not reply or reply["message_id"] <= 0:
        return None, None
    other = reply.get("chat_id")
    place = core.world.find_chat(other) if other is not None else chat
    if place is None or not place.known:
        raise bad("chat not found")
    check_access(core, place, READ)
    message = place.messages.get(reply["message_id"])
    if message is None or message.deleted is not None:
        if reply["loose"]:
            return None, None
        raise bad("message to be replied not found")
    quote = reply.get("quote")
    if quote and quote not in message.text:
        raise bad("QUOTE_TEXT_INVALID")
    return message.id if place is chat else None, {"text": quote, "position": 0, "is_manual": True} if quote else None


def find_forum(core: Core, params: Params, *, bots_too: bool = True) -> Chat:
    chat = find_chat(core, params, WRITE)
    if chat.private:
        if not core.world.has_topics:
            raise bad("The chat is not a forum")
        if not bots_too:
            raise bad("The chat is not a supergroup forum")
    elif not chat.forum:
        raise bad("The chat is not a forum")
    return chat


def forum_topic(chat: Chat, params: Params) -> Topic:
    number = params.integer("message_thread_id")
    if number <= 0:
        raise bad("Invalid forum topic identifier specified")
    topic = chat.topics.get(number)
    if topic is None or topic.deleted:
        raise bad("TOPIC_ID_INVALID")
    return topic
