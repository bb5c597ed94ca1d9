"""The simulator's world: people, chats, topics, messages and files, as Telegram's servers would hold them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

RIGHTS = (
    "can_manage_chat",
    "can_change_info",
    "can_delete_messages",
    "can_invite_users",
    "can_restrict_members",
    "can_pin_messages",
    "can_manage_topics",
    "can_promote_members",
    "can_manage_video_chats",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
    "can_post_messages",
    "can_edit_messages",
)
GENERAL_TOPIC = 1


@dataclass(slots=True, eq=False)
class User:
    id: int
    first_name: str
    username: str = ""
    last_name: str = ""
    language: str = "en"
    is_bot: bool = False
    deactivated: bool = False

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody's place in a chat. `rights` counts for administrators; `anonymous` hides them behind the chat."""

    status: str = "member"  # creator | administrator | member | restricted | left | kicked
    rights: frozenset[str] = frozenset()
    anonymous: bool = False
    can_send: bool = True  # of a restricted member

    @property
    def present(self) -> bool:
        return self.status not in {"left", "kicked"}

    @property
    def manages(self) -> bool:
        return self.status in {"creator", "administrator"}

    def may(self, right: str) -> bool:
        return self.status == "creator" or (self.status == "administrator" and right in self.rights)


@dataclass(slots=True, eq=False)
class Topic:
    chat_id: int
    id: int  # the message_thread_id
    name: str
    color: int
    creator_id: int
    icon: str = ""
    closed: bool = False
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Revision:
    """What a message said before an edit, and when it began to say so."""

    wall: float
    monotonic: float
    text: str
    entities: tuple[dict[str, Any], ...]
    markup: dict[str, Any] | None


@dataclass(slots=True, eq=False)
class Message:
    chat_id: int
    id: int
    sender: User
    wall: float
    monotonic: float
    text: str = ""  # or the media's caption
    entities: tuple[dict[str, Any], ...] = ()
    media: dict[str, Any] | None = None  # {"photo": […]}, {"document": {…}}, {"voice": {…}}: as in the Bot API
    service: dict[str, Any] | None = None
    markup: dict[str, Any] | None = None
    sender_chat: int | None = None
    reply_to: int | None = None
    quote: dict[str, Any] | None = None
    thread: int | None = None
    topic_message: bool = False
    group: str = ""
    silent: bool = False
    protected: bool = False
    origin: dict[str, Any] | None = None
    preview: dict[str, Any] | None = None
    above: bool = False
    edited: float | None = None
    deleted: float | None = None
    outgoing: bool = False  # sent by the bot under test
    reactions: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # user → reactions
    history: list[Revision] = field(default_factory=list)

    @property
    def buttons(self) -> list[dict[str, Any]]:
        return [button for row in (self.markup or {}).get("inline_keyboard", []) for button in row]


@dataclass(slots=True, eq=False)
class Draft:
    """A streamed preview in a private chat; gone at `expires` (monotonic) or when a real message comes."""

    id: int
    chat_id: int
    thread: int | None
    text: str
    entities: tuple[dict[str, Any], ...]
    wall: float
    expires: float


@dataclass(slots=True, eq=False)
class Chat:
    id: int
    type: str  # private | group | supergroup | channel
    title: str = ""
    username: str = ""
    forum: bool = False
    user: User | None = None  # the other one in a private chat
    started: bool = True  # the person has written to the bot
    blocked: bool = False
    known: bool = True  # the bot has met it
    migrated_to: int | None = None
    pinned: list[int] = field(default_factory=list)
    members: dict[int, Member] = field(default_factory=dict)
    topics: dict[int, Topic] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    drafts: dict[int, Draft] = field(default_factory=dict)
    actions: list[tuple[float, str, int | None]] = field(default_factory=list)
    menu: dict[str, Any] = field(default_factory=lambda: {"type": "commands"})
    topics_may_be_made: bool = False  # by every member

    @property
    def private(self) -> bool:
        return self.type == "private"

    @property
    def name(self) -> str:
        return self.user.name if self.user else self.title

    def member(self, user: User) -> Member:
        return self.members.get(user.id, Member("left"))

    def visible(self, thread: int | None = None) -> list[Message]:
        return [m for m in self.messages.values() if m.deleted is None and thread in {None, m.thread}]


@dataclass(frozen=True, slots=True)
class StoredFile:
    file_id: str
    unique_id: str
    kind: str  # Document | Photo | VoiceNote | …, as Telegram names them in refusals
    content: bytes
    size: int  # may be claimed to be more than `content` holds
    name: str
    mime: str
    path: str
    extra: tuple[tuple[str, Any], ...] = ()


class World:
    """Everything there is. The bot under test is `bot`."""

    def __init__(self, bot: User) -> None:
        self.bot = bot
        self.reads_all = False  # privacy mode is on
        self.has_topics = False  # forum topics in private chats
        self.users: dict[int, User] = {bot.id: bot}
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, StoredFile] = {}
        self.commands: dict[str, list[dict[str, Any]]] = {}
        self.profile: dict[str, str] = {}
        self.menu: dict[str, Any] = {"type": "commands"}
        self._user_ids = itertools.count(1001)
        self._group_ids = itertools.count(5001)
        self._message_ids = itertools.count(101)  # private chats and basic groups share one row of numbers
        self._own_ids: dict[int, Iterator[int]] = {}
        self._numbers = itertools.count(1)

    def add_user(self, first_name: str, **more: Any) -> User:
        user = User(more.pop("id", None) or next(self._user_ids), first_name, **more)
        self.users[user.id] = user
        return user

    def add_chat(self, kind: str, **more: Any) -> Chat:
        number = more.pop("id", None)
        if number is None:
            number = next(self._group_ids)
            number = -number if kind == "group" else -1_000_000_000_000 - number
        chat = Chat(number, kind, **more)
        self.chats[chat.id] = chat
        return chat

    def next_message_id(self, chat: Chat) -> int:
        if chat.type in {"private", "group"}:
            return next(self._message_ids)
        return next(self._own_ids.setdefault(chat.id, itertools.count(2)))  # 1 is a forum's General

    def number(self) -> int:
        """A fresh number for anything that wants an id."""
        return next(self._numbers)

    def find_chat(self, name: str | int) -> Chat | None:
        if isinstance(name, str) and name.startswith("@"):
            wanted = name[1:].lower()
            return next((c for c in self.chats.values() if c.username and c.username.lower() == wanted), None)
        try:
            return self.chats.get(int(name))
        except ValueError:
            return None

    def me(self, chat: Chat) -> Member:
        return chat.member(self.bot)

    def set_member(self, chat: Chat, user: User, **changes: Any) -> tuple[Member, Member]:
        old = chat.member(user)
        chat.members[user.id] = new = replace(old, **changes)
        return old, new
