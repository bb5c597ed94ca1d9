"""Changing and deleting messages, pinning."""

from __future__ import annotations

from typing import Any

from tests.simulators.telegram import keyboards, views
from tests.simulators.telegram.core import Core
from tests.simulators.telegram.errors import bad
from tests.simulators.telegram.params import Params
from tests.simulators.telegram.state import Chat, Message

from . import access, sending
from .table import method

_UNCHANGED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content "
    "and reply markup of the message"
)
_TWO_DAYS = 2 * 86_400
_UNDELETABLE = ("forum_topic_created", "supergroup_chat_created", "channel_chat_created")


def _target(core: Core, params: Params) -> tuple[Chat, Message]:
    if not params.text("chat_id") and not params.integer("message_id"):
        if not params.text("inline_message_id"):
            raise bad("Message identifier is not specified")
        raise bad("MESSAGE_ID_INVALID")  # the simulator has no inline messages
    return access.find_message(core, params, "message to edit", access.EDIT)


def _check_editable(core: Core, chat: Chat, message: Message) -> None:
    mine = message.outgoing or (chat.type == "channel" and core.world.me(chat).may("can_edit_messages"))
    other_keyboard = message.markup is not None and "inline_keyboard" not in message.markup
    if not mine or message.service or message.origin or other_keyboard:
        raise bad("message can't be edited")


def _change(core: Core, chat: Chat, message: Message, **changes: Any) -> Any:
    if all(getattr(message, name) == value for name, value in changes.items()):
        raise bad(_UNCHANGED)
    core.limiter.chat(chat.id)
    core.revise(message, **changes)
    return views.message(core.world, message)


@method("editMessageText")
def edit_message_text(core: Core, params: Params) -> Any:
    preview = sending.preview_options(params)
    if not params.text("text"):
        raise bad("Message text is empty")
    said = params.formatted()
    markup = keyboards.parse(params.json("reply_markup", "reply keyboard markup JSON object"))
    chat, message = _target(core, params)
    _check_editable(core, chat, message)
    if message.media:
        raise bad("there is no text in the message to edit")
    markup = keyboards.check(markup, chat, inline_only=True)
    sending.check_text(said)
    changes = {"text": said.text, "entities": said.entities, "markup": markup}
    return _change(core, chat, message, **changes, **({"preview": preview} if preview else {}))


@method("editMessageCaption")
def edit_message_caption(core: Core, params: Params) -> Any:
    said = params.formatted("caption", "caption_entities")
    markup = keyboards.parse(params.json("reply_markup", "reply keyboard markup JSON object"))
    chat, message = _target(core, params)
    _check_editable(core, chat, message)
    if not message.media:
        raise bad("there is no caption in the message to edit")
    markup = keyboards.check(markup, chat, inline_only=True)
    sending.check_caption(said)
    return _change(core, chat, message, text=said.text, entities=said.entities, markup=markup)


@method("editMessageReplyMarkup")
def edit_message_reply_markup(core: Core, params: Params) -> Any:
    markup = keyboards.parse(params.json("reply_markup", "reply keyboard markup JSON object"))
    chat, message = _target(core, params)
    _check_editable(core, chat, message)
    return _change(core, chat, message, markup=keyboards.check(markup, chat, inline_only=True))


def _check_deletable(core: Core, chat: Chat, message: Message) -> None:
    old = core.clock.wall() - message.wall > _TWO_DAYS
    me = core.world.me(chat)
    if any(name in (message.service or {}) for name in _UNDELETABLE):
        raise bad("message can't be deleted")
    if chat.type in {"supergroup", "channel"}:
        may = me.may("can_delete_messages")
        mine = message.outgoing and not old and (chat.type == "supergroup" or me.may("can_post_messages"))
        if not may and not mine:
            raise bad("message can't be deleted")
    elif old or (chat.type == "group" and not me.manages and (not message.outgoing or message.service)):
        raise bad("message can't be deleted for everyone")


@method("deleteMessage")
def delete_message(core: Core, params: Params) -> bool:
    if not params.text("chat_id"):
        raise bad("Chat identifier is not specified")
    if not params.integer("message_id"):
        raise bad("Message identifier is not specified")
    chat, message = access.find_message(core, params, "message to delete", access.WRITE)
    _check_deletable(core, chat, message)
    core.delete(message, core.bot)
    return True


@method("deleteMessages")
def delete_messages(core: Core, params: Params) -> bool:
    """Up to 100 at once; those that are gone already do not matter."""
    raw = params.json("message_ids", "message_ids JSON object")
    if raw is None or raw == []:
        raise bad("Message identifiers are not specified")
    if not isinstance(raw, list):
        raise bad("Expected an Array of message identifiers")
    if len(raw) > 100:
        raise bad("Too many message identifiers specified")
    numbers = []
    for item in raw:
        if isinstance(item, bool) or not isinstance(item, int | str):
            raise bad("Message identifier must be a Number")
        try:
            numbers.append(int(item))
        except ValueError:
            raise bad("Can't parse message identifier as a Number") from None
        if numbers[-1] <= 0:
            raise bad("Invalid message identifier specified")
    chat = access.find_chat(core, params)
    there = [chat.messages[n] for n in numbers if n in chat.messages and chat.messages[n].deleted is None]
    for message in there:
        _check_deletable(core, chat, message)
    for message in there:
        core.delete(message, core.bot)
    return True


def _check_pin(core: Core, chat: Chat) -> None:
    if chat.private:
        return
    right = "can_edit_messages" if chat.type == "channel" else "can_pin_messages"
    if not core.world.me(chat).may(right):
        raise bad("Not enough rights to manage pinned messages in the chat")


@method("pinChatMessage")
def pin_chat_message(core: Core, params: Params) -> bool:
    chat, message = access.find_message(core, params, "message to pin", access.WRITE)
    _check_pin(core, chat)
    if message.service:
        raise bad("Service messages can't be pinned")
    if message.id not in chat.pinned:
        chat.pinned.append(message.id)
        silent = params.flag("disable_notification")
        core.post(chat, core.bot, service={"pinned_message": message.id}, thread=message.thread, silent=silent)
    return True


@method("unpinChatMessage")
def unpin_chat_message(core: Core, params: Params) -> bool:
    chat = access.find_chat(core, params)
    _check_pin(core, chat)
    number = params.integer("message_id") or (chat.pinned[-1] if chat.pinned else 0)
    if number not in chat.pinned:
        raise bad("message to unpin not found")
    chat.pinned.remove(number)
    return True
