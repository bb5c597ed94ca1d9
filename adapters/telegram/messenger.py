"""`TelegramMessenger`: a bot's account as core sees a chat platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from adapters.telegram import chats, checks, files, menu, outgoing, threads, webhook
from adapters.telegram.calls import Calls
from adapters.telegram.desk import Desk
from adapters.telegram.finding import Finder, Known
from adapters.telegram.parse import PLATFORM, Me
from adapters.telegram.presses import Presses
from adapters.telegram.refusals import ReactionRefused, TopicClosed, Unchanged
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.threads import Threads
from adapters.telegram.traffic import Traffic
from adapters.telegram.updates import Poller
from adapters.telegram.webhook import Webhook
from core.errors import ChatError, MessageGone
from core.messages import Finding, Limit, Mail, Mark, Outgoing, Page, Traits, Turn
from core.model import IncomingFile, Place
from core.ports import Clock

GRACE = 2.0  # seconds that presses under way get at the end
DRAFT_LIFE = 30.0  # seconds, from the Bot API's documentation
# https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: a message a second in one chat, 20 a
# minute in one group, about 30 a second altogether. Edits count like messages. Buttons are answered whatever the budget
# holds back, so 5 of the 30 are left to them.
PRIVATE_LIMIT = (1, 1.0)
GROUP_LIMIT = (20, 60.0)
ACCOUNT_LIMIT = (25, 1.0)
# Of the emoji that Telegram allows; a tick and a cross are not among them.
MARKS = {Mark.SEEN: "👀", Mark.DONE: "👌", Mark.FAILED: "💔"}


async def _nothing_known(_chat: str, _message: str) -> bool:
    return False


class TelegramMessenger:
    """A `core.messages.Messenger`.

    `notice` is told what people should know. `known` says whether a message of a chat is written down already, as
    sent or as received: such are left alone when another one is looked for. (Private chats and basic groups share one
    row of message numbers, so for those it may look into all of them.)
    """

    platform = PLATFORM
    traits = Traits(drafts=True, draft_life=DRAFT_LIFE)

    def __init__(
        self,
        settings: TelegramSettings,
        clock: Clock,
        notice: Callable[[str], None] = lambda _: None,
        known: Known = _nothing_known,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._notice = notice
        self._log = structlog.get_logger("telegram")
        self._calls = Calls(settings)
        self._threads = Threads(self._calls, notice)
        self._traffic = Traffic()
        self._finder = Finder(self._calls, self._traffic, known)
        self._me: Me | None = None
        self._source: Poller | Webhook | None = None
        self._presses: Presses | None = None
        self._no_reactions: set[str] = set()  # chats that allow none of ours

    @property
    def username(self) -> str:
        """The bot's, without @; empty before `connect`."""
        return self._me.username if self._me else ""

    async def connect(self) -> None:
        """See core.messages.Messenger."""
        webhook.check(self._settings)
        await self._calls.open()
        async with self._calls.translate(first=True):
            me = await self._calls.bot.get_me()
        self._me = Me(me.id, me.username or "", bool(me.has_topics_enabled))
        await menu.publish(self._calls)

    async def listen(self, mail: Mail) -> None:
        """See core.messages.Messenger. After `connect`."""
        if self._me is None:
            raise ChatError("Telegram is not connected")
        self._presses = Presses(self._calls, mail)
        desk = Desk(mail, self._me, self._presses, self._traffic, self._tell)
        source = Webhook if self._settings.webhook_url else Poller
        self._source = source(self._calls, self._clock, self._notice)
        await self._source.run(desk.take)

    async def close(self) -> None:
        """See core.messages.Messenger."""
        source, self._source = self._source, None
        presses, self._presses = self._presses, None
        if source:
            await source.close()
        if presses:
            await presses.close(GRACE)
        await self._calls.close()

    async def diagnose(self) -> list[Finding]:
        """For `doctor`: (is it well, what was looked at, what to do). Does not raise."""
        try:
            return await checks.diagnose(self._calls, self._clock, polling=self._source is not None)
        finally:
            if self._source is None and self._me is None:
                await self._calls.close()

    # ── what the platform is like ──────────────────────────────────────────────────────────────

    def limits(self, place: Place) -> tuple[Limit, ...]:
        """See core.messages.Messenger. A group's topics share its limit."""
        return (Limit(f"{PLATFORM}:{place.chat}", *(PRIVATE_LIMIT if self.is_direct(place) else GROUP_LIMIT)),)

    def account_limits(self) -> tuple[Limit, ...]:
        """See core.messages.Messenger."""
        return (Limit(PLATFORM, *ACCOUNT_LIMIT),)

    def pages(self, markdown: str) -> list[Page]:
        """See core.messages.Messenger."""
        return outgoing.pages(markdown)

    def live_page(self, head: str, lines: Sequence[str], body: str) -> Page:
        """See core.messages.Messenger."""
        return outgoing.live_page(head, lines, body)

    def is_direct(self, place: Place) -> bool:
        """See core.messages.Messenger."""
        return chats.is_direct(place.chat)

    def link(self, place: Place) -> str:
        """See core.messages.Messenger."""
        return threads.link(place)

    def invitation(self, token: str) -> str:
        """See core.messages.Messenger."""
        return f"https://t.me/{self.username}?start={token}" if self.username else ""

    # ── messages ───────────────────────────────────────────────────────────────────────────────

    async def send(self, place: Place, message: Outgoing, key: str) -> str:
        """See core.messages.Messenger. A topic that somebody closed is opened again."""
        try:
            return await self._send(place, message, key)
        except TopicClosed:
            if not await self._threads.reopen(place):
                raise
        return await self._send(place, message, key)

    async def _send(self, place: Place, message: Outgoing, key: str) -> str:
        async with self._traffic.sending(place.chat):
            send = files.send if message.file or message.content else files.send_text
            number = await send(self._calls, place, message)
            self._traffic.sent(place.chat, number, key)
        return number

    async def edit(self, place: Place, message_id: str, message: Outgoing) -> None:
        """See core.messages.Messenger."""
        await files.edit(self._calls, place, message_id, message)

    async def draft(self, place: Place, draft: int, page: Page) -> None:
        """See core.messages.Messenger."""
        async with self._calls.translate(place):
            await self._calls.bot.send_message_draft(
                chat_id=int(place.chat),
                draft_id=draft or 1,  # 0 is none
                text=outgoing.text(page),
                message_thread_id=outgoing.topic(place),
                api_kwargs=outgoing.entities(page),
            )

    async def react(self, place: Place, message_id: str, mark: Mark) -> None:
        """See core.messages.Messenger."""
        if place.chat in self._no_reactions:
            return
        try:
            async with self._calls.translate(place):
                await self._calls.bot.set_message_reaction(int(place.chat), int(message_id), MARKS[mark])
        except ReactionRefused:
            self._no_reactions.add(place.chat)
        except (Unchanged, MessageGone):
            pass

    async def find(self, place: Place, message: Outgoing, key: str, after: str, turn: Turn) -> str | None:
        """See core.messages.Messenger."""
        return await self._finder.find(place, message, key, after, turn)

    async def fetch(self, file: IncomingFile, target: Path) -> None:
        """See core.messages.Messenger."""
        await files.fetch(self._calls, file, target)

    async def _tell(self, place: Place, message: str, text: str) -> None:
        """Short of any budget: the desk sees to it that it happens once a chat."""
        try:
            await self._send(place, Outgoing(Page(text), reply_to=message), "")
        except ChatError as error:
            self._log.info("somebody could not be told", reason=str(error))

    # ── threads ────────────────────────────────────────────────────────────────────────────────

    async def open_thread(self, origin: Place, title: str, message: str) -> Place:
        """See core.messages.Messenger."""
        topics = bool(self._me and self._me.topics)
        return await self._threads.open(origin, title, message, private_topics=topics)

    async def rename_thread(self, place: Place, title: str) -> None:
        """See core.messages.Messenger."""
        await self._threads.rename(place, title)

    async def close_thread(self, place: Place) -> None:
        """See core.messages.Messenger."""
        await self._threads.close(place)
