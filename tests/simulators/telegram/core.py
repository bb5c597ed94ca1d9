"""What changes the world: posting, editing, deleting, membership. Both sides, bot and people, act through it.

Each change is logged, and becomes an update when the bot may see it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from . import views
from .clock import SimulatedClock
from .faults import Faults
from .limits import Limits, RateLimiter
from .log import Log
from .state import Chat, Draft, Member, Message, Revision, Topic, User, World
from .updates import UpdateQueue


@dataclass(slots=True, eq=False)
class Press:
    """A button pressed, waiting for the bot's `answerCallbackQuery`."""

    id: str
    user: User
    chat_id: int
    message_id: int
    data: str
    pressed: float
    answer: dict[str, Any] | None = None  # text, show_alert, url
    answered: float | None = None  # monotonic

    @property
    def waited(self) -> float | None:
        return None if self.answered is None else self.answered - self.pressed


@dataclass(slots=True, eq=False)
class WebhookState:
    url: str = ""
    secret: str = ""
    max_connections: int = 40
    ip: str = ""
    error: str = ""
    error_date: int = 0


@dataclass(slots=True, eq=False)
class Core:
    token: str
    limits: Limits
    world: World
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    log: Log = field(init=False)
    queue: UpdateQueue = field(init=False)
    faults: Faults = field(init=False)
    limiter: RateLimiter = field(init=False)
    webhook: WebhookState = field(default_factory=WebhookState)
    presses: dict[str, Press] = field(default_factory=dict)
    revoked: bool = False
    logged_out: bool = False
    polled: tuple[int, float] = (0, -1e9)  # offset and start of the last getUpdates
    next_conflict: float = -1e9
    spoke_last: dict[int, int] = field(default_factory=dict)  # group → the bot that wrote last

    def __post_init__(self) -> None:
        self.log = Log(self.clock)
        self.queue = UpdateQueue(self.clock, self.log)
        self.faults = Faults(self.clock)
        self.limiter = RateLimiter(self.limits, self.clock)

    @property
    def bot(self) -> User:
        return self.world.bot

    # messages
    def post(self, chat: Chat, sender: User, **fields: Any) -> Message:
        """A new message of anybody. Tells the bot if it may see it, ends drafts when the bot wrote."""
        message = Message(
            chat.id,
            self.world.next_message_id(chat),
            sender,
            self.clock.wall(),
            self.clock.monotonic(),
            outgoing=sender is self.bot,
            **fields,
        )
        self._place(chat, message)
        chat.messages[message.id] = message
        if sender.is_bot and not message.service:
            self.spoke_last[chat.id] = sender.id
        if message.outgoing and chat.private and not message.service:
            self._end_drafts(chat, message.thread)
        self.log.add("message", **describe(message))
        if self._bot_sees(chat, message):
            kind = "channel_post" if chat.type == "channel" else "message"
            self.queue.add(kind, views.message(self.world, message))
        return message

    def _place(self, chat: Chat, message: Message) -> None:
        """Which topic or thread a message is in: the one named, or that of the message it answers."""
        replied = chat.messages.get(message.reply_to or 0)
        if chat.type == "supergroup" and not chat.forum:
            message.thread = (replied.thread or replied.id) if replied else None
        elif message.thread is None and replied and replied.topic_message and not message.service:
            message.thread = replied.thread
        message.topic_message = message.thread is not None and (chat.forum or chat.private)

    def open_topic(self, chat: Chat, creator: User, name: str, color: int, icon: str = "") -> Topic:
        """A topic, and the service message that opens it; their numbers are the same."""
        what: dict[str, Any] = {"name": name, "icon_color": color}
        what |= {"icon_custom_emoji_id": icon} if icon else {}
        number = self.world.next_message_id(chat)
        now = self.clock.wall(), self.clock.monotonic()
        mine = creator is self.bot
        opening = Message(chat.id, number, creator, *now, service={"forum_topic_created": what}, outgoing=mine)
        opening.thread, opening.topic_message = number, True
        chat.messages[number] = opening
        topic = chat.topics[number] = Topic(chat.id, number, name, color, creator.id, icon)
        self.log.add("topic", chat_id=chat.id, thread=number, name=name, change="created", by=creator.id)
        if self.world.me(chat).present or chat.private:
            self.queue.add("message", views.message(self.world, opening))
        return topic

    def change_topic(self, topic: Topic, by: User, what: dict[str, Any], **changes: Any) -> None:
        for name, value in changes.items():
            setattr(topic, name, value)
        self.log.add(
            "topic", chat_id=topic.chat_id, thread=topic.id, name=topic.name, change=next(iter(what)), by=by.id
        )
        self.post(self.world.chats[topic.chat_id], by, service=what, thread=topic.id)

    def delete_topic(self, topic: Topic, by: User) -> None:
        """The topic and all its messages go; nobody is told."""
        topic.deleted = True
        for message in self.world.chats[topic.chat_id].messages.values():
            if message.thread == topic.id and message.deleted is None:
                message.deleted = self.clock.wall()
        self.log.add("topic", chat_id=topic.chat_id, thread=topic.id, name=topic.name, change="deleted", by=by.id)

    def revise(self, message: Message, **changes: Any) -> None:
        """Change a message's text, entities or markup; the old ones go into its history."""
        now = self.clock.wall()
        message.history.append(
            Revision(
                message.edited or message.wall, self.clock.monotonic(), message.text, message.entities, message.markup
            )
        )
        for name, value in changes.items():
            setattr(message, name, value)
        message.edited = now
        self.log.add("edit", **describe(message))
        chat = self.world.chats[message.chat_id]
        if not message.outgoing and self._bot_sees(chat, message):
            kind = "edited_channel_post" if chat.type == "channel" else "edited_message"
            self.queue.add(kind, views.message(self.world, message))

    def delete(self, message: Message, by: User) -> None:
        """Bots are told of no deletion."""
        message.deleted = self.clock.wall()
        chat = self.world.chats[message.chat_id]
        chat.pinned = [number for number in chat.pinned if number != message.id]
        self.log.add("delete", chat_id=message.chat_id, message_id=message.id, by=by.id)

    def _bot_sees(self, chat: Chat, message: Message) -> bool:
        """Whether an update is made: membership, own messages, other bots and privacy mode decide."""
        me = self.world.me(chat)
        if chat.private:
            return not message.outgoing or bool(message.service)
        if not me.present:
            return bool((message.service or {}).get("left_chat_member", {}).get("id") == self.bot.id)
        if message.service:
            return True
        if message.outgoing or (message.sender.is_bot and message.sender_chat is None):
            return False
        if chat.type == "channel" or self.world.reads_all or me.manages:
            return True
        return self._meant_for_bot(chat, message)

    def _meant_for_bot(self, chat: Chat, message: Message) -> bool:
        replied = chat.messages.get(message.reply_to or 0)
        if replied and replied.outgoing and not replied.service:
            return True
        name = f"@{self.bot.username}".lower()
        others = any(self.world.users[i].is_bot and i != self.bot.id and m.present for i, m in chat.members.items())
        raw = message.text.encode("utf-16-le")
        for entity in message.entities:
            end = entity["offset"] + entity["length"]
            said = raw[entity["offset"] * 2 : end * 2].decode("utf-16-le").lower()
            if entity["type"] == "mention" and said == name:
                return True
            if entity["type"] == "bot_command":
                if said.endswith(name):
                    return True
                if "@" not in said and (not others or self.spoke_last.get(chat.id) == self.bot.id):
                    return True
        return False

    # drafts
    def show_draft(self, chat: Chat, draft: Draft) -> None:
        for other in [d for d in chat.drafts.values() if d.thread == draft.thread and d.id != draft.id]:
            self._end_draft(chat, other, "replaced")
        chat.drafts[draft.id] = draft
        self.log.add("draft", chat_id=chat.id, draft_id=draft.id, thread=draft.thread, text=draft.text, change="shown")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_later(max(0.0, draft.expires - self.clock.monotonic()) + 0.01, self.expire_drafts)

    def expire_drafts(self) -> None:
        now = self.clock.monotonic()
        for chat in self.world.chats.values():
            for draft in [d for d in chat.drafts.values() if d.expires <= now]:
                self._end_draft(chat, draft, "expired")

    def _end_drafts(self, chat: Chat, thread: int | None) -> None:
        self.expire_drafts()
        for draft in [d for d in chat.drafts.values() if d.thread == thread]:
            self._end_draft(chat, draft, "sent")

    def _end_draft(self, chat: Chat, draft: Draft, why: str) -> None:
        del chat.drafts[draft.id]
        self.log.add("draft", chat_id=chat.id, draft_id=draft.id, thread=draft.thread, text=draft.text, change=why)

    # people
    def change_member(self, chat: Chat, person: User, by: User, **changes: Any) -> Member:
        """Join, leave, promote, kick. The bot hears of itself always, of others when it manages the chat."""
        old, new = self.world.set_member(chat, person, **changes)
        if old == new:
            return new
        self.log.add("member", chat_id=chat.id, user_id=person.id, old=old.status, new=new.status, by=by.id)
        if person.id == self.bot.id and new.present:
            chat.known = True
        payload = {
            "chat": views.chat(chat),
            "from": views.user(by),
            "date": self.clock.unix(),
            "old_chat_member": views.member(chat, person, old),
            "new_chat_member": views.member(chat, person, new),
        }
        if person is self.bot:
            self.queue.add("my_chat_member", payload)
        elif self.world.me(chat).manages:
            self.queue.add("chat_member", payload)
        return new

    def react(self, message: Message, by: User, reactions: list[dict[str, Any]]) -> None:
        """The bot hears of other people's reactions in private chats and where it is an administrator."""
        old = message.reactions.get(by.id, [])
        message.reactions[by.id] = reactions
        chat = self.world.chats[message.chat_id]
        self.log.add("reaction", chat_id=chat.id, message_id=message.id, user_id=by.id, reactions=reactions)
        if by.is_bot or not (chat.private or self.world.me(chat).manages):
            return
        self.queue.add(
            "message_reaction",
            {
                "chat": views.chat(chat),
                "message_id": message.id,
                "user": views.user(by),
                "date": self.clock.unix(),
                "old_reaction": old,
                "new_reaction": reactions,
            },
        )


def describe(message: Message) -> dict[str, Any]:
    """A message's line in the log."""
    line: dict[str, Any] = {
        "chat_id": message.chat_id,
        "message_id": message.id,
        "thread": message.thread,
        "sender": message.sender.name,
        "sender_id": message.sender.id,
        "outgoing": message.outgoing,
        "silent": message.silent,
        "text": message.text,
        "reply_to": message.reply_to,
        "buttons": [button["text"] for button in message.buttons],
    }
    optional = {"service": message.service, "media": next(iter(message.media), "") if message.media else ""}
    return line | {name: value for name, value in optional.items() if value}
