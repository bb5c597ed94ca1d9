"""The simulator as tests hold it: the server, the people, the log, and questions about what was seen.

sim = TelegramSimulator(token="1:T", limits=Limits.none())
await sim.start()
alice = sim.user("Alice")
chat = sim.private(alice)
message = await sim.say(alice, chat, "/start")
reply = await sim.wait_for(lambda s: s.find("Hello", chat), timeout=5)
await sim.press(alice, reply, "Allow once")
await sim.stop()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

from . import chat_view
from .control import Control
from .core import Core
from .errors import Refused
from .limits import Limits, RateLimiter
from .log import Call, Event
from .people import People
from .places import ChatLike, TopicLike
from .server import MOST_BODY, BotServer
from .state import Message, Topic, User, World
from .webhook import WebhookSender


class TelegramSimulator(People):
    """A Bot API server for one bot. Its state outlives any number of restarts of the bot."""

    def __init__(
        self,
        token: str = "12345:TEST",
        *,
        limits: Limits | None = None,
        name: str = "Kugetsu",
        username: str = "kugetsu_bot",
        reads_all: bool = False,
        private_topics: bool = False,
        webhook_pace: float = 1.0,
    ) -> None:
        bot = User(int(token.partition(":")[0]), name, username, is_bot=True)
        world = World(bot)
        world.reads_all, world.has_topics = reads_all, private_topics
        self.core = Core(token, limits or Limits(), world)
        super().__init__(self.core)
        self.world = world
        self.bot = bot
        self.token = token
        self.log = self.core.log
        self.updates = self.core.queue
        self.faults = self.core.faults
        self.clock = self.core.clock
        self.url = ""
        self._server = BotServer(self.core)
        self._webhook = WebhookSender(self.core, self._server.run, webhook_pace)
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> Self:
        app = web.Application(client_max_size=MOST_BODY)
        self._server.add_routes(app)
        Control(self).add_routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._webhook.start()
        return self

    async def stop(self) -> None:
        await self._webhook.stop()
        self._server.close()
        if self._runner:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """For `ApplicationBuilder().base_url(…)`."""
        return f"{self.url}/bot"

    @property
    def base_file_url(self) -> str:
        return f"{self.url}/file/bot"

    # trouble
    def set_limits(self, limits: Limits) -> None:
        self.core.limits = limits
        self.core.limiter = RateLimiter(limits, self.clock)

    def outage(self, duration: float | None = None) -> None:
        """Every connection of the bot is reset, those that wait too, for `duration` seconds or until cleared."""
        self.faults.outage(duration)
        self._server.reset_all()

    def revoke_token(self) -> None:
        """401 for everything from now on, the long poll that waits included."""
        self.core.revoked = True
        if self.updates.poll:
            self.updates.poll.refusal = Refused(401, "Unauthorized")
            self.updates.poll.woken.set()

    def renew_token(self) -> None:
        self.core.revoked = False

    def inject(self, body: Any) -> int:
        """An update of any shape, well-formed or not. Returns its number."""
        return self.updates.inject(body).id

    # questions
    async def wait_for(self, predicate: Callable[[TelegramSimulator], Any], timeout: float = 5.0) -> Any:
        """The first true value of `predicate(simulator)`, asked anew whenever something happens."""
        return await self.log.wait(lambda: predicate(self), timeout)

    async def wait_for_event(self, kind: str, *, after: int = 0, timeout: float = 5.0, **match: Any) -> Event:
        """The first event of the kind after number `after` whose data has all of `match`."""

        seen = after

        def first() -> Event | None:
            nonlocal seen
            for event in self.log.events[seen:]:
                seen = event.number
                if event.kind == kind and all(event.data.get(k) == v for k, v in match.items()):
                    return event
            return None

        event: Event = await self.log.wait(first, timeout)
        return event

    def calls(self, method: str = "", chat: ChatLike | None = None) -> list[Call]:
        """Every request of the bot, hanging ones included."""
        number = self.find_chat(chat).id if chat is not None else None
        return [c for c in self.log.calls if c.method == (method or c.method) and number in {None, c.chat_id}]

    def messages(self, chat: ChatLike, thread: TopicLike | None = None) -> list[Message]:
        """What a person sees in the chat now, oldest first."""
        number = thread.id if isinstance(thread, Topic) else thread
        return self.find_chat(chat).visible(number)

    def find(self, text: str, chat: ChatLike | None = None, *, own: bool = True) -> Message | None:
        """The newest visible message that contains `text`; `own`: of the bot."""
        chats = [self.find_chat(chat)] if chat is not None else list(self.world.chats.values())
        found = [m for c in chats for m in c.visible() if text in m.text and m.outgoing == own and not m.service]
        return max(found, key=lambda m: m.monotonic, default=None)

    def rings(self, text: str = "", chat: ChatLike | None = None) -> list[Event]:
        """The bot's messages that made a phone ring: new, not silent, with `text` in them when they came."""
        number = self.find_chat(chat).id if chat is not None else None
        return [
            event
            for event in self.log.of("message")
            if event.data["outgoing"] and not event.data["silent"] and not event.data.get("service")
            if text in event.data["text"] and number in {None, event.data["chat_id"]}
        ]

    def chat_state(self, chat: ChatLike, thread: TopicLike | None = None) -> dict[str, Any]:
        """What the chat, or a topic of it, looks like now: see `chat_view`. Takes what `picture.render_svg` takes."""
        number = thread.id if isinstance(thread, Topic) else thread
        self.core.expire_drafts()
        return chat_view.build(self.world, self.find_chat(chat), number)
