"""New messages, drafts, reactions, chat actions and answers to button presses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulators.telegram import keyboards, views
from tests.simulators.telegram.core import Core
from tests.simulators.telegram.entities import Formatted, utf16_len
from tests.simulators.telegram.errors import bad
from tests.simulators.telegram.params import Params
from tests.simulators.telegram.reactions import EMOJI
from tests.simulators.telegram.state import Chat, Draft, Message

from . import access
from .table import method

TEXT_UNITS, CAPTION_UNITS, ANSWER_CHARACTERS = 4096, 1024, 200
_ACTIONS = frozenset(
    [
        "cancel",
        "typing",
        "record_video",
        "upload_video",
        "record_audio",
        "record_voice",
        "upload_audio",
        "upload_voice",
        "upload_photo",
        "upload_document",
        "choose_sticker",
        "pick_up_location",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)


def check_text(said: Formatted) -> None:
    if not said.text:
        raise bad("Text must be non-empty")
    if utf16_len(said.text) > TEXT_UNITS:
        raise bad("Message is too long")


def check_caption(said: Formatted) -> None:
    if utf16_len(said.text) > CAPTION_UNITS:
        raise bad("Message caption is too long")


def destination(
    core: Core, params: Params, content: str, check: Callable[[], None], count: int = 1
) -> tuple[Chat, dict[str, Any]]:
    """Where a message goes and what it answers; `check` looks at the content when its turn comes.

    Counts it against the limits.
    """
    reply = access.read_reply(params)
    markup = keyboards.parse(params.json("reply_markup", "reply keyboard markup JSON object"))
    chat = access.find_chat(core, params)
    thread = access.find_topic(core, chat, params)
    reply_to, quote = access.find_reply(core, chat, reply)
    replied = chat.messages.get(reply_to or 0)
    if thread is None and replied and replied.topic_message:
        thread = replied.thread
    check()
    markup = keyboards.check(markup, chat)
    access.check_send(core, chat, thread, content)
    core.limiter.chat(chat.id, count)
    return chat, {
        "thread": thread,
        "reply_to": reply_to,
        "quote": quote,
        "markup": markup,
        "silent": params.flag("disable_notification"),
        "protected": params.flag("protect_content"),
    }


def send(core: Core, chat: Chat, **fields: Any) -> Message:
    sender_chat = chat.id if core.world.me(chat).anonymous else None
    return core.post(chat, core.bot, sender_chat=sender_chat, **fields)


def preview_options(params: Params) -> dict[str, Any] | None:
    raw = params.json("link_preview_options", "link preview options JSON object")
    if raw is None:
        return {"is_disabled": True} if params.flag("disable_web_page_preview") else None
    if not isinstance(raw, dict):
        raise bad("Object expected as link preview options")
    return raw


@method("sendMessage")
def send_message(core: Core, params: Params) -> Any:
    preview = preview_options(params)
    if not params.text("text"):
        raise bad("Message text is empty")
    said = params.formatted()
    chat, fields = destination(core, params, "text", lambda: check_text(said))
    message = send(core, chat, text=said.text, entities=said.entities, preview=preview, **fields)
    return views.message(core.world, message)


@method("sendMessageDraft")
def send_message_draft(core: Core, params: Params) -> bool:
    """A preview for private chats. An empty text shows "Thinking…"."""
    said = params.formatted()
    chat = access.find_chat(core, params)
    if "reply_markup" in params:
        # Telegram would ignore it without a word; whoever sends it has misread the Bot API.
        raise bad("sendMessageDraft takes no reply_markup")
    if not chat.private:
        raise bad("TEXTDRAFT_PEER_INVALID")
    if not params.integer("draft_id"):
        raise bad("RANDOM_ID_INVALID")
    thread = access.find_topic(core, chat, params)
    access.check_send(core, chat, thread)
    if utf16_len(said.text) > TEXT_UNITS:
        raise bad("MESSAGE_TOO_LONG")
    if core.limits.drafts_count:
        core.limiter.chat(chat.id)
    expires = core.clock.monotonic() + core.limits.draft_life
    number, now = params.integer("draft_id"), core.clock.wall()
    core.show_draft(chat, Draft(number, chat.id, thread, said.text, said.entities, now, expires))
    return True


@method("sendChatAction")
def send_chat_action(core: Core, params: Params) -> bool:
    action = params.text("action")
    if action not in _ACTIONS:
        raise bad("Wrong parameter action in request")
    chat = access.find_chat(core, params)
    thread = access.find_topic(core, chat, params)
    access.check_send(core, chat, thread)
    chat.actions.append((core.clock.monotonic(), action, thread))
    core.log.add("action", chat_id=chat.id, thread=thread, action=action)
    return True


@method("setMessageReaction")
def set_message_reaction(core: Core, params: Params) -> bool:
    """Bots set at most one reaction, out of Telegram's fixed emoji."""
    raw = params.json("reaction", "reaction types JSON object")
    if raw is not None and not isinstance(raw, list):
        raise bad("Expected an Array of ReactionType")
    reactions = [_reaction(item) for item in raw or []]
    _, message = access.find_message(core, params, "message to react", access.READ)
    if len(reactions) > 1:
        raise bad("REACTIONS_TOO_MANY")
    present = [r for theirs in message.reactions.values() for r in theirs]
    if any(r not in present if r["type"] == "custom_emoji" else r["emoji"] not in EMOJI for r in reactions):
        raise bad("REACTION_INVALID")
    core.react(message, core.bot, reactions)
    return True


def _reaction(raw: Any) -> dict[str, Any]:
    what = "Can't parse ReactionType: "
    if not isinstance(raw, dict):
        raise bad(f"{what}expected an Object")
    kind = raw.get("type")
    if kind is None:
        raise bad(f'{what}Can\'t find field "type"')
    name = {"emoji": "emoji", "custom_emoji": "custom_emoji_id"}.get(kind)
    if name is None:
        raise bad(f"{what}invalid reaction type specified")
    if name not in raw:
        raise bad(f'{what}Can\'t find field "{name}"')
    return {"type": kind, name: raw[name]}


@method("answerCallbackQuery")
def answer_callback_query(core: Core, params: Params) -> bool:
    press = core.presses.get(params.text("callback_query_id"))
    now = core.clock.monotonic()
    if press is None or now - press.pressed > core.limits.press_life:
        raise bad("query is too old and response timeout expired or query ID is invalid")
    text = params.text("text")
    if len(text) > ANSWER_CHARACTERS:
        raise bad("MESSAGE_TOO_LONG")
    if params.text("url"):
        raise bad("URL_INVALID")  # only t.me links of one's own games and deep links are taken
    if press.answer is None:
        press.answer = {"text": text, "show_alert": params.flag("show_alert")}
        press.answered = now
    core.log.add("press", id=press.id, change="answered", waited=now - press.pressed, **(press.answer or {}))
    return True
