"""Telegram for the bench: the simulator and the people in this process, `kugetsu run` in one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.processes import bot
from benchmarks.system import PROJECT
from tests.simulators.telegram import Chat, Event, Limits, Message, TelegramSimulator, User

PATIENCE = 60.0  # seconds for an answer
TOKEN = "1:BENCH"


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a person, and what the bot then shows in that chat."""

    sim: TelegramSimulator
    message: Message
    begin: int  # of the log's events

    @property
    def at(self) -> float:
        """When the bot could have had it, in seconds of the monotonic clock."""
        return self.message.monotonic

    async def seen(self, wanted: Callable[[Event], bool], patience: float = PATIENCE) -> Event:
        """The first event of this chat that is wanted. Raises TimeoutError."""
        events, at = self.sim.log.events, self.begin

        def found() -> Event | None:
            nonlocal at
            while at < len(events):
                at += 1
                if events[at - 1].data.get("chat_id") == self.message.chat_id and wanted(events[at - 1]):
                    return events[at - 1]
            return None

        event: Event = await self.sim.log.wait(found, patience)
        return event

    async def sign(self) -> float:
        """When the bot's reaction was to be seen."""
        mine = self.message.id
        event = await self.seen(lambda event: event.kind == "reaction" and event.data["message_id"] == mine)
        return event.monotonic

    async def shown(self, text: str) -> float:
        """When the text was to be seen, wherever."""
        return (await self.seen(lambda event: is_shown(event, text))).monotonic

    async def answered(self, text: str) -> float:
        """When a message with the text was there."""
        return (await self.seen(lambda event: is_message(event, text))).monotonic

    def count(self, text: str) -> int:
        """How many messages with that text there are by now."""
        shown = self.sim.messages(self.message.chat_id)
        return sum(message.outgoing and text in message.text for message in shown)


def is_message(event: Event, text: str) -> bool:
    """A new message of the bot's that has it."""
    return event.kind == "message" and event.data["outgoing"] and text in event.data["text"]


def is_shown(event: Event, text: str) -> bool:
    """A draft, a message or an edit of the bot's that has it."""
    match event.kind:
        case "draft":
            return event.data["change"] == "shown" and text in event.data["text"]
        case "message" | "edit":
            return bool(event.data["outgoing"]) and text in event.data["text"]
    return False


@dataclass(frozen=True, slots=True)
class Talk:
    """A person's private chat with the bot, about a session of its own."""

    sim: TelegramSimulator
    person: User
    chat: Chat
    number: int  # of the issue

    async def say(self, text: str) -> Said:
        """A message."""
        begin = len(self.sim.log.events)
        return Said(self.sim, await self.sim.say(self.person, self.chat, text), begin)

    async def start(self, prompt: str) -> Said:
        """The first message, which makes the session."""
        return await self.say(f"/start {PROJECT}#{self.number} {prompt}")

    async def quiet(self, pace: float = 1.1) -> None:
        """Wait until the chat has had no call for so many seconds: its limit is of no account any more then."""
        while (left := self._last_call() + pace - self.sim.clock.monotonic()) > 0:
            await asyncio.sleep(left)

    def _last_call(self) -> float:
        calls = (call for call in reversed(self.sim.log.calls) if call.chat_id == self.chat.id)
        return next((call.answered or call.arrived for call in calls if call.method != "setMessageReaction"), 0.0)


@dataclass(frozen=True, slots=True)
class Telegram:
    """The platform, its people, and the configuration of a bot that knows them."""

    sim: TelegramSimulator
    talks: Sequence[Talk]
    config: Path
    state: Path

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """`kugetsu run`, listening. Ended by the block's end, if not before."""
        async with bot(self.config) as process:
            yield process

    def refusals(self, begin: int = 0) -> int:
        """How often the bot was told 429, since the call number `begin`."""
        return sum(call.code == 429 for call in self.sim.log.calls[begin:])

    async def gather(self, seconds: float = 2.0) -> None:
        """Give whatever would come twice the time to come."""
        await asyncio.sleep(seconds)


@asynccontextmanager
async def telegram(
    folder: Path, project: Path, opencode: Mapping[str, str], people: int, limits: Limits
) -> AsyncIterator[Telegram]:
    """The simulator, and that many people in private chats."""
    async with TelegramSimulator(TOKEN, limits=limits) as sim:
        users = [sim.user(f"Person{number}") for number in range(1, people + 1)]
        talks = [Talk(sim, user, sim.private(user), number) for number, user in enumerate(users, start=1)]
        settings: dict[str, Any] = {
            "state_dir": str(folder / "state"),
            "opencode": dict(opencode),
            "projects": {PROJECT: {"path": str(project)}},
            "adapters": {"telegram": {"token": TOKEN, "api_base": sim.url}},
            "access": {"admins": [f"telegram:{user.id}" for user in users]},
            "runs": {"max_concurrent": max(people, 16)},
            "sessions": {"max_per_project": 1_000},
        }
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        yield Telegram(sim, talks, config, folder / "state")
