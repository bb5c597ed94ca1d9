"""People and the places they meet in: accounts, chats, membership, topics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import views
from .core import Core
from .methods.topics import COLORS
from .state import RIGHTS, Chat, Member, Message, Topic, User

PersonLike = User | int
ChatLike = Chat | int
MessageLike = Message | int
TopicLike = Topic | int


class Places:
    """Making and changing chats. Everything takes objects or their ids."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._world = core.world

    # who and where
    def find_user(self, person: PersonLike) -> User:
        return person if isinstance(person, User) else self._world.users[int(person)]

    def find_chat(self, chat: ChatLike) -> Chat:
        return chat if isinstance(chat, Chat) else self._world.chats[int(chat)]

    def find_message(self, message: MessageLike, chat: ChatLike | None = None) -> Message:
        if isinstance(message, Message):
            return message
        if chat is None:
            raise ValueError("a message by number needs its chat")
        return self.find_chat(chat).messages[int(message)]

    def user(self, name: str, username: str = "", *, is_bot: bool = False, language: str = "en") -> User:
        """Somebody with a Telegram account; `is_bot`: another bot."""
        first, _, last = name.partition(" ")
        username = username or name.lower().replace(" ", "_") + ("_bot" if is_bot else "")
        return self._world.add_user(first, last_name=last, username=username, is_bot=is_bot, language=language)

    def private(self, person: PersonLike, *, started: bool = True) -> Chat:
        """The private chat with the bot. Not `started`: the person has never written, the bot may not either."""
        person = self.find_user(person)
        chat = self._world.chats.get(person.id) or self._world.add_chat("private", id=person.id, user=person)
        chat.started = started
        chat.known = chat.known if started is False and self._met(person) else started
        return chat

    def group(self, title: str, members: Iterable[PersonLike] = (), **more: Any) -> Chat:
        """A basic group: no topics, no rights to speak of, may become a supergroup."""
        return self._make("group", title, members, **more)

    def supergroup(self, title: str, members: Iterable[PersonLike] = (), **more: Any) -> Chat:
        return self._make("supergroup", title, members, **more)

    def forum(self, title: str, members: Iterable[PersonLike] = (), *, bot: str = "administrator", **more: Any) -> Chat:
        """A supergroup with topics; the bot is an administrator with every right unless said otherwise."""
        return self._make("supergroup", title, members, bot=bot, forum=True, **more)

    def channel(self, title: str, members: Iterable[PersonLike] = (), *, bot: str = "administrator") -> Chat:
        return self._make("channel", title, members, bot=bot)

    def _make(
        self,
        kind: str,
        title: str,
        members: Iterable[PersonLike],
        *,
        bot: str = "member",
        rights: Iterable[str] = RIGHTS,
        username: str = "",
        forum: bool = False,
        members_make_topics: bool = False,
    ) -> Chat:
        """No update tells the bot: it is taken to have been there before. `bot=""`: it is not in the chat."""
        chat = self._world.add_chat(kind, title=title, username=username, forum=forum, known=bool(bot))
        chat.topics_may_be_made = members_make_topics
        for place, person in enumerate(map(self.find_user, members)):
            chat.members[person.id] = Member("member" if place else "creator")
            self._meet(person)
        if bot:
            chat.members[self._world.bot.id] = Member(bot, frozenset(rights) if bot == "administrator" else frozenset())
        return chat

    def _met(self, person: User) -> bool:
        """Whether the bot shares a group with somebody."""
        bot = self._world.bot.id
        groups = (c for c in self._world.chats.values() if not c.private and person.id in c.members)
        return any(bot in group.members for group in groups)

    def _meet(self, person: User) -> None:
        """Seen in a common group, somebody can be named by the bot, but not written to."""
        if not self._world.chats.get(person.id):
            self._world.add_chat("private", id=person.id, user=person, started=False)
        self._world.chats[person.id].known = True

    # membership and topics
    async def block(self, person: PersonLike) -> None:
        """Block the bot in the private chat."""
        await self._set_blocked(person, blocked=True)

    async def unblock(self, person: PersonLike) -> None:
        await self._set_blocked(person, blocked=False)

    async def _set_blocked(self, person: PersonLike, *, blocked: bool) -> None:
        person = self.find_user(person)
        chat = self.private(person)
        if chat.blocked == blocked:
            return
        chat.blocked = blocked
        if not blocked:
            chat.members[self._world.bot.id] = Member("kicked")
        self._core.change_member(chat, self._world.bot, person, status="kicked" if blocked else "member")

    async def add_bot(self, chat: ChatLike, by: PersonLike) -> None:
        """Somebody adds the bot to a group."""
        chat, by = self.find_chat(chat), self.find_user(by)
        self._core.change_member(chat, self._world.bot, by, status="member", rights=frozenset())
        if chat.type != "channel":
            bot = views.user(self._world.bot)
            what = {"new_chat_members": [bot], "new_chat_member": bot, "new_chat_participant": bot}
            self._core.post(chat, by, service=what)

    async def kick_bot(self, chat: ChatLike, by: PersonLike) -> None:
        chat, by = self.find_chat(chat), self.find_user(by)
        self._core.change_member(chat, self._world.bot, by, status="kicked", rights=frozenset())
        if chat.type != "channel":
            self._core.post(chat, by, service={"left_chat_member": views.user(self._world.bot)})

    async def promote_bot(self, chat: ChatLike, by: PersonLike, rights: Iterable[str] = RIGHTS) -> None:
        """Make the bot an administrator with just these rights."""
        changes = {"status": "administrator", "rights": frozenset(rights)}
        self._core.change_member(self.find_chat(chat), self._world.bot, self.find_user(by), **changes)

    async def demote_bot(self, chat: ChatLike, by: PersonLike) -> None:
        changes = {"status": "member", "rights": frozenset()}
        self._core.change_member(self.find_chat(chat), self._world.bot, self.find_user(by), **changes)

    async def restrict_bot(self, chat: ChatLike, by: PersonLike) -> None:
        """Take away the bot's right to send."""
        changes = {"status": "restricted", "rights": frozenset(), "can_send": False}
        self._core.change_member(self.find_chat(chat), self._world.bot, self.find_user(by), **changes)

    async def topic(self, chat: ChatLike, name: str, by: PersonLike) -> Topic:
        """A person opens a topic."""
        chat = self.find_chat(chat)
        return self._core.open_topic(chat, self.find_user(by), name, COLORS[len(chat.topics) % 6])

    def find_topic(self, topic: TopicLike, chat: ChatLike | None) -> Topic:
        if isinstance(topic, Topic):
            return topic
        if chat is None:
            raise ValueError("a topic by number needs its chat")
        return self.find_chat(chat).topics[int(topic)]

    async def close_topic(self, topic: TopicLike, by: PersonLike, *, chat: ChatLike | None = None) -> None:
        found = self.find_topic(topic, chat)
        self._core.change_topic(found, self.find_user(by), {"forum_topic_closed": {}}, closed=True)

    async def reopen_topic(self, topic: TopicLike, by: PersonLike, *, chat: ChatLike | None = None) -> None:
        found = self.find_topic(topic, chat)
        self._core.change_topic(found, self.find_user(by), {"forum_topic_reopened": {}}, closed=False)

    async def rename_topic(self, topic: TopicLike, by: PersonLike, name: str, *, chat: ChatLike | None = None) -> None:
        found = self.find_topic(topic, chat)
        self._core.change_topic(found, self.find_user(by), {"forum_topic_edited": {"name": name}}, name=name)

    async def delete_topic(self, topic: TopicLike, by: PersonLike, *, chat: ChatLike | None = None) -> None:
        """With all its messages; the bot is told nothing."""
        self._core.delete_topic(self.find_topic(topic, chat), self.find_user(by))

    async def migrate(self, chat: ChatLike, by: PersonLike | None = None) -> Chat:
        """A basic group becomes a supergroup with another id. Both chats say so; the old one refuses everything."""
        old = self.find_chat(chat)
        if old.type != "group" or old.migrated_to:
            raise ValueError(f"{old.name} is no basic group")
        actor = self.find_user(by) if by is not None else self.find_user(next(iter(old.members)))
        new = self._world.add_chat("supergroup", title=old.title)
        new.members = dict(old.members)
        self._core.post(old, actor, service={"migrate_to_chat_id": new.id})
        self._core.post(new, actor, service={"migrate_from_chat_id": old.id})
        old.migrated_to = new.id
        return new
