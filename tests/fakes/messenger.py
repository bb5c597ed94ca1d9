"""A platform that carries messages, in memory: strict where real ones are, with faults to be set by tests."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from core.errors import ChatDoubt, ChatError, ChatFormat, ChatLimited, ChatUnreachable, MessageGone, PlaceGone
from core.messages import Finding, Limit, Mail, Mark, Outgoing, Page, Traits, Turn
from core.model import IncomingFile, Place

T = TypeVar("T")
PAGE = 200  # characters of a page: small, so that tests see several


@dataclass(slots=True)
class Message:
    """One of ours, as people see it."""

    id: str
    place: Place
    out: Outgoing
    at: float
    edits: list[Outgoing] = field(default_factory=list)
    deleted: bool = False

    @property
    def now(self) -> Outgoing:
        return self.edits[-1] if self.edits else self.out

    @property
    def text(self) -> str:
        return self.now.page.text


@dataclass(slots=True)
class FakeMessenger:
    """A `core.messages.Messenger`. `fail(method, …)` queues what the next calls raise, before or after their effect."""

    platform: str = "fake"
    traits: Traits = field(default_factory=Traits)
    direct: Callable[[Place], bool] = lambda place: not place.chat.startswith("group")
    chat_limit: tuple[int, float] = (1000, 1.0)
    account_limit: tuple[int, float] = (1000, 1.0)
    messages: list[Message] = field(default_factory=list)
    drafts: list[tuple[Place, int, Page, float]] = field(default_factory=list)
    marks: list[tuple[str, Mark]] = field(default_factory=list)
    threads: list[tuple[Place, str]] = field(default_factory=list)
    renamed: list[tuple[Place, str]] = field(default_factory=list)
    closed: list[Place] = field(default_factory=list)
    calls: list[tuple[str, Place, float]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    takes: float = 0.0  # seconds of a call
    down: bool = False
    finds: bool = True
    refuses: set[str] = field(default_factory=set)  # of every message: format | buttons
    gone: dict[Place, Place | None] = field(default_factory=dict)
    faults: dict[str, list[tuple[ChatError, bool]]] = field(default_factory=dict)
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)  # by `method`, or `method chat`
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(100))
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    # ── for tests ──────────────────────────────────────────────────────────────────────────────

    def fail(self, method: str, *errors: ChatError, after: bool = False) -> None:
        """The next calls of `method` raise these, `after` their effect."""
        self.faults.setdefault(method, []).extend((error, after) for error in errors)

    def theirs(self) -> str:
        """The id of a message that a person writes now."""
        return str(next(self._ids))

    def texts(self, place: Place | None = None) -> list[str]:
        return [m.text for m in self.messages if not m.deleted and place in {None, m.place}]

    def find_text(self, part: str) -> list[Message]:
        return [message for message in self.messages if part in message.text and not message.deleted]

    def of(self, method: str) -> list[float]:
        """When `method` was called."""
        return [at for name, _, at in self.calls if name == method]

    async def until(self, condition: Callable[[], object], seconds: float = 5.0) -> None:
        """Looked at whenever a call was made."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    # ── Messenger ──────────────────────────────────────────────────────────────────────────────

    async def connect(self) -> None:
        self._check()

    async def listen(self, mail: Mail) -> None:
        del mail
        await asyncio.Event().wait()

    async def close(self) -> None: ...

    def limits(self, place: Place) -> tuple[Limit, ...]:
        return (Limit(f"{self.platform}:{place.chat}", *self.chat_limit),)

    def account_limits(self) -> tuple[Limit, ...]:
        return (Limit(self.platform, *self.account_limit),)

    def pages(self, markdown: str) -> list[Page]:
        return [Page(markdown[i : i + PAGE], "formatted") for i in range(0, len(markdown), PAGE) if markdown.strip()]

    def live_page(self, head: str, lines: Sequence[str], body: str) -> Page:
        return Page("\n".join([head, *lines, body[-100:]]), "formatted")

    def is_direct(self, place: Place) -> bool:
        return self.direct(place)

    async def send(self, place: Place, message: Outgoing, key: str) -> str:
        def effect() -> str:
            if not message.page.text.strip() and not message.file and not message.content:
                raise ChatFormat("message text is empty")
            self._refuse(message)
            sent = Message(str(next(self._ids)), place, message, self._now)
            self.messages.append(sent)
            return sent.id

        return await self._call("send", place, effect)

    async def edit(self, place: Place, message_id: str, message: Outgoing) -> None:
        def effect() -> None:
            found = next((m for m in self.messages if m.id == message_id and not m.deleted), None)
            if found is None:
                raise MessageGone("message to edit not found")
            self._refuse(message)
            if self.traits.max_edits is not None and len(found.edits) >= self.traits.max_edits:
                raise ChatError("message was edited too often")
            found.edits.append(message)

        await self._call("edit", place, effect)

    async def draft(self, place: Place, draft: int, page: Page) -> None:
        assert self.traits.drafts
        assert self.is_direct(place)
        await self._call("draft", place, lambda: self.drafts.append((place, draft, page, self._now)))

    async def react(self, place: Place, message_id: str, mark: Mark) -> None:
        await self._call("react", place, lambda: self.marks.append((message_id, mark)))

    async def find(self, place: Place, message: Outgoing, key: str, after: str, turn: Turn) -> str | None:
        def effect() -> str | None:
            if not (self.finds and after.isdecimal()):
                return None  # no place to begin
            candidates = [m for m in self.messages if m.place == place and int(m.id) > int(after) and not m.deleted]
            return next((m.id for m in candidates if m.now.page == message.page), None)

        async with turn():
            return await self._call("find", place, effect)

    async def open_thread(self, origin: Place, title: str, message: str) -> Place:
        def effect() -> Place:
            if self.is_direct(origin):
                return Place(origin.platform, origin.chat, f"r{message}")
            self.threads.append((Place(origin.platform, origin.chat, f"t{next(self._ids)}"), title))
            return self.threads[-1][0]

        return await self._call("open_thread", origin, effect)

    async def rename_thread(self, place: Place, title: str) -> None:
        await self._call("rename_thread", place, lambda: self.renamed.append((place, title)))

    async def close_thread(self, place: Place) -> None:
        await self._call("close_thread", place, lambda: self.closed.append(place))

    def link(self, place: Place) -> str:
        return f"https://fake.example/{place.thread}" if place.thread.startswith("t") else ""

    def invitation(self, token: str) -> str:
        return f"https://fake.example/start/{token}"

    async def diagnose(self) -> list[Finding]:
        return [Finding(not self.down, "The platform answers" if not self.down else "The platform is down")]

    async def fetch(self, file: IncomingFile, target: Path) -> None:
        if file.id not in self.files:
            raise ChatError(f"{file.name} cannot be had")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.files[file.id])

    # ── inside ─────────────────────────────────────────────────────────────────────────────────

    async def _call(self, method: str, place: Place, effect: Callable[[], T]) -> T:
        for name in {method, f"{method} {place.chat}"} & set(self.hanging):
            await self.hanging[name].wait()
        self.calls.append((method, place, self._now))
        if self.takes:
            await asyncio.sleep(self.takes)
        self._check()
        if place in self.gone:
            raise PlaceGone("message thread not found", instead=self.gone[place])
        error, after = (self.faults.get(method) or [(None, False)]).pop(0) if self.faults.get(method) else (None, False)
        if error and not after:
            raise error
        try:
            result = effect()
        finally:
            self._changed.set()
        if error:
            raise error
        return result

    def _refuse(self, message: Outgoing) -> None:
        if "format" in self.refuses and message.page.format:
            raise ChatFormat("can't parse entities")
        if "buttons" in self.refuses and message.buttons:
            raise ChatFormat("button data is invalid")

    def _check(self) -> None:
        if self.down:
            raise ChatUnreachable("the platform is down")

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()


UNREACHABLE = ChatUnreachable("no connection")
DOUBT = ChatDoubt("no answer came")


def limited(seconds: float) -> ChatLimited:
    return ChatLimited("Too Many Requests", seconds)


def plain(out: Outgoing) -> Outgoing:
    return replace(out, page=out.page.plain)
