"""As much of the Bot API's updates as is read.

Why not the library's own classes: they refuse a whole update for any part of it that they do not expect, and parts
that nobody here reads change with every version of the Bot API.
"""

from __future__ import annotations

import msgspec


class User(msgspec.Struct):
    """Somebody, or a bot."""

    id: int
    first_name: str = ""
    last_name: str = ""
    username: str = ""
    is_bot: bool = False


class Chat(msgspec.Struct):
    """`type` is private, group, supergroup or channel."""

    id: int
    type: str
    title: str = ""
    first_name: str = ""
    is_forum: bool = False


class Entity(msgspec.Struct):
    """In UTF-16 units."""

    type: str
    offset: int
    length: int
    user: User | None = None


class File(msgspec.Struct):
    """Every kind of media has these, as far as it has them."""

    file_id: str
    file_name: str = ""
    mime_type: str = ""
    file_size: int = 0
    width: int = 0
    height: int = 0
    is_animated: bool = False
    is_video: bool = False


class Quote(msgspec.Struct):
    """The part of another message that is answered."""

    text: str


class Origin(msgspec.Struct):
    """Whose message was forwarded."""

    sender_user: User | None = None
    sender_user_name: str = ""
    sender_chat: Chat | None = None
    chat: Chat | None = None


class Replied(msgspec.Struct):
    """The message answered."""

    message_id: int
    sender: User | None = msgspec.field(name="from", default=None)


class Message(msgspec.Struct):
    """New, edited, or under a pressed button; one too old to be shown has `date` 0 and little else."""

    message_id: int
    chat: Chat
    date: int = 0
    sender: User | None = msgspec.field(name="from", default=None)
    sender_chat: Chat | None = None
    is_automatic_forward: bool = False
    message_thread_id: int = 0
    is_topic_message: bool = False
    reply_to_message: Replied | None = None
    quote: Quote | None = None
    forward_origin: Origin | None = None
    media_group_id: str = ""
    edit_date: int = 0
    text: str = ""
    entities: tuple[Entity, ...] = ()
    caption: str = ""
    caption_entities: tuple[Entity, ...] = ()
    photo: tuple[File, ...] = ()
    animation: File | None = None
    document: File | None = None
    voice: File | None = None
    audio: File | None = None
    video: File | None = None
    video_note: File | None = None
    sticker: File | None = None
    migrate_to_chat_id: int = 0
    migrate_from_chat_id: int = 0
    # What people send and the agent cannot be given.
    poll: object = None
    location: object = None
    contact: object = None
    dice: object = None
    story: object = None
    checklist: object = None
    paid_media: object = None


class Query(msgspec.Struct):
    """A button pressed."""

    id: str
    sender: User = msgspec.field(name="from")
    message: Message | None = None
    data: str = ""


class Member(msgspec.Struct):
    """`status` is creator, administrator, member, restricted, left or kicked."""

    status: str


class Membership(msgspec.Struct):
    """Of the bot."""

    chat: Chat
    new_chat_member: Member
    sender: User | None = msgspec.field(name="from", default=None)


class Update(msgspec.Struct):
    """One of these, or something that was not asked for."""

    message: Message | None = None
    edited_message: Message | None = None
    callback_query: Query | None = None
    my_chat_member: Membership | None = None


KINDS = ("message", "edited_message", "callback_query", "my_chat_member")
