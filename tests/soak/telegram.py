"""Telegram for scenarios, on the strict simulator of its Bot API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tests.simulators.telegram import Chat, Limits, Message, TelegramSimulator, Topic, User
from tests.soak.driver import Traits, Unsupported
from tests.soak.observed import Limited, Observed, Said, Shown

T = TypeVar("T")

FIRST_PERSON = 1001  # as the simulator numbers people
MOST_PEOPLE = 900  # all of them are known to the configuration before they are there

_CALLS = {"any": "", "send": "sendMessage", "edit": "editMessageText", "receive": "getUpdates"}
_FAULTS = {
    "down": "error",
    "limited": "too_many",
    "lost": "drop",
    "doubtful": "drop_after",
    "silent": "hang_after",
    "hangs": "hang",
}


class TelegramDriver:
    """A `tests.soak.driver.PlatformDriver`."""

    platform = "telegram"
    traits = Traits()

    def __init__(self, limits: Limits | None = None) -> None:
        self.sim = TelegramSimulator("1:TOKEN", limits=limits)
        self._places: dict[str, Chat] = {}
        self._people: dict[str, list[str]] = {}  # by place
        self._users: dict[str, User] = {}
        self._said: dict[str, Message] = {}  # by text
        self._moved: dict[int, int] = {}
        self._events = 0
        self._calls = 0
        self._known: set[tuple[int, int]] = set()  # messages of earlier scenarios

    async def open(self) -> None:
        await self.sim.start()

    async def close(self) -> None:
        await self.sim.stop()

    def settings(self, state: Path) -> dict[str, Any]:
        del state
        return {"token": self.sim.token, "api_base": self.sim.url}

    def admins(self) -> list[str]:
        return [f"telegram:{number}" for number in range(FIRST_PERSON, FIRST_PERSON + MOST_PEOPLE)]

    def begin(self) -> None:
        self.calm()
        self._places, self._people, self._users, self._said, self._moved = {}, {}, {}, {}, {}
        self._events, self._calls = len(self.sim.log.events), len(self.sim.log.calls)

    def add_place(self, name: str, kind: str, people: list[str]) -> None:
        users = [self._user(person) for person in people]
        match kind:
            case "direct":
                chat = self.sim.private(users[0])
            case "group":
                chat = self.sim.group(name, users)
            case "threads":
                chat = self.sim.forum(name, users)
            case _:
                raise Unsupported(f"Telegram has no {kind}")
        self._places[name] = chat
        self._people[name] = people

    async def say(self, place: str, text: str, *, by: str = "", reply: Shown | None = None) -> str:
        chat, topic = self._find(place)
        meant = chat.private or topic or reply or text.startswith("/")
        said = text if meant else f"@{self.sim.bot.username} {text}"
        if text.startswith("/") and not chat.private:
            name, _, rest = text.partition(" ")
            said = f"{name}@{self.sim.bot.username} {rest}".strip()
        to = chat.messages[int(reply.message)] if reply else None
        message = await self.sim.say(self._by(place, by), chat, said, thread=topic, reply_to=to)
        self._said[text] = message
        return str(message.id)

    async def send(self, place: str, name: str, content: bytes, text: str, *, by: str = "") -> str:
        chat, topic = self._find(place)
        message = await self.sim.send_file(
            self._by(place, by), chat, "document", content, name=name, caption=text, thread=topic
        )
        self._said[text] = message
        return str(message.id)

    async def edit(self, text: str, new: str) -> None:
        message = self._said[text]
        await self.sim.edit(message.sender, message, new)

    def has(self, place: str) -> bool:
        try:
            return bool(self.shown(place))
        except ValueError:
            return False

    async def press(self, place: str, message: Shown, button: str, *, by: str = "", wait: float = 10.0) -> str:
        chat, _ = self._find(place)
        try:
            press = await self.sim.press(self._by(place, by), chat.messages[int(message.message)], button, wait=wait)
        except ValueError as error:
            raise AssertionError(str(error)) from None
        return str((press.answer or {}).get("text", ""))

    def shown(self, place: str) -> list[Shown]:
        chat, topic = self._find(place)
        found = [m for m in chat.visible(topic.id if topic else None) if m.outgoing and not m.service]
        return [_shown(message) for message in found]

    def previews(self, place: str) -> list[str]:
        self.sim.core.expire_drafts()
        return [draft.text for draft in self._find(place)[0].drafts.values()]

    def content(self, place: str, message: Shown) -> bytes:
        return self.sim.world.files[_file(self._find(place)[0].messages[int(message.message)])["file_id"]].content

    async def wait(self, happened: Callable[[], T], seconds: float) -> T:
        return await self.sim.wait_for(lambda _: happened(), seconds)

    def outage(self, seconds: float | None) -> None:
        self.sim.outage(seconds)

    def fault(self, what: str, call: str, place: str, times: int | None, seconds: float) -> None:
        chat = self._find(place)[0].id if place else None
        more: dict[str, Any] = {"retry_after": int(seconds)} if what == "limited" else {}
        self.sim.faults.add(_FAULTS[what], method=_CALLS[call], chat=chat, times=times, **more)

    def calm(self) -> None:
        self.sim.faults.clear()

    async def happen(self, what: str, place: str, text: str) -> None:
        chat, topic = self._find(place) if place else (None, None)
        owner = self._by(place, "") if place else None
        match what:
            case "thread deleted" if topic and owner:
                await self.sim.delete_topic(topic, owner)
            case "thread closed" if topic and owner:
                await self.sim.close_topic(topic, owner)
            case "removed" if chat and owner:
                await (self.sim.block(owner) if chat.private else self.sim.kick_bot(chat, owner))
            case "message deleted" if chat and owner:
                found = next(m for m in reversed(chat.visible()) if m.outgoing and text in m.text)
                await self.sim.delete(owner, found)
            case "chat moved" if chat and chat.type == "group":
                new = await self.sim.migrate(chat)
                self._moved[chat.id] = new.id
                self._places[place.partition("/")[0]] = new
            case "broken event":
                for body in ("nonsense", {"message": {"message_id": "x", "chat": 7}}, {"message": None}, []):
                    self.sim.inject(body)
            case "events held":
                self.sim.updates.hold()
            case "events released":
                self.sim.updates.release()
            case "events reversed":
                self.sim.updates.reorder([update.id for update in reversed(self.sim.updates.pending)])
            case "event repeated":
                last = next(update for update in reversed(self.sim.updates.all) if update.kind == "message")
                self.sim.updates.duplicate(last.id)
            case "another reader":
                await self._read_as_another()
            case "account revoked":
                self.sim.revoke_token()
            case "account renewed":
                self.sim.renew_token()
            case _:
                raise Unsupported(f"“{what}” cannot happen in {place or 'general'} on Telegram")

    def observed(self) -> Observed:
        chats = {chat.id for chat in self._places.values()} | set(self._moved)
        came = [
            self.sim.world.chats[event.data["chat_id"]].messages[event.data["message_id"]]
            for event in self.sim.log.events[self._events :]
            if event.kind == "message" and event.data["chat_id"] in chats
        ]
        calls = self.sim.log.calls[self._calls :]
        return Observed(
            said=tuple(
                Said(str(message.chat_id), _event(message), message.text, message.monotonic)
                for message in came
                if not message.outgoing and not message.service
            ),
            shown=tuple(_shown(message) for message in came if message.outgoing and not message.service),
            limited=tuple(
                Limited(f"{call.method} in {call.chat_id}", call.arrived)
                for call in calls
                if call.code == 429 and not call.fault
            ),
            seen=self._receipts(chats),
        )

    def _receipts(self, chats: set[int]) -> dict[str, float]:
        seen: dict[str, float] = {}
        for event in self.sim.log.events[self._events :]:
            if event.kind == "reaction" and event.data["chat_id"] in chats:
                seen.setdefault(f"m:{event.data['chat_id']}:{event.data['message_id']}", event.monotonic)
        return seen

    async def _read_as_another(self) -> None:
        url = f"{self.sim.base_url}{self.sim.token}/getUpdates"
        async with aiohttp.ClientSession() as session, session.get(url, params={"timeout": 1}) as answer:
            await answer.read()
        await asyncio.sleep(0)

    def _user(self, name: str) -> User:
        if name not in self._users:
            self._users[name] = self.sim.user(name.capitalize(), f"{name}{len(self.sim.world.users)}")
        return self._users[name]

    def _by(self, place: str, by: str) -> User:
        return self._user(by or self._people[place.partition("/")[0]][0])

    def _find(self, place: str) -> tuple[Chat, Topic | None]:
        name, _, title = place.partition("/")
        if name not in self._places:
            raise ValueError(f"no place {name!r}; there are {', '.join(self._places)}")
        chat = self._places[name]
        if not title or not chat.forum:
            return chat, None
        topics = [topic for topic in chat.topics.values() if topic.name.split()[0] == title]
        here = [m.text for m in chat.visible() if m.outgoing and not m.topic_message]
        doubted = any(f"{title} goes on here" in text for text in here)
        if doubted or (not topics and any(f"{title} on branch" in text for text in here)):
            return chat, None  # no thread could be opened, as far as the bot can tell
        if not topics:
            raise ValueError(f"no thread {title!r} in {name}; there are {[t.name for t in chat.topics.values()]}")
        return chat, topics[-1]


def _event(message: Message) -> str:
    return f"m:{message.chat_id}:{message.id}"


def _shown(message: Message) -> Shown:
    return Shown(
        chat=str(message.chat_id),
        message=str(message.id),
        text=message.text,
        thread=str(message.thread) if message.topic_message else "",
        at=message.monotonic,
        first=message.history[0].text if message.history else message.text,
        buttons=tuple(button["text"] for button in message.buttons),
        rang=not message.silent,
        file=_file(message).get("file_name", "") or next(iter(message.media or ()), ""),
        gone=message.deleted is not None,
    )


def _file(message: Message) -> dict[str, Any]:
    """As the Bot API speaks of it: the largest size of a picture."""
    media = next(iter((message.media or {}).values()), {})
    return media[-1] if isinstance(media, list) else media
