"""What people do in chats: write, send, edit, press, react."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import entities as text_rules
from . import files, views
from .core import Press
from .entities import utf16_len
from .places import ChatLike, MessageLike, PersonLike, Places, TopicLike
from .state import Member, Message, Topic, User

PASTE_UNITS = 4096


class People(Places):
    """Acts of people. Everything takes objects or their ids."""

    async def say(
        self,
        person: PersonLike,
        chat: ChatLike,
        text: str,
        *,
        reply_to: MessageLike | None = None,
        thread: TopicLike | None = None,
        entities: Sequence[dict[str, Any]] = (),
        quote: str = "",
        anonymous: bool = False,
        silent: bool = False,
    ) -> Message:
        """A text message. Commands, mentions and links are found by themselves, as clients do.

        `anonymous`: an administrator who speaks as the group.
        """
        if utf16_len(text) > PASTE_UNITS:
            raise ValueError("a client splits so long a text: use `paste`")
        said = text_rules.finish(text, list(entities))
        if not said.text:
            raise ValueError("a client sends no empty message")
        more = {"quote": {"text": quote, "position": 0, "is_manual": True}} if quote else {}
        return self._post(
            person, chat, reply_to, thread, anonymous, text=said.text, entities=said.entities, silent=silent, **more
        )

    def _post(
        self,
        person: PersonLike,
        chat: ChatLike,
        reply_to: MessageLike | None,
        thread: TopicLike | None,
        anonymous: bool,
        **fields: Any,
    ) -> Message:
        person, chat = self.find_user(person), self.find_chat(chat)
        number = thread.id if isinstance(thread, Topic) else thread
        if chat.private:
            if chat.user is not person:
                raise ValueError(f"{person.name} is not in this private chat")
            if chat.blocked:
                raise ValueError(f"{person.name} has blocked the bot")
            chat.started = chat.known = True
        elif not chat.member(person).present and not anonymous:
            chat.members[person.id] = Member()
            self._meet(person)
        topic = chat.topics.get(number or 0)
        if number and (topic is None or topic.deleted):
            raise ValueError(f"no topic {number} in {chat.name}")
        if topic and topic.closed and not chat.member(person).manages:
            raise ValueError(f"topic {topic.name} is closed")
        answered = self.find_message(reply_to, chat).id if reply_to is not None else None
        sender_chat = chat.id if anonymous or chat.type == "channel" else None
        return self._core.post(chat, person, reply_to=answered, thread=number, sender_chat=sender_chat, **fields)

    async def paste(self, person: PersonLike, chat: ChatLike, text: str, **more: Any) -> list[Message]:
        """A text of any length, cut at 4096 units and sent in one go, as clients do with a long paste."""
        parts, rest = [], text
        while rest:
            cut = PASTE_UNITS
            while utf16_len(rest[:cut]) > PASTE_UNITS:
                cut -= max(1, (utf16_len(rest[:cut]) - PASTE_UNITS) // 2)
            parts.append(rest[:cut])
            rest = rest[cut:]
        return [await self.say(person, chat, part, **more) for part in parts if part.strip()]

    async def send_file(
        self,
        person: PersonLike,
        chat: ChatLike,
        kind: str,
        content: bytes,
        *,
        name: str = "",
        caption: str = "",
        mime: str = "",
        size: int | None = None,
        duration: int = 1,
        reply_to: MessageLike | None = None,
        thread: TopicLike | None = None,
        group: str = "",
        anonymous: bool = False,
    ) -> Message:
        """A `document`, `photo` or `voice`. `size` may claim more than `content` holds: a file too big to fetch."""
        name = name or {"photo": "photo.jpg", "voice": "voice.oga"}.get(kind, "file.bin")
        media = files.media(self._world, kind, content, name, mime, size, duration)
        said = text_rules.finish(caption, [])
        fields = {"media": media, "text": said.text, "entities": said.entities, "group": group}
        return self._post(person, chat, reply_to, thread, anonymous, **fields)

    async def send_album(
        self, person: PersonLike, chat: ChatLike, items: Sequence[dict[str, Any]], **more: Any
    ) -> list[Message]:
        """Several files at once: each of `items` has the keywords of `send_file` (`kind`, `content`, `name`…)."""
        group = str(13_000_000_000_000_000 + self._world.number())
        return [await self.send_file(person, chat, group=group, **item, **more) for item in items]

    async def forward(
        self,
        person: PersonLike,
        chat: ChatLike,
        message: MessageLike,
        *,
        from_chat: ChatLike | None = None,
        **more: Any,
    ) -> Message:
        original = self.find_message(message, from_chat)
        origin = {
            "forward_origin": {
                "type": "user",
                "sender_user": views.user(original.sender),
                "date": int(original.wall),
            }
        }
        fields = {"text": original.text, "entities": original.entities, "media": original.media, "origin": origin}
        return self._post(person, chat, None, more.get("thread"), False, **fields)

    async def edit(
        self, person: PersonLike, message: MessageLike, text: str, *, chat: ChatLike | None = None
    ) -> Message:
        """Change one's own text or caption."""
        message = self.find_message(message, chat)
        if message.sender is not self.find_user(person):
            raise ValueError("people edit their own messages")
        said = text_rules.finish(text, [])
        self._core.revise(message, text=said.text, entities=said.entities)
        return message

    async def delete(self, person: PersonLike, message: MessageLike, *, chat: ChatLike | None = None) -> Message:
        """The bot is told nothing."""
        message = self.find_message(message, chat)
        self._core.delete(message, self.find_user(person))
        return message

    async def react(
        self, person: PersonLike, message: MessageLike, emoji: str = "", *, chat: ChatLike | None = None
    ) -> Message:
        """React; without an emoji, take the reaction back."""
        message = self.find_message(message, chat)
        reactions = [{"type": "emoji", "emoji": emoji}] if emoji else []
        self._core.react(message, self.find_user(person), reactions)
        return message

    async def press(
        self,
        person: PersonLike,
        message: MessageLike,
        label: str = "",
        *,
        data: str = "",
        chat: ChatLike | None = None,
        wait: float = 10.0,
    ) -> Press:
        """Press a button by its label and wait up to `wait` seconds for the bot's answer.

        With `data` instead, a button that is not (or no longer) there is pressed, as by a client that has not seen
        the last edit.
        """
        person, message = self.find_user(person), self.find_message(message, chat)
        if not data:
            button = next((b for b in message.buttons if b["text"] == label), None)
            if button is None or message.deleted is not None:
                shown = ", ".join(repr(b["text"]) for b in message.buttons) or "none"
                raise ValueError(f"no button {label!r} on message {message.id}; there are {shown}")
            data = button.get("callback_data", "")
            if not data:
                raise ValueError(f"button {label!r} opens something, it calls nothing back")
        press = self._press(person, message, data)
        if wait and press.answer is None:
            try:
                await self._core.log.wait(lambda: press.answer is not None, wait)
            except TimeoutError:
                self._core.log.add("press", id=press.id, change="unanswered", waited=wait)
        return press

    def _press(self, person: User, message: Message, data: str) -> Press:
        number = str(4_000_000_000_000_000 + self._world.number())
        press = Press(number, person, message.chat_id, message.id, data, self._core.clock.monotonic())
        self._core.presses[number] = press
        self._core.log.add("press", id=number, change="pressed", user_id=person.id, message_id=message.id, data=data)
        if message.deleted is None:
            shown = views.message(self._world, message)
        else:
            shown = {"chat": views.chat(self.find_chat(message.chat_id)), "message_id": message.id, "date": 0}
        self._core.queue.add(
            "callback_query",
            {
                "id": number,
                "from": views.user(person),
                "message": shown,
                "chat_instance": str(-7_000_000_000 - abs(message.chat_id)),
                "data": data,
            },
        )
        return press
