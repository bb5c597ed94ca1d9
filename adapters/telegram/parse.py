"""Updates as core's events (pure). Whatever comes, there is an answer: nothing here raises."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from adapters.telegram import attachments, wire, words
from core.model import Inbound, PersonId, Place
from core.model import Person as Somebody
from core.ports import Press

PLATFORM = "telegram"
JOINS = 1.5  # seconds; clients send the parts of a long paste, an album or a forward within one
LONG = 4000  # UTF-16 units; clients cut at 4096, some of them at a blank before
GENERAL = 1  # the topic of a forum that is the chat itself

HIDDEN_SENDER = (
    "I cannot see who you are while you write as the group. Switch off “Remain anonymous” in your administrator "
    "rights, then write again."
)
AS_CHANNEL = "I cannot see who you are while you write as a channel. Write as yourself, please."
CANNOT_READ = "I can read text, photos, videos, files and voice notes, but not this. Please say it in words."


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's account."""

    id: int
    username: str
    topics: bool = False  # in private chats


@dataclass(frozen=True, slots=True)
class Moved:
    """A group became a supergroup."""

    chat: str
    to: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The bot was put out."""

    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Understood, and nothing to do. `tell` is what a person who meant the bot should know."""

    why: str
    tell: str = ""
    place: Place | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """Not understood."""

    why: str


Event = Inbound | Press | Moved | Lost | Ignored | Broken


def number(raw: object) -> int | None:
    """The update's number, None where there is none to be believed."""
    found = raw.get("update_id") if isinstance(raw, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**31 - 1 else None


def parse(raw: object, me: Me) -> Event:
    """One update, decoded from JSON."""
    try:
        update = msgspec.convert(raw, wire.Update)
    except (msgspec.ValidationError, RecursionError, ValueError) as error:
        return Broken(f"{_kind(raw)}: {error}"[:300])
    try:
        if update.message:
            return _message(update.message, me)
        if update.edited_message:
            return _message(update.edited_message, me, edited=True)
        if update.callback_query:
            return _press(update.callback_query)
        if update.my_chat_member:
            return _membership(update.my_chat_member)
    except (ValueError, OverflowError, OSError) as error:  # dates and numbers beyond everything
        return Broken(f"{_kind(raw)}: {error}"[:300])
    return Ignored(f"an update of a kind nobody asked for: {_kind(raw)}")


def _kind(raw: object) -> str:
    if not isinstance(raw, dict):
        return f"no object but {type(raw).__name__}"
    return ", ".join(words.line(str(name), 40) for name in raw if name != "update_id")[:100] or "empty"


def _message(message: wire.Message, me: Me, *, edited: bool = False) -> Event:
    chat, place = message.chat, _place(message)
    if message.migrate_to_chat_id:
        return Moved(str(chat.id), str(message.migrate_to_chat_id))
    if message.migrate_from_chat_id:
        return Moved(str(message.migrate_from_chat_id), str(chat.id))
    text, entities = _text(message)
    # Somebody else's words are repeated to the chat, whomever they were said to.
    forwarded = message.forward_origin is not None
    said = words.Said(text) if forwarded else words.read(text, entities, me.id, me.username)
    direct = chat.type == "private"
    files = attachments.of(message)
    if not text and not files:
        return _nothing_said(message, place, direct=direct)
    replied = None if _automatic(message) else message.reply_to_message
    meant = direct or said.meant or bool(replied and replied.sender and replied.sender.id == me.id)
    if refusal := _no_person(message, place, meant=meant):
        return refusal
    if said.other_bot:
        return Ignored("a command for another bot")
    sender = message.sender
    assert sender  # `_no_person` has seen to it
    return Inbound(
        platform=PLATFORM,
        event_id=_event_id(message, text, edited=edited),
        place=place,
        person=_person(sender),
        text=_whole(message, said.text),
        at=datetime.fromtimestamp(message.edit_date if edited and message.edit_date else message.date, UTC),
        message=str(message.message_id),
        reply_to=str(replied.message_id) if replied else "",
        direct=direct,
        addressed=meant,
        edited=edited,
        joins=JOINS if not edited and _has_more(message, text) else 0.0,
        files=files,
    )


def _text(message: wire.Message) -> tuple[str, tuple[wire.Entity, ...]]:
    if message.text:
        return words.clean(message.text), message.entities
    return words.clean(message.caption), message.caption_entities


def _place(message: wire.Message) -> Place:
    """Only a real topic is a thread: in other groups `message_thread_id` counts replies."""
    topic = message.message_thread_id if message.is_topic_message else 0
    general = topic == GENERAL and message.chat.type != "private"
    return Place(PLATFORM, str(message.chat.id), str(topic) if topic > 0 and not general else "")


def _automatic(message: wire.Message) -> bool:
    """What answers nothing in a topic looks like an answer to the message that opened it."""
    replied = message.reply_to_message
    return bool(replied and message.is_topic_message and replied.message_id == message.message_thread_id)


def _event_id(message: wire.Message, text: str, *, edited: bool) -> str:
    """The message's own: a message that comes again under another update's number is the same.

    Two edits may be made within the second that `edit_date` counts in.
    """
    where = f"{message.chat.id}:{message.message_id}"
    if not edited:
        return f"m:{where}"
    return f"e:{where}:{message.edit_date}:{zlib.crc32(text.encode(errors='replace')):08x}"


def _no_person(message: wire.Message, place: Place, *, meant: bool) -> Ignored | None:
    """Roles belong to people, so what nobody can be made answerable for is not taken."""
    number = str(message.message_id)
    if message.chat.type == "channel":
        return Ignored("a post in a channel")
    if message.is_automatic_forward:
        return Ignored("a post of the linked channel")
    if message.sender_chat:
        anonymous = message.sender_chat.id == message.chat.id
        why = "an anonymous administrator" if anonymous else "somebody who writes as a channel"
        tell = HIDDEN_SENDER if anonymous else AS_CHANNEL
        return Ignored(why, tell if meant else "", place, number)
    if message.sender is None:
        return Ignored("a message of nobody")
    return Ignored("a message of another bot") if message.sender.is_bot else None


def _nothing_said(message: wire.Message, place: Place, *, direct: bool) -> Ignored:
    """Service messages, and what the agent cannot be given."""
    kinds = ("poll", "location", "contact", "dice", "story", "checklist", "paid_media")
    found = next((kind for kind in kinds if getattr(message, kind) is not None), "")
    if not found:
        return Ignored("a service message")
    tell = CANNOT_READ if direct and message.sender and not message.sender.is_bot else ""
    return Ignored(f"a {found}, which cannot be read", tell, place, str(message.message_id))


def _has_more(message: wire.Message, text: str) -> bool:
    return bool(message.media_group_id or message.forward_origin or words.units(text) >= LONG)


def _whole(message: wire.Message, text: str) -> str:
    """With what it quotes and whose words it repeats. A forwarded command is none."""
    if message.forward_origin:
        return f"> Forwarded from {_origin(message.forward_origin)}:\n\n{text}"
    if message.quote and not words.is_command(text):
        quoted = "\n".join(f"> {row}" for row in words.clean(message.quote.text).splitlines())
        return f"{quoted}\n\n{text}" if quoted else text
    return text


def _origin(origin: wire.Origin) -> str:
    chat = origin.sender_chat or origin.chat
    name = _name(origin.sender_user) if origin.sender_user else origin.sender_user_name or (chat.title if chat else "")
    return words.line(name, 100) or "somebody"


def _name(user: wire.User) -> str:
    return words.line(f"{user.first_name} {user.last_name}", 100) or words.line(user.username, 40) or str(user.id)


def _person(user: wire.User) -> Somebody:
    return Somebody(PersonId(f"{PLATFORM}:{user.id}"), _name(user))


def _press(query: wire.Query) -> Event:
    message = query.message
    if message is None or not query.data:
        return Ignored("a button that is none of ours")
    return Press(
        id=f"cb:{query.id}",
        button=words.clean(query.data),
        person=_person(query.sender),
        place=_place(message),
        message=str(message.message_id),
    )


def _membership(change: wire.Membership) -> Event:
    status = change.new_chat_member.status
    if status not in {"kicked", "left"}:
        return Ignored(f"the bot is {words.line(status, 40)} of a chat now")
    who = _name(change.sender) if change.sender else "Somebody"
    why = f"{who} blocked the bot" if change.chat.type == "private" else f"{who} removed the bot from the chat"
    return Lost(Place(PLATFORM, str(change.chat.id)), why)
