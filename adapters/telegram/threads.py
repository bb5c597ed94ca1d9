"""Topics where a chat has them, reply chains elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from adapters.telegram import chats, outgoing
from adapters.telegram.calls import Calls
from adapters.telegram.refusals import NoForum, NoRight, Unchanged
from core.errors import MessageGone, PlaceGone
from core.messages import CHAIN
from core.model import Place

MAX_TITLE = 128  # characters


class Threads:
    """`notice` is told, once a chat, where topics are forbidden to the bot."""

    def __init__(self, calls: Calls, notice: Callable[[str], None]) -> None:
        self._calls = calls
        self._notice = notice
        self._told: set[str] = set()

    async def open(self, origin: Place, title: str, message: str, *, private_topics: bool) -> Place:
        """See core.messages.Messenger."""
        chain = Place(origin.platform, origin.chat, f"{CHAIN}{message}" if message else origin.thread)
        if chats.is_direct(origin.chat) and not private_topics:
            return chain
        if not chats.is_direct(origin.chat) and not chats.is_supergroup(origin.chat):
            return chain  # basic groups never have topics
        try:
            async with self._calls.translate(origin, shows=True):
                topic = await self._calls.bot.create_forum_topic(int(origin.chat), shortened(title))
        except NoForum:
            return chain
        except NoRight:
            if origin.chat not in self._told:
                self._told.add(origin.chat)
                self._notice(
                    f"Telegram: the bot may not make topics in the group {origin.chat}, so issues go on as chains of "
                    "replies there. Make it an administrator who may manage topics."
                )
            return chain
        return Place(origin.platform, origin.chat, str(topic.message_thread_id))

    async def rename(self, place: Place, title: str) -> None:
        """A topic that is gone needs no name."""
        if (topic := outgoing.topic(place)) is None:
            return
        try:
            async with self._calls.translate(place):
                await self._calls.bot.edit_forum_topic(int(place.chat), topic, name=shortened(title))
        except (Unchanged, NoForum, PlaceGone, MessageGone):
            pass

    async def close(self, place: Place) -> None:
        """Topics of private chats cannot be closed."""
        if (topic := outgoing.topic(place)) is None or chats.is_direct(place.chat):
            return
        try:
            async with self._calls.translate(place):
                await self._calls.bot.close_forum_topic(int(place.chat), topic)
        except (Unchanged, NoForum, PlaceGone, MessageGone):
            pass

    async def reopen(self, place: Place) -> bool:
        """Whether it could be opened."""
        if (topic := outgoing.topic(place)) is None:
            return False
        try:
            async with self._calls.translate(place):
                await self._calls.bot.reopen_forum_topic(int(place.chat), topic)
        except Unchanged:
            return True
        except (NoForum, NoRight, PlaceGone, MessageGone):
            return False
        return True


def link(place: Place) -> str:
    """Only topics: a chain of replies is where one reads anyway."""
    topic = outgoing.topic(place)
    if topic and chats.is_supergroup(place.chat):
        return f"https://t.me/c/{place.chat.removeprefix(chats.SUPERGROUP)}/{topic}"
    return ""


def shortened(title: str) -> str:
    """On one line, as much as Telegram takes, and never nothing."""
    title = " ".join(title.split()) or "…"
    return title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1].rstrip()}…"
